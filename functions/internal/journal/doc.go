// Package journal keeps the log of all votes in MongoDB: what was cast, and what
// became of it. The log is what counts are rebuilt from and held against; what
// was written is never changed.
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
//	attempt  which of perhaps several decisions on the box this is (see package counts)
//	bands    folded names of the bands in it, each once
//	states   states of its votes, each once
//	votes    [{index, id, name, album, year, rank, at, state, reason, field, voter}]
//
// A vote's rank is in hundredths, and its voter the voter's key: HMAC-SHA256,
// never the voter. Its receipt is "<box id>.<index>", so a look-up needs no index
// by vote. Indexes: (contest, at, _id) and (at, _id), newest first.
//
// The view votes shows boxes as one document a vote, with the receipt as _id, to
// people who query by hand. Nothing here reads it.
//
// dead has one document for each event that a source gave up on; see DeadLetter.
//
// # FerretDB
//
// All of it runs on MongoDB and on FerretDB 1 (SQLite). There indexes other than
// that of _id serve no query and views are not known, so neither is made, and
// what is not looked up by _id reads the whole collection.
package journal
