package main

import (
	"strings"
	"testing"
)

// Settings are whole or refused, all faults at once.
func TestSettings(t *testing.T) {
	good := []string{"KAFKA_BROKER=localhost:9092", "VOTER_SECRET=s", "RECEIPT_SECRET=r", "GRPC_TARGET=ingress-grpc.marimba.svc.cluster.local:80"}
	s, err := load(good)
	if err != nil || s.Target != "ingress-grpc.marimba.svc.cluster.local:80" || s.Port != 8080 {
		t.Errorf("%+v, %v", s, err)
	}
	_, err = load([]string{"GRPC_TARGET=ingress-grpc"})
	for _, want := range []string{"KAFKA_BROKER", "VOTER_SECRET", "RECEIPT_SECRET", `GRPC_TARGET: "ingress-grpc" is not host:port`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in %v", want, err)
		}
	}
	if _, err = load(good[:2]); err == nil || !strings.Contains(err.Error(), "GRPC_TARGET: is not set") {
		t.Errorf("without a target: %v", err)
	}
}
