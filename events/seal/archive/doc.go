// Package archive writes and reads the archive of a final contest: all that it
// takes to compute its result again, offline and without trust in whoever counted.
//
// It is a tar file, compressed by gzip, whose entries stand in this order:
//
//	archive.json      what this is: format, contest, origin, when it was made
//	key               the public key of the log's checkpoints
//	checkpoint        the signed checkpoint of the whole log
//	contest.yaml      the contest's file
//	rules.wasm        the house's rules
//	own.wasm          the contest's own rules, if it has some
//	statement.json    the final statement, in its canonical bytes
//	annulments.json   the rulings on annulled votes
//	openings/000000…  what is in each leaf, a line each, PartLines lines a part
//	tile/entries/…    the log's entries
//	tile/0/… tile/1/… the log's tiles
//
// Both sides work through it in one pass, and hold no more than a part of it.
package archive

import (
	"fmt"

	"marimba/events/seal"
)

// Format names this form of archives.
const Format = "marimba.archive/v1"

// MediaType is what an archive is served as.
const MediaType = "application/gzip"

// Bounds of an archive. What is longer is none.
const (
	// PartLines is how many lines a part of the openings has, the last one aside.
	PartLines = 16 << 10
	// MaxVotes is how many votes an archive may hold.
	MaxVotes = 1 << 25
	// MaxLine bounds a line of the openings, in bytes.
	MaxLine = 2 << 10
)

// The names of the files, in their order.
const (
	headName       = "archive.json"
	keyName        = "key"
	checkpointName = "checkpoint"
	contestName    = "contest.yaml"
	rulesName      = "rules.wasm"
	ownName        = "own.wasm"
	statementName  = "statement.json"
	annulmentsName = "annulments.json"
)

// form is a file of an archive: its name and how long it may be.
type form struct {
	name     string
	most     int64
	optional bool
}

var forms = []form{
	{headName, 4 << 10, false},
	{keyName, 1 << 10, false},
	{checkpointName, 16 << 10, false},
	{contestName, 1 << 20, false},
	{rulesName, 1 << 20, false},
	{ownName, 1 << 20, true},
	{statementName, 16 << 20, false},
	{annulmentsName, 16 << 20, false},
}

// maxPart bounds a part of the openings, in bytes.
const maxPart = PartLines * MaxLine

// partName names a part of the openings.
func partName(n int) string { return fmt.Sprintf("openings/%06d", n) }

// sizeOf is how many bytes a tile has in an archive.
func sizeOf(t seal.TileName) int64 {
	if t.Level == seal.Entries {
		return int64(t.Width) * (2 + seal.HashSize)
	}
	return int64(t.Width) * seal.HashSize
}
