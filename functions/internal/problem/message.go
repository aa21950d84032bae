package problem

import (
	"embed"
	"io/fs"
	"strconv"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"marimba/events"
)

// maxAccept bounds what is read of Accept-Language.
const maxAccept = 256

//go:embed messages/*.json
var messageFiles embed.FS

// languages are those that there are messages in; the first is for whoever asks
// for none of them.
var languages = []language.Tag{language.Spanish, language.English}

var matcher = language.NewMatcher(languages)

// speakers speak the languages. The messages are read when the first is needed: a
// function that refuses nothing starts without them. That the files are right is
// for a test to say.
var speakers = sync.OnceValue(func() []Speaker {
	bundle := i18n.NewBundle(languages[0])
	files, err := fs.Glob(messageFiles, "messages/*.json")
	for _, file := range files {
		if err == nil {
			_, err = bundle.LoadMessageFileFS(messageFiles, file)
		}
	}
	if err != nil {
		panic(err) // the files are built in: a programmer's fault
	}
	all := make([]Speaker, len(languages))
	for i, tag := range languages {
		all[i] = Speaker{tag.String(), i18n.NewLocalizer(bundle, tag.String())}
	}
	return all
})

// Speaker words refusals in one language.
type Speaker struct {
	language  string
	localizer *i18n.Localizer
}

// In returns the speaker of the best language for an Accept-Language header
// (RFC 9110, section 12.5.4); a header that cannot be read counts as none.
func In(accept string) Speaker {
	if len(accept) > maxAccept {
		accept = ""
	}
	_, index := language.MatchStrings(matcher, accept)
	return speakers()[index]
}

// Language returns the language that the speaker speaks, such as "es".
func (s Speaker) Language() string { return s.language }

// Text returns the message of a refusal. A code without a message is its own.
func (s Speaker) Text(no *events.Refusal) string {
	data := map[string]string{"field": no.Field}
	for name, value := range no.Params {
		data[name] = value
	}
	text, err := s.localizer.Localize(&i18n.LocalizeConfig{MessageID: string(no.Code), TemplateData: data})
	if err != nil {
		return no.Error()
	}
	return text
}

// title names a status.
func (s Speaker) title(status int) string {
	text, err := s.localizer.Localize(&i18n.LocalizeConfig{MessageID: "status_" + strconv.Itoa(status)})
	if err != nil {
		return strconv.Itoa(status)
	}
	return text
}

// Message returns the message of a refusal in the best language for an
// Accept-Language header, and which that is.
func Message(accept string, no *events.Refusal) (lang, text string) {
	s := In(accept)
	return s.language, s.Text(no)
}
