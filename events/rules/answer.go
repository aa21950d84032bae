package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"marimba/events"
)

// answer is what a module says about a vote, as crate/src/answer.rs writes it.
// Its bytes are in the instance's memory.
type answer struct {
	kind uint32
	body []byte
}

// The kinds of answers.
const (
	admitted = 0 // as it stands
	refused  = 1
	spelled  = 2
	ballot   = 3
	faulty   = 4
)

// noAlbum stands for an album that the roster does not have.
const noAlbum = 1<<32 - 1

// maxAnswer bounds an answer in bytes.
const maxAnswer = 16 << 10

func (in *instance) answer(at uint32) (answer, error) {
	if at == 0 {
		return answer{kind: admitted}, nil
	}
	head, ok := in.memory.Read(at, 8)
	if !ok {
		return answer{}, errOutside
	}
	a := answer{kind: binary.LittleEndian.Uint32(head)}
	size := binary.LittleEndian.Uint32(head[4:])
	if size > maxAnswer {
		return answer{}, fmt.Errorf("an answer of %d bytes", size)
	}
	if a.body, ok = in.memory.Read(at+8, size); !ok {
		return answer{}, errOutside
	}
	return a, nil
}

// fault is an answer that is none.
func (a answer) fault() error {
	if a.kind != faulty {
		return fmt.Errorf("an answer of kind %d", a.kind)
	}
	return errors.New(strings.ToValidUTF8(string(a.body), "\ufffd"))
}

// refusal returns what the house's rules say against a vote.
func (a answer) refusal() (*events.Refusal, error) {
	texts, err := a.texts()
	if err != nil {
		return nil, err
	}
	return events.Refuse(events.Code(texts[0]), texts[1], texts[2:]...), nil
}

// ownRefusal returns what a contest's own module says against a vote. Its words
// reach people, the log and other programs, so they are held to a form.
func (a answer) ownRefusal() (*events.Refusal, error) {
	texts, err := a.texts()
	if err != nil {
		return nil, err
	}
	if len(texts) != 4 || texts[2] != "message" {
		return nil, errors.New("a refusal that is not of a rule, a field and a message")
	}
	rule, field := texts[0], texts[1]
	if !isRuleName(rule) {
		return nil, fmt.Errorf("a rule named %.40q, not 1 to 40 of a-z, 0-9 and _", rule)
	}
	switch field {
	case "", "name", "album", "year", "rank", "voter", "cast_at":
	default:
		return nil, fmt.Errorf("a refusal of the field %.40q, which a vote does not have", field)
	}
	message, no := events.CleanText("message", texts[3], maxMessage)
	if no != nil || message == "" {
		return nil, fmt.Errorf("a message that is empty, longer than %d characters or cannot be shown", maxMessage)
	}
	return events.Refuse(events.RuleBroken, field, "rule", rule, "message", message), nil
}

// maxMessage bounds the message of a contest's own rule, in characters.
const maxMessage = 300

func isRuleName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// texts returns the texts of a refusal.
func (a answer) texts() ([]string, error) {
	texts := make([]string, 0, 6)
	for rest := a.body; len(rest) > 0; {
		if len(rest) < 4 || uint64(binary.LittleEndian.Uint32(rest)) > uint64(len(rest)-4) {
			return nil, errors.New("a refusal that is cut off")
		}
		size := binary.LittleEndian.Uint32(rest)
		texts = append(texts, string(rest[4:4+size]))
		rest = rest[4+size:]
	}
	if len(texts) < 2 || len(texts)%2 != 0 {
		return nil, fmt.Errorf("a refusal of %d texts", len(texts))
	}
	return texts, nil
}

// brief shortens what the runtime says of a trap to its first line: what follows
// is the module's own stack. A call that was cut off is told as that.
func brief(err error) error {
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		return errCutOff
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(text)
}
