package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// rung is what things cost when the house holds so many votes.
type rung struct {
	Votes int64 `json:"votes"`
	// CPU of all functions for a vote that comes now, in bulk, in microseconds.
	CPU      float64 `json:"cpu_us_a_vote"`
	Board    float64 `json:"board_ms"`   // median
	Receipt  float64 `json:"receipt_ms"` // median
	Audit    float64 `json:"audit_s"`
	AuditOne float64 `json:"audit_us_a_vote"`
	Redis    float64 `json:"redis_bytes_a_vote"`
}

// looks is how often board and receipt are asked for at a rung.
const looks = 15

// firstRung is where the first rung is, or a little above it; there are two at
// least.
const firstRung = 10_000

// rungs are numbers of votes up to most, each ten times the one before.
func rungs(most int) []int {
	if most <= 0 {
		return nil
	}
	var out []int
	for n := most; n >= firstRung || len(out) < 2; n /= 10 {
		out = append(out, n)
	}
	slices.Reverse(out)
	return out
}

// onFlat follows what a vote costs while the votes become many.
func (r *run) onFlat(ctx context.Context) (err error) {
	all := rungs(r.plan.Flat)
	if len(all) == 0 {
		return nil
	}
	g, err := openGround(ctx, r.bin, folderOf(r.folder, "flat"), false)
	defer func() { err = errors.Join(err, g.close()) }()
	if err != nil {
		return err
	}
	if err := g.startHouse(ctx); err != nil {
		return err
	}
	start, err := g.sizes(ctx)
	if err != nil {
		return err
	}
	for n, votes := range all {
		probe := min(r.plan.Bulk, votes/2)
		if more := votes - int(g.accepted) - probe; more > 0 {
			if _, err := r.step(ctx, g, onFlat, r.plan.bundle("growth", "bulk", r.plan.Batch, more), n+1); err != nil {
				return err
			}
		}
		m, err := r.step(ctx, g, onFlat, r.plan.bundle("bulk", "bulk", r.plan.Batch, probe), n+1)
		if err != nil {
			return err
		}
		one, err := r.rung(ctx, g, n+1, start.redis)
		if err != nil {
			return err
		}
		one.CPU = micros(m.ofFunctions(), m.Votes)
		r.flat = append(r.flat, one)
	}
	return nil
}

// rung asks for board, receipt and audit.
func (r *run) rung(ctx context.Context, g *ground, n int, start int64) (rung, error) {
	receipt, err := r.receipt(ctx, g)
	if err != nil {
		return rung{}, err
	}
	out := rung{Votes: g.accepted}
	if out.Board, err = g.ask(ctx, "/v1/contests/"+contest+"/board"); err != nil {
		return rung{}, err
	}
	if out.Receipt, err = g.ask(ctx, "/v1/receipts/"+url.PathEscape(receipt)); err != nil {
		return rung{}, err
	}
	now, err := g.sizes(ctx)
	if err != nil {
		return rung{}, err
	}
	out.Redis = float64(now.redis-start) / float64(g.accepted)
	if err := r.balance(ctx, g, onFlat, n, r.byAudit); err != nil {
		return rung{}, err
	}
	out.Audit = r.books[len(r.books)-1].Seconds
	out.AuditOne = out.Audit * 1e6 / float64(g.accepted)
	tell("%d votes: board %.1f ms, receipt %.1f ms, audit %.2f s", out.Votes, out.Board, out.Receipt, out.Audit)
	return out, nil
}

// receipt casts one vote and returns its receipt when it is counted.
func (r *run) receipt(ctx context.Context, g *ground) (string, error) {
	before, _, err := settled(ctx, g.redis)
	if err != nil {
		return "", err
	}
	r.n++
	s := step{Path: "grpc-unary"}
	j := g.job(s, fmt.Sprintf("%s-%d", r.id, r.n))
	j.Address = g.address(s)
	door, err := openPath(j)
	if err != nil {
		return "", err
	}
	_, box, err := door.cast(ctx, 0)
	if err = errors.Join(err, door.close()); err != nil {
		return "", fmt.Errorf("cast a vote for its receipt: %w", err)
	}
	g.accepted++
	return box + ".0", g.await(ctx, before+1)
}

// ask asks results for something several times, and returns the median of how long
// that took, in milliseconds.
func (g *ground) ask(ctx context.Context, path string) (float64, error) {
	client := &http.Client{Timeout: answerTimeout}
	defer client.CloseIdleConnections()
	var took []time.Duration
	for n := range looks + 1 {
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.house.At.Results+path, nil)
		if err != nil {
			return 0, err
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return 0, err
		}
		if res.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("ask for %s: status %d: %.200s", path, res.StatusCode, text)
		}
		if n > 0 { // the first may wake the function
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Microseconds()) / 1000, nil
}
