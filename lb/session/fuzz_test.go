package session_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/session"
)

// FuzzOpen takes the bytes for what a client sends, and for a ticket besides, which
// must come out as it went in.
func FuzzOpen(f *testing.F) {
	ring := session.NewKeyring(key(1), key(2))
	ring.Rand = func(b []byte) { clear(b) }
	sealed := ticket()
	valid := ring.Seal(nil, realm, &sealed)
	for _, text := range []string{
		"", "A", string(valid), string(valid[1:]), string(valid) + "=", strings.Repeat("A", session.SealedLen),
		string(session.NewKeyring(key(2)).Seal(nil, realm, &sealed)),
		string(session.NewKeyring(key(3)).Seal(nil, realm, &sealed)),
		strings.Repeat("\n", session.SealedLen), strings.Repeat("\xff", 36),
	} {
		f.Add(realm, []byte(text))
	}
	f.Add("header X-Session", valid)
	f.Fuzz(func(t *testing.T, realm string, text []byte) {
		again := func(want session.Ticket) {
			text := ring.Seal(nil, realm, &want)
			if len(text) != session.SealedLen {
				t.Fatalf("sealed as %q", text)
			}
			opened(t, ring, realm, text, want, false)
			refused(t, ring, realm+" ", text, session.Forged)
		}
		got, stale, why := ring.Open(realm, text)
		switch {
		case why == session.Opened:
			again(got)
		case got != (session.Ticket{}) || stale || why.String() == "":
			t.Errorf("%+v, stale %t, refused for %q", got, stale, why)
		}
		if len(text) >= 36 {
			again(session.Ticket{
				ID:      session.ID(text[:16]),
				Created: session.Stamp(binary.BigEndian.Uint32(text[16:])),
				Seen:    session.Stamp(binary.BigEndian.Uint32(text[20:])),
				Pool:    binary.BigEndian.Uint32(text[24:]),
				Home:    session.Home(binary.BigEndian.Uint64(text[28:])),
			})
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	for _, text := range []string{
		"", "#", "\n\n", hexOf(key(1)), hexOf(key(1)) + "\r\n" + hexOf(key(1)), eight(0), eight(1),
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA= # comment", strings.Repeat("0", 64), "+/-_" + strings.Repeat("A", 39),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := session.ParseKeys(text)
		if err != nil {
			if !refusalOfKeys.MatchString(err.Error()) || keys != nil {
				t.Errorf("%v, and %d keys", err, len(keys))
			}
			return
		}
		var written []string
		for i, k := range keys {
			written = append(written, hexOf(k))
			if slices.Index(keys, k) != i || strings.Count(written[i], written[i][:2]) == len(k) {
				t.Errorf("%s is accepted as key %d", written[i], i+1)
			}
		}
		if len(keys) < 1 || len(keys) > session.MaxKeys {
			t.Errorf("%d keys", len(keys))
		}
		if again, err := session.ParseKeys([]byte(strings.Join(written, "\n"))); err != nil || !slices.Equal(again, keys) {
			t.Errorf("%q reads as %v, %v", written, again, err)
		}
	})
}
