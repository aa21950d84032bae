package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// visited is a home whose books is a script: it notes what it is called with,
// says what it is to say, and ends as it is to end.
type visited struct {
	t         *testing.T
	home      string
	out, told bytes.Buffer
}

func visit(t *testing.T, result, fault string, exit int) *visited {
	t.Helper()
	for _, name := range []string{"KAFKA_BROKER", "REDIS_URL", "MONGO_URL", "CONTESTS_DIR"} {
		t.Setenv(name, "")
	}
	v := &visited{t: t, home: t.TempDir()}
	script := fmt.Sprintf("#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done > %[1]s/args\nenv > %[1]s/env\nprintf '%%s' '%[2]s'\nprintf '%%s' '%[3]s' >&2\nexit %[4]d\n",
		v.home, result, fault, exit)
	v.write("bin/books", script, 0o700)
	return v
}

func (v *visited) write(name, text string, mode os.FileMode) {
	v.t.Helper()
	path := filepath.Join(v.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		v.t.Fatal(err)
	}
}

// runs leaves the addresses of a house as up does.
func (v *visited) runs(a addresses) {
	v.t.Helper()
	if err := os.MkdirAll(filepath.Join(v.home, "data"), 0o700); err != nil {
		v.t.Fatal(err)
	}
	if _, err := a.leave(filepath.Join(v.home, "data")); err != nil {
		v.t.Fatal(err)
	}
}

func (v *visited) run(command func(*settings) *cobra.Command, json bool, args ...string) error {
	v.t.Helper()
	cmd := command(&settings{home: v.home, json: json, out: &v.out, err: &v.told})
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	return cmd.ExecuteContext(v.t.Context())
}

func (v *visited) lines(name string) []string {
	v.t.Helper()
	text, err := os.ReadFile(filepath.Join(v.home, name))
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

var running = addresses{
	PID: 1, Token: "token", Kafka: "127.0.0.1:9092", Redis: "redis://127.0.0.1:6379", RedisPassword: "secret",
	Mongo: "mongodb://127.0.0.1:27017/", Contests: "/contests",
}

// The books of the house that runs are those of its own parts, whatever else is
// set; those of another house are told by flags or the environment.
func TestBooksKnowTheirHouse(t *testing.T) {
	v := visit(t, `{"agree":true}`, "", 0)
	if err := v.run(auditCommand, true); err == nil || !strings.Contains(err.Error(), "nothing runs on") {
		t.Errorf("without a house: %v", err)
	}
	v.runs(running)
	t.Setenv("REDIS_PASSWORD", "of another")
	t.Setenv("KAFKA_TLS", "true")
	if err := v.run(auditCommand, true); err != nil {
		t.Fatal(err)
	}
	env := v.lines("env")
	for _, want := range []string{
		"KAFKA_BROKER=127.0.0.1:9092", "REDIS_URL=redis://127.0.0.1:6379", "REDIS_PASSWORD=secret", "MONGO_URL=mongodb://127.0.0.1:27017/", "CONTESTS_DIR=/contests",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment is %v, without %s", env, want)
		}
	}
	if slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, "KAFKA_TLS") }) {
		t.Errorf("the environment is %v", env)
	}
	if err := v.run(auditCommand, true, "--kafka", "kafka:9092", "--mongo=mongodb://mongo", "--redis=redis", "--contests=/mine"); err != nil {
		t.Fatal(err)
	}
	env = v.lines("env")
	for _, want := range []string{"KAFKA_BROKER=kafka:9092", "REDIS_URL=redis", "REDIS_PASSWORD=of another", "KAFKA_TLS=true", "CONTESTS_DIR=/mine"} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment is %v, without %s", env, want)
		}
	}
	t.Setenv("KAFKA_BROKER", "other:9092")
	if err := v.run(replayCommand, true); err != nil {
		t.Fatal(err)
	}
	if env := v.lines("env"); !slices.Contains(env, "KAFKA_BROKER=other:9092") || slices.Contains(env, "REDIS_PASSWORD=secret") {
		t.Errorf("the environment is %v", env)
	}
}

