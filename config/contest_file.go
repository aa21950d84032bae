package config

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"marimba/events"
)

// contestFile is a contest as its YAML file has it. Each value knows its line.
// What the fields mean is in contests/contest.schema.json.
type contestFile struct {
	ID            at[string]            `yaml:"id"`
	Title         at[map[string]string] `yaml:"title"`
	OpenRoster    at[bool]              `yaml:"open_roster"`
	Bands         []bandEntry           `yaml:"bands"`
	AlbumRequired at[bool]              `yaml:"album_required"`
	VoterRequired at[bool]              `yaml:"voter_required"`
	RankMode      at[events.RankMode]   `yaml:"rank_mode"`
	RankMax       at[float64]           `yaml:"rank_max"`
	YearMin       at[int32]             `yaml:"year_min"`
	YearMax       at[int32]             `yaml:"year_max"`
	OpensAt       at[time.Time]         `yaml:"opens_at"`
	ClosesAt      at[time.Time]         `yaml:"closes_at"`
	Amendments    []amendmentEntry      `yaml:"amendments"`
	Limit         struct {
		Mode  at[events.LimitMode] `yaml:"mode"`
		Votes at[int64]            `yaml:"votes"`
	} `yaml:"limit"`
	Results struct {
		HiddenUntil at[events.Phase] `yaml:"hidden_until"`
		FrozenFrom  at[time.Time]    `yaml:"frozen_from"`
	} `yaml:"results"`
	AppealDays  at[int]             `yaml:"appeal_days"`
	Points      []at[int64]         `yaml:"points"`
	Standing    at[events.Metric]   `yaml:"standing"`
	TieBreak    []at[events.Metric] `yaml:"tie_break"`
	MeanFrom    at[int64]           `yaml:"mean_from"`
	Shards      at[int]             `yaml:"shards"`
	Rules       at[string]          `yaml:"rules"`
	RulesSHA256 at[string]          `yaml:"rules_sha256"`
}

type amendmentEntry struct {
	At       at[time.Time] `yaml:"at"`
	By       at[string]    `yaml:"by"`
	OpensAt  at[time.Time] `yaml:"opens_at"`
	ClosesAt at[time.Time] `yaml:"closes_at"`
	Reason   at[string]    `yaml:"reason"`
}

type bandEntry struct {
	Name    at[string]   `yaml:"name"`
	Aliases []at[string] `yaml:"aliases"`
	Albums  []albumEntry `yaml:"albums"`
}

type albumEntry struct {
	Title   at[string]   `yaml:"title"`
	Aliases []at[string] `yaml:"aliases"`
	Year    at[int32]    `yaml:"year"`
}

// at is a value and the line that it stands in; line 0 is a value that the file
// does not have.
type at[T any] struct {
	value T
	line  int
}

func (a *at[T]) UnmarshalYAML(node *yaml.Node) error {
	a.line = node.Line
	return node.Decode(&a.value)
}

// or returns the value or, if the file does not have it, another.
func (a at[T]) or(other T) T {
	if a.line == 0 {
		return other
	}
	return a.value
}

// Defaults of what a file leaves out, as the schema states them.
const (
	defaultYearMin  = 1900
	defaultMeanFrom = 1
	defaultShards   = 1

	defaultAppealDays = 30
)

// decodeContest reads one YAML document. Unknown and repeated keys are faults.
func decodeContest(data []byte) (contestFile, []fault) {
	var file contestFile
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		if errors.Is(err, io.EOF) {
			return contestFile{}, []fault{{text: "is empty"}}
		}
		return contestFile{}, yamlFaults(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return contestFile{}, []fault{{text: "has more than one document"}}
	}
	return file, nil
}

// yamlFaults takes the lines out of the decoder's messages, which read
// "line 3: …" or "yaml: line 3: …".
func yamlFaults(err error) []fault {
	messages := []string{err.Error()}
	var several *yaml.TypeError
	if errors.As(err, &several) {
		messages = several.Errors
	}
	faults := make([]fault, len(messages))
	for i, message := range messages {
		faults[i].text = strings.TrimPrefix(message, "yaml: ")
		if rest, ok := strings.CutPrefix(faults[i].text, "line "); ok {
			number, text, _ := strings.Cut(rest, ": ")
			if line, err := strconv.Atoi(number); err == nil {
				faults[i] = fault{line, text}
			}
		}
	}
	return faults
}

// contest returns the contest of a file without faults.
func (f *contestFile) contest() events.Contest {
	opensAt, closesAt, amendments := f.bounds()
	c := events.Contest{
		ID:            f.ID.value,
		Title:         f.Title.value,
		OpenRoster:    f.OpenRoster.value,
		AlbumRequired: f.AlbumRequired.or(true),
		VoterRequired: f.VoterRequired.value,
		RankMode:      f.RankMode.value,
		RankMax:       hundredths(f.RankMax.value),
		YearMin:       f.YearMin.or(defaultYearMin),
		YearMax:       f.YearMax.value,
		OpensAt:       opensAt,
		ClosesAt:      closesAt,
		Amendments:    amendments,
		Limit:         events.Limit{Mode: f.Limit.Mode.or(events.NoLimit), N: f.Limit.Votes.value},
		Showing:       events.Showing{HiddenUntil: f.Results.HiddenUntil.value, FrozenFrom: f.Results.FrozenFrom.value.UTC()},
		AppealDays:    f.AppealDays.or(defaultAppealDays),
		Points:        values(f.Points),
		Standing:      f.Standing.or(events.ByVotes),
		TieBreak:      values(f.TieBreak),
		MeanFrom:      f.MeanFrom.or(defaultMeanFrom),
		Shards:        f.Shards.or(defaultShards),
		Rules:         events.Module{File: f.Rules.value, SHA256: f.RulesSHA256.value},
		Bands:         make([]events.Band, len(f.Bands)),
	}
	for i, b := range f.Bands {
		c.Bands[i] = events.Band{
			Name: b.Name.value, Aliases: values(b.Aliases), Albums: make([]events.Album, len(b.Albums)),
		}
		for k, a := range b.Albums {
			c.Bands[i].Albums[k] = events.Album{Title: a.Title.value, Aliases: values(a.Aliases), Year: a.Year.value}
		}
	}
	return c
}

// bounds returns the bounds that are in force, and the amendments that led to
// them.
func (f *contestFile) bounds() (opensAt, closesAt time.Time, amendments []events.Amendment) {
	opensAt, closesAt = f.OpensAt.value.UTC(), f.ClosesAt.value.UTC()
	for _, entry := range f.Amendments {
		bound, to, name := &closesAt, entry.ClosesAt.value.UTC(), events.ClosesAt
		if entry.OpensAt.line > 0 {
			bound, to, name = &opensAt, entry.OpensAt.value.UTC(), events.OpensAt
		}
		amendments = append(amendments, events.Amendment{
			At: entry.At.value.UTC(), By: entry.By.value, Bound: name, From: *bound, To: to, Reason: entry.Reason.value,
		})
		*bound = to
	}
	return opensAt, closesAt, amendments
}

func values[T any](list []at[T]) []T {
	var out []T
	for _, entry := range list {
		out = append(out, entry.value)
	}
	return out
}

func hundredths(rank float64) int32 { return int32(math.Round(rank * 100)) }
