package redisstore_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/session/redistest"
)

// failed is how a node lists another that it knows to be lost.
var failed = regexp.MustCompile(`master,fail `)

// TestThePrimaryIsLost kills it, and wants the sessions at the one that takes over.
func TestThePrimaryIsLost(t *testing.T) {
	t.Parallel()
	r, err := redistest.StartSentinel(t.TempDir(), 3, redistest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	for _, sentinel := range r.Sentinels { // these are the rights that the package's documentation lists
		must(t, sentinel, strings.Fields("ACL SETUSER lb on >pw resetchannels &+switch-master &+replica-reconf-done -@all +subscribe +ping +sentinel|get-master-addr-by-name +sentinel|sentinels")...)
	}
	s := open(t, redisstore.Options{URL: r.URL() + "&sentinel_username=lb&sentinel_password=pw"})
	w := watch(t, s)
	w.is(true)
	one := ticket()
	if _, err := s.Bind(t.Context(), "cart", one, 7, usual); err != nil {
		t.Fatal(err)
	}
	must(t, r.Servers[0], "WAIT", "1", "5000") // replication is asynchronous
	known := false
	for _, sentinel := range r.Sentinels {
		list, _ := must(t, sentinel, "CLIENT", "LIST").(string)
		known = known || strings.Contains(list, "user=lb")
		if denied, _ := must(t, sentinel, "ACL", "LOG").([]any); len(denied) > 0 {
			t.Errorf("the rights at the sentinels do not suffice: %v", denied)
		}
	}
	if !known {
		t.Error("no sentinel was asked by the user of the URL")
	}
	r.Servers[0].Kill()
	w.is(false)
	if err := r.AwaitPrimaryOtherThan(r.Servers[0]); err != nil {
		t.Fatal(err)
	}
	w.is(true)
	eventually(t, "the session is at the new primary", func() error {
		home, err := s.Bind(t.Context(), "cart", one, 8, usual)
		if err == nil && home != 7 {
			t.Fatalf("the home is %x", home)
		}
		return err
	})
	w.hearsOfA(s)
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c, err := redistest.StartCluster(t.TempDir(), redistest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	s := open(t, redisstore.Options{URL: c.URL()})

	sessions := map[*redistest.Server][]*session.Ticket{}
	for range 60 {
		one := ticket()
		if _, err := s.Bind(t.Context(), "cart", one, 7, usual); err != nil {
			t.Fatal(err)
		}
		owner, err := c.Owner(keyName("shop", "cart", one.ID))
		if err != nil {
			t.Fatal(err)
		}
		sessions[owner] = append(sessions[owner], one)
	}
	if len(sessions) != len(c.Nodes) {
		t.Fatalf("%d of the nodes have sessions", len(sessions))
	}

	t.Run("a slot moves", func(t *testing.T) {
		one := sessions[c.Nodes[0]][0]
		key := keyName("shop", "cart", one.ID)
		must(t, c.Nodes[0], "SET", "{"+key+"}", "in the same slot, as another session may be")
		end, err := c.Move(key, c.Nodes[1])
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string, from, to session.Home) {
			t.Helper()
			if home, err := s.Find(t.Context(), "cart", one, usual); home != from || err != nil {
				t.Errorf("%s: the home is %x, %v, want %x", when, home, err, from)
			}
			if home, err := s.Rebind(t.Context(), "cart", one, from, to, usual); home != to || err != nil {
				t.Errorf("%s: the home becomes %x, %v, want %x", when, home, err, to)
			}
			if known, err := s.Touch(t.Context(), "cart", one, usual); !known || err != nil {
				t.Errorf("%s: touch says %v, %v", when, known, err)
			}
		}
		check("while it moves", 7, 8)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		check("when it has moved", 8, 9)
	})

	t.Run("a node is lost", func(t *testing.T) {
		c.Nodes[2].Kill()
		for _, node := range c.Nodes[:2] { // until they agree, they may say that the cluster is down
			eventually(t, "the others notice", func() error {
				text, err := node.Do("CLUSTER", "NODES")
				if err == nil && !failed.MatchString(fmt.Sprint(text)) {
					err = errors.New("not yet")
				}
				return err
			})
		}
		for _, node := range c.Nodes[:2] {
			for _, one := range sessions[node][1:] {
				if home, err := s.Find(t.Context(), "cart", one, usual); home != 7 || err != nil {
					t.Errorf("a session of another node: %x, %v", home, err)
				}
			}
		}
		if _, err := s.Find(t.Context(), "cart", sessions[c.Nodes[2]][0], usual); err == nil {
			t.Error("a session of the lost node is known")
		}
	})
}
