package config

import (
	"errors"
	"net/url"
	"strings"
)

// Address is the public address of a function, as people's browsers reach it:
// http or https, a host, and nothing behind it. It may be empty.
type Address string

// UnmarshalText reads an address as a setting has it.
func (a *Address) UnmarshalText(text []byte) error {
	given := strings.TrimSuffix(string(text), "/")
	u, err := url.Parse(given)
	if err != nil || given != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || given != u.Scheme+"://"+u.Host) {
		return errors.New("is not http:// or https:// with a host and no more")
	}
	*a = Address(given)
	return nil
}

func (a Address) String() string { return string(a) }
