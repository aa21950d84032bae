//go:build unix

package local

import (
	"encoding/json"
	"net/http"
	"runtime"
	"testing"
)

// The gateway's own address shows what became of each function: nothing before it
// was asked for, and then its start and its process. A function's address does not.
func TestFiguresAreShown(t *testing.T) {
	s := startOn(t, housePlan{Data: t.TempDir(), Bin: binaries(t), Manifests: serviceYAML("web", nil)}.options())
	look := func() ShownFunction {
		t.Helper()
		res, err := http.Get(s.Gateway() + FiguresPath)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var shown Shown
		if err := json.NewDecoder(res.Body).Decode(&shown); err != nil || len(shown.Functions) != 1 {
			t.Fatalf("%d: %+v, %v", res.StatusCode, shown, err)
		}
		return shown.Functions["web"]
	}
	if f := look(); f.Starts != 0 || len(f.Processes) != 0 || len(f.ColdStarts) != 0 {
		t.Errorf("asleep, it is %+v", f)
	}
	for _, path := range []string{"/environ", FiguresPath} {
		res, err := http.Get(s.URLs()[0].Own + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Header.Get("Cache-Control") != "" {
			t.Errorf("%s of a function is answered by the house", path)
		}
	}
	f := look()
	if f.Starts != 1 || f.Crashes != 0 || len(f.ColdStarts) != 1 || f.ColdStarts[0] <= 0 || len(f.Processes) != 1 || f.Processes[0].State != Running {
		t.Fatalf("awake, it is %+v", f)
	}
	if p := f.Processes[0]; p.PID != s.Processes()[0].PID || runtime.GOOS == "linux" && (p.RSS < 1<<20 || p.CPU < 0) {
		t.Errorf("its process is %+v", p)
	}
}
