package telemetry

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"go-loadbalancer/lb/event"
)

// What a client chose is cut to these many bytes, so that no line is longer
// than maxLine, though an escaped byte takes six.
const (
	maxMethod    = 32
	maxHost      = 256
	maxPath      = 2048
	maxQuery     = 2048
	maxUserAgent = 1024
	maxID        = 128
	maxName      = 256 // of a listener, route, pool or upstream
	maxLine      = 48 << 10
)

// appendLine appends a request as one line of JSON, made of printable ASCII
// only. The names are those of OpenTelemetry's semantic conventions for HTTP
// (https://opentelemetry.io/docs/specs/semconv/http/), where it has one; the
// duration is in seconds, as there. A field without a value is left out, and so
// is the peer's address where the client is the peer.
func appendLine(b []byte, e *event.Request, r *repeated, hidden hiddenParams) []byte {
	b = r.clock.append(b, e.Start)
	b = r.appendAsked(b, e)
	b = appendTarget(b, e.Target, hidden)
	b = appendAddr(b, `,"client.address":"`, e.Client)
	if peer := e.Peer.Addr(); peer != e.Client {
		b = appendAddr(b, `,"network.peer.address":"`, peer)
	}
	if port := e.Peer.Port(); port != 0 {
		b = append(b, `,"network.peer.port":`...)
		b = strconv.AppendUint(b, uint64(port), 10)
	}
	if len(e.UserAgent) > 0 {
		b = append(b, `,"user_agent.original":`...)
		b = appendString(b, e.UserAgent, maxUserAgent)
	}
	b = append(b, `,"http.response.status_code":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `,"http.request.body.size":`...)
	b = strconv.AppendInt(b, e.RequestBytes, 10)
	b = append(b, `,"http.response.body.size":`...)
	b = strconv.AppendInt(b, e.ResponseBytes, 10)
	b = append(b, `,"http.server.request.duration":`...)
	b = appendSeconds(b, e.Duration)
	b = r.appendWay(b, e)
	if e.Session != event.NoSession && e.Session < event.SessionUses {
		b = append(b, `,"session_use":"`...)
		b = append(b, e.Session.String()...)
		b = append(b, '"')
	}
	if e.FirstByte > 0 {
		b = append(b, `,"upstream_first_byte":`...)
		b = appendSeconds(b, e.FirstByte)
	}
	b = append(b, `,"attempts":`...)
	b = strconv.AppendInt(b, int64(e.Attempts), 10)
	b = append(b, `,"response_flags":"`...)
	b = e.Flags.AppendTo(b)
	b = append(b, '"')
	if len(e.RequestID) > 0 {
		b = append(b, `,"request_id":`...)
		b = appendString(b, e.RequestID, maxID)
	}
	b = appendTrace(b, &e.Span)
	return append(b, '}', '\n')
}

func appendName(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, key...), value, maxName)
}

// appendHost splits a Host field into address and port.
func appendHost(b, host []byte) []byte {
	host, port := splitHost(host)
	b = append(b, `,"server.address":`...)
	b = appendString(b, host, maxHost)
	if port != nil {
		b = append(b, `,"server.port":`...)
		b = append(b, port...)
	}
	return b
}

// splitHost returns a Host field's address, without the brackets of IPv6, and its port;
// nil if there is none.
func splitHost(host []byte) (address, port []byte) {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && isPort(host[i+1:]) {
		// Colons before it belong to an IPv6 address, which has brackets then.
		if name := host[:i]; bytes.IndexByte(name, ':') < 0 || name[len(name)-1] == ']' {
			host, port = name, host[i+1:]
		}
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return host, port
}

// isPort says whether p is a number JSON can carry as it is.
func isPort(p []byte) bool {
	if len(p) == 0 || len(p) > 5 || p[0] == '0' {
		return false
	}
	for _, c := range p {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// appendTarget appends path and query.
func appendTarget(b, target []byte, hidden hiddenParams) []byte {
	path, query, has := splitTarget(target)
	b = append(b, `,"url.path":`...)
	b = appendString(b, path, maxPath)
	if has {
		b = append(b, `,"url.query":"`...)
		b = appendQuery(b, query, hidden)
		b = append(b, '"')
	}
	return b
}

// splitTarget returns a request target's path, and its query if it has one. What an
// absolute target has before its path is left out: the host is shown already, and
// there may be a password.
func splitTarget(target []byte) (path, query []byte, has bool) {
	path = target
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		path, query, has = target[:i], target[i+1:], true
	}
	if len(path) > 0 && path[0] != '/' {
		if i := bytes.Index(path, []byte("//")); i >= 0 {
			path = path[i+2:]
			if j := bytes.IndexByte(path, '/'); j >= 0 {
				path = path[j:]
			} else {
				path = []byte{'/'}
			}
		} else if i := bytes.LastIndexByte(path, '@'); i >= 0 {
			path = path[i+1:]
		}
	}
	return path, query, has
}

func appendAddr(b []byte, key string, a netip.Addr) []byte {
	if !a.IsValid() {
		return b
	}
	// A zone is free text, which a forwarded address may carry.
	b = a.Unmap().WithZone("").AppendTo(append(b, key...))
	return append(b, '"')
}

// appendSeconds appends a duration in seconds with six decimals.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := uint64(max(d.Microseconds(), 0))
	if us >= 1e6 {
		b = strconv.AppendUint(b, us/1e6, 10)
		us %= 1e6
	} else {
		b = append(b, '0')
	}
	n := uint32(us)
	high, middle, low := n/10_000*2, n/100%100*2, n%100*2
	return append(b, '.', pairs[high], pairs[high+1], pairs[middle], pairs[middle+1], pairs[low], pairs[low+1])
}

// pairs is every number of two digits.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// appendTrace appends the request's place in its trace: the trace's id, and, if it is
// sampled, the id of its own span, by which that can be found.
func appendTrace(b []byte, s *event.Span) []byte {
	if !s.Traced() {
		return b
	}
	b = append(b, `,"trace_id":"`...)
	b = hex.AppendEncode(b, s.Trace[:])
	b = append(b, '"')
	if !s.Sampled {
		return b
	}
	b = append(b, `,"span_id":"`...)
	b = hex.AppendEncode(b, s.ID[:])
	return append(b, `","trace_flags":"01"`...)
}

func countLines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }
