package redisstore_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/session/redistest"
)

// infoNumber is a number of a section of INFO.
func infoNumber(t *testing.T, s *redistest.Server, section, name string) int {
	t.Helper()
	text, _ := must(t, s, "INFO", section).(string)
	m := regexp.MustCompile(`(?m)^` + name + `:(\d+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in %s", name, text)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// commands is what a server has been asked since it was last asked to forget it, of
// what clients sent.
func commands(t *testing.T, s *redistest.Server) map[string]int {
	t.Helper()
	text, _ := must(t, s, "INFO", "commandstats").(string)
	counts := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^cmdstat_(\S+):calls=(\d+)`).FindAllStringSubmatch(text, -1) {
		if m[1] != "config|resetstat" && m[1] != "info" {
			counts[m[1]], _ = strconv.Atoi(m[2])
		}
	}
	return counts
}

func TestCommandsOfACall(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	one := ticket()
	// The connection and the script are there.
	if _, err := s.Rebind(t.Context(), "cart", ticket(), 7, 8, usual); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		call func() error
		want string
	}{
		{"find nothing", func() error { _, err := s.Find(t.Context(), "cart", one, usual); return err }, "map[get:1]"},
		{"bind", func() error { _, err := s.Bind(t.Context(), "cart", one, 7, usual); return err }, "map[set:1]"},
		{"bind again", func() error { _, err := s.Bind(t.Context(), "cart", one, 8, usual); return err }, "map[get:1 set:1]"},
		{"find", func() error { _, err := s.Find(t.Context(), "cart", one, usual); return err }, "map[get:1]"},
		{"touch", func() error { _, err := s.Touch(t.Context(), "cart", one, usual); return err }, "map[pexpire:1]"},
		// What is in the script is not asked for by the network.
		{"rebind", func() error { _, err := s.Rebind(t.Context(), "cart", one, 7, 8, usual); return err }, "map[evalsha:1 get:1 publish:1 set:1]"},
		{"rebind in vain", func() error { _, err := s.Rebind(t.Context(), "cart", one, 7, 9, usual); return err }, "map[evalsha:1 get:1]"},
	} {
		must(t, server, "CONFIG", "RESETSTAT")
		if err := c.call(); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(commands(t, server)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}

	// A connection costs one command more: who we are, and that in the protocol spoken.
	must(t, server, "CONFIG", "RESETSTAT")
	if _, err := open(t, redisstore.Options{URL: server.URL()}).Bind(t.Context(), "cart", ticket(), 7, usual); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(commands(t, server)); got != "map[hello:1 set:1]" {
		t.Errorf("a new connection: %s", got)
	}
}

func TestNewSessionsCostAtMostTwoCommands(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	replicas := []*redisstore.Store{open(t, redisstore.Options{URL: server.URL()}), open(t, redisstore.Options{URL: server.URL()})}
	const sessions = 500
	for i := range sessions {
		one := ticket()
		for _, s := range replicas[:1+i%2] { // every other session is new to both
			if _, err := s.Bind(t.Context(), "cart", one, session.Home(i+1), usual); err != nil {
				t.Fatal(err)
			}
		}
	}
	total := 0
	for name, n := range commands(t, server) {
		if name != "hello" && name != "ping" {
			total += n
		}
	}
	if total > 2*sessions {
		t.Errorf("%d commands for %d sessions", total, sessions)
	}
}

// TestLifeInRedis looks at what is kept, and waits for a session's end by Redis's own
// clock.
func TestLifeInRedis(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	one := ticket()
	key := keyName("shop", "cart", one.ID)
	if _, err := s.Bind(t.Context(), "cart", one, 0x4d2, usual); err != nil {
		t.Fatal(err)
	}
	if got := must(t, server, "GET", key); got != "1 00000000000004d2" {
		t.Errorf("what is kept is %q", got)
	}
	if ttl, _ := must(t, server, "PTTL", key).(int64); ttl <= 0 || ttl > usual.Idle.Milliseconds() {
		t.Errorf("it is kept for %d ms", ttl)
	}
	bytes, _ := must(t, server, "MEMORY", "USAGE", key).(int64)
	t.Logf("a session takes %d bytes", bytes)
	if bytes > 160 {
		t.Errorf("a session takes %d bytes", bytes)
	}

	brief := session.Lifetime{Idle: 50 * time.Millisecond, Absolute: time.Hour}
	if home, err := s.Rebind(t.Context(), "cart", one, 0x4d2, 9, brief); home != 9 || err != nil {
		t.Fatal(home, err)
	}
	eventually(t, "the session ends", func() error {
		home, err := s.Find(t.Context(), "cart", one, brief)
		if err == nil && home != session.None {
			err = errors.New("it is there")
		}
		return err
	})
	if n := must(t, server, "DBSIZE"); n != int64(0) {
		t.Errorf("%v keys are left", n)
	}
}

// TestNamesInRedis has namespaces and pools that look like one another, and like what
// Redis gives a meaning to.
func TestNamesInRedis(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	one := ticket()
	names := []string{"a", "a:b", "b", "{a}", "a*", "a b", "a+b", "a%20b", "é", "A"}
	n := session.Home(0)
	for _, namespace := range names {
		s := open(t, redisstore.Options{URL: server.URL(), Namespace: namespace})
		for _, pool := range names {
			n++
			if home, err := s.Bind(t.Context(), pool, one, n, usual); home != n || err != nil {
				t.Fatalf("%q and %q are the same as others: %x, %v", namespace, pool, home, err)
			}
		}
	}
	keys, _ := must(t, server, "KEYS", "*").([]any)
	if len(keys) != int(n) {
		t.Errorf("%d keys for %d sessions", len(keys), n)
	}
	for _, key := range keys {
		if k, _ := key.(string); strings.ContainsAny(k, "{}*?[]\\ ") || strings.Count(k, ":") != 5 {
			t.Errorf("a key is called %q", k)
		}
	}
}
