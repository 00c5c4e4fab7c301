package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"go-loadbalancer/lb/wire"
)

// Bounds of a question.
const (
	MaxURL    = 8 << 10 // bytes
	MaxFields = 100
	MaxHead   = 32 << 10 // bytes of all fields together
)

// Question is the request that is asked about.
type Question struct {
	Method string // empty: GET
	// URL is absolute (http or https), with the host the client uses; or a path, for a
	// host that a Host field names, or none.
	URL    string
	Header []Field
	// Client is the address the request comes from; empty: it is not known.
	Client string
}

// Field is one header field.
type Field struct{ Name, Value string }

// ParseField reads "Name: value".
func ParseField(s string) (Field, error) {
	name, value, ok := strings.Cut(s, ":")
	if !ok || !wire.ValidToken([]byte(name)) {
		return Field{}, fmt.Errorf("header %.80q: write it as \"Name: value\"", s)
	}
	return Field{name, strings.Trim(value, " \t")}, nil
}

// Asked is a question that was understood.
type Asked struct {
	Head   wire.Request
	Scheme string
	Client netip.Addr // the zero Addr: not known
}

// Parse makes of the question the head that the balancer would read, by the parser that
// serves: what that refuses is refused here, with its reason.
func (q *Question) Parse() (*Asked, error) {
	out := &Asked{Scheme: "http"}
	method := q.Method
	if method == "" {
		method = "GET"
	}
	if !wire.ValidToken([]byte(method)) {
		return nil, fmt.Errorf("method %.40q: a name such as GET is wanted", method)
	}
	if len(q.URL) > MaxURL {
		return nil, fmt.Errorf("the URL has %d bytes: %d at most", len(q.URL), MaxURL)
	}
	target, host := q.URL, ""
	if target == "" {
		return nil, errors.New("no URL: give one such as http://shop.example.com/cart")
	}
	if target[0] != '/' && target != "*" {
		u, err := url.Parse(target)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("URL %.200q: one that begins with http:// or https:// and a host is wanted, or a path", target)
		}
		out.Scheme, host = u.Scheme, u.Host
		// As it was written: a router must see what a client sends.
		target = target[strings.Index(target, "://")+3:]
		if i := strings.IndexAny(target, "/?#"); i >= 0 {
			target = target[i:]
		} else {
			target = ""
		}
		target, _, _ = strings.Cut(target, "#")
		if target == "" || target[0] != '/' {
			target = "/" + target
		}
	} else {
		target, _, _ = strings.Cut(target, "#")
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, fmt.Errorf("URL %.200q: the balancer would refuse this request: write spaces and control characters as %%20 and the like", q.URL)
	}
	if len(q.Header) > MaxFields {
		return nil, fmt.Errorf("%d headers: %d at most", len(q.Header), MaxFields)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\n", method, target)
	given := false
	for _, f := range q.Header {
		if !wire.ValidToken([]byte(f.Name)) || strings.ContainsAny(f.Value, "\r\n\x00") {
			return nil, fmt.Errorf("header %.80q: a name, and a value without line breaks, are wanted", f.Name)
		}
		if strings.EqualFold(f.Name, "host") {
			given = true
		}
		fmt.Fprintf(&head, "%s: %s\r\n", f.Name, f.Value)
	}
	if !given {
		fmt.Fprintf(&head, "Host: %s\r\n", host)
	}
	if head.Len() > MaxHead {
		return nil, fmt.Errorf("the request's head has %d bytes: %d at most", head.Len(), MaxHead)
	}
	head.WriteString("\r\n")
	n, err := out.Head.Parse([]byte(head.String()), wire.Limits{HeadBytes: 2 * MaxHead, TargetBytes: MaxURL + 1, Fields: MaxFields + 1})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the balancer would refuse this request: %w", err)
	case n != head.Len():
		return nil, errors.New("the balancer would refuse this request: it is not one head")
	}
	if q.Client != "" {
		if out.Client, err = netip.ParseAddr(q.Client); err != nil || out.Client.Zone() != "" {
			return nil, fmt.Errorf("client %.60q: an IP address is wanted", q.Client)
		}
		out.Client = out.Client.Unmap()
	}
	return out, nil
}

// Values is the question as the API has it: method, url, client, and a header for each
// field, as "Name: value".
func (q *Question) Values() url.Values {
	v := url.Values{"method": {q.Method}, "url": {q.URL}}
	if q.Client != "" {
		v.Set("client", q.Client)
	}
	for _, f := range q.Header {
		v.Add("header", f.Name+": "+f.Value)
	}
	return v
}

// FromValues is the question of what the API was sent.
func FromValues(v url.Values) (*Question, error) {
	q := &Question{}
	for name, values := range v {
		var to *string
		switch name {
		case "method":
			to = &q.Method
		case "url":
			to = &q.URL
		case "client":
			to = &q.Client
		case "header":
			if len(values) > MaxFields {
				return nil, fmt.Errorf("%d headers: %d at most", len(values), MaxFields)
			}
			for _, value := range values {
				f, err := ParseField(value)
				if err != nil {
					return nil, err
				}
				q.Header = append(q.Header, f)
			}
			continue
		default:
			return nil, fmt.Errorf("parameter %.40q: there are method, url, header (often) and client", name)
		}
		if len(values) != 1 {
			return nil, fmt.Errorf("parameter %s is given %d times: once, please", name, len(values))
		}
		*to = values[0]
	}
	return q, nil
}
