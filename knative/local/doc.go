// Package local runs Marimba's Knative manifests on one machine, without a
// cluster: each Service is a child process that starts on its first request
// and ends when it is idle, each KafkaSource a consumer group with Knative's
// retries and dead letter, and a gateway stands where Kourier would.
//
// Kafka and Redis run inside this process and MongoDB's stand-in, FerretDB, as
// a child, unless their addresses are given.
//
// README.md says what of Knative is honoured and what differs.
package local
