package config

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"marimba/events"
)

// Bounds of the contests of a folder.
const (
	maxContests    = 1000
	maxContestFile = 1 << 20
)

// contestFiles are the contests that a binary brings along. That they are
// right, also by the schema, is for a test to say and not for each start.
//
//go:embed contests/*.yaml
var contestFiles embed.FS

// Contests says where the contests are: files <id>.yaml in a folder, in the form
// that contests/contest.schema.json describes. Without a folder they are those
// that are built in.
type Contests struct {
	Dir string `env:"CONTESTS_DIR"`
}

// Roll is all contests that there are at one time. It does not change; Register
// has the roll that is in force.
type Roll struct {
	contests map[string]events.Contest
	ids      []string
}

// Contest returns the contest of an id, and whether there is one. What it holds
// must not be changed.
func (r *Roll) Contest(id string) (events.Contest, bool) {
	c, ok := r.contests[id]
	return c, ok
}

// IDs returns the ids of all contests, sorted.
func (r *Roll) IDs() []string { return slices.Clone(r.ids) }

// Load reads the contests. The error tells the faults of all files, one a line,
// each with file and line.
func (c Contests) Load() (*Roll, error) {
	return c.loadAfter(new(Roll))
}

// loadAfter is Load, but takes contests whose files have not changed from an
// earlier roll.
func (c Contests) loadAfter(known *Roll) (*Roll, error) {
	if c.Dir == "" {
		return readRoll(contestFiles, "contests", known, false)
	}
	roll, err := readRoll(os.DirFS(c.Dir), ".", known, true)
	if err != nil {
		return nil, fmt.Errorf("contests in %s: %w", c.Dir, err)
	}
	return roll, nil
}

// readRoll reads the contests of a folder; those that nobody has looked at yet
// are held against the schema too. What is known already is not read again.
func readRoll(files fs.FS, dir string, known *Roll, strange bool) (*Roll, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, err
	}
	roll := &Roll{contests: make(map[string]events.Contest)}
	var faults []error
	for _, entry := range entries {
		name := entry.Name()
		id, isContest := strings.CutSuffix(name, ".yaml")
		if !isContest || strings.HasPrefix(name, ".") {
			continue
		}
		if len(roll.ids) == maxContests {
			return nil, fmt.Errorf("more than %d contests", maxContests)
		}
		data, err := readBounded(files, path.Join(dir, name), maxContestFile)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		contest, ok := known.Contest(id)
		if !ok || contest.Revision != revision(data) {
			contest, err = readContest(name, id, data, strange)
			if err == nil {
				err = readRules(files, dir, &contest)
			}
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		roll.contests[id] = contest
		roll.ids = append(roll.ids, id)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if len(roll.ids) == 0 {
		return nil, errors.New("no contests")
	}
	slices.Sort(roll.ids)
	return roll, nil
}

// readContest reads a contest file. The error tells all its faults, one a line.
func readContest(name, id string, data []byte, strange bool) (events.Contest, error) {
	var faults []fault
	if strange {
		faults = checkSchema(data)
	}
	var file contestFile
	if len(faults) == 0 {
		file, faults = decodeContest(data)
	}
	if len(faults) == 0 {
		faults = file.check(id)
	}
	if len(faults) > 0 {
		return events.Contest{}, tell(name, faults)
	}
	contest := file.contest()
	contest.Revision = revision(data)
	return contest, nil
}

func revision(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func readBounded(files fs.FS, name string, most int64) ([]byte, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s: more than %d bytes", name, most)
	}
	return data, nil
}

// fault is what is wrong at a line of a file; line 0 is the file as a whole.
type fault struct {
	line int
	text string
}

// tell makes one error of a file's faults, in the order of their lines.
func tell(name string, faults []fault) error {
	slices.SortStableFunc(faults, func(a, b fault) int { return a.line - b.line })
	told := make([]error, len(faults))
	for i, f := range faults {
		if f.line == 0 {
			told[i] = fmt.Errorf("%s: %s", name, f.text)
			continue
		}
		told[i] = fmt.Errorf("%s:%d: %s", name, f.line, f.text)
	}
	return errors.Join(told...)
}
