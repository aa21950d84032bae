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
// # Lives
//
// Redis may lose what it knows: all of it with its disk, the last second with a
// power failure, more with a replica that takes its place. So counts are trusted
// only within a life: a time in which one and the same Redis process has had them
// since they were last known to be what the log says. Each shard notes which
// process that is, by its run id, and the number of the life. Both scripts ask
// the process that they run in for its run id, and if it is another, or nothing
// is noted, they change nothing and answer LIFE (ErrLife). It costs about 8
// microseconds a script, and nothing that a client remembers can be wrong.
//
// Whoever is told LIFE has the counts mended (package mend): the next life begins
// with counts that are rebuilt from the log. These are its steps:
//
//  1. EndLife in every shard. What was settled before is in the log. From now on
//     nothing is counted or settled.
//  2. Read the whole log into a Shadow, a second set of keys.
//  3. Hold the shadow against a Recount, which knows no Redis.
//  4. Begin life n+1 in the log (journal.Begin), with the marks of all boxes of
//     life n that were read: these stand. The log takes a number once.
//  5. Shadow.Live: the shadow takes the place of the counts, and the shards get
//     the life. All that is shown of a shard changes in one script.
//
// A mender may be killed between any two of them: then there is no life, and the
// next box has another one begin. A lock keeps menders from doing the same work
// twice, but nothing rests on it: the log lets one of them begin life n+1, and a
// shadow is its maker's alone. Its steps are numbered, so that one that is sent
// again is done once, and so that a shadow which a Redis lost the end of is not
// taken for a whole one.
//
// Each decision names its life. A box that was decided in life n, and came into
// the log after the log had been read for life n+1, is not in the counts; maybe
// its votes have been decided anew, or others in their place. It is not among the
// marks, so it is void: it counts for nothing wherever the log is read, and when
// it is delivered again, which must happen, since a box is settled in the life
// that it was decided in or not at all, its document is replaced by the decision
// of the present life. A box that stands is recognized in the same way, and found
// to consist of duplicates, as any that is delivered twice.
//
// One thing more can be lost: the log may call a vote a duplicate of one that was
// counted in life n and never came into the log. Such an id is owed: life n+1
// counts the vote in the first other box that has it, and in the boxes which the
// log has already it stays a duplicate.
//
// A recount (mend.Recount) does the same to counts that live. It builds the
// shadow while these go on; then it holds the contest, so that no box is begun and
// those on their way can end, ends the life, adds what the log got meanwhile, and
// goes on with step 3. A hold ends by itself.
//
// Not seen is a Redis that is cut off from the others and goes on being written to
// by some while another has taken its place (min-replicas-to-write is the remedy),
// nor keys that somebody changes by hand: a recount finds and mends both, and says
// how many boxes are void.
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
//	version          string   grows with each change of tally, also from life to life
//	life             string   <run id of Redis> <number of the life>, and owed if there are owed ids
//	held             string   no box is begun; ends by itself
//	mender           string   in shard 0: <run id of Redis> <token>: who mends the contest; ends by itself
//	owed             hash     hash of an id → US, and <event id> US for each logged box that calls it a duplicate
//	pending          hash     <event id> → <life>:<name of the attempt>|<one letter a vote: c d o r>
//	figures          hash     <channel>:<state> → votes; replaced → votes
//	reasons          hash     code → refused votes
//	seconds:<minute> hash     <second 0–59>:<state> → votes received in it; kept 3 hours
//	minutes:<hour>   hash     <minute 0–59> US <band> → votes counted; kept 48 hours
//	newest           stream   e → the newest votes of a box as JSON; about 100 boxes
//
// A shadow has the same keys behind next:, and
//
//	next:shadow      string   <token of its maker> <number of its last step>
//	next:history     set      ends of its keys seconds:* and minutes:*
//
// <minute> and <hour> are those of Unix time. Numbers of a contest are the sums
// over its shards.
//
// # Charts
//
// For whoever looks at Redis by hand or with Grafana there is a picture of each
// contest's counts, with its shards added up and spellings joined. It is drawn
// from the counts as they are (Draw), by the tally some seconds behind the votes
// and whenever counts were rebuilt. Nothing is decided by it, nothing reads it
// back, and what is lost of it comes with the next drawing. Its keys begin with
// marimba:{<contest>}:chart.
//
//	bands            zset     band → votes; the leading 100
//	albums           zset     "<band> — <album>" → votes; the leading 100
//	states           hash     state → votes, of all channels; replaced → votes
//	standings        stream   band → votes, of the leading 20: a point in ten seconds at most; about 4,320 points
//	drawn            string   <version that it was drawn from> <votes settled>
//
// The set marimba:charts holds the contests that have one: those that have a
// counted vote.
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
//
// While a contest is rebuilt Redis holds it twice. If it has no room for that, a
// contest that lost its life gives up what it has, which is not to be trusted, and
// shows nothing until its next life begins; a recount of one that lives fails, and
// changes nothing.
package counts
