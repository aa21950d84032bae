package voter

import (
	"bytes"
	"testing"
)

// A voter has one key in a contest, and nobody else has it: no other voter, no
// voter of another contest, and none under another secret. The limits of a
// contest rest on the first, the voters' privacy on the others.
func TestKeys(t *testing.T) {
	keyOf := func(k Keys, contest, voter string) []byte {
		key, err := k.Key(contest, voter)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	keys := Keys{Secret: "s"}
	key := keyOf(keys, "rock", "ana")
	if len(key) != 32 || !bytes.Equal(key, keyOf(keys, "rock", "ana")) {
		t.Fatalf("key of %d bytes, or not the same again", len(key))
	}
	for say, other := range map[string][]byte{
		"another voter":              keyOf(keys, "rock", "eva"),
		"another contest":            keyOf(keys, "jazz", "ana"),
		"another secret":             keyOf(Keys{Secret: "t"}, "rock", "ana"),
		"the same letters elsewhere": keyOf(keys, "rocka", "na"),
	} {
		if bytes.Equal(key, other) {
			t.Errorf("%s has the same key", say)
		}
	}
}
