package names_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/names"
	"go-loadbalancer/lb/policy"
)

func TestOf(t *testing.T) {
	p := pools(
		policy.Pool{ResolveInterval: 10 * time.Second, Endpoints: at("a.test:80", "a.test:81", "10.0.0.1:80", "[::1]:80", "localhost:80", "LocalHost:80")},
		policy.Pool{ResolveInterval: 5 * time.Second, Endpoints: at("A.Test:80", "b.test:80", "b.test.:80", "no-port")},
		policy.Pool{ResolveInterval: time.Minute, Endpoints: at("b.test:80", "fe80:80")},
	)
	want := names.Hosts{"a.test": 5 * time.Second, "b.test": 5 * time.Second, "b.test.": 5 * time.Second, "fe80": time.Minute}
	if diff := cmp.Diff(want, names.Of(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExpand(t *testing.T) {
	for name, c := range map[string]struct {
		written []policy.Endpoint
		want    []string
	}{
		"no name":                    {at("10.0.0.1:80", "localhost:80"), []string{"10.0.0.1:80", "localhost:80"}},
		"in its place":               {at("10.0.0.1:80", "two.test:81", "localhost:80"), []string{"10.0.0.1:80", "192.0.2.1:81 two.test", "192.0.2.2:81 two.test", "localhost:80"}},
		"no answer":                  {at("10.0.0.1:80", "none.test:81"), []string{"10.0.0.1:80"}},
		"no answer at all":           {at("none.test:81"), []string{}},
		"IPv6":                       {at("six.test:80"), []string{"[2001:db8::1]:80 six.test"}},
		"a dot at the end":           {at("Two.test.:80"), []string{"192.0.2.7:80 two.test"}},
		"capitals":                   {at("Two.TEST:80"), []string{"192.0.2.1:80 two.test", "192.0.2.2:80 two.test"}},
		"the first one has it":       {at("two.test:80", "same.test:80"), []string{"192.0.2.1:80 two.test", "192.0.2.2:80 two.test", "192.0.2.3:80 same.test"}},
		"what is written has it":     {at("two.test:80", "192.0.2.1:80", "[::ffff:192.0.2.2]:80"), []string{"192.0.2.1:80", "[::ffff:192.0.2.2]:80"}},
		"written before":             {at("[::ffff:192.0.2.1]:80", "two.test:80"), []string{"[::ffff:192.0.2.1]:80", "192.0.2.2:80 two.test"}},
		"other ports are others":     {at("192.0.2.1:81", "two.test:80"), []string{"192.0.2.1:81", "192.0.2.1:80 two.test", "192.0.2.2:80 two.test"}},
		"one name by two ports":      {at("two.test:80", "two.test:81"), []string{"192.0.2.1:80 two.test", "192.0.2.2:80 two.test", "192.0.2.1:81 two.test", "192.0.2.2:81 two.test"}},
		"localhost is no other name": {at("localhost:80", "loop.test:80"), []string{"localhost:80", "127.0.0.1:80 loop.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 1, func(t *testing.T, s *shelf) {
				s.say("two.test", answer{addresses: "192.0.2.2 192.0.2.1"})
				s.say("two.test.", answer{addresses: "192.0.2.7"})
				s.say("same.test", answer{addresses: "192.0.2.2 192.0.2.3"})
				s.say("six.test", answer{addresses: "2001:db8::1"})
				s.say("loop.test", answer{addresses: "127.0.0.1"})
				p := pools(policy.Pool{Endpoints: c.written, ResolveInterval: time.Hour})
				if err := s.Learn(t.Context(), names.Of(p)); err != nil {
					t.Fatal(err)
				}
				got := []string{}
				for _, e := range s.Expand(p).Pools[0].Endpoints {
					text := e.Address
					if e.Name != "" {
						text += " " + e.Name
					}
					got = append(got, text)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// An address that is written keeps what is written of it, whatever a name that
// stands before it resolves to.
func TestExpandKeepsWhatIsWritten(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("two.test", answer{addresses: "192.0.2.1 192.0.2.2"})
		s.learn(t, time.Hour, "two.test")
		endpoints := at("two.test:80", "192.0.2.2:80")
		endpoints[1].Weight, endpoints[1].Priority, endpoints[1].Drain = 7, 3, true
		first := endpoints[0]
		first.Address, first.Name = "192.0.2.1:80", "two.test"
		got := s.Expand(pools(policy.Pool{Endpoints: endpoints})).Pools[0].Endpoints
		if diff := cmp.Diff([]policy.Endpoint{first, endpoints[1]}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What is written of a name holds for each of its addresses; what was given is
// not changed.
func TestExpandCopies(t *testing.T) {
	virtually(t, 1, func(t *testing.T, s *shelf) {
		s.say("two.test", answer{addresses: "192.0.2.1 192.0.2.2"})
		s.learn(t, time.Hour, "two.test")
		e := policy.Endpoint{Pos: policy.Pos{File: "p.yaml", Line: 7, Col: 3}, Address: "two.test:80", Weight: 5, Priority: 2, Drain: true}
		p := pools(policy.Pool{Endpoints: at("10.0.0.1:80")}, policy.Pool{Endpoints: []policy.Endpoint{e}})
		p.Version = "7"
		before := cmp.Diff(p, &policy.Policy{})
		got := s.Expand(p)
		one, two := e, e
		one.Address, one.Name = "192.0.2.1:80", "two.test"
		two.Address, two.Name = "192.0.2.2:80", "two.test"
		want := pools(policy.Pool{Endpoints: at("10.0.0.1:80")}, policy.Pool{Endpoints: []policy.Endpoint{one, two}})
		want.Version = "7"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if cmp.Diff(p, &policy.Policy{}) != before {
			t.Error("what was given is another")
		}
		plain := pools(policy.Pool{Endpoints: at("10.0.0.1:80")})
		if s.Expand(plain) != plain {
			t.Error("a policy without names was copied")
		}
	})
}
