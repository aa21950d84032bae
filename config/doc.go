// Package config is what a function is told from outside: its settings, which
// come from the environment, and the contests, which come from YAML files.
//
// Each function has one struct of settings, put together from those here:
//
//	type settings struct {
//		config.Server
//		config.Kafka
//		config.Contests
//	}
//
// Load fills it and tells all faults at once. A variable that is not needed by
// a function is not looked at, so a function's manifest names just what it
// depends on.
package config
