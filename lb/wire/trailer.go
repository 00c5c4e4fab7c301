package wire

// mayTrail reports whether a field may be in a trailer section (RFC 9110 section
// 6.5.1).
func mayTrail(id FieldID, name []byte) bool { return !ofConnection(id) && !steers(id, name) }

// mayAnnounce reports whether the Trailer fields announce only what may be a
// trailer. Others are refused before anything is passed on, instead of when they
// come.
func mayAnnounce(fields Fields) bool {
	for i := range fields {
		if fields[i].ID != Trailer {
			continue
		}
		for member := range tokens(fields[i].Value) {
			if !ValidToken(member) || !mayTrail(identify(member), member) {
				return false
			}
		}
	}
	return true
}

// ofConnection reports whether a field is about the connection or the framing on
// it.
func ofConnection(id FieldID) bool {
	switch id {
	case Connection, TransferEncoding, Upgrade, TE, Trailer, KeepAlive, ProxyConnection, ProxyAuthorization, ProxyAuthenticate,
		HTTP2Settings, Disguised:
		return true
	}
	return false
}

// steers reports whether a field decides how a message is handled before its
// content is read: it frames, routes, authenticates, is a condition, controls
// caches, or says what the content is (RFC 9110 section 6.5.1).
func steers(id FieldID, name []byte) bool {
	switch id {
	case Other:
		for _, s := range steering {
			if EqualFold(name, s) {
				return true
			}
		}
	case Host, ContentLength, Expect, Date, Via, Forwarded, XForwarded, XForwardedFor, XForwardedHost, XForwardedProto, XRealIP,
		XRequestID, TraceParent, TraceState, LBExplain:
		return true
	}
	return false
}

// steering are the fields that steer and that the proxy need not know otherwise.
var steering = []string{
	"authorization", "www-authenticate", "cookie", "set-cookie",
	"content-type", "content-encoding", "content-range",
	"cache-control", "pragma", "age", "expires", "vary",
	"max-forwards", "range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range",
	"location", "retry-after",
}
