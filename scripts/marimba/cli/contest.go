package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"marimba/config"
	"marimba/events"
	"marimba/scripts/marimba/view"
)

// Margins in which an amendment reaches every function.
const (
	folderMargin    = 5 * time.Second  // a function looks at its folder each second
	configMapMargin = 90 * time.Second // and a node's kubelet at a ConfigMap about each minute
)

// organiser is a command about the file of a contest.
type organiser struct {
	*settings
	contests   string
	by, reason string
	margin     time.Duration
	now        func() time.Time
}

func contestCommand(s *settings) *cobra.Command {
	return (&organiser{settings: s, now: time.Now}).command()
}

func (o *organiser) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contest",
		Short: "show when a contest opens and closes, or change it",
		Long: "contest works on the files of the contests. A change is an amendment: the file keeps who made it, when and why. It has\n" +
			"to be made before the instant that it moves, with a margin in which it reaches every function: what has passed stays.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&o.contests, "contests", os.Getenv("CONTESTS_DIR"), "folder of contests (CONTESTS_DIR; default: that of the house on --data)")
	cmd.AddCommand(
		&cobra.Command{
			Use: "show CONTEST", Short: "show its times and how they were changed", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return o.showContest(args[0]) },
		},
		o.amending("extend CONTEST", "let it close later", "until", events.ClosesAt, func(c events.Contest, to time.Time) error {
			if c.ClosesAt.IsZero() {
				return fmt.Errorf("%s has no closes_at: there is nothing to extend; `contest close` sets one", c.ID)
			}
			if to.Before(c.ClosesAt) {
				return fmt.Errorf("%s closes at %s: that is later; `contest close` lets it close earlier", c.ID, c.ClosesAt.Format(time.RFC3339))
			}
			return nil
		}),
		o.amending("close CONTEST", "let it close earlier, or at all; without --at as soon as that is fair", "at", events.ClosesAt, func(c events.Contest, to time.Time) error {
			if !c.ClosesAt.IsZero() && to.After(c.ClosesAt) {
				return fmt.Errorf("%s closes at %s: that is earlier; `contest extend` lets it close later", c.ID, c.ClosesAt.Format(time.RFC3339))
			}
			return nil
		}),
		o.amending("open CONTEST", "let it open earlier or later; without --at as soon as that is fair", "at", events.OpensAt, nil),
	)
	return cmd
}

// amending makes a command that moves a bound.
func (o *organiser) amending(use, short, flag string, bound events.Bound, sensible func(events.Contest, time.Time) error) *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return o.amend(args[0], bound, to, sensible) },
	}
	f := cmd.Flags()
	f.StringVar(&to, flag, "", "the time: RFC 3339, such as 2026-11-24T22:00:00-06:00, or a duration from now, such as 10m")
	f.StringVar(&o.by, "by", "", "who makes the change")
	f.StringVar(&o.reason, "reason", "", "why; it is shown to the public")
	f.DurationVar(&o.margin, "margin", folderMargin, fmt.Sprintf("in which the change reaches every function; %s where the files become a ConfigMap", configMapMargin))
	for _, needed := range []string{"by", "reason"} {
		_ = cmd.MarkFlagRequired(needed) // it is a flag: it was made above
	}
	if flag == "until" {
		_ = cmd.MarkFlagRequired(flag)
	}
	return cmd
}

