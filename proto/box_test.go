package proto_test

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"marimba/events"
	"marimba/proto/confproto"
	marimbav1 "marimba/proto/marimba/v1"
)

// The hand-written codec of package events and the generated code read each
// other's boxes.
func TestBoxCodecAgreesWithGeneratedCode(t *testing.T) {
	at := time.UnixMilli(1777651200123).UTC()
	box := events.Box{ID: "box-1", Contest: "default", Channel: events.ByHTTP, Votes: []events.Vote{{
		ID: "v-1", Name: "Bohemia Suburbana", Album: "Sub", Year: 2000, Rank: 950,
		VoterKey: bytes.Repeat([]byte{9}, 32), At: at, Index: 0,
		Reason: events.TooLate, Field: "rank", CastAt: at.Add(-time.Second),
	}, {
		ID: "v-2", Name: "Alux Nahual", Year: 1982, At: at.Add(time.Second), Index: 499,
	}}}
	var generated marimbav1.Box
	if err := proto.Unmarshal(box.Marshal(), &generated); err != nil {
		t.Fatal(err)
	}
	want := &marimbav1.Box{Id: "box-1", Contest: "default", Channel: "http", AtMs: 1777651200123,
		Votes: []*marimbav1.BoxedVote{{
			Id: "v-1", Name: "Bohemia Suburbana", Album: "Sub", Year: 2000, Rank: 950,
			VoterKey: bytes.Repeat([]byte{9}, 32), Reason: "too_late", Field: "rank", CastAtMs: 1777651199123,
		}, {
			Id: "v-2", Name: "Alux Nahual", Year: 1982, AfterMs: 1000, Index: 499,
		}}}
	if !proto.Equal(&generated, want) {
		t.Errorf("got  %v\nwant %v", &generated, want)
	}
	data, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	back, err := events.UnmarshalBox(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Marshal(), box.Marshal()) {
		t.Errorf("got  %+v\nwant %+v", back, box)
	}
}

// A message of the older system decodes as a vote.
func TestOlderMessageIsAVote(t *testing.T) {
	data, err := proto.Marshal(&confproto.RequestId{Name: "Band A", Album: "Album A1", Year: "1924", Rank: "1"})
	if err != nil {
		t.Fatal(err)
	}
	var vote marimbav1.Vote
	if err := proto.Unmarshal(data, &vote); err != nil {
		t.Fatal(err)
	}
	want := &marimbav1.Vote{Name: "Band A", Album: "Album A1", Year: "1924", Rank: "1"}
	if !proto.Equal(&vote, want) {
		t.Errorf("got %v, want %v", &vote, want)
	}
}
