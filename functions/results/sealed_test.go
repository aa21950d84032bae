package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	other "golang.org/x/mod/sumdb/tlog"

	"marimba/events"
	"marimba/events/seal"
)

// fetched is what a path of a server answers.
func fetched(t *testing.T, at string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// checkpointOf is what a server says of the log of contest rock, believed by its key.
func checkpointOf(t *testing.T, server string) seal.Checkpoint {
	t.Helper()
	_, key := fetched(t, server+"/v1/contests/rock/log/key")
	_, text := fetched(t, server+"/v1/contests/rock/log/checkpoint")
	verifier, err := seal.Verifier(strings.TrimSuffix(key, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := seal.Open(text, verifier)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// overHTTP reads tiles for another implementation of logs. Its tiles have the height
// in their paths; ours always have the same.
type overHTTP struct {
	t     *testing.T
	at    string
	asked int
}

func (o *overHTTP) Height() int { return seal.TileHeight }

func (o *overHTTP) ReadTiles(tiles []other.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path, ok := strings.CutPrefix(tile.Path(), "tile/8/")
		if !ok {
			return nil, fmt.Errorf("tile %s", tile.Path())
		}
		answer, text := fetched(o.t, o.at+"tile/"+path)
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s is %s", path, answer.Status)
		}
		all = append(all, []byte(text))
		o.asked++
	}
	return all, nil
}

func (o *overHTTP) SaveTiles([]other.Tile, [][]byte) {}

// The log that is served is one to Go's own client of transparency logs, too: it
// reads our tiles over HTTP, each of them checked against the checkpoint's root, and
// proves leaves and older trees with them.
func TestLogByAnotherImplementation(t *testing.T) {
	for _, n := range []int{1, 2, 200, 256, 257, 1000, 70_000} {
		h := newHouse(t.Context())
		rows := rowsOf(n)
		h.log.seal(t, rows...)
		server := httptest.NewServer(h.routes())
		at := server.URL + "/v1/contests/rock/log/"
		checkpoint := checkpointOf(t, server.URL)
		if checkpoint.Size != uint64(n) || checkpoint.Origin != sealOrigin {
			t.Fatalf("checkpoint is %+v", checkpoint)
		}
		tree := other.Tree{N: int64(n), Hash: other.Hash(checkpoint.Root)}
		tiles := &overHTTP{t: t, at: at}
		reader := other.TileHashReader(tree, tiles)
		for _, leaf := range []int{0, n / 3, n - 1} {
			proof, err := other.ProveRecord(int64(n), int64(leaf), reader)
			if err != nil {
				t.Fatalf("%d leaves: prove %d: %v", n, leaf, err)
			}
			entry := commitmentOf(rows[leaf])
			if err := other.CheckRecord(proof, int64(n), tree.Hash, int64(leaf), other.RecordHash(entry[:])); err != nil {
				t.Errorf("%d leaves: leaf %d: %v", n, leaf, err)
			}
		}
		older := max(1, n*2/3)
		was, err := other.TreeHash(int64(older), reader)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := other.ProveTree(int64(n), int64(older), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.CheckTree(proof, int64(n), tree.Hash, int64(older), was); err != nil {
			t.Errorf("%d leaves: as of %d: %v", n, older, err)
		}
		// And our own proof of it is one to the other.
		ours := read[struct{ Hashes []seal.Hash }](t, h.get(t, fmt.Sprintf("/v1/contests/rock/log/consistency?from=%d", older)))
		theirs := make(other.TreeProof, len(ours.Hashes))
		for i, hash := range ours.Hashes {
			theirs[i] = other.Hash(hash)
		}
		if err := other.CheckTree(theirs, int64(n), tree.Hash, int64(older), was); err != nil && older < n {
			t.Errorf("%d leaves: our proof as of %d: %v", n, older, err)
		}
		if tiles.asked == 0 {
			t.Error("no tile was asked for")
		}
		server.Close()
	}
}

// Entries are served with their lengths, and what never changes may be kept for ever.
func TestTiles(t *testing.T) {
	h := newHouse(t.Context())
	rows := rowsOf(300)
	h.log.seal(t, rows...)
	for path, first := range map[string]int{"entries/000": 0, "entries/001.p/44": 256, "entries/001.p/3": 256} {
		answer := h.get(t, "/v1/contests/rock/log/tile/"+path)
		name, ok := seal.ParseTileName("tile/" + path)
		entries, err := seal.ReadEntries(answer.Body.Bytes(), name.Width)
		if !ok || err != nil || answer.Header().Get("Cache-Control") != forEver {
			t.Errorf("%s: %v, %v", path, err, answer.Header())
			continue
		}
		for i, entry := range entries {
			if entry != commitmentOf(rows[first+i]) {
				t.Errorf("%s: entry %d is another", path, i)
			}
		}
	}
	checkpoint := h.get(t, "/v1/contests/rock/log/checkpoint")
	if again := h.get(t, "/v1/contests/rock/log/checkpoint", "If-None-Match: "+checkpoint.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("the same checkpoint is %d", again.Code)
	}
}

// What the log has not, or not yet, is told.
func TestLogRefusals(t *testing.T) {
	h := newHouse(t.Context())
	const log = "/v1/contests/rock/log/"
	for _, path := range []string{"checkpoint", "key", "tile/0/000", "consistency?from=1"} {
		refused(t, h.get(t, log+path), 404, events.NotSealed)
		refused(t, h.get(t, "/v1/contests/nowhere/log/"+path), 404, events.ContestUnknown)
	}
	h.log.seal(t, rowsOf(300)...)
	for path, code := range map[string]events.Code{
		"tile/0/001": events.NotSealed, "tile/0/001.p/45": events.NotSealed, "tile/3/000.p/1": events.NotSealed, "tile/entries/002.p/1": events.NotSealed,
		"tile/0/1": events.RouteUnknown, "tile/8/0/000": events.RouteUnknown, "tile/0/001.p/256": events.RouteUnknown, "tile/x": events.RouteUnknown,
		"tile/": events.RouteUnknown, "nothing": events.RouteUnknown, "consistency?from=1&to=301": events.NotSealed,
	} {
		refused(t, h.get(t, log+path), 404, code)
	}
	for _, query := range []string{"", "from=0", "from=-1", "from=x", "from=01", "from=2&to=1", "from=301", "from=1&from=2", "from=99999999999999999999"} {
		refused(t, h.get(t, log+"consistency?"+query), 400, events.ParameterMalformed)
	}
	h.log.leave(errAway)
	for _, path := range []string{"checkpoint", "key", "tile/0/000", "consistency?from=1"} {
		refused(t, h.get(t, log+path), 503, events.Unavailable)
	}
}
