// Soak has honest and hostile clients use the balancer at the same time, and
// says whether the honest ones were harmed, and whether the balancer is, in the
// end, as it was at the start.
//
//	make soak                               # 30 minutes; writes bench/SOAK.md
//	go run ./bench/soak -duration 1m        # a look; only prints
//
// What it does and tolerates is told at the end of SOAK.md.
//
// It exits 0 if all is well; 1 if not, or if something could not be done; 2 on
// wrong usage; 3 if the run is invalid, because the honest clients could not keep
// their pace; 130 if it was interrupted. It waits for a benchmark on the same
// machine to end, and benchmarks for it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go-loadbalancer/bench/child"
	"go-loadbalancer/bench/machine"
	"go-loadbalancer/bench/server"
)

// Cores: the balancer has one for itself.
const (
	balancerCore = 0
	clientCore   = 1
)

// shortest is the least duration that says anything.
const shortest = 30 * time.Second

type options struct {
	duration time.Duration
	rate     int
	seed     uint64
	out      string
	// ownNetwork: the loopback is nobody else's.
	ownNetwork bool
}

func main() {
	// Children are told to end when the thread that started them does.
	runtime.LockOSThread()
	if role(os.Args[1:]) {
		return
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	o.ownNetwork = machine.OwnNetwork()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends at once what the first did not end soon enough.
	context.AfterFunc(ctx, stop)
	defer stop()
	err = run(ctx, o)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "soak: interrupted: nothing is reported")
		os.Exit(130)
	case errors.Is(err, errInvalid):
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(3)
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// role runs a child's part, if the arguments say so.
func role(args []string) bool {
	if len(args) == 0 || args[0] != honestRole && args[0] != hostileRole {
		return false
	}
	var err error
	if args[0] == hostileRole {
		err = runHostile()
	} else if seed, e := strconv.ParseUint(args[len(args)-1], 10, 64); e != nil {
		err = e
	} else {
		err = runHonest(seed)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: %s: %v\n", args[0], err)
		os.Exit(1)
	}
	return true
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.DurationVar(&o.duration, "duration", 30*time.Minute, "how long, all phases together; at least "+shortest.String())
	flags.IntVar(&o.rate, "rate", 2000, "honest requests a second, 100 to 5000: well below what the machine can do")
	flags.Uint64Var(&o.seed, "seed", 1, "of what attackers choose at random")
	flags.StringVar(&o.out, "out", "", "file for the report; none: it is only printed")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: see -help", flags.Arg(0))
	case o.duration < shortest:
		return o, fmt.Errorf("-duration %v: at least %v is wanted", o.duration, shortest)
	case o.rate < 100 || o.rate > 5000:
		return o, fmt.Errorf("-rate %d: 100 to 5000 is wanted", o.rate)
	}
	return o, nil
}

// run soaks, and prints and writes the report.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	machine.RaiseFileLimit()
	unlock, err := machine.Lock(ctx, machine.LockFile(), func() {
		fmt.Fprintln(os.Stderr, "soak: a benchmark is running on this machine: waiting for its end")
	})
	if err != nil {
		return err
	}
	defer unlock()
	s := &soak{
		plan: newPlan(o.duration, len(attacks())+1), rate: o.rate, seed: o.seed, dir: dir, binary: filepath.Join(dir, "lb"),
		progress: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "soak: "+format+"\n", args...) },
	}
	if err := server.Build(ctx, "go-loadbalancer/lb", s.binary); err != nil {
		return err
	}
	version, err := exec.Command(s.binary, "version").Output()
	if err != nil {
		return fmt.Errorf("lb version: %w", err)
	}
	c := conditions{
		machine: machine.Describe(), started: time.Now(), command: strings.TrimSpace("go run ./bench/soak " + strings.Join(os.Args[1:], " ")),
		duration: o.duration, rate: o.rate, seed: o.seed, goVer: runtime.Version(), version: strings.TrimSpace(string(version)),
	}
	c.ownNetwork = o.ownNetwork
	s.prefix, c.realTime = machine.Pin(balancerCore)
	clients, _ := machine.Pin(clientCore)
	c.pinned = slices.Contains(s.prefix, "taskset") && slices.Contains(clients, "taskset")
	if s.honest, err = child.Start(clients, honestRole, fmt.Sprint(o.seed)); err != nil {
		return err
	}
	defer s.honest.Stop()
	// Hostile clients take their core only while the others leave it.
	if i := slices.Index(clients, "chrt"); i >= 0 {
		clients = append(clients[:i:i], "nice", "-n", "10")
	}
	if s.hostile, err = child.Start(clients, hostileRole); err != nil {
		return err
	}
	defer s.hostile.Stop()

	r, err := s.run(ctx)
	if err != nil {
		return err
	}
	checks, invalid := judge(r)
	text := markdown(c, r, checks, invalid)
	fmt.Print(text)
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if invalid != nil {
		return invalid
	}
	var failed []string
	for _, k := range checks {
		if !k.ok {
			failed = append(failed, k.name)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}
