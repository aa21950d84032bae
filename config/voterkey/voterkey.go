// Package voterkey keeps contests' own voter keys: a file each in a folder, named like
// the contest, so that one can be destroyed and the others stay.
package voterkey

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"marimba/events"
)

// Size is that of a key, in bytes; its file has it in hexadecimal.
const Size = 32

// Read returns the key of a contest; an error that is fs.ErrNotExist says that it has
// none of its own.
func Read(dir, contest string) ([]byte, error) {
	if !events.IsContestID(contest) {
		return nil, fs.ErrNotExist
	}
	text, err := os.ReadFile(filepath.Join(dir, contest))
	if err != nil {
		return nil, fmt.Errorf("read the voter key of %s: %w", contest, err)
	}
	defer clear(text)
	key := make([]byte, Size)
	if text = bytes.TrimSpace(text); len(text) != hex.EncodedLen(Size) {
		return nil, fmt.Errorf("the voter key of %s is not %d hexadecimal digits", contest, hex.EncodedLen(Size))
	}
	if _, err := hex.Decode(key, text); err != nil {
		return nil, fmt.Errorf("the voter key of %s is not hexadecimal", contest)
	}
	return key, nil
}

// New returns a new key as a file has it.
func New() string {
	var key [Size]byte
	_, _ = rand.Read(key[:]) // it never fails
	return hex.EncodeToString(key[:])
}

// Has reports whether a contest has a key of its own in a folder, and its digest.
func Has(dir, contest string) (digest string, ok bool, err error) {
	key, err := Read(dir, contest)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	sum := sha256.Sum256(key)
	clear(key)
	return hex.EncodeToString(sum[:]), true, nil
}

// forgotten is behind the name of a contest whose key was destroyed: it never gets
// another.
const forgotten = ".forgotten"

// Lay gives contests a key of their own in a folder, if they have none: all of them
// where nothing was voted yet, else those that are not open yet, since the voters
// of the others have keys already.
func Lay(dir string, contests []events.Contest, fresh bool, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of voter keys: %w", err)
	}
	for _, c := range contests {
		if !fresh && c.PhaseAt(now) != events.Draft {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, c.ID+forgotten)); err == nil {
			continue
		}
		if err := lay(dir, c.ID); err != nil {
			return fmt.Errorf("lay the voter key of %s: %w", c.ID, err)
		}
	}
	return nil
}

// lay writes a new key whole, or not at all; one that is there stays.
func lay(dir, contest string) error {
	path := filepath.Join(dir, contest)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next, err := os.CreateTemp(dir, "."+contest+".*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) //nolint:errcheck // it is linked if all went well
	_, err = next.WriteString(New() + "\n")
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return err
	}
	if err := os.Link(next.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

// Destroy destroys the key of a contest: its file is overwritten, taken away, and the
// folder is brought to the disk. It may be cut off anywhere and called again. What a
// file system or a disk keeps of older blocks is beyond it.
func Destroy(dir, contest string) error {
	if err := destroy(dir, contest); err != nil {
		return fmt.Errorf("destroy the voter key of %s: %w", contest, err)
	}
	return nil
}

func destroy(dir, contest string) error {
	path := filepath.Join(dir, contest)
	mark, err := os.OpenFile(path+forgotten, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(mark.Sync(), mark.Close()); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return syncFolder(dir)
	}
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.Write(make([]byte, info.Size()))
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
