package main

import "marimba/config"

// settings come from the environment.
type settings struct {
	config.Server
	config.Kafka
	config.Redis
	config.Mongo
	config.Contests
	config.Receipts
	// Token opens what is not public. Without one it stays closed to everybody.
	Token config.Secret `env:"ADMIN_TOKEN"`
	// Door is where the pages hand votes in: the public address of ingress-http.
	// Without one they take none.
	Door config.Address `env:"INGRESS_URL"`
}

func load(environ []string) (settings, error) {
	var s settings
	return s, config.Load(&s, environ)
}
