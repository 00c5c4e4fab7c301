package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/session/redistest"
)

// everyCall asks a store everything at once, many times, and returns what came of it.
func everyCall(ctx context.Context, s *redisstore.Store, times int) []error {
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for range times {
		for _, ask := range []func() error{
			func() error { _, err := s.Find(ctx, "cart", ticket(), usual); return err },
			func() error { _, err := s.Bind(ctx, "cart", ticket(), 7, usual); return err },
			func() error { _, err := s.Rebind(ctx, "cart", ticket(), 7, 8, usual); return err },
			func() error { _, err := s.Touch(ctx, "cart", ticket(), usual); return err },
			func() error { _, err := s.Agree(ctx, session.Key{1}); return err },
		} {
			all.Go(func() {
				err := ask()
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
	}
	all.Wait()
	return errs
}

// TestNobodyWaitsLongerThanItsContext has Redis accept connections and never answer.
// That a call is late shows in its error: those that give up by themselves, or by
// their context's end, have different ones.
func TestNobodyWaitsLongerThanItsContext(t *testing.T) {
	t.Parallel()
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hole.Close() }) // its backlog accepts
	paused := start(t, redistest.Options{})
	warm := open(t, redisstore.Options{URL: paused.URL()})
	if errs := everyCall(t.Context(), warm, 10); errors.Join(errs...) != nil {
		t.Fatal(errs)
	}
	if err := paused.Pause(); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{
		"never answered":        "redis://" + hole.Addr().String(),
		"never answered, TLS":   "rediss://" + hole.Addr().String(),
		"paused":                paused.URL(),
		"a cluster's nodes":     "redis+cluster://" + hole.Addr().String() + "," + paused.Addr(),
		"sentinels":             "redis+sentinel://" + hole.Addr().String() + "," + paused.Addr() + "?master=m",
		"nothing at that place": "redis://192.0.2.1:6379",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := redisstore.Options{URL: at}
			if strings.Contains(at, "192.0.2.1") { // a network that swallows all packets
				o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
			}
			s := warm
			if at != paused.URL() {
				s = open(t, o)
			}
			short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			for _, err := range everyCall(short, s, 50) {
				if err != context.DeadlineExceeded { // that of our context, not one of a question to Redis
					t.Fatalf("the error is %v", err)
				}
			}
			// A cancelled one too, though it has no deadline.
			long, cancel := context.WithCancel(t.Context())
			go func() { time.Sleep(time.Millisecond); cancel() }()
			for _, err := range everyCall(long, s, 1) {
				if err != context.Canceled {
					t.Fatalf("the error is %v", err)
				}
			}
			// And those that would wait for ever do not.
			if _, err := s.Bind(t.Context(), "cart", ticket(), 7, usual); err == nil {
				t.Fatal("there is an answer")
			}
			// Close waits for nobody.
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Find(t.Context(), "cart", ticket(), usual); err == nil || !strings.Contains(err.Error(), "closed") {
				t.Errorf("the error of a closed store is %v", err)
			}
		})
	}
}

// TestSlowAnswersDoNotCostTheConnection asks a Redis that is too slow for everybody.
func TestSlowAnswersDoNotCostTheConnection(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	one := ticket()
	if _, err := s.Bind(t.Context(), "cart", one, 7, usual); err != nil {
		t.Fatal(err)
	}
	before := connectionsMade(t, server)
	for i := range 5 {
		must(t, server, "CLIENT", "PAUSE", "100", "ALL")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		s.Rebind(ctx, "cart", one, session.Home(7+i), session.Home(8+i), usual) // nobody waits for the answer
		cancel()
		// It took effect all the same.
		eventually(t, "the rebind", func() error {
			if home, err := s.Find(t.Context(), "cart", one, usual); err != nil || home != session.Home(8+i) {
				return fmt.Errorf("the home is %x, %v", home, err)
			}
			return nil
		})
	}
	// One for the test's own question each time; one more for the store, as it may have
	// asked again while the first had no answer yet.
	if made := connectionsMade(t, server) - before; made > 5+1+1 {
		t.Errorf("%d connections were made", made)
	}
}

// connectionsMade is how many connections a server has had.
func connectionsMade(t *testing.T, s *redistest.Server) int {
	t.Helper()
	return infoNumber(t, s, "stats", "total_connections_received")
}