// The file of addresses is for its owner alone, and nothing secret of it is ever
// printed.
func TestAddressesAreKept(t *testing.T) {
	v := visit(t, "", "", 0)
	at := running
	at.Mongo = "mongodb://user:secret@mongo/"
	v.runs(at)
	info, err := os.Stat(filepath.Join(v.home, "data", "running.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	text, err := json.Marshal(at.open())
	if err != nil || strings.Contains(string(text), "secret") || strings.Contains(string(text), `"token":"token"`) || !strings.Contains(string(text), "127.0.0.1:9092") {
		t.Errorf("printed is %s, %v", text, err)
	}
	t.Setenv("MONGO_URL", "mongodb://user:secret@mongo/")
	cmd := auditCommand(&settings{})
	if usage := cmd.UsageString(); strings.Contains(usage, "secret") {
		t.Errorf("usage is\n%s", usage)
	}
}

// audit shows what does not hold, and ends as books does; with --json it passes
// the result on as it is.
func TestAuditShows(t *testing.T) {
	const result = `{"agree":false,"in_flight":3,"contests":[{"contest":"rock","rows":[{"channel":"http","cast":5,"counted":2,"in_flight":3}],"total":{"cast":5,"counted":2,"in_flight":3}}],` +
		`"faults":[{"check":"in_flight","contest":"rock","says":"votes are in no final state","votes":3,"examples":["box-1.0"]}]}`
	v := visit(t, result, "books: audit: the books do not balance", 1)
	v.runs(running)
	err := v.run(auditCommand, false, "--contest=rock", "--allow-in-flight")
	if err == nil || err.Error() != "audit: the books do not balance" {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(v.out.String(), "in_flight in rock: votes are in no final state (3 votes)\n  box-1.0\n") {
		t.Errorf("shown is\n%s", v.out.String())
	}
	if args := v.lines("args"); !slices.Equal(args, []string{"audit", "-contest=rock", "-allow-in-flight=10s"}) {
		t.Errorf("arguments are %v", args)
	}
	v.out.Reset()
	if err := v.run(auditCommand, true, "--allow-in-flight=1m"); err == nil || strings.TrimSpace(v.out.String()) != result {
		t.Errorf("ended with %v, written is %s", err, v.out.String())
	}
	if args := v.lines("args"); args[2] != "-allow-in-flight=1m0s" {
		t.Errorf("arguments are %v", args)
	}
	silent := visit(t, "", "books: audit: no brokers", 1)
	silent.runs(running)
	if err := silent.run(auditCommand, true); err == nil || err.Error() != "audit: no brokers" || silent.out.Len() > 0 {
		t.Errorf("without a result: %v, %s", err, silent.out.String())
	}
}

// replay lists unless it is to send, and what it sends is named or all.
func TestReplayCommand(t *testing.T) {
	v := visit(t, `{"letters":[{"id":"box-1","votes":2,"cause":"status","died":2,"state":"shelved","sendable":true}],"causes":[{"cause":"status","letters":1,"votes":2}]}`, "", 0)
	v.runs(running)
	if err := v.run(replayCommand, false, "--cause=status"); err != nil || !strings.Contains(v.out.String(), "1 of cause status, with 2 votes") {
		t.Errorf("listed is\n%s%v", v.out.String(), err)
	}
	if args := v.lines("args"); !slices.Equal(args, []string{"replay", "-contest=", "-cause=status", "-limit=100", "--"}) {
		t.Errorf("arguments are %v", args)
	}
	v = visit(t, `{"sent":1,"votes":2,"cannot":[{"id":"raw","fault":"it is not an event"}]}`, "", 0)
	v.runs(running)
	if err := v.run(replayCommand, false, "--send", "box-1", "-x"); err == nil {
		t.Error("an unknown flag is taken")
	}
	if err := v.run(replayCommand, false, "--send", "box-1", "box-2"); err != nil ||
		!strings.Contains(v.out.String(), "1 letters with 2 votes were sent again.\nraw cannot be sent: it is not an event\n") {
		t.Errorf("sent is\n%s%v", v.out.String(), err)
	}
	if args := v.lines("args"); !slices.Equal(args, []string{"replay", "-contest=", "-cause=", "-send", "-all=false", "--", "box-1", "box-2"}) {
		t.Errorf("arguments are %v", args)
	}
	for _, args := range [][]string{{"--send"}, {"--send", "--all", "box-1"}, {"--all"}} {
		if err := v.run(replayCommand, false, args...); err == nil || !strings.Contains(err.Error(), "--send needs") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// A reseal says what was rebuilt and what differs, and passes the secret on that it
// compares with, also to the house that runs.
func TestResealIsTold(t *testing.T) {
	v := visit(t, `{"contests":2,"batches":7,"leaves":90,"different":1,"results":[{"contest":"rock"},`+
		`{"contest":"feria","compared":{"leaves_few":2,"leaves_many":1,"a_vote_without_leaf":"box-5.0","a_leaf_without_vote":"7"}}]}`, "", 0)
	v.runs(running)
	t.Setenv("RECEIPT_SECRET", "receipts")
	t.Setenv("REDIS_PASSWORD", "of another house")
	if err := v.run(resealCommand, false, "--contest", "feria"); err != nil {
		t.Fatal(err)
	}
	const want = "The public logs of 2 contests are rebuilt: 90 leaves in 7 batches.\n" +
		"feria: 2 counted votes have no leaf (box-5.0), and 1 leaves no vote (7).\n"
	if v.out.String() != want {
		t.Errorf("it says %s", &v.out)
	}
	if args := v.lines("args"); !slices.Equal(args, []string{"reseal", "-contest=feria"}) {
		t.Errorf("books was called with %q", args)
	}
	env := v.lines("env")
	if !slices.Contains(env, "RECEIPT_SECRET=receipts") || !slices.Contains(env, "MONGO_URL="+running.Mongo) || slices.Contains(env, "REDIS_PASSWORD=of another house") {
		t.Errorf("books was told %q", env)
	}
}
