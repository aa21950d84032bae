package config

import (
	"fmt"
	"io/fs"
	"os"
	"path"

	"marimba/events"
)

// Text returns the text of a contest's file, of which events.Contest's Revision is
// the digest.
func (c Contests) Text(id string) ([]byte, error) {
	if !events.IsContestID(id) {
		return nil, fmt.Errorf("read a contest's file: %q is no contest's id", id)
	}
	files, dir := fs.FS(contestFiles), "contests"
	if c.Dir != "" {
		files, dir = os.DirFS(c.Dir), "."
	}
	text, err := readBounded(files, path.Join(dir, id+".yaml"), maxContestFile)
	if err != nil {
		return nil, fmt.Errorf("read a contest's file: %w", err)
	}
	return text, nil
}

// Text returns the text of a contest's file as it is now.
func (r *Register) Text(id string) ([]byte, error) { return r.contests.Text(id) }

// ReadContest reads a contest from its file's text, as a stranger's: it is held
// against the schema too. The error tells all its faults, one a line. The code of
// the module of rules that it may name is not read.
func ReadContest(id string, text []byte) (events.Contest, error) {
	if len(text) > maxContestFile {
		return events.Contest{}, fmt.Errorf("%s.yaml: more than %d bytes", id, maxContestFile)
	}
	return readContest(id+".yaml", id, text, true)
}
