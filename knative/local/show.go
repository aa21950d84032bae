//go:build unix

package local

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/procfs"
)

// Shown is what the gateway shows of the functions at FiguresPath under its own
// address, which is no function's.
type Shown struct {
	Functions map[string]ShownFunction `json:"functions"`
}

// FiguresPath is where a gateway shows the functions' figures.
const FiguresPath = "/figures"

// ShownFunction is a function's figures since the system started, and its
// processes.
type ShownFunction struct {
	Starts     int64          `json:"starts"`
	Crashes    int64          `json:"crashes"`
	Delivered  int64          `json:"delivered"`
	Retries    int64          `json:"retries"`
	Dead       int64          `json:"dead"`
	ColdStarts []float64      `json:"cold_start_seconds"` // to the first answer; the last hundred
	Processes  []ShownProcess `json:"processes"`
}

// ShownProcess is a process. Where the kernel does not tell, as elsewhere than on
// Linux, CPU and RSS are -1.
type ShownProcess struct {
	PID   int     `json:"pid"`
	State State   `json:"state"`
	CPU   float64 `json:"cpu_seconds"`
	RSS   int64   `json:"rss_bytes"`
}

// showFigures answers what Figures and Processes tell.
func (s *System) showFigures(w http.ResponseWriter, _ *http.Request) {
	shown := Shown{Functions: make(map[string]ShownFunction)}
	figures := s.Figures()
	for _, svc := range s.plan.services {
		f := figures[svc.name]
		to := ShownFunction{
			Starts: f.Starts, Crashes: f.Crashes, Delivered: f.Delivered, Retries: f.Retries, Dead: f.Dead,
			ColdStarts: make([]float64, len(f.ColdStarts)), Processes: []ShownProcess{},
		}
		for i, took := range f.ColdStarts {
			to.ColdStarts[i] = took.Round(time.Millisecond).Seconds()
		}
		shown.Functions[svc.name] = to
	}
	for _, p := range s.Processes() {
		f := shown.Functions[p.Function]
		f.Processes = append(f.Processes, showProcess(p))
		shown.Functions[p.Function] = f
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(shown) // its reader may have gone away
}

func showProcess(p Process) ShownProcess {
	shown := ShownProcess{PID: p.PID, State: p.State, CPU: -1, RSS: -1}
	if p.PID == 0 {
		return shown
	}
	process, err := procfs.NewProc(p.PID)
	if err != nil {
		return shown
	}
	if stat, err := process.Stat(); err == nil {
		shown.CPU, shown.RSS = stat.CPUTime(), int64(stat.ResidentMemory())
	}
	return shown
}
