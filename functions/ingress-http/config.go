package main

import (
	"errors"
	"fmt"
	"net"

	"marimba/config"
)

// settings come from the environment.
type settings struct {
	config.Server
	config.Kafka
	config.Contests
	config.Voters
	config.Receipts
	// Target is where ingress-grpc is, host:port.
	Target string `env:"GRPC_TARGET,required,notEmpty"`
	// Results is the public address of results, for the link to a vote's receipt in
	// the answer to a plain form. It may be empty.
	Results config.Address `env:"RESULTS_URL"`
}

func load(environ []string) (settings, error) {
	var s settings
	err := config.Load(&s, environ)
	if s.Target != "" {
		if host, port, bad := net.SplitHostPort(s.Target); bad != nil || host == "" || port == "" {
			err = errors.Join(err, fmt.Errorf("GRPC_TARGET: %q is not host:port", s.Target))
		}
	}
	return s, err
}
