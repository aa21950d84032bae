package main

import "marimba/config"

// settings come from the environment.
type settings struct {
	config.Server
	config.Mongo
	config.Receipts
	config.Seal
}

func load(environ []string) (settings, error) {
	var s settings
	return s, config.Load(&s, environ)
}
