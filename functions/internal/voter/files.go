package voter

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"marimba/config/voterkey"
)

// lookEvery is how long a key is used without looking whether its file is there
// still. It bounds how long a door goes on using one that was destroyed.
const lookEvery = time.Second

// Files are contests' own keys in a folder. It is safe for concurrent use.
type Files struct {
	dir string
	now func() time.Time

	mu   sync.Mutex
	kept map[string]*keptKey // by contest
}

// keptKey is the key of a contest. A contest that had no file when it was first
// asked for has none as long as the process lives: its voters do not change.
type keptKey struct {
	key    []byte // nil: there is no file
	looked time.Time
	gone   error
}

// NewFiles returns the keys of a folder.
func NewFiles(dir string) *Files {
	return &Files{dir: dir, now: time.Now, kept: make(map[string]*keptKey)}
}

func (f *Files) key(contest string) (key []byte, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	kept := f.kept[contest]
	if kept == nil {
		key, err := voterkey.Read(f.dir, contest)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err // it may be read yet
		}
		kept = &keptKey{key: key, looked: now}
		f.kept[contest] = kept
	}
	if kept.key != nil && now.Sub(kept.looked) >= lookEvery {
		kept.look(f.dir, contest, now)
	}
	return bytes.Clone(kept.key), kept.key != nil, kept.gone // the kept one may be wiped while it is used
}

// look sees whether the key's file is still there. A key that is gone is wiped.
func (k *keptKey) look(dir, contest string, now time.Time) {
	key, err := voterkey.Read(dir, contest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.gone = fmt.Errorf("the voter key of %s is gone", contest)
	case err == nil && !bytes.Equal(key, k.key):
		k.gone = fmt.Errorf("the voter key of %s is another one", contest)
	case err != nil: // the file cannot be read now: what was read of it holds
	}
	if k.gone != nil {
		clear(k.key)
		k.key = nil
	}
	clear(key)
	k.looked = now
}
