package voter

import (
	"bytes"
	"testing"

	"marimba/config"
)

// A voter has one key in a contest, and nobody else has it: no other voter, no
// voter of another contest, and none under another secret. The limits of a
// contest rest on the first, the voters' privacy on the others.
func TestKeys(t *testing.T) {
	keys := Keys{config.Secret("s")}
	key := keys.Key("rock", "ana")
	if len(key) != 32 || !bytes.Equal(key, keys.Key("rock", "ana")) {
		t.Fatalf("key of %d bytes, or not the same again", len(key))
	}
	for say, other := range map[string][]byte{
		"another voter":              keys.Key("rock", "eva"),
		"another contest":            keys.Key("jazz", "ana"),
		"another secret":             Keys{config.Secret("t")}.Key("rock", "ana"),
		"the same letters elsewhere": keys.Key("rocka", "na"),
	} {
		if bytes.Equal(key, other) {
			t.Errorf("%s has the same key", say)
		}
	}
}
