// Package knative holds Marimba's manifests: the one description of how its
// functions and sources are put together. On a cluster they are applied; on
// one machine marimba/knative/local runs them.
package knative

import (
	"embed"
	"io/fs"
)

//go:embed base/*.yaml
var files embed.FS

// Base is the folder base: the manifests as a cluster gets them, without any
// overlay.
var Base = base()

func base() fs.FS {
	sub, err := fs.Sub(files, "base")
	if err != nil {
		panic(err) // the name above is not a valid path: a programmer's fault
	}
	return sub
}
