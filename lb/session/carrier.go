package session

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Carrier is what carries the ticket between a client and the balancer.
type Carrier struct {
	// Realm names it: a ticket for one realm is refused in another.
	Realm string
	// Header: a header of that name, in lower case, carries it; else a cookie does.
	Header bool
	Name   string
	// FieldName is the name of the header as it is written, nil of a cookie. It is never
	// written to.
	FieldName []byte

	attributes string // of the cookie, Secure left out
	secure     string // Auto | Always | Never
}

// Cookie describes a cookie (RFC 6265bis section 4.1).
type Cookie struct {
	Name, Path string
	SameSite   string        // Lax | Strict | None
	Secure     string        // Auto: where the client used https; Always; Never
	MaxAge     time.Duration // 0: until the browser ends
}

// NewCookie returns the carrier that a cookie is.
func NewCookie(c Cookie) *Carrier {
	out := &Carrier{Realm: "cookie " + c.Name, Name: c.Name, secure: c.Secure}
	out.attributes = "; Path=" + c.Path + "; HttpOnly; SameSite=" + c.SameSite
	if c.MaxAge > 0 {
		out.attributes += "; Max-Age=" + strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	return out
}

// NewHeader returns the carrier that a header is.
func NewHeader(name string) *Carrier {
	lower := strings.ToLower(name)
	return &Carrier{Realm: "header " + lower, Header: true, Name: lower, FieldName: []byte(name)}
}

// Carries says whether a field of a response would have the client take something for
// its ticket.
func (c *Carrier) Carries(name, value []byte) bool {
	if c.Header {
		return bytes.EqualFold(name, c.FieldName)
	}
	if len(name) != len(setCookie) || !bytes.EqualFold(name, setCookie) {
		return false
	}
	cookie, _, _ := bytes.Cut(value, []byte{'='})
	return string(bytes.TrimSpace(cookie)) == c.Name
}

var setCookie = []byte("Set-Cookie")

// AppendSetCookie appends the value of a Set-Cookie field to dst: seal is called to
// append the ticket. https says whether the client used that.
func (c *Carrier) AppendSetCookie(dst []byte, https bool, seal func([]byte) []byte) []byte {
	dst = append(dst, c.Name...)
	dst = append(dst, '=')
	dst = seal(dst)
	dst = append(dst, c.attributes...)
	if c.secure == "Always" || c.secure == "Auto" && https {
		dst = append(dst, "; Secure"...)
	}
	return dst
}
