package main

import (
	"slices"
	"testing"
)

// What a command needs is built for it, wherever its name stands, and no more.
func TestNeeded(t *testing.T) {
	for _, one := range []struct {
		args []string
		want []string // packages
	}{
		{[]string{"results"}, []string{"./scripts/marimba/cli"}},
		{[]string{"audit", "--json"}, []string{"./functions/internal/books", "./scripts/marimba/cli"}},
		{[]string{"--data", "d", "annul", "propose", "rock-gt"}, []string{"./functions/internal/books", "./scripts/marimba/cli"}},
		{[]string{"forget", "rock-gt"}, []string{"./functions/internal/books", "./scripts/marimba/cli"}},
		{[]string{"reseal"}, []string{"./functions/internal/books", "./scripts/marimba/cli"}},
		{[]string{"up"}, []string{"./functions/...", "./scripts/marimba/cli", "."}},
		{[]string{"bench", "--quick"}, []string{"./functions/...", "./scripts/marimba/cli", "./scripts/marimba/bench", "."}},
		{[]string{"verify", "archive"}, []string{"./functions/internal/verify"}},
		{[]string{"audit", "--help"}, []string{"./scripts/marimba/cli"}},
	} {
		var got []string
		for _, target := range needed(one.args) {
			got = append(got, target.packages...)
		}
		if !slices.Equal(got, one.want) {
			t.Errorf("%v needs %v, want %v", one.args, got, one.want)
		}
	}
}
