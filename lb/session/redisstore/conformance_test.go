package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/session/redistest"
	"go-loadbalancer/lb/session/sessiontest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		s := start(t, redistest.Options{})
		sessiontest.Run(t, subjects(s.URL(), only(s)))
	})
	t.Run("TLS and a password", func(t *testing.T) {
		s := start(t, redistest.Options{TLS: true, Password: "p@ss:w/o?rd #%"})
		sessiontest.Run(t, subjects(s.URL(), only(s)))
	})
	t.Run("unix socket, another database", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		s := start(t, redistest.Options{Args: []string{"--unixsocket", socket}})
		one := subjects("unix://"+socket+"?db=3", only(s))
		sessiontest.Run(t, func(t *testing.T) sessiontest.Subject {
			subject := one(t)
			clock := subject.Advance
			// Do speaks to database 0: have it see what is in 3.
			subject.Advance = func(d time.Duration) {
				must(t, s, "SWAPDB", "0", "3")
				clock(d)
				must(t, s, "SWAPDB", "0", "3")
			}
			plant := subject.Plant
			subject.Plant = func(t *testing.T, pool string, id session.ID) {
				plant(t, pool, id)
				must(t, s, "SWAPDB", "0", "3")
			}
			return subject
		})
	})
	t.Run("least rights", func(t *testing.T) {
		s := start(t, redistest.Options{Args: []string{"--maxclients", "500"}})
		must(t, s, append([]string{"ACL", "SETUSER", "lb", "on", ">pw"}, leastRights...)...)
		sessiontest.Run(t, subjects(as(s.URL(), "lb:pw"), only(s)))
	})
}

// leastRights are those of the package's documentation, for all policies.
var leastRights = strings.Fields("resetkeys resetchannels ~lb:v1:* &lb:v1:* -@all +get +set +pexpire +evalsha +eval +publish +subscribe +ping")

func TestConformanceOfACluster(t *testing.T) {
	t.Parallel()
	c, err := redistest.StartCluster(t.TempDir(), redistest.Options{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for _, node := range c.Nodes {
		must(t, node, append([]string{"ACL", "SETUSER", "lb", "on", ">pw", "+cluster|slots", "+asking"}, append(leastRights, "+cluster|slots", "+asking")...)...)
	}
	sessiontest.Run(t, subjects(strings.Replace(c.URL(), ":pw@", "lb:pw@", 1), only(c.Nodes...)))
}

func TestConformanceBehindSentinel(t *testing.T) {
	t.Parallel()
	s, err := redistest.StartSentinel(t.TempDir(), 1, redistest.Options{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	primary := func() ([]*redistest.Server, error) {
		p, err := s.Primary()
		return []*redistest.Server{p}, err
	}
	old := open(t, redisstore.Options{URL: s.URL()})
	before := ticket()
	if _, err := old.Bind(t.Context(), "cart", before, 7, usual); err != nil {
		t.Fatal(err)
	}
	t.Run("at first", func(t *testing.T) { sessiontest.Run(t, subjects(s.URL(), primary)) })
	if err := s.Failover(); err != nil {
		t.Fatal(err)
	}
	t.Run("after a failover", func(t *testing.T) { sessiontest.Run(t, subjects(s.URL(), primary)) })
	// Who was there before goes over to the new primary, which has what the old one had.
	now, err := s.Primary()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new primary is used", func() error {
		tk := ticket()
		if _, err := old.Bind(t.Context(), "cart", tk, 8, usual); err != nil {
			return err
		}
		if n := must(t, now, "EXISTS", keyName("shop", "cart", tk.ID)); n != int64(1) {
			return errors.New("the binding is not there")
		}
		return nil
	})
	if home, err := old.Find(t.Context(), "cart", before, usual); home != 7 || err != nil {
		t.Fatalf("the home of before is %x, %v", home, err)
	}
}

// TestConformanceOfMiniredis is for those who test or simulate with it.
func TestConformanceOfMiniredis(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Subject {
		mr := miniredis.RunT(t)
		clock := sessiontest.NewClock()
		o := redisstore.Options{URL: "redis://redis.test", Namespace: rand.Text(), Wall: clock.Now,
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != "redis.test:6379" {
					return nil, errors.New("no such host")
				}
				return (&net.Dialer{}).DialContext(ctx, network, mr.Addr())
			}}
		return sessiontest.Subject{
			Stores:  []session.Store{open(t, o), open(t, o)},
			Now:     clock.Now,
			Advance: func(d time.Duration) { clock.Advance(d); mr.FastForward(d) },
			Plant: func(t *testing.T, pool string, id session.ID) {
				if err := mr.Set(keyName(o.Namespace, pool, id), "1 000000000000000G"); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}
