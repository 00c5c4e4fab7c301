package redisstore

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"

	"go-loadbalancer/lb/session"
)

// names are what things are called in Redis. They begin with the version of what is
// kept there: a release that keeps something else uses another one. Namespace and
// pool are percent-encoded, so that they have no colon, no wildcard for access
// rules, and no braces, by which a cluster would put all of them on one node.
type names struct {
	sessions string // and pool, colon, id
	channel  string
	key      string
}

func namesOf(namespace string) names {
	prefix := "lb:v1:" + url.QueryEscape(namespace) + ":"
	return names{sessions: prefix + "home:", channel: prefix + "rebound", key: prefix + "key"}
}

// home is the name of the key that holds a session's home in a pool.
func (n names) home(pool string, id session.ID) string { return n.sessions + member(pool, id) }

// member names a session of a pool.
func member(pool string, id session.ID) string {
	return url.QueryEscape(pool) + ":" + base64.RawURLEncoding.EncodeToString(id[:])
}

// maxMember bounds the messages that are looked at.
const maxMember = 4096

// memberOf reads what member wrote.
func memberOf(text string) (pool string, id session.ID, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if len(text) > maxMember || i < 0 || len(text)-i-1 != base64.RawURLEncoding.EncodedLen(len(id)) {
		return "", id, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text[i+1:])
	if err != nil || len(raw) != len(id) { // line breaks are passed over
		return "", id, false
	}
	pool, err = url.QueryUnescape(text[:i])
	return pool, session.ID(raw), err == nil
}

// homeText is what the key of a session holds: the version, and the home as 16 hex
// digits.
func homeText(h session.Home) string {
	const digits = "0123456789abcdef"
	text := []byte("1 0000000000000000")
	for i := len(text) - 1; h > 0; i, h = i-1, h>>4 {
		text[i] = digits[h&15]
	}
	return string(text)
}

// homeOf reads what homeText wrote. Anything else is unreadable.
func homeOf(text string) (h session.Home, err error) {
	digits, ok := strings.CutPrefix(text, "1 ")
	if !ok || len(digits) != 16 {
		return session.None, session.ErrUnreadable
	}
	for _, d := range []byte(digits) {
		switch {
		case '0' <= d && d <= '9':
			h = h<<4 | session.Home(d-'0')
		case 'a' <= d && d <= 'f':
			h = h<<4 | session.Home(d-'a'+10)
		default:
			return session.None, session.ErrUnreadable
		}
	}
	if h == session.None {
		return session.None, session.ErrUnreadable
	}
	return h, nil
}

// errNoKey does not repeat what it is about: it may be a key with something around it.
var errNoKey = errors.New("it does not hold 64 hex digits")

// keyOf reads a key's 64 hex digits.
func keyOf(text string) (k session.Key, err error) {
	if len(text) != 2*len(k) {
		return k, errNoKey
	}
	if _, err := hex.Decode(k[:], []byte(text)); err != nil {
		return session.Key{}, errNoKey
	}
	return k, nil
}
