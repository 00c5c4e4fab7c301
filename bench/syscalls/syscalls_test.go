package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/server"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		if err := load.Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestCeilings counts what every kind of request costs the real binary.
func TestCeilings(t *testing.T) {
	if err := traceable(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	runtime.LockOSThread() // until the test's end: see server.Start
	dir := t.TempDir()
	c := &counter{binary: filepath.Join(dir, "lb"), dir: dir}
	if err := server.Build(t.Context(), "go-loadbalancer/lb", c.binary); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.load, err = load.Start(nil, loadCommand); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.load.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, k := range kinds() {
		calls, err := c.count(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		var r report
		r.add(k, calls)
		t.Log(r.rows.String())
		for _, c := range costs(k, calls) {
			if c.exceeded() {
				t.Errorf("%s: %.3f %s a request, at most %g (and %g at the edges)", k.name, c.perRequest, c.call, c.ceiling, edge)
			}
		}
		// A trace that misses calls would keep every ceiling; but for those under way
		// when it began.
		least := int((2 - edge) * float64(k.requests))
		if sent := calls["sendto"] + calls["sendmsg"]; sent < least || calls["recvfrom"] < least {
			t.Errorf("%s: %d requests with %d sendto or sendmsg and %d recvfrom: each needs two of both", k.name, k.requests, sent, calls["recvfrom"])
		}
	}
}

func TestCosts(t *testing.T) {
	k := kind{requests: 100, ceilings: ceilings{"sendto": 2, "recvfrom": 1, others: 0.5}}
	got := costs(k, counts{"sendto": 200, "recvfrom": 106, "mmap": 30, "brk": 26})
	want := []cost{
		{"sendto", 2, 2, false}, {"recvfrom", 1.06, 1, false}, {others, 0.56, 0.5, false},
		{"mmap", 0.3, 0, true}, {"brk", 0.26, 0, true},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i, c := range got {
		if fmt.Sprintf("%s %.3f", c.call, c.perRequest) != fmt.Sprintf("%s %.3f", want[i].call, want[i].perRequest) ||
			c.ceiling != want[i].ceiling || c.inOthers != want[i].inOthers {
			t.Errorf("%d: got %+v, want %+v", i, c, want[i])
		}
		if exceeded := c.call == "recvfrom" || c.call == others; c.exceeded() != exceeded {
			t.Errorf("%s: exceeded is %v", c.call, c.exceeded())
		}
	}
}

func TestTally(t *testing.T) {
	got, err := tally(strings.NewReader(`
12 1763931233.999999 sendto(7, ""..., 90, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 90
12 1763931234.000000 recvfrom(7, ""..., 4096, MSG_DONTWAIT, NULL, NULL) = 90
12 1763931234.100000 recvfrom(7, 0xc0, 4096, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
12 1763931234.200000 accept4(3, 0xc0, [112], SOCK_CLOEXEC|SOCK_NONBLOCK <unfinished ...>
13 1763931234.300000 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---
13 1763931234.400000 futex(0x1234, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>
12 1763931235.500000 <... accept4 resumed>) = -1 EAGAIN (Resource temporarily unavailable)
12 1763931235.600000 sendto(7, ""..., 90, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 90
12 1763931235.700000 +++ exited with 0 +++
`[1:]), time.Unix(1763931234, 0), time.Unix(1763931235, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := counts{"recvfrom": 1, "recvfrom EAGAIN": 1, "accept4 EAGAIN": 1, "futex": 1}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, line := range []string{"12 recvfrom(", "x y z", "12 1763931234.5 recvfrom(7)"} {
		if _, err := tally(strings.NewReader(line), time.Time{}, time.Time{}); err == nil {
			t.Errorf("%q: accepted", line)
		}
	}
}
