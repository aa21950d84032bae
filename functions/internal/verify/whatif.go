package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"marimba/events"
	"marimba/events/seal"
	"marimba/events/seal/archive"
	"marimba/functions/internal/board"
)

// otherRules are those under which sealed votes are looked at again. What is empty is
// as it was.
type otherRules struct {
	method  events.Metric
	cap     int64 // of one channel for a band; 0: none
	without []exclusion
}

// exclusion leaves votes out by one thing.
type exclusion struct{ what, folded string }

func whatifCommand(out io.Writer, asJSON *bool) *cobra.Command {
	var method string
	var most int64
	var without []string
	var known expected
	cmd := &cobra.Command{
		Use:   "whatif ARCHIVE|URL",
		Short: "show what the sealed votes of a final contest come to under other rules",
		Long: "whatif checks an archive as verify does, and then makes the board of its votes once as they stand and once by the rules that\n" +
			"are given: does the winner change, and by what margin? Votes that were replaced or are annulled are in neither.\n\n" +
			"--cap lets at most so many votes of one channel count for a band, in the order of the log. An archive does not tell whose\n" +
			"a vote is, so there is no cap by voter.",
		Example: "  marimba whatif rock-gt.tar.gz --method mean\n" +
			"  marimba whatif rock-gt.tar.gz --cap 1000 --without channel=event --without 'band=Alux Nahual'",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			other, err := readOther(method, most, without)
			if err != nil {
				return err
			}
			from, err := open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer from.Close() //nolint:errcheck // it was only read
			r := newRetelling(other)
			report, contest := examine(args[0], from, known, r.add)
			if !report.Holds {
				return fmt.Errorf("%w: %s; `marimba verify` tells where", errBroken, report.broken())
			}
			told, err := r.tell(contest)
			if err != nil {
				return err
			}
			told.Archive = args[0]
			if *asJSON {
				return json.NewEncoder(out).Encode(told)
			}
			showTold(out, told)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&method, "method", "", "how bands stand: votes, points, mean or sum (default: as the contest says)")
	f.Int64Var(&most, "cap", 0, "at most so many votes of one channel count for a band (default: all)")
	f.StringArrayVar(&without, "without", nil, "leave votes out: channel=…, band=… or album=…; may be given more than once")
	f.StringVar(&known.Key, "key", "", "the log's key, as it was published")
	return cmd
}

func readOther(method string, most int64, without []string) (otherRules, error) {
	o := otherRules{method: events.Metric(method), cap: most}
	if method != "" && !slices.Contains([]events.Metric{events.ByVotes, events.ByPoints, events.ByMean, events.BySum}, o.method) {
		return otherRules{}, fmt.Errorf("--method: %q is none of votes, points, mean and sum", method)
	}
	if most < 0 {
		return otherRules{}, fmt.Errorf("--cap: %d is less than 1", most)
	}
	for _, text := range without {
		what, name, ok := strings.Cut(text, "=")
		if !ok || name == "" || !slices.Contains([]string{"channel", "band", "album"}, what) {
			return otherRules{}, fmt.Errorf("--without: %q is none of channel=…, band=… and album=…", text)
		}
		if what == "channel" && !isChannel(events.Channel(name)) {
			return otherRules{}, fmt.Errorf("--without: %q is none of the channels %v", name, events.Channels)
		}
		o.without = append(o.without, exclusion{what, events.Fold(name)})
	}
	if o.method == "" && o.cap == 0 && len(o.without) == 0 {
		return otherRules{}, fmt.Errorf("say what is to be otherwise: --method, --cap or --without")
	}
	return o, nil
}

// leavesOut reports whether a vote is left out by what it is for or came by.
func (o otherRules) leavesOut(v *seal.Opening) bool {
	return slices.ContainsFunc(o.without, func(x exclusion) bool {
		switch x.what {
		case "channel":
			return string(v.Channel) == x.folded
		case "band":
			return events.Fold(v.Name) == x.folded
		default:
			return events.Fold(v.Album) == x.folded
		}
	})
}

// retelling adds up votes by two sets of rules.
type retelling struct {
	other    otherRules
	old, new board.Histogram
	capped   map[[2]string]int64 // votes by band and channel
	left     int64
}

func newRetelling(o otherRules) *retelling {
	return &retelling{other: o, old: make(board.Histogram), new: make(board.Histogram), capped: make(map[[2]string]int64)}
}

func (r *retelling) add(l archive.Line) {
	if l.Mark != archive.Counted {
		return
	}
	v := &l.Opening
	r.old.Add(v.Name, v.Album, v.Rank, 1)
	of := [2]string{events.Fold(v.Name), string(v.Channel)}
	if r.other.leavesOut(v) || r.other.cap > 0 && r.capped[of] == r.other.cap {
		r.left++
		return
	}
	r.capped[of]++
	r.new.Add(v.Name, v.Album, v.Rank, 1)
}

