package problem

import (
	"testing"

	"marimba/events"
)

// What a refusal costs in words, which a file of 10,000 bad rows pays 10,000
// times.
func BenchmarkMessage(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Message("es-GT,es;q=0.9,en;q=0.8", events.Refuse(events.BandUnknown, "name", "name", "La Tona"))
	}
}
