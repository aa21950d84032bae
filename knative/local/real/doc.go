// Package real runs the servers that Marimba's functions talk to as processes
// of this machine: Apache Kafka, redis-server, and FerretDB in MongoDB's place.
// A test, a benchmark or a fault suite starts them, kills them as kill -9 does,
// and starts them again on what they had written.
//
// Nothing is downloaded: scripts/kafka/fetch brings Kafka's jars, and whatever
// is not on the machine is an error that wraps ErrMissing.
//
// On Linux no part outlives this process, even one that is killed. Elsewhere a
// killed process leaves its parts behind.
package real
