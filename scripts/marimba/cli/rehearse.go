package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"marimba/config"
	"marimba/events"
	"marimba/knative"
	"marimba/knative/local"
	"marimba/scripts/marimba/cast"
	"marimba/scripts/marimba/rehearse"
	"marimba/scripts/marimba/view"
)

// Bounds of a rehearsal.
const (
	houseAppear   = 30 * time.Second // until functions have the shadow, in a folder that they follow
	clusterAppear = 15 * time.Minute // and where somebody has to make a ConfigMap of it
	overtime      = 3 * time.Minute  // that the shadow is open after the last vote, for those sent again
)

// rehearsing is a call of rehearse.
type rehearsing struct {
	visitor
	organiser organiser
	via       []string
	votes     int
	peak      float64
	length    time.Duration
	limits    rehearse.Limits
	pods      string
	margin    time.Duration
	now       func() time.Time
}

func rehearseCommand(s *settings) *cobra.Command {
	r := &rehearsing{visitor: visitor{settings: s}, now: time.Now}
	cmd := &cobra.Command{
		Use:   "rehearse CONTEST",
		Short: "cast a shadow contest with the expected curve, and say go or no-go",
		Long: "rehearse lays a shadow of the contest into the folder of contests: the same rules under an id of its own, titled a\n" +
			"rehearsal, so that none of its votes is one of the contest. When the functions have it, votes are cast as in a televote:\n" +
			"quiet, a spike at the call, a rush before the end; each by a voter of its own, so each must be counted. Then it shows\n" +
			"what was seen, go or no-go, and what to set otherwise. It ends with 0 only on go.\n\n" +
			"With the house of `up` that is all. Elsewhere, name the addresses and, with --contests, the folder that the ConfigMap of\n" +
			"the contests is made from: make it again when rehearse says so, and it goes on as soon as `results` has the shadow.\n\n" +
			"The shadow closes by itself. Its file must stay with the others as long as its votes are in the log, or the books could\n" +
			"not be judged again.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args[0]) },
	}
	r.flags(cmd, true)
	f := cmd.Flags()
	f.StringVar(&r.given.Kafka, "kafka", os.Getenv("KAFKA_BROKER"), "host:port of Kafka, to see the sources' lag (KAFKA_BROKER)")
	f.StringVar(&r.given.Contests, "contests", os.Getenv("CONTESTS_DIR"), "folder of contests (CONTESTS_DIR; default: that of the house)")
	f.StringSliceVar(&r.via, "via", []string{"event", "grpc"}, "the doors, in turn: "+strings.Join(ways, ", "))
	f.Float64Var(&r.peak, "peak", 200, "votes a second at the call")
	f.DurationVar(&r.length, "length", 2*time.Minute, "how long votes are cast")
	f.IntVar(&r.votes, "votes", 0, "how many votes in all (default: what peak and length make, with quiet times of a tenth of the peak)")
	f.DurationVar(&r.limits.P99, "max-p99", time.Second, "no-go if more than one of 100 votes waits longer for its answer")
	f.DurationVar(&r.limits.Settle, "max-settle", 30*time.Second, "no-go if it takes longer until all is counted after the last answer")
	f.StringVar(&r.pods, "pods", "", "look at the functions' pods in this namespace, with kubectl")
	f.DurationVar(&r.margin, "margin", 0, fmt.Sprintf("wait until all functions have the shadow (default %s, or %s where the files become a ConfigMap)", folderMargin, configMapMargin))
	return cmd
}

func (r *rehearsing) run(ctx context.Context, id string) error {
	curve, err := rehearse.Televote(r.votes, r.peak, r.length)
	if err != nil {
		return err
	}
	contests := r.given.Contests
	r.given.Contests = "" // a house of one's own may have a folder of one's own too
	abroad := r.given != (addresses{})
	at, err := r.find()
	if err != nil {
		return err
	}
	if contests != "" {
		at.Contests = contests
	}
	var doors []cast.Door
	for _, via := range r.via {
		door, err := at.door(via)
		if err != nil {
			return err
		}
		defer door.Close() //nolint:errcheck // all is answered
		doors = append(doors, door)
	}
	if len(doors) == 0 {
		return errors.New("--via: no door")
	}
	results, err := at.results()
	if err != nil {
		return err
	}
	watch := &rehearse.Watch{Books: results}
	closeEyes, err := r.openEyes(at, watch)
	if err != nil {
		return err
	}
	defer closeEyes()

	shadow, remove, err := r.lay(at.Contests, id, abroad)
	if err != nil {
		return err
	}
	if err := r.await(ctx, results, shadow.ID, abroad); err != nil {
		remove() // nobody has voted in it
		return err
	}
	happened, err := r.cast(ctx, results, watch, &rehearse.Load{Doors: doors, Contest: shadow.ID, Curve: curve, Vote: rehearse.NewBallots(shadow, r.now()).Next})
	if err != nil {
		return fmt.Errorf("rehearse as %s, which closes by itself: %w", shadow.ID, err)
	}
	happened.Contest, happened.Of, happened.Curve, happened.Peak = shadow, id, curve, r.peak
	if happened.MaxScale, err = local.MaxScales(knative.Base); err != nil {
		return err
	}
	sheet := rehearse.Fill(happened, r.limits)
	if r.json {
		err = r.write(sheet)
	} else {
		sheet.Write(r.out)
	}
	if err == nil && !sheet.Go {
		err = errors.New("no-go")
	}
	return err
}

