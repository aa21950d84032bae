package cast

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"marimba/config"
	"marimba/events"
	"marimba/events/votefile"
)

// Bounds of what is read: a file is held in memory while its votes are sent.
const (
	maxFile = 1 << 30
	maxRows = 10_000_000
)

// Open reads a vote file: JSON, NDJSON or CSV, by the ending of its name.
func Open(path string) (config.VoteFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return config.VoteFile{}, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return config.VoteFile{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxFile {
		return config.VoteFile{}, fmt.Errorf("read %s: more than %d bytes", path, maxFile)
	}
	return config.VoteFile{Name: filepath.Base(path), Data: data}, nil
}

// Rows returns the votes of a file, with ids made of the file's digest and the
// row where they have none: the same file sent twice is the same votes. Rows that
// cannot be read are noted in the report. An error is of the file as a whole.
func Rows(file config.VoteFile, report *Report) ([]Row, error) {
	format, ok := votefile.FormatOfName(file.Name)
	if !ok {
		return nil, fmt.Errorf("%s: not .json, .ndjson, .jsonl or .csv", file.Name)
	}
	digest := votefile.Digest(file.Data)
	var (
		rows    []Row
		reading = events.Reading{Ordinals: true}
	)
	for row, err := range votefile.Rows(file.Data, format, votefile.Options{MaxRows: maxRows}) {
		var no *events.Refusal
		switch {
		case errors.As(err, &no) && no.Params["reason"] != "":
			return nil, fmt.Errorf("%s: %w: %s", file.Name, err, no.Params["reason"]) // where it cannot be read
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file.Name, err)
		}
		if row.No == nil {
			row.No = plain(&reading, &row.Ballot)
		}
		if row.No != nil {
			report.Refuse(Refused{file.Name, row.Number, row.No.Code, row.No.Field, row.No.Error()})
			continue
		}
		if row.Ballot.ID == "" {
			row.Ballot.ID = votefile.RowID(digest, row.Number)
		}
		rows = append(rows, Row{file.Name, row.Number, row.Ballot})
	}
	return rows, nil
}

// plain puts an ordinal rank, which files may have and single votes may not, in
// plain form.
func plain(reading *events.Reading, b *events.Ballot) *events.Refusal {
	before := reading.Warnings
	v, no := reading.Read(*b)
	if no == nil && reading.Warnings > before {
		b.Rank = events.FormatRank(v.Rank)
	}
	return no
}
