package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"marimba/events"
)

// rehearsal is what a shadow's title begins with, by language.
var rehearsal = map[string]string{"es": "Ensayo: ", "en": "Rehearsal: "}

// ShadowID names the rehearsal of a contest that begins at an instant.
func ShadowID(contest string, at time.Time) string {
	const prefix, stamp = "rehearsal-", "-20060102-150405"
	contest = strings.TrimRight(contest[:min(len(contest), 63-len(prefix)-len(stamp))], "-")
	return prefix + contest + at.UTC().Format(stamp)
}

// Shadow returns the text of a contest's file as that of another contest of the
// same rules, for a rehearsal: it has its own id, says in its title what it is, is
// open at once, and closes by itself. No vote in it is one in the contest that it
// is a shadow of.
func Shadow(id string, data []byte, shadow string, closesAt time.Time) ([]byte, error) {
	before, err := readContest(id+".yaml", id, data, true)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s.yaml: %w", id, err)
	}
	root := document.Content[0]
	for _, key := range []string{"opens_at", "closes_at", "amendments"} {
		remove(root, key)
	}
	title := make(map[string]string, len(before.Title))
	for language, text := range before.Title {
		begin := rehearsal[language]
		letters := []rune(text)
		title[language] = begin + strings.TrimSpace(string(letters[:min(len(letters), events.MaxAlbum-len(begin))]))
	}
	for _, put := range []struct {
		key   string
		value any
	}{{"id", shadow}, {"title", title}, {"closes_at", closesAt.UTC().Truncate(time.Second)}} {
		remove(root, put.key)
		var key, value yaml.Node
		key.SetString(put.key)
		if err := value.Encode(put.value); err != nil {
			return nil, fmt.Errorf("%s of the shadow: %w", put.key, err)
		}
		root.Content = append(root.Content, &key, &value)
	}
	text, err := yaml.Marshal(&document)
	if err != nil {
		return nil, fmt.Errorf("write the shadow: %w", err)
	}
	// What was written is read back: but for what a shadow has of its own, it is the
	// contest.
	after, err := readContest(shadow+".yaml", shadow, text, true)
	if err != nil {
		return nil, fmt.Errorf("shadow: %w", err)
	}
	before.ID, before.Title, before.Amendments = after.ID, after.Title, nil
	before.OpensAt, before.ClosesAt = after.OpensAt, after.ClosesAt
	if !after.OpensAt.IsZero() || !sameContest(before, after) {
		return nil, fmt.Errorf("%s.yaml: a shadow of it would have other rules", id)
	}
	return text, nil
}

// remove takes a key out of a mapping.
func remove(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = slices.Delete(mapping.Content, i, i+2)
			return
		}
	}
}
