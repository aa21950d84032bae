// Package journal keeps the log of all votes in MongoDB: what was cast, and what
// became of it. The log is what counts are rebuilt from and held against; what
// was written, and is not void, is never changed.
//
// # Collections
//
// boxes has one document for each box as screen passed it on, so at most two for
// a box that was cast:
//
//	_id      "<box id>/accepted" or "<box id>/refused", the id of the event
//	contest  id of the contest
//	channel  http, wasm, grpc, event
//	at       date: receipt of the box's first vote
//	attempt  which of perhaps several decisions on the box this is, "<life>:<name>" (see package counts)
//	place    where the event was in its topic, "<partition>/<offset>", if that is known
//	logged   date: when the box was brought to the log
//	bands    folded names of the bands in it, each once
//	states   states of its votes, each once
//	votes    text: one line a vote, its columns with tabs between: index, id, name,
//	         album, year, rank in hundredths, receipt in ms of Unix time, state,
//	         reason, field, voter's key in base64, the sender's time in ms
//
// The votes are one text, and not up to 500 documents of 12 fields, because a box
// is read whole or not at all: on FerretDB it is written 8 times as fast and read
// 13 times (BenchmarkAppend), and nowhere do BSON's own costs come once a field.
// No name holds a tab or a line end. The voter's key is an HMAC-SHA256, never the
// voter.
//
// A vote's receipt is "<box id>.<index>", so a look-up needs no index by vote.
// Indexes: (contest, at, _id) and (at, _id), newest first.
//
// The view votes shows boxes as one document a vote, with the receipt as _id and
// each column as a field, to people who query by hand. Nothing here reads it.
//
// dead has one document for each event that a source gave up on; see DeadLetter.
//
// statements has one document for each contest that is final; see Statement.
//
// annulments has the acts by which counted votes are set aside, "<contest>/<number>";
// see Ruling. Boxes are not changed by them.
//
// forgotten has one document for each contest whose voter key was destroyed; see
// Forgetting.
//
// lives has one document for each life of a contest's counts (package counts tells
// what that is), the log of all mending and recounts too:
//
//	_id      "<contest>/<number>", so a life begins once
//	contest, number
//	at       date
//	cause    why the counts were rebuilt
//	found    what they were before, held against the log
//	boxes, votes  of the log that the life began with
//	token, chunks  where its marks are
//
// seals has these marks, 8 bytes for each box of the life before that the life
// began with, 65,536 in a document "<contest>/<number>/<token>/<n>". A box whose
// attempt is of a life that has ended stands if the next life has its mark, and is
// void if not: it was logged too late, counts for nothing, and is replaced when it
// is delivered again. Entries leaves void boxes out. Pages and look-ups by receipt
// do not ask: a void box is on its way, and its votes are shown as they were
// decided first for the seconds until that is done.
//
// # FerretDB
//
// All of it runs on MongoDB and on FerretDB 1 (SQLite). There indexes other than
// that of _id serve no query and views are not known, so neither is made, and
// what is not looked up by _id reads the whole collection. A replacement is not
// atomic there: two that are made of one void box in the same moment, in different
// lives, could both be believed.
package journal
