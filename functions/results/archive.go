package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"marimba/events"
	"marimba/events/rules"
	"marimba/events/seal"
	"marimba/events/seal/archive"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/tlog"
)

// Bounds of archives, each of which must be taken as an export must.
const (
	archivesAtOnce = 2
	boxesAtOnce    = 8 // that are read from the log of votes side by side
)

// opened is where the votes are that leaves stand for.
type opened interface {
	EntryOf(ctx context.Context, boxID string) (journal.Entry, bool, error)
	Entries(ctx context.Context, contest string) iter.Seq2[journal.Entry, error]
}

// sendArchive answers with the archive of a final contest, as it is made. An error on
// its way breaks it off, so that nobody takes a part for the whole.
func (r *results) sendArchive(w http.ResponseWriter, req *http.Request) error {
	done, err := r.take(req.Context(), r.archives)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithTimeout(req.Context(), exportTimeout)
	defer cancel()
	m, err := r.archiveOf(ctx, req)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", forAMinute)
	h.Set("Content-Type", archive.MediaType)
	h.Set("Content-Disposition", `attachment; filename="`+m.contest.ID+`.tar.gz"`)
	if req.Method == http.MethodHead {
		return nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the server's bounds the request, not the reading of the answer
	if err := m.write(ctx, patient{w, control}); err != nil {
		if ctx.Err() == nil || req.Context().Err() == nil {
			slog.WarnContext(ctx, "archive broken off", "contest", m.contest.ID, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// patient gives a reader some time for each part.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (p patient) Write(part []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(stallTimeout)) // where it is not known, the reader's leaving is
	return p.ResponseWriter.Write(part)
}

// making is an archive that is being made.
type making struct {
	*results
	contest  events.Contest
	head     tlog.Head
	files    archive.Files
	annulled func(events.Channel, *events.Vote) bool
	latest   *counts.Latest
	strange  int // leaves that are not the votes that the log of votes has
}

// archiveOf gathers what an archive is made of, but for its votes.
func (r *results) archiveOf(ctx context.Context, req *http.Request) (*making, error) {
	c, err := r.contestOf(req)
	if err != nil {
		return nil, err
	}
	s, ok, err := r.journal.Statement(ctx, c.ID)
	if err == nil && !ok {
		err = events.Refuse(events.NotFinal, "contest")
	}
	if err != nil {
		return nil, err
	}
	var stated struct {
		Revision string `json:"contest_sha256"`
		Votes    struct {
			States map[events.State]uint64 `json:"states"`
		} `json:"votes"`
	}
	if err := json.Unmarshal([]byte(s.Text), &stated); err != nil {
		return nil, fmt.Errorf("read statement of %s: %w", c.ID, err)
	}
	text, err := r.contests.Text(c.ID)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != stated.Revision {
		return nil, events.Refuse(events.ContestChanged, "contest")
	}
	head, err := r.headOf(req)
	if err != nil {
		return nil, err
	}
	if head.Size < stated.Votes.States[events.Counted] {
		return nil, events.Refuse(events.NotSealed, "contest") // the last votes are on their way there
	}
	book, acts, err := r.acts(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	origin, _, _ := strings.Cut(head.Checkpoint, "\n")
	m := &making{results: r, contest: c, head: head, annulled: book.Annuls(), latest: counts.NewLatest(c)}
	m.files = archive.Files{
		Head: archive.Head{Contest: c.ID, Origin: origin, MadeAt: r.now().UTC().Truncate(time.Second)},
		Key:  head.Key, Checkpoint: head.Checkpoint, Contest: text, Rules: rules.Code(), Statement: []byte(s.Text), Annulments: acts,
	}
	if len(c.Rules.Code) > 0 {
		m.files.Own = c.Rules.Code
	}
	return m, nil
}

// acts returns a contest's book of annulments, and its acts in the very bytes that
// they are kept in: each holds the digest of the one before it.
func (r *results) acts(ctx context.Context, contest string) (*annul.Book, []byte, error) {
	book, err := annul.Read(ctx, r.journal, contest)
	if err != nil {
		return nil, nil, err
	}
	text := []byte(`{"contest":"` + contest + `","acts":[`)
	for n := range book.Acts {
		kept, ok, err := r.journal.Ruling(ctx, contest, n+1)
		if err == nil && !ok {
			err = fmt.Errorf("act %d of %s is not there", n+1, contest)
		}
		if err != nil {
			return nil, nil, err
		}
		if n > 0 {
			text = append(text, ',')
		}
		text = append(text, kept.Text...)
	}
	return book, append(text, "]}"...), nil
}

func (m *making) write(ctx context.Context, to http.ResponseWriter) error {
	if m.latest.Replaces() {
		if err := m.findLatest(ctx); err != nil {
			return err
		}
	}
	w, err := archive.NewWriter(to, m.files)
	if err != nil {
		return err
	}
	for leaves, err := range m.sealed.Leaves(ctx, m.contest.ID) {
		if err != nil {
			return err
		}
		if len(leaves) == 0 || leaves[0].At >= m.head.Size {
			break // it came to the log after the head that was read
		}
		if err := m.open(ctx, w, leaves); err != nil {
			return err
		}
	}
	if m.strange > 0 {
		slog.WarnContext(ctx, "the public log is not of the log of votes: the archive says where", "contest", m.contest.ID, "leaves", m.strange)
	}
	err = w.Tiles(func(name seal.TileName) ([]byte, error) { return m.tileOf(ctx, m.head, name) })
	if err != nil {
		return err
	}
	return w.Close()
}

// findLatest looks through the log of votes for those that were replaced.
func (m *making) findLatest(ctx context.Context) error {
	for e, err := range m.journal.Entries(ctx, m.contest.ID) {
		if err != nil {
			return err
		}
		for i := range e.Box.Votes {
			if e.States[i] == events.Counted {
				m.latest.Add(e.Box.ID, &e.Box.Votes[i])
			}
		}
	}
	return nil
}

// open writes the openings of a batch of leaves.
func (m *making) open(ctx context.Context, w *archive.Writer, leaves []tlog.Leaf) error {
	boxes, err := m.boxesOf(ctx, leaves)
	if err != nil {
		return err
	}
	for _, leaf := range leaves {
		v, channel := boxes[leaf.Box].vote(leaf.Index)
		if v == nil {
			return fmt.Errorf("leaf %d of %s stands for a vote that the log of votes has not", leaf.At, m.contest.ID)
		}
		line := archive.Line{
			Salt:    m.secrets.Of(m.contest.ID, events.Receipt(leaf.Box, leaf.Index)).Salt(),
			Opening: seal.OpeningOf(m.contest.ID, channel, v), Mark: archive.Counted,
		}
		if line.Opening.Commit(line.Salt) != leaf.Entry {
			m.strange++
		}
		switch {
		case m.latest.Replaced(leaf.Box, v):
			line.Mark = archive.Replaced
		case m.annulled(channel, v):
			line.Mark = archive.Annulled
		}
		if err := w.Add(line); err != nil {
			return err
		}
	}
	return nil
}

// sealedBox is the votes of a box by their index.
type sealedBox struct {
	channel events.Channel
	votes   map[int]*events.Vote
}

func (b sealedBox) vote(index int) (*events.Vote, events.Channel) { return b.votes[index], b.channel }

// boxesOf reads the boxes of some leaves. Each is looked up by its own id: what is
// asked for many at once is not quick everywhere.
func (m *making) boxesOf(ctx context.Context, leaves []tlog.Leaf) (map[string]sealedBox, error) {
	var ids []string
	boxes := make(map[string]sealedBox)
	for _, leaf := range leaves {
		if _, known := boxes[leaf.Box]; !known {
			boxes[leaf.Box] = sealedBox{}
			ids = append(ids, leaf.Box)
		}
	}
	read := make([]sealedBox, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(boxesAtOnce)
	for i, id := range ids {
		g.Go(func() error {
			e, ok, err := m.journal.EntryOf(ctx, id)
			if err != nil || !ok {
				return err
			}
			read[i] = sealedBox{e.Box.Channel, make(map[int]*events.Vote)}
			for k := range e.Box.Votes {
				if v := &e.Box.Votes[k]; e.States[k] == events.Counted {
					read[i].votes[v.Index] = v
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, id := range ids {
		boxes[id] = read[i]
	}
	return boxes, nil
}
