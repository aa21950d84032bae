package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// maxFile bounds a file that a variable's value is read from.
const maxFile = 1 << 20

// Load fills cfg, a pointer to a struct of settings, from an environment as
// os.Environ gives it. The error tells all faults, one a line, each with the
// name of its variable.
//
// The value of any variable NAME may be kept in a file, as secrets are mounted:
// then NAME_FILE is the file's path and NAME is not set. Line ends at the end
// of the file do not count.
func Load(cfg any, environ []string) error {
	given := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		given[name] = value
	}
	settings := reflect.ValueOf(cfg)
	fields := variables(settings.Elem().Type())
	var faults []error
	unread := make(map[string]bool)
	for name := range fields {
		fault := fromFile(given, name)
		if fault != nil {
			faults, unread[name] = append(faults, fault), true
		}
	}
	faults = append(faults, parse(cfg, given, fields, unread)...)
	if len(faults) == 0 {
		faults = check(settings.Elem())
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return fmt.Errorf("settings: %w", errors.Join(faults...))
}

// variables returns the environment variables of a struct of settings: the
// name of each, and that of the field that it fills.
func variables(t reflect.Type) map[string]string {
	fields := make(map[string]string)
	for i := range t.NumField() {
		field := t.Field(i)
		if name, _, _ := strings.Cut(field.Tag.Get("env"), ","); name != "" {
			fields[name] = field.Name
			continue
		}
		if field.Anonymous && field.Type.Kind() == reflect.Struct {
			for name, inner := range variables(field.Type) {
				fields[name] = inner
			}
		}
	}
	return fields
}

// fromFile sets NAME to what the file that NAME_FILE names holds.
func fromFile(given map[string]string, name string) error {
	path := given[name+"_FILE"]
	if path == "" {
		return nil
	}
	if given[name] != "" {
		return fmt.Errorf("%s: %s_FILE is set too; only one may be", name, name)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", name, err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	value, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return fmt.Errorf("%s_FILE: %w", name, err)
	}
	if len(value) > maxFile {
		return fmt.Errorf("%s_FILE: more than %d bytes", name, maxFile)
	}
	given[name] = strings.TrimRight(string(value), "\r\n")
	return nil
}

// parse fills cfg and returns what is missing or cannot be read, but for the
// variables in unread, of which the fault is known.
func parse(cfg any, given, fields map[string]string, unread map[string]bool) []error {
	err := env.ParseWithOptions(cfg, env.Options{Environment: given})
	if err == nil {
		return nil
	}
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	var faults []error
	for _, err := range all.Errors {
		var (
			missing env.VarIsNotSetError
			empty   env.EmptyVarError
			wrong   env.ParseError
		)
		switch {
		case errors.As(err, &missing) && unread[missing.Key], errors.As(err, &empty) && unread[empty.Key]:
		case errors.As(err, &missing):
			faults = append(faults, fmt.Errorf("%s: is not set", missing.Key))
		case errors.As(err, &empty):
			faults = append(faults, fmt.Errorf("%s: is empty", empty.Key))
		case errors.As(err, &wrong):
			faults = append(faults, fmt.Errorf("%s: %w", nameOf(wrong.Name, fields), wrong.Err))
		default:
			faults = append(faults, err)
		}
	}
	return faults
}

// nameOf returns the variable that fills a field.
func nameOf(field string, fields map[string]string) string {
	var names []string
	for name, filled := range fields {
		if filled == field {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " or ")
}

// checker is a struct of settings that has more to ask of its values than that
// they are there and can be read.
type checker interface{ check() []error }

func check(settings reflect.Value) []error {
	var faults []error
	for i := range settings.NumField() {
		field := settings.Field(i)
		if !field.CanInterface() {
			continue
		}
		if c, ok := field.Interface().(checker); ok {
			faults = append(faults, c.check()...)
		}
	}
	return faults
}
