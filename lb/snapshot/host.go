package snapshot

import (
	"bytes"
	"strings"
)

// hosts finds the rules for a host.
type hosts struct {
	exact     map[string]*paths
	wildcards map[string]*paths // by what follows the "*": ".example.com"
	any       *paths
}

// add enters a rule under each of its route's hostnames.
func (h *hosts) add(hostnames []string, r *rule) {
	if len(hostnames) == 0 {
		if h.any == nil {
			h.any = new(paths)
		}
		h.any.add(r)
	}
	for _, name := range hostnames {
		name = strings.ToLower(name)
		table := &h.exact
		switch {
		case name == "*":
			h.add(nil, r)
			continue
		case strings.HasPrefix(name, "*."):
			table, name = &h.wildcards, name[1:]
		}
		if *table == nil {
			*table = map[string]*paths{}
		}
		p := (*table)[name]
		if p == nil {
			p = new(paths)
			(*table)[name] = p
		}
		p.add(r)
	}
}

func (h *hosts) sort() {
	for _, p := range h.exact {
		p.sort()
	}
	for _, p := range h.wildcards {
		p.sort()
	}
	if h.any != nil {
		h.any.sort()
	}
}

// maxHost is the longest host that can match a hostname (RFC 1035 section 2.3.4),
// with some room for an IPv6 address's zone.
const maxHost = 256

// match returns the first rule that holds, most specific host first.
func (h *hosts) match(q *Request) *rule {
	if h.exact != nil || h.wildcards != nil {
		if r := h.matchNamed(q); r != nil {
			return r
		}
	}
	return h.any.match(q)
}

func (h *hosts) matchNamed(q *Request) *rule {
	host, _ := splitPort(q.Host)
	host = bytes.TrimSuffix(host, []byte{'.'})
	if len(host) == 0 || len(host) > maxHost {
		return nil
	}
	var lower [maxHost]byte
	host = toLower(lower[:0], host)
	if p := h.exact[string(host)]; p != nil {
		if r := p.match(q); r != nil {
			return r
		}
	}
	if h.wildcards == nil {
		return nil
	}
	for i := 1; i < len(host); i++ {
		if host[i] != '.' {
			continue
		}
		if p := h.wildcards[string(host[i:])]; p != nil {
			if r := p.match(q); r != nil {
				return r
			}
		}
	}
	return nil
}

// toLower returns b in lower case: b itself if it is, else a copy in buf.
func toLower(buf, b []byte) []byte {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			buf = append(buf, b...)
			for j := i; j < len(buf); j++ {
				if c := buf[j]; 'A' <= c && c <= 'Z' {
					buf[j] = c | 0x20
				}
			}
			return buf
		}
	}
	return b
}

// splitPort splits host:port, where the port may be missing. An IPv6 address
// keeps its brackets.
func splitPort(host []byte) (name, port []byte) {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i:], ']') >= 0 {
		return host, nil
	}
	return host[:i], host[i+1:]
}
