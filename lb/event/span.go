package event

// Span is the place of a request, or of an attempt, in a trace (W3C Trace Context,
// https://www.w3.org/TR/trace-context/). The zero value is in none.
//
// Where the balancer takes no part in traces, ID is zero, and Trace and Parent are
// those that the client sent and that were passed on.
type Span struct {
	Trace   [16]byte
	ID      [8]byte // its own
	Parent  [8]byte // zero: it is the first of its trace
	Sampled bool    // it is wanted by whoever exports spans; never without an ID
	State   []byte  // the client's tracestate, if it is sampled; hostile
}

// Traced reports whether there is a trace that it belongs to.
func (s *Span) Traced() bool { return s.Trace != [16]byte{} }

// TraceParent is what the sender of a request says of its trace.
type TraceParent uint8

const (
	NoTraceParent  TraceParent = iota // nothing that is well-formed: the trace begins here
	ParentDropped                     // that its own span is not recorded
	ParentRecorded                    // that it may be
)

// Sampler says whether the spans of a request are wanted, by its trace's id and what
// its sender says. It is asked once a request, on the request path, and must be quick.
type Sampler func(trace [16]byte, parent TraceParent) bool
