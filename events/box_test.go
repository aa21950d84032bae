package events

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func sampleBox() Box {
	at := time.Date(2026, 5, 1, 16, 0, 0, 123e6, time.UTC)
	return Box{
		ID: "0196ccd5-7d3b-7000-8000-000000000001", Contest: "default", Channel: ByGRPC,
		Votes: []Vote{
			{ID: "a", Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 200, At: at},
			{ID: "b", Name: "Malacates Trébol Shop", Album: "Paquetecuetes", Year: 2006, Rank: 950,
				VoterKey: bytes.Repeat([]byte{7}, 32), At: at.Add(5 * time.Millisecond), Index: 1,
				Reason: BandUnknown, Field: "name", CastAt: at.Add(-time.Hour)},
		},
	}
}

func TestBoxComesBackAsItWas(t *testing.T) {
	want := sampleBox()
	got, err := UnmarshalBox(want.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The bytes in Kafka outlive any version of the code, so they are pinned.
func TestBoxBytesAreThoseOfTheGoldenFile(t *testing.T) {
	const golden = "testdata/box.hex"
	got := hex.EncodeToString(sampleBox().Marshal()) + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestUnmarshalBoxSaysWhatIsNotABox(t *testing.T) {
	change := func(f func(*Box)) []byte {
		b := sampleBox()
		f(&b)
		return b.Marshal()
	}
	for say, data := range map[string][]byte{
		"nothing":             {},
		"text":                []byte("{}"),
		"cut off":             sampleBox().Marshal()[:40],
		"no id":               change(func(b *Box) { b.ID = "" }),
		"contest in capitals": change(func(b *Box) { b.Contest = "X" }),
		"no votes":            change(func(b *Box) { b.Votes = nil }),
		"vote without id":     change(func(b *Box) { b.Votes[0].ID = "" }),
		"vote without name":   change(func(b *Box) { b.Votes[0].Name = "" }),
		"rank out of bounds":  change(func(b *Box) { b.Votes[0].Rank = MaxRank + 1 }),
		"too many votes":      change(func(b *Box) { b.Votes = make([]Vote, MaxBoxVotes+1) }),
	} {
		if _, err := UnmarshalBox(data); !errors.Is(err, ErrBox) {
			t.Errorf("%s: got %v, want ErrBox", say, err)
		}
	}
}

func TestEventSurvivesKafkaHeaders(t *testing.T) {
	e := sampleBox().Event(TypeAccepted, "screen")
	e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	got, err := EventOfKafka(KafkaHeaders(e), e.Data())
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != e.String() || !reflect.DeepEqual(got.Extensions(), e.Extensions()) {
		t.Errorf("got\n%s\nwant\n%s", got, e)
	}
	box, err := BoxOf(got)
	if err != nil || !reflect.DeepEqual(box, sampleBox()) {
		t.Errorf("box: %+v, %v", box, err)
	}
}

func TestEventsOfOneBoxHaveIDsOfTheirOwn(t *testing.T) {
	b := sampleBox()
	seen := map[string]bool{}
	for kind := range kinds {
		e := b.Event(kind, "screen")
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if seen[e.ID()] || !strings.HasPrefix(e.ID(), b.ID) {
			t.Errorf("%s: id %q", kind, e.ID())
		}
		seen[e.ID()] = true
		if TopicOf(kind) == "" {
			t.Errorf("%s: no topic", kind)
		}
	}
}

func TestBoxOfRefusesEventsThatDoNotMatch(t *testing.T) {
	e := sampleBox().Event(TypeCast, "ingress-http")
	e.SetID("another")
	if _, err := BoxOf(e); !errors.Is(err, ErrBox) {
		t.Errorf("an event whose id is not its box's: %v", err)
	}
	e = sampleBox().Event(TypeCast, "ingress-http")
	e.SetType("dev.knative.kafka.event")
	if _, err := BoxOf(e); !errors.Is(err, ErrBox) {
		t.Errorf("an event of another type: %v", err)
	}
}

func TestEveryRouteNamesKnownTopics(t *testing.T) {
	written := map[Topic]bool{VotesDead: true} // by the sources
	for _, r := range Routes {
		for _, topic := range r.Writes {
			written[topic] = true
		}
	}
	for _, r := range Routes {
		for _, topic := range r.Reads {
			if !written[topic] {
				t.Errorf("%s reads %s, which nobody writes", r.Function, topic)
			}
		}
		if got, ok := RouteOf(r.Function); !ok || got.Function != r.Function {
			t.Errorf("RouteOf(%s) = %v, %v", r.Function, got, ok)
		}
	}
	if len(written) != len(Topics) {
		t.Errorf("topics %v, written %v", Topics, written)
	}
}

func FuzzUnmarshalBox(f *testing.F) {
	f.Add(sampleBox().Marshal())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := UnmarshalBox(data)
		if err != nil {
			return
		}
		again, err := UnmarshalBox(b.Marshal())
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if !bytes.Equal(again.Marshal(), b.Marshal()) {
			t.Fatal("writing is not stable")
		}
	})
}

func BenchmarkBox(b *testing.B) {
	box := Box{ID: "0196ccd5-7d3b-7000-8000-000000000001", Contest: "default", Channel: ByGRPC}
	for i := range MaxBoxVotes {
		v := sampleBox().Votes[0]
		v.Index = i
		box.Votes = append(box.Votes, v)
	}
	b.Run("marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			box.Marshal()
		}
	})
	data := box.Marshal()
	b.Run("unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(data))/MaxBoxVotes, "bytes/vote")
		for b.Loop() {
			if _, err := UnmarshalBox(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
