package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"go-loadbalancer/lb/schema"
)

// The texts of the language that are HTTP's: methods, fields, cookies, host
// names and paths.

// complainField checks the name of a field that a modifier changes.
func complainField(s string) string {
	if c := schema.ComplainToken(s); c != "" {
		return c
	}
	if schema.IsFraming(s) {
		if strings.EqualFold(s, "Host") {
			return "Host cannot be changed as a header: use urlRewrite.hostname"
		}
		return s + " belongs to the connection or to the framing of a message: the proxy writes it itself"
	}
	return ""
}

func changedField() *schema.Scalar[string] {
	return schema.Checked("header name", schema.TokenPattern, complainField)
}

// matchedField is the name of a request header to look at.
func matchedField() *schema.Scalar[string] {
	return schema.Checked("header name", schema.TokenPattern, func(s string) string {
		if strings.EqualFold(s, "Host") {
			return "Host is not matched as a header: use the route's hostnames"
		}
		return schema.ComplainToken(s)
	})
}

// cookieName is a cookie's name (RFC 6265 section 4.1.1).
func cookieName() *schema.Scalar[string] {
	return schema.Checked("cookie name", schema.TokenPattern, complainCookie)
}

func complainCookie(s string) string {
	if !schema.IsToken(s) {
		return schema.Quote(s) + " is not a cookie name: use letters, digits, '-' and '_'"
	}
	return ""
}

// maxQueryParam is the longest name of a query parameter that is looked for.
const maxQueryParam = 64

// queryParam is the name of a query parameter to redact, as a server reads it: without
// percent-encoding. Its case does not count.
func queryParam() *schema.Scalar[string] {
	return schema.Words("name of a query parameter", fmt.Sprintf("^[!-$'-:<>-~]{1,%d}$", maxQueryParam), func(s string) (string, string) {
		switch {
		case s == "":
			return s, "must not be empty"
		case len(s) > maxQueryParam:
			return s, fmt.Sprintf("is longer than %d characters", maxQueryParam)
		case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("&;=%", r) }):
			return s, schema.Quote(s) + " is not a name of a query parameter: use printable ASCII without space, '&', ';', '=' and '%'"
		}
		return strings.ToLower(s), ""
	}, schema.PrintText[string])
}

// maxCookiePath is what browsers take at most: they pass over a longer one (RFC
// 6265bis section 5.6).
const maxCookiePath = 1024

// cookiePath is the Path of a cookie (RFC 6265 section 4.1.2.4). Browsers compare
// it with the path as it stands on the wire.
func cookiePath() *schema.Scalar[string] {
	return schema.Checked("path", "^/[^;]*$", func(s string) string {
		switch {
		case strings.Contains(s, ";"):
			return "\";\" would end the path of a cookie: percent-encode it as %3B"
		case len(s) > maxCookiePath:
			return fmt.Sprintf("browsers pass over the path of a cookie that is longer than %d bytes", maxCookiePath)
		}
		return complainPath(s)
	})
}

// sessionField is the name of a header that carries sessions, of requests and of
// responses.
func sessionField() *schema.Scalar[string] {
	return schema.Checked("header name", schema.TokenPattern, func(s string) string {
		same := func(f string) bool { return strings.EqualFold(f, s) }
		switch {
		case same("Cookie") || same("Set-Cookie"):
			return "a session is carried by a cookie with type: Cookie: write that, or a header of your own, such as X-Session"
		case schema.IsFraming(s):
			return s + " belongs to the connection or to the framing of a message: choose a header of your own, such as X-Session"
		}
		return schema.ComplainToken(s)
	})
}

// hostname is the host a route answers for: a host name, an IPv4 address, or a
// wildcard for one or more whole labels in front. It is kept in lower case.
func hostname() *schema.Scalar[string] {
	return schema.Words("host name, or *. and a host name", `^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`, func(s string) (string, string) {
		lower := strings.ToLower(s)
		bare, wildcard := strings.CutPrefix(lower, "*.")
		switch {
		case s == "*":
			return "", "leave hostnames out to answer for every host"
		case strings.Contains(bare, "*"):
			return "", schema.Quote(s) + ": a wildcard stands for whole labels in front only, like *.example.com"
		case strings.Contains(bare, ":"):
			return "", schema.Quote(s) + ": a route's host name has no port and no scheme"
		}
		if _, err := netip.ParseAddr(bare); err == nil && !wildcard {
			return lower, ""
		}
		return lower, schema.ComplainHostName(bare)
	}, schema.PrintText[string])
}

// complainPath checks a path as it stands on the wire: RFC 3986 section 3.3,
// normalised, without query.
func complainPath(s string) string {
	if !strings.HasPrefix(s, "/") {
		return schema.Quote(s) + " is not a path: it begins with \"/\""
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '?' || c == '#':
			return fmt.Sprintf("a path ends before %q: leave out what follows", c)
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			return fmt.Sprintf("byte 0x%02x cannot stand in a path: percent-encode it as %%%02X", c, c)
		case c == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])):
			return "a \"%\" in a path must be followed by two hexadecimal digits"
		}
	}
	for i, segment := range strings.Split(s, "/") {
		switch {
		case segment == "." || segment == "..":
			return "a path must not hold \"" + segment + "\" as an element: write it out"
		case segment == "" && i > 0 && i < strings.Count(s, "/"):
			return "a path must not hold \"//\""
		}
	}
	return ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func path() *schema.Scalar[string] { return schema.Checked("path", "^/", complainPath) }

// anchored compiles a regular expression that must match from end to end.
func anchored(expr string) (*regexp.Regexp, string) {
	if _, err := regexp.Compile(expr); err != nil { // alone, so that ")(" is no way out of the group
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return nil, "is not a regular expression: " + why + " (the syntax is RE2)"
	}
	re, err := regexp.Compile(`^(?:` + expr + `)$`)
	if err != nil {
		return nil, "is too large a regular expression"
	}
	return re, ""
}
