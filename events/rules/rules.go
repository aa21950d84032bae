// Package rules says which votes are well formed, and which of them a contest
// admits.
//
// The rules themselves are a small Rust crate, in the folder crate. It is built
// to WebAssembly, rules.wasm, and runs here in a sandbox of its own; the same
// bytes run in a browser. A contest may have a module of its own besides, which
// is asked about the votes that the contest's terms admit. README.md tells how
// it is all built, and the interface between a module and its host.
package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"marimba/events"
	"marimba/events/rules/abi"
)

// Rules are one contest's rules, made ready for judging. They do not change and
// may be used by many goroutines at once.
type Rules struct {
	contest events.Contest
	house   source
	own     *source // the contest's own module, if it has one
}

// Warm begins to make ready what all contests share, some 25 ms of work, and
// does not wait for it. A process that will judge calls it when it starts; else
// its first vote waits for all of it.
func Warm() { go house() }

// New makes a contest's rules ready.
func New(c events.Contest) *Rules {
	r := &Rules{contest: c}
	r.house.module, r.house.contest = house, &r.contest
	if code := c.Rules.Code; len(code) > 0 {
		r.own = &source{contest: &r.contest, module: sync.OnceValues(func() (*module, error) { return confined(code, abi.MaxPages) })}
	}
	return r
}

// Judge returns nil if the contest admits the vote, and sets its band and album
// to the roster's spelling; otherwise it returns why not and leaves the vote as
// it is. The vote's At decides whether it came in time, never the moment of
// judging: judging again gives the same answer.
//
// An error says that there is no answer; asked again, there may be one. Rules
// that loop without an end, take too much memory or break in another way give
// an error, and harm nobody else.
func (r *Rules) Judge(v *events.Vote) (*events.Refusal, error) {
	if no := tooLong(v); no != nil {
		return no, nil
	}
	name, album := v.Name, v.Album
	var no *events.Refusal
	err := houseInstances.ask(&r.house, func(in *instance) error {
		a, err := in.judged(v, name, album)
		if err != nil {
			return err
		}
		switch a.kind {
		case admitted:
		case refused:
			no, err = a.refusal()
		case spelled:
			name, album, err = a.spelling(&r.contest, name, album)
		default:
			err = a.fault()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("judge a vote for %s: %w", r.contest.ID, err)
	}
	if no == nil && r.own != nil {
		if no, err = r.judgeByOwn(v, name, album); err != nil {
			return nil, fmt.Errorf("judge a vote by the rules of %s: %w", r.contest.ID, err)
		}
	}
	if no != nil {
		return no, nil
	}
	v.Name, v.Album = name, album
	return nil, nil
}

// judgeByOwn asks the contest's own module about a vote that the contest's terms
// admit, in the roster's spelling.
func (r *Rules) judgeByOwn(v *events.Vote, name, album string) (no *events.Refusal, err error) {
	err = ownInstances.ask(r.own, func(in *instance) error {
		a, err := in.judged(v, name, album)
		if err != nil {
			return err
		}
		switch a.kind {
		case admitted:
		case refused:
			no, err = a.ownRefusal()
		default:
			err = a.fault()
		}
		return err
	})
	return no, err
}

// judged asks about a vote. All that a watched instance does for it is within
// the limit of a call.
func (in *instance) judged(v *events.Vote, name, album string) (a answer, err error) {
	if in.timer != nil {
		in.timer.Reset(in.limit)
		defer func() {
			if !in.timer.Stop() && err == nil {
				err = errCutOff // just as it ended: the instance is no more
			}
		}()
	}
	length, err := in.write(v, name, album)
	if err != nil {
		return answer{}, err
	}
	return in.call(in.judge, length, 0)
}

// spelling returns the band and the album that an answer names as the roster
// spells them; the album as it is if the roster does not have it.
func (a answer) spelling(c *events.Contest, name, album string) (string, string, error) {
	if len(a.body) != 8 {
		return "", "", errors.New("a spelling that is cut off")
	}
	band := binary.LittleEndian.Uint32(a.body)
	record := binary.LittleEndian.Uint32(a.body[4:])
	if uint64(band) >= uint64(len(c.Bands)) {
		return "", "", fmt.Errorf("there is no band %d", band)
	}
	b := &c.Bands[band]
	switch {
	case record == noAlbum:
		return b.Name, album, nil
	case uint64(record) >= uint64(len(b.Albums)):
		return "", "", fmt.Errorf("band %d has no album %d", band, record)
	}
	return b.Name, b.Albums[record].Title, nil
}

// MaxVote bounds one vote in JSON, in bytes.
const MaxVote = 64 << 10

// Read reads one vote from JSON, an object and nothing else, and returns its
// ballot, which is well formed and in its clean form, or why there is none. A
// strict reader refuses fields that are not known, and numbers where a text
// belongs. An error says that there is no answer.
func Read(data []byte, strict bool) (b events.Ballot, no *events.Refusal, err error) {
	if len(data) > MaxVote {
		return events.Ballot{}, events.Refuse(events.BodyTooLarge, "", "max", strconv.Itoa(MaxVote)), nil
	}
	flag := 0
	if strict {
		flag = 1
	}
	err = houseInstances.ask(&reading, func(in *instance) error {
		place, err := in.open(len(data))
		if err != nil {
			return err
		}
		copy(place, data)
		a, err := in.call(in.read, len(data), flag)
		if err != nil {
			return err
		}
		switch a.kind {
		case refused:
			no, err = a.refusal()
		case ballot:
			b, err = in.ballot(a)
		default:
			err = a.fault()
		}
		return err
	})
	if err != nil {
		return events.Ballot{}, nil, fmt.Errorf("read a vote: %w", err)
	}
	return b, no, nil
}

// reading is the source of instances that only read.
var reading = source{module: house}
