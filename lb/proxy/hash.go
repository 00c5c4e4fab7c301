package proxy

import (
	"bytes"
	"iter"

	"go-loadbalancer/lb/pool"
	"go-loadbalancer/lb/wire"
)

// hashKey is what a ConsistentHash pool picks by; of no use to any other.
func (c *call) hashKey(p *pool.Pool) pool.Key {
	switch p.HashOn {
	case "":
		return pool.Key{}
	case "SourceIP":
		addr := c.client.As16()
		return pool.KeyOf(addr[:])
	case "Header":
		if v, ok := c.req.Fields.Get(p.HashName); ok {
			return pool.KeyOf(v)
		}
	case "Cookie":
		for value := range cookies(c.req.Fields, p.HashName) {
			return pool.KeyOf(value)
		}
	case "QueryParam":
		if v, ok := queryParam(c.req.Query, p.HashName); ok {
			return pool.KeyOf(v)
		}
	}
	return pool.Key{}
}

// cookies yields the values of the cookies of a name (RFC 6265 section 4.2).
func cookies(fields wire.Fields, name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range fields.Values("cookie") {
			for len(line) > 0 {
				var pair []byte
				pair, line, _ = bytes.Cut(line, []byte{';'})
				key, value, ok := bytes.Cut(bytes.TrimSpace(pair), []byte{'='})
				if ok && string(key) == name && !yield(value) {
					return
				}
			}
		}
	}
}

// queryParam returns the first value of a parameter, as it was written.
func queryParam(query []byte, name string) ([]byte, bool) {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		key, value, _ := bytes.Cut(pair, []byte{'='})
		if string(key) == name {
			return value, true
		}
	}
	return nil, false
}
