package config

import "log/slog"

// Secret is a text that is never printed: formatted, logged or encoded it is
// "***". Reveal gives the text to what needs it.
type Secret string

const hidden = "***"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string { return hidden }

// GoString answers %#v.
func (s Secret) GoString() string { return hidden }

// LogValue answers slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText answers encoding/json and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
