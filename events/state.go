package events

// State is what became of a vote that was answered with success. Each such
// vote ends in exactly one of them.
type State string

// The final states.
const (
	Counted   State = "counted"
	Duplicate State = "duplicate"  // the same id of the same voter again
	OverLimit State = "over_limit" // more votes than the contest gives a voter
	Refused   State = "refused"    // the contest's rules do not admit it
	Dead      State = "dead"       // could not be handled; shelved with its cause
)

// Annulled is what a counted vote is shown as while an annulment is in force that
// chooses it. It is no final state: the vote was counted, and the log says so.
const Annulled State = "annulled"

// States lists all final states, in the order in which books show them.
var States = []State{Counted, Duplicate, OverLimit, Refused, Dead}

// Channel is the door that a vote came in by.
type Channel string

// The channels.
const (
	ByHTTP  Channel = "http"  // JSON and files
	ByWasm  Channel = "wasm"  // the older /rust and /wasm routes
	ByGRPC  Channel = "grpc"  // gRPC, and the older /grpc route in front of it
	ByEvent Channel = "event" // CloudEvents
)

// Channels lists all channels.
var Channels = []Channel{ByHTTP, ByWasm, ByGRPC, ByEvent}
