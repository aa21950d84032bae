package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// verified checks the archive of a final contest as a stranger would: by its address,
// with nothing but the statement's digest.
func verified(t *testing.T, data, contest, statement string) (got struct {
	Votes  int64
	Holds  bool
	Checks []struct {
		Check  string
		Holds  bool
		Faults []string
	}
}) {
	t.Helper()
	if err := invoke(t, &got, "verify", resultsOf(t, data)+"/v1/contests/"+contest+"/archive", "--statement", statement, "--json"); err != nil {
		t.Errorf("verify: %v", err)
	}
	return got
}

// resultsOf is where the house of a folder shows its results.
func resultsOf(t *testing.T, data string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "running.json"))
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ Results string }
	if err := json.Unmarshal(text, &at); err != nil {
		t.Fatal(err)
	}
	return at.Results
}
