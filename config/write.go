package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LayContests puts the built-in contests into a folder as files that can be
// amended, with the schema that editors check them by. Files that are there stay
// as they are.
func LayContests(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("lay contests: %w", err)
	}
	entries, err := contestFiles.ReadDir("contests")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		data, err := contestFiles.ReadFile("contests/" + entry.Name())
		if err != nil {
			return err
		}
		if err := WriteContest(path, data); err != nil {
			return fmt.Errorf("lay contests: %w", err)
		}
	}
	return WriteContest(filepath.Join(dir, "contest.schema.json"), schemaSource)
}

// WriteContest writes a file so that whoever reads it, whenever, has the old text
// or the new one, and so has the disk after a crash.
func WriteContest(path string, data []byte) error {
	dir, name, mode := filepath.Dir(path), filepath.Base(path), fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	next, err := os.CreateTemp(dir, "."+name+".*") // the point hides it from those who read contests
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) //nolint:errcheck // it is gone if all went well
	_, err = next.Write(data)
	if err == nil {
		err = next.Chmod(mode)
	}
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(next.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // it was only synced
	return folder.Sync()
}
