package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"marimba/knative/local"
	"marimba/scripts/marimba/cast"
	"marimba/scripts/marimba/view"
)

// addresses are where a house is: what up leaves in the data folder for the
// commands that send and ask.
type addresses struct {
	PID     int    `json:"pid"`
	HTTP    string `json:"http"`
	GRPC    string `json:"grpc"`
	Results string `json:"results"`
	Gateway string `json:"gateway"`
	Token   string `json:"token"` // of the admin; the file is for its owner alone

	// The parts behind the functions, for the books.
	Kafka         string `json:"kafka"`
	Redis         string `json:"redis"`
	RedisPassword string `json:"redis_password,omitempty"`
	Mongo         string `json:"mongo"`
	Contests      string `json:"contests,omitempty"` // folder

	local.Observed
}

func addressFile(folder string) string { return filepath.Join(folder, "running.json") }

// addresses returns the addresses of the system that the house started.
func (h *house) addresses(system *local.System) addresses {
	parts := system.Addresses()
	a := addresses{
		PID: os.Getpid(), Gateway: system.Gateway(), Token: system.Secret("ADMIN_TOKEN"),
		Kafka: parts.Kafka, Redis: parts.Redis, RedisPassword: parts.RedisPassword, Mongo: parts.Mongo,
		Contests: h.contests, Observed: system.Observed(),
	}
	for _, u := range system.URLs() {
		switch u.Function {
		case "ingress-http":
			a.HTTP = u.Own
		case "ingress-grpc":
			a.GRPC = u.Own
		case "results":
			a.Results = u.Own
		}
	}
	return a
}

// open are the addresses without what is secret in them.
func (a addresses) open() addresses {
	a.Token, a.RedisPassword = "", ""
	for _, url := range []*string{&a.Redis, &a.Mongo} {
		if strings.Contains(*url, "@") { // it may hold a password
			*url = ""
		}
	}
	return a
}

// leave writes the addresses for others to find, and returns what takes them away.
func (a addresses) leave(folder string) (remove func(), err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	// Who waits for the file reads it as soon as it is there: it is there whole.
	next := addressFile(folder) + ".next"
	err = os.WriteFile(next, text, 0o600)
	if err == nil {
		err = os.Rename(next, addressFile(folder))
	}
	if err != nil {
		return nil, fmt.Errorf("leave addresses: %w", err)
	}
	return func() { _ = os.Remove(addressFile(folder)) }, nil
}

// visitor is a command that goes to a house: the one that runs on the data
// folder, or any other by its addresses.
type visitor struct {
	*settings
	given addresses
}

func (v *visitor) flags(cmd *cobra.Command, doors bool) {
	if doors {
		cmd.Flags().StringVar(&v.given.HTTP, "http", os.Getenv("MARIMBA_HTTP"), "URL of ingress-http (MARIMBA_HTTP)")
		cmd.Flags().StringVar(&v.given.GRPC, "grpc", os.Getenv("MARIMBA_GRPC"), "address of ingress-grpc (MARIMBA_GRPC)")
	}
	cmd.Flags().StringVar(&v.given.Results, "results", os.Getenv("MARIMBA_RESULTS"), "URL of results (MARIMBA_RESULTS)")
}

// find returns the addresses that were given or else those of the house that runs
// on the data folder. Given ones stand alone: votes for one house are not looked
// for in another.
func (v *visitor) find() (addresses, error) {
	if v.given != (addresses{}) {
		found := v.given
		found.Token = os.Getenv("ADMIN_TOKEN")
		return found, nil
	}
	text, err := os.ReadFile(addressFile(v.folder()))
	if errors.Is(err, fs.ErrNotExist) {
		return addresses{}, fmt.Errorf("nothing runs on %s: start it with `go run ./scripts/marimba up`, or say where it is with --http, --grpc or --results", v.folder())
	}
	if err != nil {
		return addresses{}, err
	}
	var found addresses
	if err := json.Unmarshal(text, &found); err != nil {
		return addresses{}, fmt.Errorf("read %s: %w", addressFile(v.folder()), err)
	}
	return found, nil
}

// ways are the names of the doors, as --via takes them.
var ways = []string{"http", "grpc", "grpc-stream", "event"}

// door opens a door of a house.
func (a addresses) door(via string) (cast.Door, error) {
	address, flag := a.HTTP, "--http"
	if via == "grpc" || via == "grpc-stream" {
		address, flag = a.GRPC, "--grpc"
	}
	if address == "" {
		return nil, fmt.Errorf("--via %s needs %s", via, flag)
	}
	switch via {
	case "http":
		return cast.HTTP(address, language(), false)
	case "event":
		return cast.HTTP(address, language(), true)
	case "grpc":
		return cast.GRPC(address, language(), false)
	case "grpc-stream":
		return cast.GRPC(address, language(), true)
	}
	return nil, fmt.Errorf("--via %q: not one of %v", via, ways)
}

// results opens the results of a house.
func (a addresses) results() (*view.Results, error) {
	if a.Results == "" {
		return nil, errors.New("--results is needed")
	}
	return view.Open(a.Results, language(), a.Token)
}
