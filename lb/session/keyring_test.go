package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
)

const (
	realm    = "cookie lb_session"
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t
}

func ticket() session.Ticket {
	return session.Ticket{
		ID:      session.ID{0xa1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xf1},
		Created: session.StampOf(at("2026-11-23T10:00:00Z")),
		Seen:    session.StampOf(at("2026-11-23T10:07:30Z")),
		Pool:    session.PoolTag("cart"),
		Home:    0x123456789abcdef0,
	}
}

// refused fails the test unless the text is refused for that reason, and nothing of
// it comes out.
func refused(t *testing.T, ring *session.Keyring, realm string, text []byte, want session.Refusal) {
	t.Helper()
	got, stale, why := ring.Open(realm, text)
	if why != want || got != (session.Ticket{}) || stale {
		t.Errorf("%.200q: refused for %q, want %q; ticket %+v", text, why, want, got)
	}
}

// opened fails the test unless the text is a ticket.
func opened(t *testing.T, ring *session.Keyring, realm string, text []byte, want session.Ticket, wantStale bool) {
	t.Helper()
	got, stale, why := ring.Open(realm, text)
	if why != session.Opened || got != want || stale != wantStale {
		t.Errorf("%+v, stale %t, refused for %q; want %+v, stale %t", got, stale, why, want, wantStale)
	}
}

