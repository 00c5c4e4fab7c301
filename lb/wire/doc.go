// Package wire is HTTP/1.1 on the wire (RFC 9112): heads parsed in place,
// message framing, the chunked coding, hop-by-hop rules, and a connection with
// one buffer each way. It is strict: what the RFC calls invalid is refused,
// never repaired, because two readers that repair differently are how requests
// are smuggled.
//
//	var req wire.Request
//	n, err := req.Parse(buffered, limits)
//	switch {
//	case err != nil:
//		refuse(err.(*wire.Error).Status)
//	case n == 0:
//		readMore()
//	default:
//		serve(&req, buffered[n:])
//	}
//
// # Ownership
//
// Nothing is copied: every byte slice of a [Request] or [Response] points into
// the buffer it was parsed from and is valid until that buffer is read into
// again. A head stays valid while the body behind it is read if it is held
// ([Conn.Hold]).
//
// The package starts no goroutine and holds no lock. A value belongs to one
// goroutine at a time, but that each half of a [Conn] may have its own.
package wire
