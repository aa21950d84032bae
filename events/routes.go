package events

import "slices"

// Topic is the name of a Kafka topic.
type Topic string

// The topics. Each carries boxes as CloudEvents in binary mode; VotesDead
// carries whatever a source gave up on.
const (
	VotesCast     Topic = "votes.cast"
	VotesAccepted Topic = "votes.accepted"
	VotesRefused  Topic = "votes.refused"
	VotesCounted  Topic = "votes.counted"
	VotesDead     Topic = "votes.dead"
)

// Topics lists all topics in the order of a vote's way.
var Topics = []Topic{VotesCast, VotesAccepted, VotesRefused, VotesCounted, VotesDead}

// Route says which topics a function is fed from and which it writes.
type Route struct {
	Function string
	Public   bool // reachable from outside the cluster
	Reads    []Topic
	Writes   []Topic
}

// Routes is the one table of who reads and writes what. The manifests, the
// folders of functions/ and the functions' own settings are held against it
// by tests.
var Routes = []Route{
	{Function: "ingress-http", Public: true, Writes: []Topic{VotesCast}},
	{Function: "ingress-grpc", Public: true, Writes: []Topic{VotesCast}},
	{Function: "screen", Reads: []Topic{VotesCast}, Writes: []Topic{VotesAccepted, VotesRefused}},
	{Function: "tally", Reads: []Topic{VotesAccepted, VotesRefused}, Writes: []Topic{VotesCounted}},
	{Function: "notary", Reads: []Topic{VotesCounted}},
	{Function: "shelve", Reads: []Topic{VotesDead}},
	{Function: "results", Public: true},
}

// GroupOf is the consumer group of a function's source.
func GroupOf(function string) string { return "marimba-" + function }

// RouteOf returns the route of a function, and whether there is one.
func RouteOf(function string) (Route, bool) {
	i := slices.IndexFunc(Routes, func(r Route) bool { return r.Function == function })
	if i < 0 {
		return Route{}, false
	}
	return Routes[i], true
}
