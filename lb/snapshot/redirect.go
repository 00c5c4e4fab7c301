package snapshot

import (
	"strconv"

	"go-loadbalancer/lb/policy"
)

// Redirect answers a request with another place.
type Redirect struct {
	StatusCode int

	scheme   string
	hostname []byte
	port     int
	path     pathChange
}

func newRedirect(r *policy.Redirect) *Redirect {
	if r == nil {
		return nil
	}
	return &Redirect{
		StatusCode: r.StatusCode, scheme: r.Scheme, hostname: []byte(r.Hostname), port: r.Port,
		path: pathChange{r.PathType, r.Path},
	}
}

// AppendLocation appends the Location field's value to dst. scheme and host are
// the request's, host with its port if it had one; query is without its "?",
// nil if there was none; prefixLen is [Matched.PrefixLen].
//
// The port is the redirect's own if it has one; else, if it has a scheme, that
// scheme's; else the one the client asked for, which unlike the listener's is
// right behind a port mapping too. Port 80 of http and 443 of https are left
// out. The query is kept.
//
// Without any host (HTTP/1.0) the value is a path, which never begins with "//":
// a client would take what follows for a host.
func (r *Redirect) AppendLocation(dst []byte, scheme string, host, path, query []byte, prefixLen int) []byte {
	name, port := splitPort(host)
	if r.scheme != "" {
		scheme, port = r.scheme, nil
	}
	if len(r.hostname) > 0 {
		name = r.hostname
	}
	if len(name) > 0 {
		dst = append(append(append(dst, scheme...), "://"...), name...)
		dst = r.appendPort(dst, scheme, port)
	}
	at := len(dst)
	dst = r.path.append(dst, path, prefixLen)
	if len(name) == 0 {
		last := at // of the leading slashes
		for last+1 < len(dst) && dst[last+1] == '/' {
			last++
		}
		dst = append(dst[:at], dst[last:]...)
	}
	return appendQuery(dst, query)
}

// appendPort appends the redirect's port, or else the given one, unless it is the
// scheme's own.
func (r *Redirect) appendPort(dst []byte, scheme string, port []byte) []byte {
	n := r.port
	if n == 0 {
		n, _ = strconv.Atoi(string(port))
	}
	if n == 0 || isDefaultPort(scheme, n) {
		return dst
	}
	return strconv.AppendInt(append(dst, ':'), int64(n), 10)
}

func isDefaultPort(scheme string, port int) bool {
	return scheme == "http" && port == 80 || scheme == "https" && port == 443
}
