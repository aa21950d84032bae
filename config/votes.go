package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

//go:embed contests/votes
var voteFiles embed.FS

// VoteFile is a file of votes as an ingress takes it: Name ends in .json (an
// array) or .csv (with a head).
type VoteFile struct {
	Name string
	Data []byte
}

// VoteFiles returns the vote files that come with a contest, by name. A contest
// without any has none, which is no error.
func VoteFiles(contest string) ([]VoteFile, error) {
	dir := path.Join("contests/votes", contest)
	entries, err := voteFiles.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("vote files of %s: %w", contest, err)
	}
	files := make([]VoteFile, 0, len(entries))
	for _, entry := range entries {
		data, err := voteFiles.ReadFile(path.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("vote files of %s: %w", contest, err)
		}
		files = append(files, VoteFile{entry.Name(), data})
	}
	return files, nil
}
