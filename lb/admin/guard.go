package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// refuse says why a request that changes something is not obeyed, with the
// status to answer; 0 if it is.
func (s *Server) refuse(r *http.Request) (status int, why string) {
	if fromBrowser(r) {
		if !s.ownHost(r.Host) {
			return http.StatusForbidden, "a browser sent this by the host name " + r.Host +
				", which is not this address's own: use its IP address, localhost, or curl"
		}
		if err := http.NewCrossOriginProtection().Check(r); err != nil {
			return http.StatusForbidden, "another site made a browser send this: " + err.Error()
		}
	}
	if s.options.Token != "" && !s.authorized(r) {
		return http.StatusUnauthorized, "send the admin token: Authorization: Bearer TOKEN"
	}
	return 0, ""
}

// fromBrowser recognises the headers no script can leave out of what it makes a
// browser send (https://fetch.spec.whatwg.org/#forbidden-request-header).
func fromBrowser(r *http.Request) bool {
	if r.Header.Get("Origin") != "" {
		return true
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

// ownHost says whether a Host cannot be another's name that was made to resolve
// to this machine.
func (s *Server) ownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		name != "" && name == strings.ToLower(s.hostname)
}

func (s *Server) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	// Hashed, so that the time tells nothing of the length either.
	given, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(s.options.Token))
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1
}
