package main

import (
	"bytes"
	"testing"

	"marimba/events"
	"marimba/events/seal"
	marimbav1 "marimba/proto/marimba/v1"
)

// Each answer holds the secret of its receipt, and the commitment to what was cast.
func TestReceiptsHoldKeepsakes(t *testing.T) {
	caster := new(casterTwin)
	d := newDoor(t, caster)
	one, err := d.votes.Cast(t.Context(), vote("A"))
	if err != nil {
		t.Fatal(err)
	}
	rock := vote("TREBOL")
	rock.Contest = "rock"
	many, err := d.votes.CastMany(t.Context(), &marimbav1.CastManyRequest{Votes: []*marimbav1.Vote{rock, vote("B"), vote("")}})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := d.votes.CastStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&marimbav1.CastStreamRequest{Seq: 1, Vote: vote("C")}); err != nil {
		t.Fatal(err)
	}
	last, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	got := []*marimbav1.Receipt{one, many.GetResults()[0].GetReceipt(), many.GetResults()[1].GetReceipt(), last.GetResult().GetReceipt()}
	for i, want := range []struct{ contest, name string }{{"default", "A"}, {"rock", "Trébol"}, {"default", "B"}, {"default", "C"}} {
		secret := secrets.Of(want.contest, got[i].GetReceipt())
		v := events.Vote{Name: want.name, Album: "Conquista", Year: 1982, Rank: 200}
		commitment := seal.OpeningOf(want.contest, events.ByGRPC, &v).Commit(secret.Salt())
		if !bytes.Equal(got[i].GetSecret(), secret[:]) || !bytes.Equal(got[i].GetCommitment(), commitment[:]) {
			t.Errorf("%s: %v", want.name, got[i])
		}
	}
	if no := many.GetResults()[2]; no.GetReceipt() != nil {
		t.Errorf("a refusal has a receipt: %v", no)
	}
}
