package local

import (
	"testing"
)

// A function that nothing asks for has no process; the first request starts one
// and is answered; when it has been idle for the window the process ends; and
// the next request starts another.
func TestFromZeroAndBack(t *testing.T) {
	s := open(t, t.TempDir(), serviceYAML("web", map[string]string{"window": "300ms"}), sayPid)
	if p := s.Processes(); len(p) != 0 {
		t.Fatalf("before the first request: %+v", p)
	}
	status, first := s.get("web", "/")
	if status != 200 {
		t.Fatalf("first request: %d %s", status, first)
	}
	s.await(Stopped, "web")
	if p := s.Processes(); len(p) != 0 {
		t.Fatalf("after the window: %+v", p)
	}
	status, second := s.get("web", "/")
	if status != 200 || second == first {
		t.Fatalf("request after the window: %d, process %s; want another than %s", status, second, first)
	}
	if f := s.Figures()["web"]; f.Starts != 2 || len(f.ColdStarts) != 2 || f.Crashes != 0 {
		t.Errorf("figures: %+v", f)
	}
}
