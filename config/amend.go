package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"marimba/events"
)

// Change is what an organiser asks for: a bound of a contest moved to another
// instant.
type Change struct {
	Bound  events.Bound
	To     time.Time
	By     string
	Reason string
}

// Amend returns the text of a contest's file with a change as one more amendment,
// and nothing else of it touched. It refuses what would be unfair: a bound that
// has passed is not moved, no bound is moved into the past, and neither within
// margin, the time that a change needs to reach every function. Until then some
// would judge by the old bound and some by the new one.
func Amend(id string, data []byte, change Change, now time.Time, margin time.Duration) ([]byte, error) {
	name := id + ".yaml"
	before, err := readContest(name, id, data, true)
	if err != nil {
		return nil, err
	}
	now = now.UTC().Truncate(time.Millisecond)
	change.To = change.To.UTC().Truncate(time.Millisecond)
	if change.By, err = said("by", change.By, events.MaxName); err != nil {
		return nil, err
	}
	if change.Reason, err = said("reason", change.Reason, maxReason); err != nil {
		return nil, err
	}
	if err := change.fair(before, now, margin); err != nil {
		return nil, err
	}
	amended, err := change.insert(data, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	// What was written is read back: the change is there, all else is as it was.
	after, err := readContest(name, id, amended, true)
	if err != nil {
		return nil, fmt.Errorf("amended: %w", err)
	}
	if want := change.carriedOut(before, now); !sameContest(after, want) {
		return nil, fmt.Errorf("%s: cannot be amended as it is written: put amendments, if there are any, into a list with one entry a line", name)
	}
	return amended, nil
}

// said returns what an organiser says in its clean form.
func said(what, text string, most int) (string, error) {
	clean, no := events.CleanText(what, text, most)
	if no != nil {
		return "", fmt.Errorf("%w: at most %d characters, no control characters", no, most)
	}
	if clean == "" {
		return "", errors.New(what + ": is missing: an amendment says who makes it, and why")
	}
	return clean, nil
}

// fair says whether a change may be made.
func (c Change) fair(contest events.Contest, now time.Time, margin time.Duration) error {
	if n := len(contest.Amendments); n > 0 && now.Before(contest.Amendments[n-1].At) {
		return fmt.Errorf("the last amendment was made at %s, which is still to come: a clock is wrong", clock(contest.Amendments[n-1].At))
	}
	from := contest.ClosesAt
	if c.Bound == events.OpensAt {
		from = contest.OpensAt
	}
	soonest := now.Add(margin)
	switch {
	case c.Bound == events.OpensAt && from.IsZero():
		return fmt.Errorf("%s has no opens_at: it has been open from the first", contest.ID)
	case !from.IsZero() && !now.Before(from):
		return fmt.Errorf("%s of %s was %s: an instant that has passed is not moved", c.Bound, contest.ID, clock(from))
	case !from.IsZero() && soonest.After(from):
		return fmt.Errorf("%s of %s is %s, less than %s from now: the change would not reach every function before", c.Bound, contest.ID, clock(from), margin)
	case soonest.After(c.To):
		return fmt.Errorf("%s: %s is less than %s from now: the change would not reach every function before", c.Bound, clock(c.To), margin)
	case c.To.Equal(from):
		return fmt.Errorf("%s of %s is %s already", c.Bound, contest.ID, clock(from))
	}
	after := c.carriedOut(contest, now)
	if !after.OpensAt.IsZero() && !after.ClosesAt.IsZero() && !after.OpensAt.Before(after.ClosesAt) {
		return fmt.Errorf("%s would open at %s and close at %s, which is not after it", contest.ID, clock(after.OpensAt), clock(after.ClosesAt))
	}
	return nil
}

// carriedOut returns the contest as the change leaves it.
func (c Change) carriedOut(contest events.Contest, now time.Time) events.Contest {
	bound := &contest.ClosesAt
	if c.Bound == events.OpensAt {
		bound = &contest.OpensAt
	}
	made := events.Amendment{At: now, By: c.By, Bound: c.Bound, From: *bound, To: c.To, Reason: c.Reason}
	contest.Amendments = append(contest.Amendments[:len(contest.Amendments):len(contest.Amendments)], made)
	*bound = c.To
	return contest
}

// insert writes the amendment behind those that there are, or at the end of the
// file. The lines that are there stay as they are, comments too.
func (c Change) insert(data []byte, now time.Time) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(data), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	entry, err := c.entry(now)
	if err != nil {
		return nil, err
	}
	at, indent, head := len(lines), "  ", "amendments:\n"
	root := document.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "amendments" || len(root.Content[i+1].Content) == 0 {
			continue
		}
		head = ""
		indent = strings.Repeat(" ", max(0, root.Content[i+1].Column-1))
		if i+2 < len(root.Content) {
			at = root.Content[i+2].Line - 1
		}
		for at > 0 && isAside(lines[at-1]) {
			at-- // an empty line or a comment belongs to what follows it
		}
	}
	var text bytes.Buffer
	for _, line := range lines[:at] {
		text.WriteString(line)
	}
	text.WriteString(head)
	for _, line := range entry {
		text.WriteString(indent + line + "\n")
	}
	for _, line := range lines[at:] {
		text.WriteString(line)
	}
	return text.Bytes(), nil
}

// entry returns the amendment's lines.
func (c Change) entry(now time.Time) ([]string, error) {
	entry := struct {
		At       time.Time  `yaml:"at"`
		By       string     `yaml:"by"`
		OpensAt  *time.Time `yaml:"opens_at,omitempty"`
		ClosesAt *time.Time `yaml:"closes_at,omitempty"`
		Reason   string     `yaml:"reason"`
	}{At: now, By: c.By, Reason: c.Reason}
	if c.Bound == events.OpensAt {
		entry.OpensAt = &c.To
	} else {
		entry.ClosesAt = &c.To
	}
	text, err := yaml.Marshal(entry)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := range lines {
		if i == 0 {
			lines[i] = "- " + lines[i]
		} else {
			lines[i] = "  " + lines[i]
		}
	}
	return lines, nil
}

func isAside(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

// clock writes an instant as contest files have it.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func sameContest(a, b events.Contest) bool {
	a.Revision, b.Revision = "", ""
	return reflect.DeepEqual(a, b)
}
