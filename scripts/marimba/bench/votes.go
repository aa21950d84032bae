package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"marimba/config"
	"marimba/events"
	marimbav1 "marimba/proto/marimba/v1"
	"marimba/scripts/marimba/cast"
)

// contest is the one that all votes are for: it takes any band and has no limit,
// so that each distinct vote must be counted.
const contest = events.DefaultContest

// pattern is the contest whose own vote files the votes are taken from, over and
// over, each time under other ids.
const pattern = "rock-gt"

// ballots makes votes: the n-th of a run is always the same.
type ballots struct {
	ids  string // beginning of all ids
	rows []cast.Row
}

func newBallots(ids string) (ballots, error) {
	files, err := config.VoteFiles(pattern)
	if err != nil {
		return ballots{}, err
	}
	out := ballots{ids: ids}
	var refused cast.Report
	for _, file := range files {
		rows, err := cast.Rows(file, &refused)
		if err != nil {
			return ballots{}, err
		}
		out.rows = append(out.rows, rows...)
	}
	if len(out.rows) == 0 {
		return ballots{}, fmt.Errorf("contest %s comes without votes", pattern)
	}
	return out, nil
}

// vote is a vote in JSON, as a sender writes it.
type vote struct {
	Name  string `json:"name"`
	Album string `json:"album"`
	Year  string `json:"year"`
	Rank  string `json:"rank"`
	ID    string `json:"id"`
}

func (b ballots) vote(n int) vote {
	of := b.rows[n%len(b.rows)].Ballot
	return vote{of.Name, of.Album, of.Year, of.Rank, b.ids + "-" + strconv.Itoa(n)}
}

func (b ballots) message(n int) *marimbav1.Vote {
	v := b.vote(n)
	return &marimbav1.Vote{Name: v.Name, Album: v.Album, Year: v.Year, Rank: v.Rank, Id: v.ID}
}

func (b ballots) json(n int) ([]byte, error) { return json.Marshal(b.vote(n)) }

// lines are votes as NDJSON.
func (b ballots) lines(from, n int) (*bytes.Buffer, error) {
	out := bytes.NewBuffer(make([]byte, 0, 160*n))
	for i := range n {
		line, err := b.json(from + i)
		if err != nil {
			return nil, err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return out, nil
}