func TestSealAndOpen(t *testing.T) {
	ring := session.NewKeyring(key(1))
	full := session.Ticket{
		ID:      session.ID(bytes.Repeat([]byte{0xff}, 16)),
		Created: math.MaxUint32, Seen: math.MaxUint32,
		Pool: math.MaxUint32, Home: math.MaxUint64,
	}
	for name, sealed := range map[string]session.Ticket{
		"usual":    ticket(),
		"nothing":  {},
		"all bits": full,
	} {
		t.Run(name, func(t *testing.T) {
			for _, realm := range []string{realm, "header X-Session", "", strings.Repeat("long", 500)} {
				before := sealed
				text := ring.Seal([]byte("lb_session="), realm, &sealed)
				value, ok := bytes.CutPrefix(text, []byte("lb_session="))
				if !ok || len(value) != session.SealedLen || strings.Trim(string(value), alphabet) != "" {
					t.Fatalf("sealed as %q", text)
				}
				if sealed != before {
					t.Errorf("sealing changed the ticket to %+v", sealed)
				}
				opened(t, ring, realm, value, sealed, false)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	for name, tt := range map[string]struct{ given, want string }{
		"far past":          {"1970-01-01T00:00:01Z", "1970-01-01T00:00:01Z"},
		"far future":        {"2100-12-31T23:59:59Z", "2100-12-31T23:59:59Z"},
		"parts of a second": {"2026-01-01T00:00:00.999999999Z", "2026-01-01T00:00:00Z"},
		"another zone":      {"2026-01-01T00:00:00-07:00", "2026-01-01T07:00:00Z"},
		"before the first":  {"1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"},
		"after the last":    {"2200-01-01T00:00:00Z", "2106-02-07T06:28:15Z"},
		"long before":       {"0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
	} {
		if got := session.StampOf(at(tt.given)).Time(); got != at(tt.want) {
			t.Errorf("%s: %s is %v, want %s", name, tt.given, got, tt.want)
		}
	}
}

// What one release has sealed, the next must open: a change of this text is a
// change of the version.
func TestFormat(t *testing.T) {
	ring := session.NewKeyring(key(1))
	ring.Rand = func(b []byte) {
		for i := range b {
			b[i] = 0x40 + byte(i)
		}
	}
	sealed := ticket()
	const want = "AUN-fSJAQUJDREVGR0hJSktMTU5PUFFSU1RVVleuDDbw0_OGC4p6z4qlvEjFMjgzaUblLEYjeQWwTAVJd1sqfBOkI8a9ksWG3EGrP20qCqoM"
	if got := ring.Seal(nil, realm, &sealed); string(got) != want {
		t.Errorf("sealed as %s, want %s", got, want)
	}
	opened(t, session.NewKeyring(key(1)), realm, []byte(want), sealed, false)
}

// Nothing is seen of a ticket, not even that two are of the same session.
func TestNothingIsVisible(t *testing.T) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	sealed.ID = session.ID(bytes.Repeat([]byte{0}, 16))
	seen := map[string]bool{}
	for range 1000 {
		raw, err := base64.RawURLEncoding.DecodeString(string(ring.Seal(nil, realm, &sealed)))
		if err != nil {
			t.Fatal(err)
		}
		for _, plain := range [][]byte{
			sealed.ID[:4],
			binary.BigEndian.AppendUint64(nil, uint64(sealed.Home))[:4],
			binary.LittleEndian.AppendUint64(nil, uint64(sealed.Home))[:4],
			binary.BigEndian.AppendUint32(nil, sealed.Pool),
			binary.BigEndian.AppendUint32(nil, uint32(sealed.Created)),
		} {
			if bytes.Contains(raw, plain) {
				t.Fatalf("%x is in %x", plain, raw)
			}
		}
		// The version and the key are the same for all, and nothing else is.
		for _, part := range [][]byte{raw[5:29], raw[29:65], raw[65:]} {
			if seen[string(part)] {
				t.Fatalf("%x came twice", part)
			}
			seen[string(part)] = true
		}
	}
}

func TestTampering(t *testing.T) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	text := ring.Seal(nil, realm, &sealed)
	for i := range text {
		changed := bytes.Clone(text)
		// A letter has six bits of the bytes before the ticket, or of those after them.
		reasons := map[session.Refusal]bool{}
		for _, letter := range []byte(alphabet) {
			if changed[i] = letter; letter == text[i] {
				continue
			}
			got, _, why := ring.Open(realm, changed)
			if got != (session.Ticket{}) {
				t.Fatalf("%q in place of %q at %d: opened", letter, text[i], i)
			}
			reasons[why] = true
		}
		may := []session.Refusal{session.Forged}
		switch {
		case i == 0:
			may = []session.Refusal{session.Version}
		case i == 1:
			may = []session.Refusal{session.Version, session.UnknownKey}
		case i < 6:
			may = []session.Refusal{session.UnknownKey}
		case i == 6:
			may = []session.Refusal{session.UnknownKey, session.Forged}
		}
		for _, why := range may {
			delete(reasons, why)
		}
		if len(reasons) > 0 {
			t.Errorf("at %d: refused for %v, want %v", i, reasons, may)
		}
		for _, c := range []byte("\x00 \r\n\"%+,/:;=~\x7f\x80\xff") {
			changed[i] = c
			refused(t, ring, realm, changed, session.Malformed)
		}
	}
	opened(t, ring, realm, text, sealed, false)
}

func TestLengths(t *testing.T) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	text := ring.Seal(nil, realm, &sealed)
	for n := range text {
		refused(t, ring, realm, text[:n], session.Length)
		refused(t, ring, realm, text[len(text)-n:], session.Length)
	}
	for _, more := range []string{"=", "A", "\n", "====", string(text), strings.Repeat("A", 64<<10)} {
		refused(t, ring, realm, append(bytes.Clone(text), more...), session.Length)
		refused(t, ring, realm, append([]byte(more), text...), session.Length)
	}
	refused(t, ring, realm, nil, session.Length)
	refused(t, ring, realm, bytes.Repeat([]byte{'\n'}, len(text)), session.Malformed)
	refused(t, ring, realm, bytes.Repeat([]byte{'A'}, len(text)), session.Version)
	// Line ends among the letters of an opened one would give clients many spellings.
	refused(t, ring, realm, append(bytes.Clone(text[:len(text)-4]), "\r\n\r\n"...), session.Malformed)
}

func TestRealms(t *testing.T) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	text := ring.Seal(nil, realm, &sealed)
	for _, other := range []string{"", "cookie lb_sessio", "cookie lb_session2", "cookie LB_SESSION", "header lb_session", realm + "\x00"} {
		refused(t, ring, other, text, session.Forged)
		refused(t, ring, realm, ring.Seal(nil, other, &sealed), session.Forged)
	}
}

func TestRotation(t *testing.T) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	old := ring.Seal(nil, realm, &sealed)
	refused(t, session.NewKeyring(key(2)), realm, old, session.UnknownKey)

	ring.Replace(key(2), key(1))
	opened(t, ring, realm, old, sealed, true)
	renewed := ring.Seal(nil, realm, &sealed)
	opened(t, ring, realm, renewed, sealed, false)
	opened(t, session.NewKeyring(key(2)), realm, renewed, sealed, false)
	ring.Replace(key(2))
	refused(t, ring, realm, old, session.UnknownKey)

	// The key that is adopted seals, and those before it open.
	ring.Adopt(key(3))
	opened(t, ring, realm, renewed, sealed, true)
	opened(t, session.NewKeyring(key(3)), realm, ring.Seal(nil, realm, &sealed), sealed, false)
	ring.Adopt(key(3))
	ring.Adopt(key(2)) // it had that one
	opened(t, ring, realm, renewed, sealed, false)
	opened(t, ring, realm, session.NewKeyring(key(3)).Seal(nil, realm, &sealed), sealed, true)
}

