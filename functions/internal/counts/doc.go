// Package counts keeps a contest's counts in Redis and counts each vote exactly
// once, however often and in whatever order its box is delivered, and wherever
// a process is killed.
//
// # One vote, once
//
// A box goes three steps, each of which may run any number of times:
//
//  1. Count decides the state of each vote and adds the counted ones, in one
//     script per shard. The script keeps its decision under pending, with the
//     attempt that made it. While it is there it is the answer to each
//     repetition.
//  2. The caller writes the decision to the log, with the attempt. The first to
//     be written stays.
//  3. Settle takes the decision out of pending. If it is the one that the log
//     holds, the same script adds it to the figures that count states, not
//     votes. If not, then the box had been through all three steps before: its
//     votes were all found again as duplicates, and nothing is to be added.
//
// So no memory of boxes is needed beyond those on their way, and Redis knows of
// a vote no more than its id, as 8 bytes of an integer set.
//
// # Keys
//
// All keys of one shard of a contest begin with marimba:{<contest>:<shard>}, so
// they are in one slot of a Redis Cluster. The scripts are given that beginning
// as their key and make the rest from it. A vote belongs to the shard of its
// voter's key or, without a voter, of its id. Separators are colons, and the
// character U+001F where free text is part of a field: no name holds one.
//
//	ids:<bucket>     set      hashes of the ids of counted votes, as integers
//	over:<bucket>    set      hashes of the ids of votes over the limit
//	voters:<bucket>  hash     hash of the voter (per_band: and the band) → votes counted
//	latest:<bucket>  hash     in mode replace: hash of the voter → <at>|<id>|<field of tally> of the vote that counts
//	limited          string   there are keys over:*
//	tally            hash     <band> US <album> US <rank in hundredths> → votes
//	bands            zset     band → votes
//	albums           zset     "<band> — <album>" → votes
//	version          string   number of changes of tally
//	pending          hash     <event id> → <attempt>|<one letter a vote: c d o r>
//	figures          hash     <channel>:<state> → votes; replaced → votes
//	reasons          hash     code → refused votes
//	seconds:<minute> hash     <second 0–59>:<state> → votes received in it; kept 3 hours
//	minutes:<hour>   hash     <minute 0–59> US <band> → votes counted; kept 48 hours
//	newest           stream   e → the newest votes of a box as JSON; about 100 boxes
//
// <minute> and <hour> are those of Unix time. Numbers of a contest are the sums
// over its shards.
//
// # Memory
//
// Ids are spread over 16,384 buckets a contest. As long as none has more members
// than Redis's set-max-intset-entries, an id takes between 8 and 10 bytes once a
// contest has some hundred thousand: 9.4 were measured at 2 million, on Redis 7.0
// (BenchmarkMemory). The default of 512 is good for 8 million votes a contest.
// Everything else grows with distinct bands, albums and ranks, and under a limit
// with voters; never with anything that is not a counted vote. In a contest of
// open roster a sender can invent bands: each costs him a vote, and Redis about
// 400 bytes. They are not folded into one line: a count that is shown must be a
// count of what was cast. Bound it by the contest's roster.
package counts
