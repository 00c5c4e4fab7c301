package telemetry

import (
	"bytes"
	"sync/atomic"

	"go-loadbalancer/lb/event"
)

// redacted replaces the value of a secret parameter, as OpenTelemetry's
// url.query asks.
const redacted = "REDACTED"

// isSecret says whether a query parameter's value must not be logged. The name
// is in lower case. docs/telemetry.md lists them.
func isSecret(name []byte) bool {
	switch string(name) {
	case "access_token", "refresh_token", "id_token", "token", "auth", "authorization", "jwt", "assertion",
		"samlresponse", "samlrequest",
		"code", "code_verifier", "client_secret", "secret",
		"password", "passwd", "pwd", "passphrase",
		"api_key", "apikey", "api-key", "x-api-key", "key", "access_key", "private_key",
		"session", "sessionid", "session_id", "sid", "jsessionid", "phpsessid", "lb_session",
		"sig", "signature", "hmac",
		"awsaccesskeyid", "x-amz-signature", "x-amz-credential", "x-amz-security-token",
		"x-goog-signature", "x-goog-credential":
		return true
	}
	return false
}

// maxSecretName is the longest name that is looked for: none in isSecret is longer, nor
// may one in a policy be.
const maxSecretName = 64

// hiddenParams are the names of query parameters that a policy wants redacted, in lower
// case; "*" is all of them.
type hiddenParams map[string]bool

// redactor keeps the names that the policy wants redacted.
type redactor struct{ names atomic.Pointer[hiddenParams] }

func (r *redactor) hidden() hiddenParams {
	if p := r.names.Load(); p != nil {
		return *p
	}
	return nil
}

// prepared adds the names of a policy before it serves: its first request may be over
// before it is said to serve.
func (r *redactor) prepared(c *event.Catalog) {
	r.set(c.AccessLog.RedactQueryParams, r.hidden())
}

// committed forgets the names of the policies before.
func (r *redactor) committed(c *event.Commit) { r.set(c.AccessLog.RedactQueryParams, nil) }

func (r *redactor) set(names []string, more hiddenParams) {
	hidden := make(hiddenParams, len(names)+len(more))
	for name := range more {
		hidden[name] = true
	}
	for _, name := range names {
		hidden[name] = true
	}
	r.names.Store(&hidden)
}

// appendQuery appends a query as the inside of a JSON string, its secrets redacted.
func appendQuery(b, query []byte, hidden hiddenParams) []byte {
	cut := len(query) > maxQuery
	if cut {
		query = query[:maxQuery]
	}
	for len(query) > 0 {
		param := query
		// A semicolon separates parameters too, for some servers.
		if i := bytes.IndexAny(query, "&;"); i >= 0 {
			param = query[:i]
		}
		switch i := bytes.IndexByte(param, '='); {
		case i >= 0 && secretName(param[:i], hidden):
			b = appendEscaped(b, param[:i+1])
			b = append(b, redacted...)
		case i < 0 && len(param) > 0 && hidden["*"]: // it may be all value
			b = append(b, redacted...)
		default:
			b = appendEscaped(b, param)
		}
		if query = query[len(param):]; len(query) > 0 {
			b = appendEscaped(b, query[:1])
			query = query[1:]
		}
	}
	if cut {
		b = append(b, `\u2026`...)
	}
	return b
}

// secretName unescapes a name, as the server it is for will, and looks it up.
func secretName(name []byte, hidden hiddenParams) bool {
	if hidden["*"] {
		return true
	}
	var lower [maxSecretName]byte
	n := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' && i+2 < len(name) {
			if hi, lo := unhex(name[i+1]), unhex(name[i+2]); hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if n == len(lower) {
			return false
		}
		lower[n] = c
		n++
	}
	return isSecret(lower[:n]) || hidden[string(lower[:n])]
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}
