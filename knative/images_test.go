package knative

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// Images are built upon a base that nobody can change behind our back, by flags
// that leave nothing of the builder's machine in them.
func TestImagesAreBuiltTheSame(t *testing.T) {
	text, err := os.ReadFile("../.ko.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var ko struct {
		Base      string   `json:"defaultBaseImage"`
		Platforms []string `json:"defaultPlatforms"`
		Env       []string `json:"defaultEnv"`
		Flags     []string `json:"defaultFlags"`
		Ldflags   []string `json:"defaultLdflags"`
	}
	if err := yaml.UnmarshalStrict(text, &ko); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`:nonroot@sha256:[0-9a-f]{64}$`).MatchString(ko.Base) {
		t.Errorf("the base %s is not pinned, or it runs as root", ko.Base)
	}
	if !slices.Equal(ko.Env, []string{"CGO_ENABLED=1"}) || !slices.Contains(ko.Flags, "-trimpath") || len(ko.Platforms) == 0 || len(ko.Ldflags) == 0 {
		t.Errorf("%+v", ko)
	}
}
