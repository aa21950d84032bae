//go:build unix

package rules

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"marimba/events"
)

// rock is a contest of some size.
func rock(code ...byte) events.Contest {
	c := events.Contest{Rules: events.Module{Code: code}, ID: "rock", RankMax: 1000, YearMin: 1970, AlbumRequired: true}
	for _, name := range []string{"Alux Nahual", "Bohemia Suburbana", "Viernes Verde", "La Tona", "Malacates Trébol Shop", "Viento en Contra", "El Clubo"} {
		b := events.Band{Name: name, Aliases: []string{"La " + name}}
		for _, title := range []string{"Alto al Fuego", "Sombras en el Jardín", "Centroamérica", "Mil Palabras con sus Dientes", "Sub"} {
			b.Albums = append(b.Albums, events.Album{Title: title})
		}
		c.Bands = append(c.Bands, b)
	}
	return c
}

// measure runs f again and again and reports the processor's time, all threads
// together: on a machine that has more to do, time by the clock says little.
func measure(b *testing.B, f func()) {
	used := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	f()
	b.ReportAllocs()
	b.ResetTimer()
	before := used()
	for range b.N {
		f()
	}
	b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op")
}

// A vote is judged in less than 1 µs, without an allocation; shown beside it are
// the twin in Go, and the example's own rule on top.
func BenchmarkJudge(b *testing.B) {
	example, err := os.ReadFile("example/example.wasm")
	if err != nil {
		b.Fatal(err)
	}
	for _, album := range []string{"Alto al Fuego", "Sombras en el Jardín"} {
		vote := events.Vote{Name: "Bohemia Suburbana", Album: album, Year: 1993, Rank: 100, At: time.Now(), VoterKey: make([]byte, 32)}
		with := func(r *Rules) func(*testing.B) {
			return func(b *testing.B) {
				measure(b, func() {
					v := vote
					if no, err := r.Judge(&v); no != nil || err != nil {
						b.Fatal(no, err)
					}
				})
			}
		}
		b.Run("wasm/"+album, with(New(rock())))
		b.Run("own/"+album, with(New(rock(example...))))
		b.Run("twin/"+album, func(b *testing.B) {
			twin := newTwin(rock())
			measure(b, func() {
				v := vote
				if no := twin.judge(&v); no != nil {
					b.Fatal(no)
				}
			})
		})
	}
}

// A vote of 120 bytes is read and judged in less than 3 µs, without an allocation:
// the texts of some dozens of ballots share one.
func BenchmarkReadAndJudge(b *testing.B) {
	data := []byte(`{"id":"plaza-0001","name":"Alux Nahual","album":"Alto al Fuego","year":"1987","rank":"3","voter":"plaza-001","x":1}`)
	now := time.Now()
	b.Run("wasm", func(b *testing.B) {
		r := New(rock())
		measure(b, func() {
			ballot, no, err := Read(data, false)
			if no != nil || err != nil {
				b.Fatal(no, err)
			}
			v := events.Vote{Name: ballot.Name, Album: ballot.Album, Year: 1987, Rank: 300, At: now}
			if no, err := r.Judge(&v); no != nil || err != nil {
				b.Fatal(no, err)
			}
		})
	})
	b.Run("twin", func(b *testing.B) {
		twin := newTwin(rock())
		measure(b, func() {
			v, _, no := twinRead(data, false)
			if no != nil {
				b.Fatal(no)
			}
			v.At = now
			if no := twin.judge(&v); no != nil {
				b.Fatal(no)
			}
		})
	})
}

// A process has its first judge in less than 30 ms: the module compiled, an
// instance made, and the contest given to it.
func BenchmarkStart(b *testing.B) {
	c := rock()
	measure(b, func() {
		m, err := compile(houseCode, wazero.NewRuntimeConfig().WithMemoryLimitPages(housePages))
		if err != nil {
			b.Fatal(err)
		}
		in, err := m.start(&c)
		if err != nil {
			b.Fatal(err)
		}
		in.close()
		if err := m.runtime.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

// Another contest of the same process is ready in a fraction of that.
func BenchmarkStartOfAnotherContest(b *testing.B) {
	c := rock()
	m, err := house()
	if err != nil {
		b.Fatal(err)
	}
	measure(b, func() {
		in, err := m.start(&c)
		if err != nil {
			b.Fatal(err)
		}
		in.close()
	})
}
