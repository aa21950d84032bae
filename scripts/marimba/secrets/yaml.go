package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// manifest is a Secret as Kubernetes has it, or a List of them.
type manifest struct {
	APIVersion string            `yaml:"apiVersion" json:"apiVersion"`
	Kind       string            `yaml:"kind" json:"kind"`
	Metadata   *metadata         `yaml:"metadata,omitempty" json:"metadata,omitempty"`
	Data       map[string]string `yaml:"data,omitempty" json:"data,omitempty"` // in base64
	StringData map[string]string `yaml:"stringData,omitempty" json:"stringData,omitempty"`
	Type       string            `yaml:"type,omitempty" json:"type,omitempty"` // behind the values: some readers cut a document's last line end off
	Items      []manifest        `yaml:"items,omitempty" json:"items,omitempty"`
}

type metadata struct {
	Name      string            `yaml:"name" json:"name"`
	Namespace string            `yaml:"namespace" json:"namespace"`
	Labels    map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
}

func (s Secret) manifest() manifest {
	return manifest{
		APIVersion: "v1", Kind: "Secret", Type: "Opaque", StringData: s.Data,
		Metadata: &metadata{s.Name, s.Namespace, map[string]string{"app.kubernetes.io/part-of": "marimba"}},
	}
}

// WriteYAML writes Secrets as documents that kubectl takes. Keys are sorted, so
// two sets differ in their values only.
func WriteYAML(out io.Writer, secrets []Secret) error {
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	for _, s := range secrets {
		if err := encoder.Encode(s.manifest()); err != nil {
			return fmt.Errorf("write Secret %s: %w", s.Name, err)
		}
	}
	return encoder.Close()
}

// WriteJSON writes Secrets as one List, which kubectl takes too.
func WriteJSON(out io.Writer, secrets []Secret) error {
	list := manifest{APIVersion: "v1", Kind: "List"}
	for _, s := range secrets {
		list.Items = append(list.Items, s.manifest())
	}
	return json.NewEncoder(out).Encode(list)
}

// Kept is values of Secrets that were made before.
type Kept map[string]map[string]string // by namespace/name, then key

// Value returns a value, and whether it is kept. Spaces at its end are not of it.
func (k Kept) Value(namespace, name, key string) (string, bool) {
	value, ok := k[namespace+"/"+name][key]
	return value, ok && strings.TrimSpace(value) != ""
}

// maxKept bounds what is read of Secrets.
const maxKept = 16 << 20

// ReadKept reads Secrets from what WriteYAML or WriteJSON wrote, or from what
// `kubectl get secrets -o yaml` says. Objects of other kinds are passed over.
func ReadKept(in io.Reader) (Kept, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxKept+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKept {
		return nil, fmt.Errorf("more than %d bytes", maxKept)
	}
	kept := make(Kept)
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var m manifest
		switch err := documents.Decode(&m); {
		case errors.Is(err, io.EOF):
			if len(kept) == 0 {
				return nil, errors.New("there is no Secret in it")
			}
			return kept, nil
		case err != nil:
			// The decoder's message may quote what it could not read.
			return nil, errors.New("it is not YAML with Secrets in it")
		}
		if err := kept.add(m); err != nil {
			return nil, err
		}
	}
}

func (k Kept) add(m manifest) error {
	for _, item := range m.Items {
		if err := k.add(item); err != nil {
			return err
		}
	}
	if m.Kind != "Secret" || m.Metadata == nil {
		return nil
	}
	values := make(map[string]string)
	for key, text := range m.Data {
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("Secret %s, key %s: it is not base64", m.Metadata.Name, key)
		}
		values[key] = string(value)
	}
	for key, value := range m.StringData {
		values[key] = value
	}
	k[m.Metadata.Namespace+"/"+m.Metadata.Name] = values
	return nil
}