func TestRedisComesBack(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprintf("with its data %v", keep), func(t *testing.T) {
			server := start(t, redistest.Options{TLS: true}) // where a dead connection is found out by using it only
			s := open(t, redisstore.Options{URL: server.URL()})
			if errs := everyCall(t.Context(), s, 20); errors.Join(errs...) != nil { // many connections
				t.Fatal(errs)
			}
			one := ticket()
			if _, err := s.Rebind(t.Context(), "cart", one, session.None, 7, usual); err != nil {
				t.Fatal(err)
			}
			if err := server.Restart(keep); err != nil {
				t.Fatal(err)
			}
			want := session.Home(9)
			if keep {
				want = 7
			}
			// It has forgotten the script in any case.
			eventually(t, "a rebind", func() error {
				home, err := s.Rebind(t.Context(), "cart", one, 8, 9, usual)
				if err == nil && home != want {
					t.Fatalf("the home is %x, want %x", home, want)
				}
				return err
			})
			server.Stop()
			if _, err := s.Find(t.Context(), "cart", one, usual); err == nil {
				t.Error("there is an answer though Redis is gone")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		args   []string
		user   string
		find   string // what the error of Find says; "": it works
		bind   string
		rebind string
	}{
		{name: "wrong password", user: ":nonsense@", find: "WRONGPASS", bind: "WRONGPASS", rebind: "WRONGPASS"},
		{name: "no password", find: "NOAUTH", bind: "NOAUTH", rebind: "NOAUTH"},
		{name: "no rights", user: "nobody:pw@", find: "NOPERM", bind: "NOPERM", rebind: "NOPERM"},
		{name: "out of memory", user: ":pw@", args: []string{"--maxmemory", "1mb", "--maxmemory-policy", "noeviction"}, bind: "OOM", rebind: "OOM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := start(t, redistest.Options{Args: c.args, Password: "pw"})
			must(t, server, "ACL", "SETUSER", "nobody", "on", ">pw", "-@all")
			for i := 0; c.args != nil; i++ {
				if _, err := server.Do("SET", fmt.Sprint(i), strings.Repeat("x", 10000)); err != nil {
					break // it is full
				}
			}
			refusedAs(t, open(t, redisstore.Options{URL: strings.Replace(server.URL(), ":pw@", c.user, 1)}), c.find, c.bind, c.rebind)
		})
	}
	t.Run("read-only replica", func(t *testing.T) {
		primary := start(t, redistest.Options{})
		replica := start(t, redistest.Options{Args: []string{"--replicaof", "127.0.0.1 " + primary.Port}})
		eventually(t, "replication", func() error {
			if n := infoNumber(t, primary, "replication", "connected_slaves"); n != 1 {
				return errors.New("no replica")
			}
			if text, _ := must(t, replica, "INFO", "replication").(string); !strings.Contains(text, "master_link_status:up") {
				return errors.New("no primary")
			}
			return nil
		})
		refusedAs(t, open(t, redisstore.Options{URL: replica.URL()}), "", "READONLY", "READONLY")
	})
}

// refusedAs asks and wants errors that say what the arguments do.
func refusedAs(t *testing.T, s *redisstore.Store, find, bind, rebind string) {
	t.Helper()
	_, found := s.Find(t.Context(), "cart", ticket(), usual)
	_, bound := s.Bind(t.Context(), "cart", ticket(), 7, usual)
	_, rebound := s.Rebind(t.Context(), "cart", ticket(), 7, 8, usual)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{{"Find", found, find}, {"Bind", bound, bind}, {"Rebind", rebound, rebind}} {
		if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || !strings.Contains(c.err.Error(), c.want)) {
			t.Errorf("%s: the error is %v, want one that says %q", c.name, c.err, c.want)
		}
	}
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL()})
	for _, value := range []string{
		"", "1", "1 ", "garbage", "\x00", strings.Repeat("x", 100000),
		"2 0000000000000007", "0 0000000000000007", "1  000000000000007",
		"1 000000000000007", "1 00000000000000007", "1 000000000000000G", "1 00000000000000AB",
		"1 0000000000000000", "1 0000000000000007 ", "10000000000000007", "1 -000000000000007",
	} {
		one := ticket()
		key := keyName("shop", "cart", one.ID)
		must(t, server, "SET", key, value)
		unreadable(t, s, one, fmt.Sprintf("%.40q", value))
		if got := must(t, server, "GET", key); got != value {
			t.Errorf("%.40q has become %.40q", value, got)
		}
	}
	one := ticket()
	must(t, server, "LPUSH", keyName("shop", "cart", one.ID), "x")
	unreadable(t, s, one, "a list")
}

func unreadable(t *testing.T, s *redisstore.Store, one *session.Ticket, what string) {
	t.Helper()
	_, find := s.Find(t.Context(), "cart", one, usual)
	_, bind := s.Bind(t.Context(), "cart", one, 7, usual)
	_, rebind := s.Rebind(t.Context(), "cart", one, 7, 8, usual)
	_, first := s.Rebind(t.Context(), "cart", one, session.None, 8, usual)
	for _, err := range []error{find, bind, rebind, first} {
		if !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("of %s the error is %v", what, err)
		}
	}
}

func TestAKeyThatIsNone(t *testing.T) {
	t.Parallel()
	server := start(t, redistest.Options{})
	s := open(t, redisstore.Options{URL: server.URL(), Namespace: "a b:{c}"})
	const name = "lb:v1:a+b%3A%7Bc%7D:key"
	almost := strings.Repeat("5ec", 21)
	for _, value := range []string{"", "s3cret", almost, almost + "x", almost + "55"} {
		must(t, server, "SET", name, value)
		key, err := s.Agree(t.Context(), session.Key{1})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("of %q: %v", value, err)
		} else if value != "" && strings.Contains(err.Error(), value) {
			t.Errorf("the error tells what is there: %v", err)
		}
		if key != (session.Key{}) {
			t.Errorf("of %q a key was made", value)
		}
		if got := must(t, server, "GET", name); got != value {
			t.Errorf("%q has become %q", value, got)
		}
	}
	must(t, server, "DEL", name)
	if key, err := s.Agree(t.Context(), session.Key{31: 0xab}); err != nil || key != (session.Key{31: 0xab}) {
		t.Error(err)
	}
	if got := must(t, server, "GET", name); got != strings.Repeat("00", 31)+"ab" {
		t.Error("what is kept is not the key in hex")
	}
	if ttl := must(t, server, "PTTL", name); ttl != int64(-1) {
		t.Error("the key expires")
	}
}
