package mongodb

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/event"

	"marimba/functions/internal/telemetry"
)

// watch tells how long each command takes, by its name.
func watch() *event.CommandMonitor {
	return &event.CommandMonitor{
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) {
			telemetry.MongoDB(e.CommandName, e.Duration, nil)
		},
		Failed: func(_ context.Context, e *event.CommandFailedEvent) {
			telemetry.MongoDB(e.CommandName, e.Duration, e.Failure)
		},
	}
}
