package backend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Faults is how a backend misbehaves. The zero value is a backend that is well.
//
// Of Respond, Hang, Garbage, Close and Reset at most one is given: it is what
// happens instead of an answer. The others combine with each other and with
// it. A request meets them in this order: Latency; First; Errors; what happens
// instead of an answer; then SlowBody, Truncate and ContentLength on the body
// of whatever is answered.
type Faults struct {
	Respond *Respond `json:"respond,omitzero"` // answer with this status
	Hang    bool     `json:"hang,omitzero"`    // never answer; the connection is closed when the fault ends
	Garbage bool     `json:"garbage,omitzero"` // answer bytes that are not HTTP, then close
	Close   bool     `json:"close,omitzero"`   // close the connection without an answer
	Reset   bool     `json:"reset,omitzero"`   // reset the connection (TCP RST) without an answer

	Latency Latency `json:"latency,omitzero"` // instead of the backend's own
	Errors  Errors  `json:"errors,omitzero"`  // fail a share of the requests
	First   First   `json:"first,omitzero"`   // fail the first requests from now on

	// SlowBody is how many bytes of body are sent a second, 1 to 1 Gi; 0: no limit.
	SlowBody int `json:"slowBody,omitzero"`
	// Truncate is after how many bytes of body the connection is closed, 0 or
	// more. A body not longer than that loses its last byte, a stream its end.
	Truncate *int64 `json:"truncate,omitzero"`
	// ContentLength is the length announced, whatever the body's is, 0 or more.
	// The whole body is sent and the connection then kept open, silent. Streams
	// of unknown length have none to lie about.
	ContentLength *int64 `json:"contentLength,omitzero"`

	// Health decides /healthz by itself: "pass" or "fail" (503). Empty: health
	// checks meet the other faults as any request does.
	Health string `json:"health,omitzero"`
	// For is how long the faults last, up to 24 hours; 0: until replaced.
	For Duration `json:"for,omitzero"`
}

// Respond is an answer of a given status in place of the backend's own.
type Respond struct {
	Status int      `json:"status"`         // 200 to 599
	After  Duration `json:"after,omitzero"` // the whole latency of the answer
}

// Latency is how long the backend takes over a request: always P50 if P99 is
// zero, else drawn from the log-normal distribution with that median and that
// 99th percentile. In JSON a single duration is the fixed kind.
type Latency struct {
	P50 Duration `json:"p50"`
	P99 Duration `json:"p99,omitzero"`
}

// Errors fails requests at random. In JSON a number is the share.
type Errors struct {
	Share  float64 `json:"share"`           // 0 to 1
	Status int     `json:"status,omitzero"` // 400 to 599; 0: 503
}

// First fails requests until it has failed that many. In JSON a number is how
// many.
type First struct {
	Requests int `json:"requests"`        // 0 to 1,000,000
	Status   int `json:"status,omitzero"` // 400 to 599; 0: 503
}

// Duration is a [time.Duration] that is a string with a unit in JSON: "250ms".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes it as a Go duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration: write a number with a unit, such as 250ms or 2s", b)
	}
	*d = Duration(v)
	return nil
}

// UnmarshalJSON reads {"p50": …, "p99": …} or a single duration.
func (l *Latency) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		*l = Latency{}
		return json.Unmarshal(b, &l.P50)
	}
	type long Latency
	return strict(b, (*long)(l))
}

// UnmarshalJSON reads {"share": …, "status": …} or the share alone.
func (e *Errors) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		*e = Errors{}
		return json.Unmarshal(b, &e.Share)
	}
	type long Errors
	return strict(b, (*long)(e))
}

// UnmarshalJSON reads {"requests": …, "status": …} or the number alone.
func (f *First) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		*f = First{}
		return json.Unmarshal(b, &f.Requests)
	}
	type long First
	return strict(b, (*long)(f))
}

// ParseFaults reads faults from JSON and checks them. Unknown fields, wrong
// types and anything after the object are errors that name the field.
func ParseFaults(b []byte) (Faults, error) {
	var f Faults
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return f, errors.New(`a JSON object is wanted, such as {"respond": {"status": 503}}`)
	}
	if err := strict(b, &f); err != nil {
		return Faults{}, explain(err)
	}
	if err := f.validate(); err != nil {
		return Faults{}, err
	}
	return f, nil
}

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object: give one object")
	}
	return nil
}

