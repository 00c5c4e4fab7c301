package wire

import "net/http"

// Error is a message that is not HTTP/1.1, or more than the limits allow.
type Error struct {
	Status int    // what a server answers a client that sent it: 400, 413, 414, 417, 431, 501 or 505
	Reason string // what was wrong, for the log; never holds bytes of the message
	Source string // the rule broken, such as "RFC 9112 section 6.1"
}

func (e *Error) Error() string {
	if e.Source == "" {
		return e.Reason
	}
	return e.Reason + " (" + e.Source + ")"
}

func bad(reason, source string) *Error {
	return &Error{http.StatusBadRequest, reason, source}
}

var (
	errLineEnd       = bad("a line ends in LF without CR", "RFC 9112 section 2.2")
	errRequestLine   = bad("malformed request line", "RFC 9112 section 3")
	errMethod        = bad("malformed method", "RFC 9110 section 9.1")
	errTarget        = bad("malformed request target", "RFC 9112 section 3.2")
	errVersion       = &Error{http.StatusHTTPVersionNotSupported, "not HTTP/1.0 or HTTP/1.1", "RFC 9112 section 2.3"}
	errConnect       = &Error{http.StatusNotImplemented, "CONNECT is not served", "RFC 9110 section 9.3.6"}
	errFold          = bad("a field is folded over several lines", "RFC 9112 section 5.2")
	errFieldName     = bad("malformed field name", "RFC 9112 section 5.1")
	errFieldValue    = bad("a field value holds a control byte", "RFC 9110 section 5.5")
	errTooManyFields = &Error{http.StatusRequestHeaderFieldsTooLarge, "too many fields", "RFC 6585 section 5"}
	errHeadTooLarge  = &Error{http.StatusRequestHeaderFieldsTooLarge, "the head is too large", "RFC 6585 section 5"}
	errTargetTooLong = &Error{http.StatusRequestURITooLong, "the request target is too long", "RFC 9110 section 15.5.15"}
	errNoHost        = bad("no Host field", "RFC 9112 section 3.2")
	errManyHosts     = bad("more than one Host field", "RFC 9112 section 3.2")
	errHost          = bad("malformed Host", "RFC 9110 section 7.2")
	errHostDiffers   = bad("the Host field differs from the target's authority", "RFC 9112 section 3.2.2")
	errLength        = bad("malformed Content-Length", "RFC 9110 section 8.6")
	errManyLengths   = bad("more than one Content-Length", "RFC 9112 section 6.3")
	errLengthAndTE   = bad("Content-Length beside Transfer-Encoding", "RFC 9112 section 6.3")
	errCoding        = &Error{http.StatusNotImplemented, "a transfer coding other than chunked", "RFC 9112 section 6.1"}
	errCodingTwice   = bad("something behind the chunked transfer coding", "RFC 9112 section 6.1")
	errCodingLast    = bad("the last transfer coding is not chunked", "RFC 9112 section 6.3")
	errCodingList    = bad("malformed Transfer-Encoding", "RFC 9112 section 6.1")
	errCodingVersion = bad("Transfer-Encoding in HTTP/1.0", "RFC 9112 section 6.1")
	errConnection    = bad("malformed Connection field", "RFC 9110 section 7.6.1")
	errNominated     = bad("the Connection field nominates an end-to-end field", "RFC 9110 section 7.6.1")
	errExpect        = &Error{http.StatusExpectationFailed, "an expectation other than 100-continue", "RFC 9110 section 10.1.1"}
	errChunk         = bad("malformed chunk", "RFC 9112 section 7.1")
	errTrailer       = bad("malformed trailer section", "RFC 9112 section 7.1.2")
	errAnnounced     = bad("malformed Trailer, or it announces what may not be a trailer", "RFC 9110 section 6.6.2")
	errNoContent     = bad("content is announced in a response that has none", "RFC 9112 sections 6.1 and 6.2")
	errStatusLine    = bad("malformed status line", "RFC 9112 section 4")
)
