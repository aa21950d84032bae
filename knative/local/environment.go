//go:build unix

package local

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
)

// values resolve what a container's environment refers to.
type values struct {
	config  map[string]map[string]string
	own     map[string]string // by key; these go before the manifests'
	secret  func(key string) string
	address func(service string) string // of a service's own port
}

// notHere are variables that mean nothing on one machine: all processes share its
// ports.
var notHere = []string{"METRICS_PORT"}

// of returns the environment of a service's containers, as its manifest says, but
// for what names a folder that a cluster mounts: more may name another, and else a
// function has what is built in.
func (v values) of(s *service, more map[string]string) ([]string, error) {
	env := append(environment(), "HOST=127.0.0.1") // what is private on a cluster is not for the network here
	for _, e := range s.env {
		value := e.value
		switch {
		case slices.Contains(s.mounts, value), slices.Contains(notHere, e.name):
			continue
		case e.secret:
			value = v.secret(e.key)
		case e.from != "":
			var ok bool
			if value, ok = v.config[e.from][e.key]; !ok {
				return nil, fmt.Errorf("service %s: ConfigMap %s has no key %s", s.name, e.from, e.key)
			}
			if own, ok := v.own[e.key]; ok {
				value = own
			}
		}
		env = append(env, e.name+"="+v.local(value))
	}
	env = append(env, "K_SERVICE="+s.name, "K_CONFIGURATION="+s.name, "K_REVISION="+s.name+"-00001")
	for _, name := range slices.Sorted(maps.Keys(more)) {
		env = append(env, name+"="+more[name])
	}
	return env, nil
}

// local turns the cluster's name of a service, with or without a port, into its
// address on this machine, and leaves all other values as they are.
func (v values) local(value string) string {
	host, _, err := net.SplitHostPort(value)
	if err != nil {
		host = value
	}
	name, ok := strings.CutSuffix(host, ".svc.cluster.local")
	if !ok {
		return value
	}
	service, _, _ := strings.Cut(name, ".")
	if address := v.address(service); address != "" {
		return address
	}
	return value
}

// environment is what every child process gets of ours: what a container has
// too, where profiles are wanted, and nothing else that happens to be set.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "CPU_PROFILE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
