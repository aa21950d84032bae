// Package tlog keeps the public log of counted votes in MongoDB: for each contest
// a Merkle tree of the votes' commitments (package seal), grown batch by batch,
// with a signed checkpoint after each.
//
// # Collections
//
// leaves has one document for each batch, and is all that the log is: what else
// there is can be made again of it. A batch is committed by being inserted, which
// only one writer of a number can.
//
//	_id         "<contest>/<n>", n from 1
//	contest, n
//	first, size leaves of the log before the batch, and with it
//	root        of the tree with it
//	checkpoint  signed text
//	key         that the checkpoint is verified with
//	boxes       ids of the boxes whose counted votes are in it
//	order       4 bytes for each leaf: which of the boxes, and the vote's index in it
//	leaves      32 bytes for each leaf: its entry, which is the vote's commitment
//
// Within a batch leaves are in the order of their commitments, so that a leaf's
// place says of its vote only which batch it was in.
//
// sealed has a document for each box, that claims it for the batch that is about
// to be committed: _id "<contest>/<box id>", n. A box is sealed if the batch of its
// claim holds it. If the batch was committed without it, because its writer ended
// or came too late, the box is claimed once more, as "<contest>/<box id>/2", and so
// on: claims are inserted and never changed, so that two writers cannot both think
// that a box is theirs for different batches.
//
// tiles has the finished tiles of entries and of levels from 1: _id
// "<contest>/<level>/<index>", data. Level 0 is hashed from the entries when it is
// read.
//
// logs has one document for each contest, its head: _id contest, n, size, root,
// checkpoint, key, and the unfinished tiles of the tree's edge.
//
// # Once
//
// A batch is made in these steps, each of which may be repeated, and after any of
// which its writer may end:
//
//  1. Claim its boxes for n+1, where n is the last batch that is committed.
//  2. Insert batch n+1.
//  3. Insert the tiles that it finished.
//  4. Replace the head, never by an older one.
//
// A box is in two batches never: one that is in batch n has a claim for n, and no
// claim behind that one, for that is made only when n is seen to be without it. A
// vote whose event is delivered until it is answered is in one at last. Steps 3 and
// 4 of the last batch are done again by whoever opens the contest's log next.
//
// Everything is looked up by _id, which FerretDB too has an index for. There the
// head's replacement is not atomic: of two writers at once the slower may set it
// back by a batch for a moment.
package tlog