// Told is a contest's result as it is, and as it would be.
type Told struct {
	Archive string   `json:"archive"`
	Contest string   `json:"contest"`
	LeftOut int64    `json:"votes_left_out"`
	Changes bool     `json:"winner_changes"`
	Old     Standing `json:"old"`
	New     Standing `json:"new"`
}

// Standing is one of them.
type Standing struct {
	By      events.Metric `json:"by"`
	Winners []string      `json:"winners"` // more than one: they share the first place
	// Margin is how far the winner is ahead of the next, in what bands stand by; 0 if
	// others are ahead by a tie-break only.
	Margin string       `json:"margin"`
	Votes  int64        `json:"votes"`
	Bands  []board.Band `json:"bands"` // without their albums
}

func (r *retelling) tell(c events.Contest) (Told, error) {
	changed := c
	if r.other.method != "" {
		changed.Standing = r.other.method
		changed.TieBreak = slices.DeleteFunc(slices.Clone(c.TieBreak), func(m events.Metric) bool { return m == r.other.method })
	}
	if changed.Standing == events.ByPoints && len(c.Points) == 0 {
		return Told{}, fmt.Errorf("--method: the contest has no table of points")
	}
	t := Told{Contest: c.ID, LeftOut: r.left, Old: standingOf(c, r.old), New: standingOf(changed, r.new)}
	t.Changes = !slices.Equal(t.Old.Winners, t.New.Winners)
	return t, nil
}

func standingOf(c events.Contest, votes board.Histogram) Standing {
	made := board.Make(c, votes.Folded(), c.ClosesAt).Cut(len(votes)+len(c.Bands), 0)
	s := Standing{By: made.Standing, Winners: []string{}, Votes: made.Totals.Votes, Bands: made.Bands}
	next := -1
	for i, b := range made.Bands {
		switch {
		case b.Place == 1 && b.Votes > 0:
			s.Winners = append(s.Winners, b.Name)
		case next < 0 && b.Votes > 0:
			next = i
		}
	}
	switch {
	case len(s.Winners) > 1:
		s.Margin = "0"
	case len(s.Winners) == 1 && next > 0:
		s.Margin = marginOf(s.By, made.Bands[0].Figures, made.Bands[next].Figures)
	case len(s.Winners) == 1:
		s.Margin = figure(s.By, made.Bands[0].Figures)
	}
	return s
}

// marginOf is how far one is ahead of another.
func marginOf(by events.Metric, a, b board.Figures) string {
	switch by {
	case events.ByPoints:
		return fmt.Sprint(*a.Points - *b.Points)
	case events.BySum:
		text, _ := (a.Sum - b.Sum).MarshalJSON() // never fails
		return string(text)
	case events.ByMean:
		if a.Mean == nil || b.Mean == nil {
			return "all of it: the next has too few votes for a mean"
		}
		return fmt.Sprintf("%.4g", max(*a.Mean-*b.Mean, *b.Mean-*a.Mean))
	default:
		return fmt.Sprint(a.Votes - b.Votes)
	}
}

// figure is what a band stands by.
func figure(by events.Metric, f board.Figures) string {
	switch {
	case by == events.ByPoints && f.Points != nil:
		return fmt.Sprint(*f.Points)
	case by == events.BySum:
		text, _ := f.Sum.MarshalJSON() // never fails
		return string(text)
	case by == events.ByMean && f.Mean != nil:
		return fmt.Sprint(*f.Mean)
	case by == events.ByVotes:
		return fmt.Sprint(f.Votes)
	}
	return "–"
}

// shownBands is how many bands are shown to people; JSON has all.
const shownBands = 15

func showTold(out io.Writer, t Told) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "was\t\tby %s\t│ would be\t\tby %s\n", t.Old.By, t.New.By)
	for i := range min(shownBands, max(len(t.Old.Bands), len(t.New.Bands))) {
		fmt.Fprintf(w, "%s\t│ %s\n", cells(t.Old, i), cells(t.New, i))
	}
	_ = w.Flush() // as for all that is shown
	fmt.Fprintf(out, "\n%d of %d votes are left out.\n", t.LeftOut, t.Old.Votes)
	if t.Changes {
		fmt.Fprintf(out, "The winner changes: %s, ahead by %s (%s); it was %s, by %s (%s).\n", names(t.New), t.New.Margin, t.New.By, names(t.Old), t.Old.Margin, t.Old.By)
		return
	}
	fmt.Fprintf(out, "The winner stays: %s, ahead by %s (%s); it was by %s (%s).\n", names(t.New), t.New.Margin, t.New.By, t.Old.Margin, t.Old.By)
}

func cells(s Standing, i int) string {
	if i >= len(s.Bands) {
		return "\t\t"
	}
	b := s.Bands[i]
	return fmt.Sprintf("%d\t%s\t%s", b.Place, b.Name, figure(s.By, b.Figures))
}

func names(s Standing) string {
	if len(s.Winners) == 0 {
		return "nobody"
	}
	return strings.Join(s.Winners, " and ")
}
