// Package seal holds the words of the public log: the secret that a voter is
// given, the commitment that the log shows for a counted vote, the tree that is
// grown over the commitments of a contest, its tiles, its checkpoints and the
// proofs that anyone can check.
//
// A vote's secret follows from the house's receipt secret, the contest and the
// receipt, so that nothing has to be stored or carried to know it again. The salt
// follows from the secret and not the other way: the log may be opened, vote by
// vote, with its salts, and still only the voter can show that a leaf is theirs.
//
// The tree is RFC 6962's over SHA-256, one per contest; a leaf's entry is the
// commitment. Tiles and their paths are those of C2SP tlog-tiles, checkpoints those
// of C2SP tlog-checkpoint in the signed-note format with Ed25519. Nothing here
// reads a clock, a network or a file.
package seal
