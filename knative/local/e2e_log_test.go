//go:build unix

package local_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	marimbav1 "marimba/proto/marimba/v1"
)

// fetch asks results for something, with a receipt's secret if there is one.
func (h *house) fetch(ctx context.Context, path, secret string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url("results")+path, nil)
	if err != nil {
		return "", err
	}
	if secret != "" {
		req.Header.Set("Receipt-Secret", secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, res.Status, body)
	}
	return string(body), err
}

// awaitLeaves waits until the default contest's public log has so many leaves, and
// fails if it has more.
func (h *house) awaitLeaves(t testing.TB, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		size := 0
		text, err := h.fetch(ctx, "/v1/contests/default/log/checkpoint", "")
		if lines := strings.Split(text, "\n"); err == nil && len(lines) > 2 {
			_, err = fmt.Sscan(lines[1], &size)
		}
		if size > n {
			t.Fatalf("the public log has %d leaves for %d votes", size, n)
		}
		if err == nil && size == n {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("the public log has %d leaves of %d, %v; figures: %+v", size, n, err, h.Figures())
		}
	}
}

// What the door gave a voter opens the vote in the public log: its commitment is the
// log's, and its secret, and no other, shows whom it was for.
func (h *house) checkReceipt(t testing.TB, r *marimbav1.Receipt) {
	t.Helper()
	secret := base64.RawURLEncoding.EncodeToString(r.GetSecret())
	var row struct {
		State, Name string
		Proof       struct{ Commitment, Checkpoint string }
	}
	text, err := h.fetch(t.Context(), "/v1/receipts/"+r.GetReceipt(), secret)
	if err == nil {
		err = json.Unmarshal([]byte(text), &row)
	}
	if err != nil || row.State != "counted" || row.Name != "Alux Nahual" || row.Proof.Commitment != hex.EncodeToString(r.GetCommitment()) || row.Proof.Checkpoint == "" {
		t.Errorf("the receipt opens as %s, %v; the door said %v", text, err, r)
	}
	if open, err := h.fetch(t.Context(), "/v1/receipts/"+r.GetReceipt(), ""); err != nil || strings.Contains(open, "Alux") {
		t.Errorf("without its secret: %s, %v", open, err)
	}
	if other, err := h.fetch(t.Context(), "/v1/receipts/"+r.GetReceipt(), strings.Repeat("A", 22)); err == nil {
		t.Errorf("with another secret: %s", other)
	}
}
