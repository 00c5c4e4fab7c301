package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/session"
)

// key returns a key that is the same in every run.
func key(n byte) (k session.Key) {
	for i := range k {
		k[i] = n + byte(i)
	}
	return k
}

func hexOf(k session.Key) string { return hex.EncodeToString(k[:]) }

func TestParseKeys(t *testing.T) {
	a, b, c := key(1), key(0xe0), key(3) // b has both letters in which the alphabets of base64 differ
	for _, tt := range []struct {
		name, text string
		want       []session.Key
	}{
		{"one", hexOf(a), []session.Key{a}},
		{"capitals", strings.ToUpper(hexOf(a)), []session.Key{a}},
		{"line ends", hexOf(a) + "\r\n" + hexOf(b) + "\n", []session.Key{a, b}},
		{"base64", base64.StdEncoding.EncodeToString(b[:]), []session.Key{b}},
		{"base64, no padding", base64.RawStdEncoding.EncodeToString(b[:]), []session.Key{b}},
		{"base64url", base64.URLEncoding.EncodeToString(b[:]), []session.Key{b}},
		{"base64url, no padding", base64.RawURLEncoding.EncodeToString(b[:]), []session.Key{b}},
		{"comments", "# first\n\n \t" + hexOf(c) + " # this year's\n#" + hexOf(b) + "\n" + hexOf(a) + "#", []session.Key{c, a}},
		{"eight", eight(0), []session.Key{key(1), key(2), key(3), key(4), key(5), key(6), key(7), key(8)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := session.ParseKeys([]byte(tt.text)); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v %v, want %v", got, err, tt.want)
			}
		})
	}
}

// eight is a file of eight keys and some more.
func eight(more byte) string {
	var text strings.Builder
	for n := range 8 + more {
		fmt.Fprintln(&text, hexOf(key(n+1)))
	}
	return text.String()
}

func TestParseKeysRefuses(t *testing.T) {
	a := key(1)
	inBase64 := base64.StdEncoding.EncodeToString(a[:])
	for _, tt := range []struct {
		name, text, want string
	}{
		{"nothing", "", "no key in the file"},
		{"comments only", "\n# " + hexOf(a) + "\n", "no key in the file"},
		{"short", "#\n" + hexOf(a)[2:], "line 2: not a key"},
		{"long", hexOf(a) + "00", "line 1: not a key"},
		{"16 bytes", hexOf(a)[:32], "line 1: not a key"},
		{"two on a line", hexOf(a) + " " + hexOf(key(2)), "line 1: not a key"},
		{"no hexadecimal digit", "g" + hexOf(a)[1:], "line 1: not a key"},
		{"base64 of 31 bytes", base64.StdEncoding.EncodeToString(a[1:]), "line 1: not a key"},
		{"base64 of 33 bytes", base64.StdEncoding.EncodeToString(append(a[:], 1)), "line 1: not a key"},
		{"base64 with bits left over", inBase64[:42] + "B=", "line 1: not a key"},
		{"base64 cut", inBase64[:42], "line 1: not a key"},
		{"binary", string(a[:]), "line 1: not a key"},
		{"a password", "hunter2", "line 1: not a key"},
		{"all zero", strings.Repeat("0", 64), "line 1: all bytes"},
		{"all equal", hexOf(a) + "\n" + strings.Repeat("Aa", 32), "line 2: all bytes"},
		{"twice", hexOf(a) + "\n\n" + hexOf(key(2)) + "\n" + inBase64, "line 4: the key of line 1"},
		{"nine", eight(1), "line 9: more than 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := session.ParseKeys([]byte(tt.text))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("%v %v, want %q", keys, err, tt.want)
			}
			if !refusalOfKeys.MatchString(err.Error()) {
				t.Errorf("the error says something of its own: %v", err)
			}
		})
	}
}

// refusalOfKeys is all that an error of a file of keys may say.
var refusalOfKeys = regexp.MustCompile("^(" +
	"line [0-9]+: (not a key: write 64 hexadecimal digits, as `openssl rand -hex 32` prints them, or the base64 of 32 bytes" +
	"|all bytes of the key are the same: take the output of `openssl rand -hex 32`" +
	"|the key of line [0-9]+ once more: remove one of them" +
	"|more than 8 keys: remove the oldest ones)" +
	"|no key in the file: put the output of `openssl rand -hex 32` there)$")

func TestKeysDiffer(t *testing.T) {
	a, b := session.NewKey(), session.NewKey()
	if a == b || a == (session.Key{}) {
		t.Error("new keys are not random")
	}
	if a.String() == b.String() || a.String() != session.Key(a).String() {
		t.Errorf("%v and %v do not name the keys", a, b)
	}
}

// However a key is printed, logged or marshalled, only its id is seen.
func TestKeyIsNotShown(t *testing.T) {
	k := key(100)
	holder := struct {
		Key  session.Key
		Keys []session.Key
	}{k, []session.Key{k}}
	shown := map[string]string{}
	for _, verb := range "vsqxXdboOcUeEfFgGt" {
		for _, flags := range []string{"", "+", "#", " ", "0", "-80.90"} {
			format := "%" + flags + string(verb)
			shown[format] = fmt.Sprintf(format, k) + fmt.Sprintf(format, &k) + fmt.Sprintf(format, holder)
		}
	}
	shown["Error"] = fmt.Errorf("of %v", k).Error()
	shown["Sprint"] = fmt.Sprint(k, holder)
	marshalled, err := json.Marshal(map[session.Key]any{k: holder})
	if err != nil {
		t.Fatal(err)
	}
	shown["JSON"] = string(marshalled)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k, "holder", holder)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", k, "holder", holder)
	shown["slog"] = log.String()
	shown["String"], shown["GoString"] = k.String(), k.GoString()

	three := k[10:13]
	secret := []string{
		string(three), fmt.Sprintf("%x", three), fmt.Sprintf("%X", three), fmt.Sprintf("% x", three),
		fmt.Sprintf("%d %d", three[0], three[1]), fmt.Sprintf("%d,%d", three[0], three[1]),
		fmt.Sprintf("0x%x, 0x%x", three[0], three[1]), fmt.Sprintf("%b %b", three[0], three[1]),
		base64.StdEncoding.EncodeToString(k[9:15]),
	}
	for how, text := range shown {
		if !strings.Contains(text, strings.TrimPrefix(k.String(), "key ")) {
			t.Errorf("%s does not name the key: %q", how, text)
		}
		for _, s := range secret {
			if strings.Contains(text, s) {
				t.Errorf("%s shows the key: %q", how, text)
			}
		}
	}
}