func TestKeysAreBounded(t *testing.T) {
	sealed := ticket()
	var keys []session.Key
	var texts [][]byte
	for n := range byte(session.MaxKeys + 1) {
		keys = append(keys, key(n))
		texts = append(texts, session.NewKeyring(key(n)).Seal(nil, realm, &sealed))
	}
	ring := session.NewKeyring(keys...)
	for i, text := range texts[:session.MaxKeys] {
		opened(t, ring, realm, text, sealed, i > 0)
	}
	refused(t, ring, realm, texts[session.MaxKeys], session.UnknownKey)
	ring.Adopt(keys[session.MaxKeys])
	opened(t, ring, realm, texts[session.MaxKeys], sealed, false)
	opened(t, ring, realm, texts[session.MaxKeys-2], sealed, true)
	refused(t, ring, realm, texts[session.MaxKeys-1], session.UnknownKey)
	for n := range 2 * session.MaxKeys { // keys it has already push none out
		ring.Adopt(keys[n%2])
	}
	opened(t, ring, realm, texts[session.MaxKeys-2], sealed, true)

	defer func() {
		if recover() == nil {
			t.Error("a ring without a key was made")
		}
	}()
	session.NewKeyring()
}

// Keys are told apart also if their ids are the same.
func TestKeysOfTheSameID(t *testing.T) {
	byID := map[string]session.Key{}
	for n := uint64(0); n < 1<<20; n++ {
		var k session.Key
		binary.BigEndian.PutUint64(k[:], n)
		other, ok := byID[k.String()]
		if !ok {
			byID[k.String()] = k
			continue
		}
		sealed := ticket()
		ring := session.NewKeyring(k, other)
		opened(t, ring, realm, session.NewKeyring(k).Seal(nil, realm, &sealed), sealed, false)
		opened(t, ring, realm, session.NewKeyring(other).Seal(nil, realm, &sealed), sealed, true)
		refused(t, session.NewKeyring(k), realm, session.NewKeyring(other).Seal(nil, realm, &sealed), session.Forged)
		return
	}
	t.Error("no two of a million keys have the same id of 32 bits")
}

