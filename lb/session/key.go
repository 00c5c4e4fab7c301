package session

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
)

// MaxKeys is how many keys a [Keyring] keeps, and a file of keys has, at most.
const MaxKeys = 8

// Key is the secret that tickets are sealed by: 256 bits. Printed, logged or
// marshalled it shows its id, and nothing of itself. But fmt cannot see that of a
// field which is not exported: never print what has a key in one.
type Key [32]byte

// NewKey returns a random key.
func NewKey() (k Key) {
	rand.Read(k[:]) // never fails: it ends the process rather
	return k
}

// keyID is what a sealed ticket names its key by. It tells nothing of the key, and
// two keys may have the same.
type keyID [4]byte

func (k Key) id() keyID {
	sum := sha256.Sum256(append([]byte("lb session key id 1:"), k[:]...))
	return keyID(sum[:])
}

// String is "key" and the key's id, which is the same in every process.
func (k Key) String() string {
	id := k.id()
	return "key " + hex.EncodeToString(id[:])
}

func (k Key) GoString() string             { return k.String() }
func (k Key) Format(f fmt.State, _ rune)   { io.WriteString(f, k.String()) }
func (k Key) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ParseKeys reads a file of keys: one a line, as 64 hexadecimal digits or as the
// base64 of 32 bytes, with blank lines, and comments that begin with #. There are 1
// to [MaxKeys] of them. The first one seals, all of them open: a new key is first
// given to all replicas as the last one, then made the first, and the old one is
// removed when the sessions of its time are over.
//
// An error says which line is wrong and what to do, and nothing of what is there.
func ParseKeys(text []byte) ([]Key, error) {
	var keys []Key
	var lines []int // where each key is
	number := 0
	for line := range bytes.Lines(text) {
		number++
		word, _, _ := bytes.Cut(line, []byte("#"))
		if word = bytes.TrimSpace(word); len(word) == 0 {
			continue
		}
		key, ok := parseKey(string(word))
		earlier := slices.Index(keys, key)
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d: not a key: write 64 hexadecimal digits, as `openssl rand -hex 32` prints them, or the base64 of 32 bytes", number)
		case key == Key(bytes.Repeat(key[:1], len(key))):
			return nil, fmt.Errorf("line %d: all bytes of the key are the same: take the output of `openssl rand -hex 32`", number)
		case earlier >= 0:
			return nil, fmt.Errorf("line %d: the key of line %d once more: remove one of them", number, lines[earlier])
		case len(keys) == MaxKeys:
			return nil, fmt.Errorf("line %d: more than %d keys: remove the oldest ones", number, MaxKeys)
		}
		keys, lines = append(keys, key), append(lines, number)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in the file: put the output of `openssl rand -hex 32` there")
	}
	return keys, nil
}

// parseKey reads a key that is written in hexadecimal digits, or in base64 of
// either alphabet, padded or not.
func parseKey(word string) (Key, bool) {
	var b []byte
	var err error
	if len(word) == hex.EncodedLen(len(Key{})) {
		b, err = hex.DecodeString(word)
	} else {
		word = strings.NewReplacer("+", "-", "/", "_").Replace(word)
		b, err = base64.RawURLEncoding.Strict().DecodeString(strings.TrimSuffix(word, "="))
	}
	if err != nil || len(b) != len(Key{}) {
		return Key{}, false
	}
	return Key(b), true
}