// explain says a decoding error without the names of Go's types.
func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		field := wrong.Field
		if field == "" {
			field = "the value"
		}
		return fmt.Errorf("%s: a %s is not what is wanted here", field, wrong.Value)
	}
	msg := strings.TrimPrefix(err.Error(), "json: ")
	if strings.HasPrefix(msg, "unknown field") {
		msg += ": known are respond, hang, garbage, close, reset, latency, errors, first, slowBody, truncate, contentLength, health, for" +
			" (respond: status, after; latency: p50, p99; errors: share, status; first: requests, status)"
	}
	return errors.New(msg)
}

func (f *Faults) validate() error {
	var errs []error
	wrong := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }

	var instead []string
	for _, i := range []struct {
		given bool
		name  string
	}{{f.Respond != nil, "respond"}, {f.Hang, "hang"}, {f.Garbage, "garbage"}, {f.Close, "close"}, {f.Reset, "reset"}} {
		if i.given {
			instead = append(instead, i.name)
		}
	}
	if len(instead) > 1 {
		wrong("%s: only one of them can happen to a request", strings.Join(instead, ", "))
	}
	if r := f.Respond; r != nil {
		if r.Status < 200 || r.Status > 599 {
			wrong("respond.status: %d is not in 200 to 599", r.Status)
		}
		checkWait(wrong, "respond.after", r.After)
		if f.Latency != (Latency{}) {
			wrong("latency: respond has its own: use respond.after")
		}
	}
	checkWait(wrong, "latency.p50", f.Latency.P50)
	checkWait(wrong, "latency.p99", f.Latency.P99)
	if f.Latency.P99 != 0 && (f.Latency.P50 <= 0 || f.Latency.P99 < f.Latency.P50) {
		wrong("latency: p50 must be above 0 and p99 not below it")
	}
	if s := f.Errors.Share; !(s >= 0 && s <= 1) { // NaN too
		wrong("errors.share: %v is not in 0 to 1", s)
	}
	checkStatus(wrong, "errors.status", f.Errors.Status)
	if n := f.First.Requests; n < 0 || n > 1_000_000 {
		wrong("first.requests: %d is not in 0 to 1000000", n)
	}
	checkStatus(wrong, "first.status", f.First.Status)
	if f.SlowBody < 0 || f.SlowBody > 1<<30 {
		wrong("slowBody: %d bytes a second is not in 0 to %d", f.SlowBody, 1<<30)
	}
	if f.Truncate != nil && *f.Truncate < 0 {
		wrong("truncate: %d is below 0", *f.Truncate)
	}
	if f.ContentLength != nil && *f.ContentLength < 0 {
		wrong("contentLength: %d is below 0", *f.ContentLength)
	}
	if f.Health != "" && f.Health != "pass" && f.Health != "fail" {
		wrong("health: %q is neither pass nor fail", f.Health)
	}
	if f.For < 0 || time.Duration(f.For) > 24*time.Hour {
		wrong("for: %v is not in 0 to 24h", f.For)
	}
	return errors.Join(errs...)
}

func checkWait(wrong func(string, ...any), name string, d Duration) {
	if d < 0 || time.Duration(d) > MaxWait {
		wrong("%s: %v is not in 0 to %v", name, d, MaxWait)
	}
}

func checkStatus(wrong func(string, ...any), name string, status int) {
	if status != 0 && (status < 400 || status > 599) {
		wrong("%s: %d is not in 400 to 599", name, status)
	}
}

// draw returns the latency of one request.
func (l Latency) draw(r *rand.Rand) time.Duration {
	if l.P99 <= l.P50 {
		return time.Duration(l.P50)
	}
	const z99 = 2.3263478740408408 // the standard normal's 99th percentile
	sigma := math.Log(float64(l.P99)/float64(l.P50)) / z99
	d := float64(l.P50) * math.Exp(sigma*r.NormFloat64())
	return time.Duration(min(d, float64(MaxWait)))
}

func orDefault(status int) int {
	if status == 0 {
		return 503
	}
	return status
}

// ParseLatency reads a fixed latency, "20ms", or a median and a 99th
// percentile, "20ms,80ms".
func ParseLatency(text string) (Latency, error) {
	var l Latency
	p50, p99, two := strings.Cut(text, ",")
	err := l.P50.UnmarshalText([]byte(strings.TrimSpace(p50)))
	if err == nil && two {
		err = l.P99.UnmarshalText([]byte(strings.TrimSpace(p99)))
	}
	if err != nil {
		return Latency{}, err
	}
	f := Faults{Latency: l}
	return l, f.validate()
}