// With the same random bytes the same text comes out, so that a run can be repeated.
func TestSeededRing(t *testing.T) {
	texts := func() (texts []string) {
		n := byte(0)
		ring := session.NewKeyring(key(1))
		ring.Rand = func(b []byte) {
			for i := range b {
				b[i] = n
			}
			n++
		}
		sealed := ticket()
		for range 3 {
			texts = append(texts, string(ring.Seal(nil, realm, &sealed)))
		}
		return texts
	}
	a, b := texts(), texts()
	for i := range a {
		if a[i] != b[i] || a[i] == a[(i+1)%len(a)] {
			t.Errorf("%q and then %q", a, b)
		}
	}
}

// Keys are replaced while others seal and open: what a ring has sealed opens as long
// as it has the key.
func TestKeysReplacedInUse(t *testing.T) {
	ring := session.NewKeyring(key(0))
	var all sync.WaitGroup
	for n := range byte(session.MaxKeys - 1) {
		all.Go(func() { ring.Adopt(key(n + 1)) })
		all.Go(func() {
			sealed := ticket()
			sealed.ID[0] = n
			for range 500 {
				got, _, why := ring.Open(realm, ring.Seal(nil, realm, &sealed))
				if why != session.Opened || got != sealed {
					t.Errorf("%+v, %v, want %+v", got, why, sealed)
					return
				}
			}
		})
	}
	all.Wait()
}

// No key is lost of those that are adopted at once.
func TestKeysAdoptedAtOnce(t *testing.T) {
	sealed := ticket()
	var texts [session.MaxKeys][]byte
	for n := range texts {
		texts[n] = session.NewKeyring(key(byte(n))).Seal(nil, realm, &sealed)
	}
	for range 500 {
		ring := session.NewKeyring(key(0))
		start := make(chan struct{})
		var all sync.WaitGroup
		for n := 1; n < session.MaxKeys; n++ {
			all.Go(func() {
				<-start
				ring.Adopt(key(byte(n)))
			})
		}
		close(start)
		all.Wait()
		for n, text := range texts {
			if _, _, why := ring.Open(realm, text); why != session.Opened {
				t.Fatalf("key %d was lost: %v", n, why)
			}
		}
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	names := map[string]bool{}
	for why := range session.Refusals {
		names[why.String()] = true
	}
	for _, name := range []string{"", "length", "malformed", "version", "key", "forged"} {
		if !names[name] {
			t.Errorf("no refusal is called %q: %v", name, names)
		}
	}
	if len(names) != int(session.Refusals) {
		t.Errorf("%v, for %d reasons", names, session.Refusals)
	}
}

func TestAllocationsOfKeyring(t *testing.T) {
	ring := session.NewKeyring(key(1), key(2))
	sealed := ticket()
	text := ring.Seal(nil, realm, &sealed)
	old := session.NewKeyring(key(2)).Seal(nil, realm, &sealed)
	forged := append(bytes.Clone(text[:len(text)-4]), "AAAA"...)
	huge := bytes.Repeat([]byte{'A'}, 64<<10)
	buffer := make([]byte, 0, session.SealedLen)
	for name, do := range map[string]func(){
		"seal":           func() { ring.Seal(buffer, realm, &sealed) },
		"open":           func() { ring.Open(realm, text) },
		"open, old key":  func() { ring.Open(realm, old) },
		"open, forged":   func() { ring.Open(realm, forged) },
		"open, too long": func() { ring.Open(realm, huge) },
	} {
		if n := testing.AllocsPerRun(1000, do); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	buffer := make([]byte, 0, session.SealedLen)
	b.ReportAllocs()
	for b.Loop() {
		ring.Seal(buffer, realm, &sealed)
	}
}

func BenchmarkOpen(b *testing.B) {
	ring := session.NewKeyring(key(1))
	sealed := ticket()
	text := ring.Seal(nil, realm, &sealed)
	for name, text := range map[string][]byte{
		"ticket":   text,
		"forged":   append(bytes.Clone(text[:len(text)-4]), "AAAA"...),
		"too long": bytes.Repeat([]byte{'A'}, 64<<10),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ring.Open(realm, text)
			}
		})
	}
}
