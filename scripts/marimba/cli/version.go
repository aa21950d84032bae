package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what a build tells of itself.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of git; empty outside a checkout
	Modified bool   `json:"modified"` // the checkout had changes
	Time     string `json:"time"`     // of the revision
	Go       string `json:"go"`
}

func versionCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "say what this is built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if s.json {
				return s.write(v)
			}
			of := ""
			if v.Revision != "" {
				of = " of revision " + v.Revision
			}
			if v.Modified {
				of += ", with changes"
			}
			_, err := fmt.Fprintf(s.out, "marimba %s%s, built with %s\n", v.Version, of, v.Go)
			return err
		},
	}
}

func readVersion() version {
	v := version{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version, v.Go = info.Main.Version, info.GoVersion
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.time":
			v.Time = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}
