package config

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed contests/contest.schema.json
var schemaSource []byte

// contestSchema is compiled when it is first needed: most functions start with
// the contests that are built in, and never need it.
var contestSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	const name = "contest.schema.json"
	source, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaSource))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, source); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	return schema, nil
})

// checkSchema returns where a contest file differs from the schema.
func checkSchema(data []byte) []fault {
	schema, err := contestSchema()
	if err != nil {
		return []fault{{text: err.Error()}}
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return yamlFaults(err)
	}
	if len(document.Content) == 0 {
		return []fault{{text: "is empty"}}
	}
	root := document.Content[0]
	value, err := plain(root, maxDepth)
	if err != nil {
		return yamlFaults(err)
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(value); errors.As(err, &invalid) {
		return schemaFaults(invalid, root, nil)
	}
	return nil
}

// maxDepth is how deep a contest file may be nested.
const maxDepth = 8

// plain returns a YAML value as the schema sees it: as JSON. Times stay text.
func plain(node *yaml.Node, depth int) (any, error) {
	if depth == 0 {
		return nil, fmt.Errorf("line %d: is nested too deep", node.Line)
	}
	switch node.Kind {
	case yaml.MappingNode:
		object := make(map[string]any, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if _, repeated := object[key.Value]; repeated {
				return nil, fmt.Errorf("line %d: %q is there already", key.Line, key.Value)
			}
			value, err := plain(node.Content[i+1], depth-1)
			if err != nil {
				return nil, err
			}
			object[key.Value] = value
		}
		return object, nil
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, entry := range node.Content {
			value, err := plain(entry, depth-1)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: references are not taken", node.Line)
	}
	switch node.ShortTag() {
	case "!!int", "!!float", "!!bool":
		var value any
		err := node.Decode(&value)
		return value, err
	case "!!null":
		return nil, nil
	}
	return node.Value, nil
}

var english = message.NewPrinter(language.English)

// schemaFaults returns the innermost faults of a failed validation, each at the
// line of what it is about.
func schemaFaults(e *jsonschema.ValidationError, root *yaml.Node, faults []fault) []fault {
	if len(e.Causes) == 0 {
		text := e.ErrorKind.LocalizedString(english)
		if len(e.InstanceLocation) > 0 {
			text = strings.Join(e.InstanceLocation, "/") + ": " + text
		}
		return append(faults, fault{find(root, e.InstanceLocation).Line, text})
	}
	for _, cause := range e.Causes {
		faults = schemaFaults(cause, root, faults)
	}
	return faults
}

// find returns the node at a location or, if there is none, the last on the way.
func find(node *yaml.Node, location []string) *yaml.Node {
	for _, step := range location {
		next := child(node, step)
		if next == nil {
			break
		}
		node = next
	}
	return node
}

func child(node *yaml.Node, step string) *yaml.Node {
	if node.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i]
		}
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == step {
			return node.Content[i+1]
		}
	}
	return nil
}
