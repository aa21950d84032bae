package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"marimba/config"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
	"marimba/functions/internal/replay"
)

// Bounds of a list of dead letters.
const (
	lettersTold = 100
	maxTold     = 10_000
)

func runReplay(ctx context.Context, args, environ []string) (any, error) {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	var c replay.Choice
	send := flags.Bool("send", false, "send the letters again, instead of listing them")
	all := flags.Bool("all", false, "with -send: all that are shelved")
	limit := flags.Int("limit", lettersTold, "how many to list")
	flags.StringVar(&c.Contest, "contest", "", "of this contest alone")
	flags.StringVar(&c.Cause, "cause", "", "that died of this cause alone")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	c.IDs = flags.Args()
	switch {
	case *limit < 1 || *limit > maxTold:
		return nil, fmt.Errorf("-limit: is not between 1 and %d", maxTold)
	case *send && (len(c.IDs) == 0) != *all, *all && !*send:
		return nil, errors.New("-send needs the ids of letters, or -all")
	}
	var cfg struct {
		config.Kafka
		config.Mongo
	}
	if err := config.Load(&cfg, environ); err != nil {
		return nil, err
	}
	shelf, err := journal.Open(cfg.Mongo)
	if err != nil {
		return nil, err
	}
	defer shelf.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was appended
	if !*send {
		list, err := listLetters(ctx, shelf, c, *limit)
		if err != nil {
			return nil, err
		}
		return list, nil
	}
	topics, err := kafka.Open(cfg.Kafka, clientName)
	if err != nil {
		return nil, err
	}
	defer topics.Close(ctx) //nolint:errcheck // never fails
	done, err := replay.Send(ctx, shelf, topics, c, time.Now)
	switch {
	case err != nil && done.Sent == 0:
		return nil, err
	case err != nil:
		return done, err
	}
	return done, done.Fault(c)
}

// letterList is what replay lists.
type letterList struct {
	Letters []letter     `json:"letters"` // those that died last first
	More    int          `json:"more"`    // that are not listed
	Causes  []causeOfAll `json:"causes"`  // of all, also those that are not listed
}

type letter struct {
	ID         string             `json:"id"`
	Type       string             `json:"type"`
	Contest    string             `json:"contest,omitempty"`
	Channel    string             `json:"channel,omitempty"`
	Votes      int64              `json:"votes"`
	Topic      string             `json:"topic,omitempty"`
	Cause      string             `json:"cause"`
	Status     string             `json:"status,omitempty"`
	Answer     string             `json:"answer,omitempty"`
	At         time.Time          `json:"at"`   // when it died last
	Died       int                `json:"died"` // how often; 0: not known
	State      journal.ShelfState `json:"state"`
	ReplayedAt time.Time          `json:"replayed_at,omitzero"`
	Sendable   bool               `json:"sendable"`
}

type causeOfAll struct {
	Cause   string `json:"cause"`
	Letters int    `json:"letters"`
	Votes   int64  `json:"votes"`
}

func listLetters(ctx context.Context, shelf replay.Shelf, c replay.Choice, limit int) (letterList, error) {
	list := letterList{Letters: []letter{}, Causes: []causeOfAll{}}
	causes := make(map[string]causeOfAll)
	newest := func(a, b letter) int {
		if by := b.At.Compare(a.At); by != 0 {
			return by
		}
		return strings.Compare(a.ID, b.ID)
	}
	err := c.Each(ctx, shelf, func(d journal.DeadLetter) {
		list.Letters = append(list.Letters, letter{
			ID: d.ID, Type: d.Type, Contest: d.Contest, Channel: string(d.Channel), Votes: d.Votes, Topic: string(d.Topic),
			Cause: d.Cause, Status: d.Status, Answer: d.Answer, At: d.At.UTC(), Died: len(d.Places), State: d.State,
			ReplayedAt: d.ReplayedAt.UTC(), Sendable: d.Topic != "",
		})
		if len(list.Letters) == 2*limit {
			slices.SortFunc(list.Letters, newest)
			list.Letters, list.More = list.Letters[:limit], list.More+limit
		}
		of := causes[d.Cause]
		causes[d.Cause] = causeOfAll{d.Cause, of.Letters + 1, of.Votes + d.Votes}
	})
	if err != nil {
		return letterList{}, err
	}
	slices.SortFunc(list.Letters, newest)
	if over := len(list.Letters) - limit; over > 0 {
		list.Letters, list.More = list.Letters[:limit], list.More+over
	}
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		list.Causes = append(list.Causes, causes[cause])
	}
	return list, nil
}
