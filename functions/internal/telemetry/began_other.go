//go:build !linux

package telemetry

import "time"

// processBegan is when the process began to run Go's code.
func processBegan() time.Time { return began }
