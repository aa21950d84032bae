package knative

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The replica set and its users are made once, whole, and with the passwords of
// the Secret, wherever the script that makes them is killed. It runs in node, with
// a mongod that is an imitation: a real one was not to be had.
func TestInitiate(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("MARIMBA_TEST_REAL") != "" {
			t.Fatal(err)
		}
		t.Skip("node is not installed")
	}
	want := []string{
		"set of mongodb-0.mongodb.marimba.svc.cluster.local:27017 mongodb-1.mongodb.marimba.svc.cluster.local:27017 mongodb-2.mongodb.marimba.svc.cluster.local:27017",
		`user root ["root"]`,
		`user marimba [{"role":"readWrite","db":"marimba"}]`,
	}
	for _, kills := range []string{"9,9", "0,9", "1,9", "2,9", "1,1,1,9", "0,0,3,9"} {
		out, err := exec.Command("node", "testdata/mongosh.mjs", "base/mongodb/initiate.js", kills).CombinedOutput()
		if err != nil {
			t.Fatalf("killed after %s: %v\n%s", kills, err, out)
		}
		var runs [][]string
		if err := json.Unmarshal(out, &runs); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		made := slices.DeleteFunc(slices.Concat(runs...), func(what string) bool { return what == "killed" })
		if !slices.Equal(made, want) {
			t.Errorf("killed after %s: made is\n%s", kills, strings.Join(made, "\n"))
		}
		if last := runs[len(runs)-1]; slices.Contains(last, "killed") || kills == "9,9" && len(last) != 0 {
			t.Errorf("killed after %s: the last run made %v", kills, last)
		}
	}
}
