package session

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed ticket is the unpadded base64url of
//
//	version   1 byte
//	key id    4 bytes
//	nonce    24 bytes, random
//	ticket   36 bytes, encrypted: ID, Created, Seen, Pool, Home; big-endian
//	tag      16 bytes
//
// The version, the key id and the realm are authenticated with it.
const (
	version   = 1
	nonceAt   = 1 + len(keyID{})
	ticketAt  = nonceAt + chacha20poly1305.NonceSizeX
	ticketLen = len(ID{}) + 4 + 4 + 4 + 8
	rawLen    = ticketAt + ticketLen + chacha20poly1305.Overhead

	// SealedLen is how many bytes a sealed ticket has: letters, digits, - and _.
	SealedLen = rawLen / 3 * 4
)

// Refusal says why a text was not opened. Its string labels a metric.
type Refusal uint8

const (
	Opened     Refusal = iota // it was
	Length                    // it is longer or shorter than a sealed ticket
	Malformed                 // it is not base64url
	Version                   // another release sealed it
	UnknownKey                // no key of the ring has the id of the one it was sealed by
	Forged                    // nobody who has the key sealed this, or not for this realm

	Refusals // how many there are, Opened included
)

func (r Refusal) String() string {
	return [Refusals]string{"", "length", "malformed", "version", "key", "forged"}[r]
}

// Keyring seals tickets with its first key, and opens those that any of its keys
// has sealed. A realm is what carries a ticket, "cookie lb_session" for example:
// what was sealed for one is refused in another.
//
// All methods may be called by any number of goroutines; Seal and Open take no
// lock, and do not allocate.
type Keyring struct {
	// Rand fills a nonce with random bytes; nil is crypto/rand. It is set before the
	// first Seal, and may be called by any number of goroutines.
	Rand func([]byte)

	sealers atomic.Pointer[[]sealer]
	scratch sync.Pool
}

// sealer is a key, ready for use.
type sealer struct {
	key  Key
	id   keyID
	aead cipher.AEAD
}

// scratch is where a ticket is worked on: what the cipher gets would otherwise be
// allocated for each call.
type scratch struct {
	raw    [rawLen]byte
	ticket [ticketLen]byte
	bound  []byte // what is authenticated besides
}

// NewKeyring returns a ring of these keys, the first of which seals. It needs at
// least one; those beyond [MaxKeys] are dropped.
func NewKeyring(keys ...Key) *Keyring {
	r := &Keyring{scratch: sync.Pool{New: func() any { return new(scratch) }}}
	r.Replace(keys...)
	return r
}

// Replace has the ring hold these keys and no others, as [NewKeyring] says.
func (r *Keyring) Replace(keys ...Key) {
	if len(keys) == 0 {
		panic("session: a keyring without a key")
	}
	r.sealers.Store(sealersOf(keys))
}

// Adopt makes key the one that seals. The others go on opening, but for the last
// one if there are too many.
func (r *Keyring) Adopt(key Key) {
	for {
		old := r.sealers.Load()
		keys := []Key{key}
		for _, s := range *old {
			if s.key != key {
				keys = append(keys, s.key)
			}
		}
		if r.sealers.CompareAndSwap(old, sealersOf(keys)) {
			return
		}
	}
}

// First is the key that seals.
func (r *Keyring) First() Key { return (*r.sealers.Load())[0].key }

func sealersOf(keys []Key) *[]sealer {
	var sealers []sealer
	for _, k := range keys[:min(len(keys), MaxKeys)] {
		aead, err := chacha20poly1305.NewX(k[:])
		if err != nil {
			panic(err) // it fails for another length of the key only
		}
		sealers = append(sealers, sealer{k, k.id(), aead})
	}
	return &sealers
}

// Seal appends the ticket, sealed for a realm, to dst: [SealedLen] bytes.
func (r *Keyring) Seal(dst []byte, realm string, t *Ticket) []byte {
	s := &(*r.sealers.Load())[0]
	b := r.scratch.Get().(*scratch)
	defer r.scratch.Put(b)
	head := append(append(b.raw[:0], version), s.id[:]...)
	b.bind(head, realm)
	nonce := b.raw[nonceAt:ticketAt]
	if r.Rand != nil {
		r.Rand(nonce)
	} else {
		rand.Read(nonce) // never fails: it ends the process rather
	}
	text := append(b.ticket[:0], t.ID[:]...)
	text = binary.BigEndian.AppendUint32(text, uint32(t.Created))
	text = binary.BigEndian.AppendUint32(text, uint32(t.Seen))
	text = binary.BigEndian.AppendUint32(text, t.Pool)
	text = binary.BigEndian.AppendUint64(text, uint64(t.Home))
	raw := s.aead.Seal(b.raw[:ticketAt], nonce, text, b.bound)
	return base64.RawURLEncoding.AppendEncode(dst, raw)
}

// Open returns the ticket that was sealed for the realm, or why text is none. stale
// says that it was sealed by another key than the first, which may be gone soon: the
// client should be given a new one.
func (r *Keyring) Open(realm string, text []byte) (t Ticket, stale bool, why Refusal) {
	if len(text) != SealedLen {
		return Ticket{}, false, Length
	}
	b := r.scratch.Get().(*scratch)
	defer r.scratch.Put(b)
	// The decoder skips line ends, so that a text with some of them comes out shorter.
	if n, err := base64.RawURLEncoding.Decode(b.raw[:], text); err != nil || n != rawLen {
		return Ticket{}, false, Malformed
	}
	if b.raw[0] != version {
		return Ticket{}, false, Version
	}
	b.bind(b.raw[:nonceAt], realm)
	why = UnknownKey
	sealers := *r.sealers.Load()
	for i := range sealers {
		if sealers[i].id != keyID(b.raw[1:nonceAt]) {
			continue
		}
		_, err := sealers[i].aead.Open(b.ticket[:0], b.raw[nonceAt:ticketAt], b.raw[ticketAt:rawLen], b.bound)
		if err == nil {
			return b.read(), i > 0, Opened
		}
		why = Forged
	}
	return Ticket{}, false, why
}

// bind sets what is authenticated besides the ticket.
func (b *scratch) bind(head []byte, realm string) {
	b.bound = append(append(b.bound[:0], head...), realm...)
}

func (b *scratch) read() (t Ticket) {
	copy(t.ID[:], b.ticket[:])
	rest := b.ticket[len(t.ID):]
	t.Created = Stamp(binary.BigEndian.Uint32(rest))
	t.Seen = Stamp(binary.BigEndian.Uint32(rest[4:]))
	t.Pool = binary.BigEndian.Uint32(rest[8:])
	t.Home = Home(binary.BigEndian.Uint64(rest[12:]))
	return t
}
