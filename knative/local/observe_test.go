//go:build unix

package local_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"testing"
	"time"

	"marimba/config"
	"marimba/knative/local"
	"marimba/knative/local/real/realtest"
)

// The house's own Prometheus finds the functions' processes, reads what they and
// the house tell, and takes the rules that alerts are made of.
func TestPrometheus(t *testing.T) {
	t.Parallel() // it waits more than it works
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		realtest.Missing(t, err)
	}
	h := raiseWith(t, "embedded", func(o *local.Options) {
		o.Observe = "127.0.0.1:0"
		o.Prometheus = &local.Prometheus{Binary: binary, Rules: config.PrometheusRules}
	})
	votes := 0
	for _, query := range []string{
		`sum(marimba_votes_final_total{function="tally"}) > 0`,
		`count(up{job="marimba"} == 1) > 0`,
		`sum(marimba_house_cold_starts_total) > 0`,
		`count(kafka_consumergroup_lag{consumergroup="marimba-tally"}) > 0`,
		`count(marimba:lag:sum) > 0`, // of the rules
	} {
		// Votes come until it is answered: a process that sleeps tells nothing.
		for len(asked(t, h, query)) == 0 {
			if _, err := insist(t.Context(), h.byGRPC, ballots(votes, 1)); err != nil {
				t.Fatal(err)
			}
			votes++
			select {
			case <-time.After(200 * time.Millisecond):
			case <-t.Context().Done():
				t.Fatalf("%s has no answer", query)
			}
		}
	}
}

// asked is what Prometheus answers, nothing while it starts.
func asked(t *testing.T, h *house, query string) []json.RawMessage {
	t.Helper()
	res, err := http.Get(h.Observed().Prometheus + "/api/v1/query?" + url.Values{"query": {query}}.Encode())
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Status != "success" && res.StatusCode == http.StatusBadRequest {
		t.Fatalf("%s: %v %+v", query, err, answer)
	}
	return answer.Data.Result
}
