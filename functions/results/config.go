package main

import "marimba/config"

// settings come from the environment.
type settings struct {
	config.Server
	config.Kafka
	config.Redis
	config.Mongo
	config.Contests
	// Token opens what is not public. Without one it stays closed to everybody.
	Token config.Secret `env:"ADMIN_TOKEN"`
}

func load(environ []string) (settings, error) {
	var s settings
	return s, config.Load(&s, environ)
}
