// Package events holds the words of the house: what a ballot, a vote, a box,
// a refusal and a contest are, which events carry them, and which function
// reads and writes which topic.
//
// It imports nothing else of Marimba, so every other package may import it.
package events
