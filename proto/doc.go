// Package proto holds Marimba's wire forms: marimba.v1, and confproto, the
// form of the system that Marimba succeeds. The Go code beside the .proto files
// is generated; scripts/test fails when it is stale.
package proto

//go:generate go run ./generate
