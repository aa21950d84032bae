package proto_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"marimba/events"
	"marimba/proto/confproto"
	marimbav1 "marimba/proto/marimba/v1"
)

// sample is a box as package events has it, and as the generated code has it.
func sample() (events.Box, *marimbav1.Box) {
	at := time.UnixMilli(1777651200123).UTC()
	return events.Box{ID: "box-1", Contest: "default", Channel: events.ByHTTP, Votes: []events.Vote{{
			ID: "v-1", Name: "Bohemia Suburbana", Album: "Sub", Year: 2000, Rank: 950,
			VoterKey: bytes.Repeat([]byte{9}, 32), At: at, Index: 0,
			Reason: events.TooLate, Field: "rank", CastAt: at.Add(-time.Second),
		}, {
			ID: "v-2", Name: "Alux Nahual", Year: 1982, At: at.Add(time.Second), Index: 499,
		}}},
		&marimbav1.Box{Id: "box-1", Contest: "default", Channel: "http", AtMs: 1777651200123,
			Votes: []*marimbav1.BoxedVote{{
				Id: "v-1", Name: "Bohemia Suburbana", Album: "Sub", Year: 2000, Rank: 950,
				VoterKey: bytes.Repeat([]byte{9}, 32), Reason: "too_late", Field: "rank", CastAtMs: 1777651199123,
			}, {
				Id: "v-2", Name: "Alux Nahual", Year: 1982, AfterMs: 1000, Index: 499,
			}}}
}

// The hand-written codec of package events and the generated code read each
// other's boxes.
func TestBoxCodecAgreesWithGeneratedCode(t *testing.T) {
	box, want := sample()
	agree(t, box, want)
}

// agree checks that each codec reads what the other has written.
func agree(t *testing.T, box events.Box, generated *marimbav1.Box) {
	t.Helper()
	var read marimbav1.Box
	if err := proto.Unmarshal(box.Marshal(), &read); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(&read, generated) {
		t.Errorf("the generated code reads\n%v, not\n%v", &read, generated)
	}
	data, err := proto.Marshal(generated)
	if err != nil {
		t.Fatal(err)
	}
	back, err := events.UnmarshalBox(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, box) {
		t.Errorf("package events reads\n%+v, not\n%+v", back, box)
	}
}

// So they do for any box: with fields that are empty, small, or as large as may
// be, and any times.
func TestBoxCodecsAgreeOnAnyBox(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(most int) string {
		return strings.Repeat([]string{"a", "ñ", "\u4e16", "𝄞", ""}[random.IntN(5)], random.IntN(most+1))
	}
	for range 200 {
		first := time.UnixMilli(random.Int64N(1 << 42)).UTC()
		box := events.Box{ID: "box-2", Contest: "rock", Channel: events.Channels[random.IntN(len(events.Channels))]}
		generated := &marimbav1.Box{Id: box.ID, Contest: box.Contest, Channel: string(box.Channel), AtMs: uint64(first.UnixMilli())}
		for i := range 1 + random.IntN(20) {
			after := time.Duration(random.Int64N(1<<20)) * time.Millisecond
			if i == 0 {
				after = 0
			}
			v := events.Vote{
				ID: "v", Name: "b" + text(119), Album: text(160), Year: random.Int32N(events.MaxYear + 1), Rank: random.Int32N(events.MaxRank + 1),
				At: first.Add(after), Index: random.IntN(events.MaxBoxVotes), Reason: events.Code(text(20)), Field: text(10),
			}
			if random.IntN(2) == 0 {
				v.VoterKey = bytes.Repeat([]byte{byte(i)}, 1+random.IntN(32))
				v.CastAt = time.UnixMilli(1 + random.Int64N(1<<47)).UTC()
			}
			in := &marimbav1.BoxedVote{
				Id: v.ID, Name: v.Name, Album: v.Album, Year: uint32(v.Year), Rank: uint32(v.Rank), VoterKey: v.VoterKey,
				AfterMs: uint64(after.Milliseconds()), Index: uint32(v.Index), Reason: string(v.Reason), Field: v.Field,
			}
			if !v.CastAt.IsZero() {
				in.CastAtMs = uint64(v.CastAt.UnixMilli())
			}
			box.Votes, generated.Votes = append(box.Votes, v), append(generated.Votes, in)
		}
		agree(t, box, generated)
	}
}

// A box of a later version, with fields of every kind that this one does not
// know, is read for what it knows.
func TestBoxOfALaterVersionIsRead(t *testing.T) {
	later := func(m proto.Message) {
		var more []byte
		more = protowire.AppendVarint(protowire.AppendTag(more, 100, protowire.VarintType), 1<<60)
		more = protowire.AppendString(protowire.AppendTag(more, 101, protowire.BytesType), "later")
		more = protowire.AppendFixed32(protowire.AppendTag(more, 102, protowire.Fixed32Type), 7)
		more = protowire.AppendFixed64(protowire.AppendTag(more, 103, protowire.Fixed64Type), 7)
		more = protowire.AppendTag(more, 104, protowire.StartGroupType)
		more = protowire.AppendVarint(protowire.AppendTag(more, 1, protowire.VarintType), 9)
		more = protowire.AppendTag(more, 104, protowire.EndGroupType)
		m.ProtoReflect().SetUnknown(more)
	}
	want, generated := sample()
	later(generated)
	for _, v := range generated.GetVotes() {
		later(v)
	}
	data, err := proto.Marshal(generated)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte("later")) {
		t.Fatal("there is nothing of a later version in it")
	}
	got, err := events.UnmarshalBox(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
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

// What the older system calls its service, its method and its fields is on the
// wire, and does not change.
func TestOlderServiceKeepsItsNames(t *testing.T) {
	if got := confproto.GetInfo_ReturnInfo_FullMethodName; got != "/confproto.getInfo/returnInfo" {
		t.Errorf("the method is %s", got)
	}
	fields := (&confproto.RequestId{}).ProtoReflect().Descriptor().Fields()
	votes := (&marimbav1.Vote{}).ProtoReflect().Descriptor().Fields()
	for i, name := range []protoreflect.Name{"name", "album", "year", "rank"} {
		number := protoreflect.FieldNumber(i + 1)
		for _, f := range []protoreflect.FieldDescriptor{fields.ByNumber(number), votes.ByNumber(number)} {
			if f == nil || f.Name() != name || f.Kind() != protoreflect.StringKind {
				t.Errorf("field %d is %v, not %s", number, f, name)
			}
		}
	}
}
