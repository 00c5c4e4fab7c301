package wire

import (
	"bytes"
	"slices"
)

// Framing says how a message's body is delimited (RFC 9112 section 6.3).
type Framing uint8

const (
	NoBody     Framing = iota
	Sized              // by Content-Length
	Chunked            // by the chunked coding
	UntilClose         // by the end of the connection; responses only
)

// control is what the fields of a head say of its framing and its connection,
// in requests and responses alike.
type control struct {
	length  int64 // Content-Length; -1: none
	chunked bool
	strange bool // a transfer coding that is not chunked was seen, and none behind it

	closes, keeps bool // Connection: close, keep-alive
	asksUpgrade   bool // Connection: upgrade
	upgrade       []byte
	upgrades      int // Upgrade fields

	nominated [maxNominated][]byte // field names the Connection field nominates
	nominees  int
}

// maxNominated bounds the field names of a Connection field that are not
// hop-by-hop by themselves; more is refused.
const maxNominated = 8

// note draws from a Content-Length, Transfer-Encoding, Connection or Upgrade
// field what it says.
func (c *control) note(f *Field, minor uint8) error {
	switch f.ID {
	case ContentLength:
		if c.length >= 0 {
			return errManyLengths
		}
		n, ok := parseLength(f.Value)
		if !ok {
			return errLength
		}
		c.length = n
	case TransferEncoding:
		switch {
		case minor == 0:
			return errCodingVersion
		case c.chunked:
			return errCodingTwice
		case !EqualFold(f.Value, "chunked"):
			if err := refuseCoding(f.Value); err != errCodingLast {
				return err
			}
			c.strange = true // a further field may have chunked
		case c.strange:
			return errCoding
		default:
			c.chunked = true
		}
	case Connection:
		for member := range tokens(f.Value) {
			switch {
			case EqualFold(member, "close"):
				c.closes = true
			case EqualFold(member, "keep-alive"):
				c.keeps = true
			case EqualFold(member, "upgrade"):
				c.asksUpgrade = true
			case EqualFold(member, "te"):
			case !ValidToken(member) || c.nominees == maxNominated:
				return errConnection
			case endToEnd(member):
				return errNominated
			default:
				// A copy, since trailers are compared with it long after the head.
				c.nominated[c.nominees] = bytes.Clone(member)
				c.nominees++
			}
		}
	case Upgrade:
		c.upgrade = f.Value
		c.upgrades++
	}
	return nil
}

// refuseCoding says what is wrong with the codings of a message that is not just
// chunked. Where the last one is not chunked the end of the message cannot be
// known; where it is, the others are merely not understood (RFC 9112 sections 6.1
// and 6.3).
func refuseCoding(list []byte) *Error {
	members, chunked := 0, false
	for member := range tokens(list) {
		if chunked {
			return errCodingTwice
		}
		members++
		chunked = EqualFold(member, "chunked")
	}
	switch {
	case !chunked:
		return errCodingLast
	case members == 1:
		return errCodingList // empty members beside it
	}
	return errCoding
}

// endToEnd reports whether a name may not be nominated by a Connection field,
// since its field is for all who receive the content (RFC 9110 section 7.6.1). To
// drop what says who the client is, or how its content is meant, would change
// the message.
func endToEnd(name []byte) bool {
	id := identify(name)
	return steers(id, name) && !ofConnection(id)
}

// persists reports whether the connection may be used again: "close" has the
// last word (RFC 9112 section 9.3).
func (c *control) persists(minor uint8) bool {
	return !c.closes && (minor == 1 || c.keeps)
}

// Nominates reports whether the Connection field names further fields as
// hop-by-hop.
func (c *control) Nominates() bool { return c.nominees > 0 }

func (c *control) nominates(name []byte) bool {
	return slices.ContainsFunc(c.nominated[:c.nominees], func(n []byte) bool { return bytes.EqualFold(n, name) })
}

// EndToEnd returns the trailer fields that may be passed on: those the Connection
// field did not nominate (RFC 9110 section 7.6.1). What may never be a trailer was
// refused when it came. The fields given stay as they are.
func (c *control) EndToEnd(trailers Fields) Fields {
	if !c.Nominates() {
		return trailers
	}
	return slices.DeleteFunc(slices.Clone(trailers), func(f Field) bool { return c.nominates(f.Name) })
}

// parseLength parses a Content-Length: digits alone, at most 18 of them.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