// openEyes opens what the house can be seen by.
func (r *rehearsing) openEyes(at addresses, watch *rehearse.Watch) (shut func(), err error) {
	shut = func() {}
	switch {
	case r.pods != "":
		kubectl, err := exec.LookPath("kubectl")
		if err != nil {
			return nil, fmt.Errorf("--pods: %w", err)
		}
		watch.Eye = &rehearse.Pods{Kubectl: kubectl, Namespace: r.pods}
	case at.Gateway != "":
		watch.Eye = rehearse.House{Gateway: at.Gateway}
	}
	if at.Kafka != "" {
		sources, err := rehearse.OpenSources(at.Kafka)
		if err != nil {
			return nil, err
		}
		watch.Lag, shut = sources, sources.Close
	}
	return shut, nil
}

// lay puts the shadow into the folder of contests, and returns what takes it out.
func (r *rehearsing) lay(dir, id string, abroad bool) (shadow events.Contest, remove func(), err error) {
	if dir == "" {
		return shadow, nil, errors.New("--contests is needed: the folder that the functions follow, or that their ConfigMap is made from")
	}
	unlock, err := lock(dir)
	if err != nil {
		return shadow, nil, err
	}
	defer unlock()
	if _, err := r.organiser.find(dir, id); err != nil {
		return shadow, nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, id+".yaml"))
	if err != nil {
		return shadow, nil, err
	}
	now := r.now()
	name := config.ShadowID(id, now)
	text, err = config.Shadow(id, text, name, now.Add(r.appear(abroad)+r.wait(abroad)+r.length+overtime))
	if err != nil {
		return shadow, nil, err
	}
	path := filepath.Join(dir, name+".yaml")
	if err := config.WriteContest(path, text); err != nil {
		return shadow, nil, err
	}
	remove = func() { _ = os.Remove(path) }
	if shadow, err = r.organiser.find(dir, name); err != nil {
		remove()
		return shadow, nil, err
	}
	r.tell("%s is laid into %s.", name, dir)
	return shadow, remove, nil
}

func (r *rehearsing) appear(abroad bool) time.Duration {
	if abroad {
		return clusterAppear
	}
	return houseAppear
}

func (r *rehearsing) wait(abroad bool) time.Duration {
	switch {
	case r.margin > 0:
		return r.margin
	case abroad:
		return configMapMargin
	}
	return folderMargin
}

// await waits until results has the shadow, and then as long as all others need to
// have it too: one that has not would refuse its votes.
func (r *rehearsing) await(ctx context.Context, results *view.Results, shadow string, abroad bool) error {
	if abroad {
		r.tell("If the functions get their contests from a ConfigMap, make it again now: for results to have the shadow there are %s.", clusterAppear)
	}
	limit, cancel := context.WithTimeout(ctx, r.appear(abroad))
	defer cancel()
	for {
		err := results.Has(limit, shadow)
		if err == nil {
			break
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("results does not have %s: %w", shadow, errors.Join(err, context.Cause(ctx)))
		case <-time.After(250 * time.Millisecond):
		}
	}
	r.tell("The first vote is cast in %s.", r.wait(abroad))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.wait(abroad)):
		return nil
	}
}

// cast casts the votes, watches, and waits until all are counted.
func (r *rehearsing) cast(ctx context.Context, results *view.Results, watch *rehearse.Watch, load *rehearse.Load) (h rehearse.Happened, err error) {
	bar := newBar(load.Curve.Votes(), r.err, "rehearsing")
	defer bar.Close() //nolint:errcheck // it only writes to the terminal
	load.OnVote = func() { _ = bar.Add(1) }
	watch.Contest, watch.Accepted = load.Contest, load.Accepted
	watch.Begin(ctx)
	watching, end := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); watch.Run(watching) }()
	defer func() { end(); <-watched }()

	if h.Loaded, err = load.Run(ctx); err != nil {
		return h, err
	}
	answered := time.Now()
	limit, cancel := context.WithTimeout(ctx, max(2*r.limits.Settle, time.Minute))
	defer cancel()
	h.Balance, err = results.Wait(limit, load.Contest, view.Balance{}, h.Loaded.Accepted)
	h.Settled = time.Since(answered)
	if err != nil {
		h.Settled = -1 // the sheet says so
	}
	end()
	<-watched
	h.Watched = watch.End(ctx)
	return h, ctx.Err()
}