func (o *organiser) amend(id string, bound events.Bound, to string, sensible func(events.Contest, time.Time) error) error {
	if o.margin < 0 {
		return fmt.Errorf("--margin %s: less than nothing", o.margin)
	}
	dir, err := o.dir()
	if err != nil {
		return err
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	contest, err := o.find(dir, id)
	if err != nil {
		return err
	}
	now := o.now()
	change := config.Change{Bound: bound, By: o.by, Reason: o.reason}
	if change.To, err = instantOf(to, now, o.margin); err != nil {
		return err
	}
	if sensible != nil {
		if err := sensible(contest, change.To); err != nil {
			return err
		}
	}
	path := filepath.Join(dir, id+".yaml")
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s is a link: amend the file that it is made from", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	amended, err := config.Amend(id, text, change, now, o.margin)
	if err != nil {
		return err
	}
	if err := config.WriteContest(path, amended); err != nil {
		return err
	}
	return o.showContest(id)
}

// instantOf reads an instant, or a duration from now; nothing is as soon as the
// margin lets. What is counted from now is a whole second, as people are told it.
func instantOf(text string, now time.Time, margin time.Duration) (time.Time, error) {
	wait, err := margin, error(nil)
	if text != "" {
		wait, err = time.ParseDuration(text)
	}
	if err == nil {
		return now.Add(wait + time.Second - 1).Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-24T22:00:00-06:00, nor a duration such as 10m", text)
	}
	return t, nil
}

// contestTimes is the result of a command about a contest.
type contestTimes struct {
	Contest    string             `json:"contest"`
	Phase      events.Phase       `json:"phase"` // by the file: that it is final, close and results tell
	OpensAt    *time.Time         `json:"opens_at"`
	ClosesAt   *time.Time         `json:"closes_at"`
	Amendments []events.Amendment `json:"amendments"`
	File       string             `json:"file"`
}

func (o *organiser) showContest(id string) error {
	dir, err := o.dir()
	if err != nil {
		return err
	}
	c, err := o.find(dir, id)
	if err != nil {
		return err
	}
	t := contestTimes{
		Contest: id, Phase: c.PhaseAt(o.now()), Amendments: append([]events.Amendment{}, c.Amendments...), File: filepath.Join(dir, id+".yaml"),
	}
	if !c.OpensAt.IsZero() {
		t.OpensAt = &c.OpensAt
	}
	if !c.ClosesAt.IsZero() {
		t.ClosesAt = &c.ClosesAt
	}
	if o.json {
		return o.write(t)
	}
	fmt.Fprintf(o.out, "%s is %s: opens %s, closes %s (%s)\n", id, t.Phase, orNever(t.OpensAt), orNever(t.ClosesAt), t.File)
	view.WriteAmendments(o.out, t.Amendments)
	return nil
}

func orNever(t *time.Time) string {
	if t == nil {
		return "at no set time"
	}
	return "at " + t.Format(time.RFC3339)
}

// find reads a contest of a folder. All of the folder has to be right: functions
// take it as a whole.
func (o *organiser) find(dir, id string) (events.Contest, error) {
	roll, err := config.Contests{Dir: dir}.Load()
	if err != nil {
		return events.Contest{}, fmt.Errorf("functions would not take this folder: %w", err)
	}
	c, ok := roll.Contest(id)
	if !ok {
		return events.Contest{}, fmt.Errorf("there is no contest %q in %s, only %v", id, dir, roll.IDs())
	}
	return c, nil
}

// dir returns the folder of contests: the one that is named, that of the house
// that runs on the data folder, or the one that it had.
func (o *organiser) dir() (string, error) {
	if o.contests != "" {
		return o.contests, nil
	}
	var at addresses
	text, err := os.ReadFile(addressFile(o.folder()))
	if err == nil {
		err = json.Unmarshal(text, &at)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", addressFile(o.folder()), err)
	}
	if at.Contests != "" {
		return at.Contests, nil
	}
	dir := filepath.Join(o.folder(), "contests")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("%s has no contests yet: start it with `go run ./scripts/marimba up`, or name a folder with --contests", o.folder())
	}
	return dir, nil
}

// lock keeps others from amending in a folder at the same time; the kernel ends
// it with this process.
func lock(dir string) (unlock func(), err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		folder.Close()
		return nil, fmt.Errorf("lock %s, which somebody else is amending: %w", dir, err)
	}
	return func() { folder.Close() }, nil
}
