package redisstore_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/session/redistest"
	"go-loadbalancer/lb/session/sessiontest"
)

// patience is for how long a test waits for what must happen.
const patience = 20 * time.Second

// usual is the lifetime of sessions that are not about theirs.
var usual = session.Lifetime{Idle: time.Minute, Absolute: time.Hour}

func start(t *testing.T, o redistest.Options) *redistest.Server {
	t.Helper()
	s, err := redistest.Start(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// open returns a store that is closed with the test.
func open(t *testing.T, o redisstore.Options) *redisstore.Store {
	t.Helper()
	if o.Namespace == "" {
		o.Namespace = "shop"
	}
	s, err := redisstore.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ticket returns the ticket of a new session.
func ticket() *session.Ticket {
	now := session.StampOf(time.Now())
	t := &session.Ticket{Created: now, Seen: now}
	rand.Read(t.ID[:])
	return t
}

// keyName is what the documentation says a session's key is called, in a pool whose
// name needs no encoding.
func keyName(namespace, pool string, id session.ID) string {
	return "lb:v1:" + namespace + ":home:" + pool + ":" + base64.RawURLEncoding.EncodeToString(id[:])
}

// must has a server execute a command.
func must(t *testing.T, s *redistest.Server, args ...string) any {
	t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// eventually asks again until there is no error.
func eventually(t *testing.T, what string, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// age makes older what expires on a server, of a namespace.
const age = `
for _, key in ipairs(redis.call('KEYS', 'lb:v1:' .. ARGV[2] .. ':*')) do
  local left = redis.call('PTTL', key)
  if left > tonumber(ARGV[1]) then
    redis.call('PEXPIRE', key, left - ARGV[1])
  elseif left > 0 then
    redis.call('DEL', key)
  end
end`

// subjects has the conformance suite open two stores on the same Redis each time,
// the keys of which are on one of the servers.
func subjects(url string, servers func() ([]*redistest.Server, error)) func(t *testing.T) sessiontest.Subject {
	return func(t *testing.T) sessiontest.Subject {
		clock := sessiontest.NewClock()
		o := redisstore.Options{URL: url, Namespace: "t" + rand.Text(), Wall: clock.Now}
		all, err := servers()
		if err != nil {
			t.Fatal(err)
		}
		return sessiontest.Subject{
			Stores: []session.Store{open(t, o), open(t, o)},
			Now:    clock.Now,
			Advance: func(d time.Duration) {
				clock.Advance(d)
				for _, s := range all {
					must(t, s, "EVAL", age, "0", fmt.Sprint(d.Milliseconds()), o.Namespace)
				}
			},
			Plant: func(t *testing.T, pool string, id session.ID) {
				var errs error
				for _, s := range all {
					_, err := s.Do("SET", keyName(o.Namespace, pool, id), "2 {}")
					if err == nil {
						return
					}
					errs = errors.Join(errs, err)
				}
				t.Fatal(errs)
			},
		}
	}
}

// only is for servers that stay the ones they are.
func only(servers ...*redistest.Server) func() ([]*redistest.Server, error) {
	return func() ([]*redistest.Server, error) { return servers, nil }
}

// as puts a user into a URL that has none.
func as(url, user string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }
