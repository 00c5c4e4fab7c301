// Bench measures the load balancer side by side with HAProxy and nginx: CPU
// time for each request, latency, memory of an idle connection, how long a
// reload and a scrape take, and what requests wait when the store of their sessions
// is away; and the simulator and the container image by themselves.
//
//	make bench            # everything; writes bench/RESULTS.md
//	go run ./bench -rounds 3 -rows small64        # a quick look; only prints
//	go run ./bench -only haproxy,nginx            # without a build of our own
//	go run ./bench -rows session,outage -append -out bench/RESULTS.md    # a part, put below everything
//
// What is measured is data: rows in row.go, proxies in candidate.go with their
// configurations in testdata. How is told at the end of RESULTS.md.
//
// It exits 0 if all of it was measured, whether or not a target was met; 1 if
// something was not; 2 on wrong usage; 130 if it was interrupted. Two runs on
// one machine wait for each other.
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
	"strings"
	"syscall"
	"time"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/machine"
	"go-loadbalancer/bench/server"
)

// loadCommand is the argument that makes this program the load process.
const loadCommand = "load-process"

// Cores: what is measured has one for itself.
const (
	proxyCore = 0
	loadCore  = 1
)

func main() {
	// Children are told to end when the thread that started them does.
	runtime.LockOSThread()
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		if err := load.Main(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: load process:", err)
			os.Exit(1)
		}
		return
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	o.ownNetwork = machine.OwnNetwork()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends at once what the first did not end soon enough.
	context.AfterFunc(ctx, stop)
	defer stop()
	err = run(ctx, o)
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "bench: interrupted: nothing is reported")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	rounds     int
	window     time.Duration
	rows       []row
	candidates []candidate
	reload     bool
	outage     bool
	scrape     bool
	simulator  bool
	rest       bool   // of the container image
	idle10k    bool   // the same
	out        string // file for the report; empty: none
	add        bool   // after what the file has
	ownNetwork bool   // the loopback is nobody else's
}

func parse(args []string) (options, error) {
	var o options
	var rowNames, proxyNames []string
	for _, r := range rows() {
		rowNames = append(rowNames, r.name)
	}
	for _, c := range candidates() {
		proxyNames = append(proxyNames, c.name)
	}
	rowNames = append(rowNames, "reload", "scrape", "outage", "simulator", "rest", "idle10k")
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 15, "rounds, 1 or more")
	flags.DurationVar(&o.window, "window", time.Second, "measured time of each proxy in each round")
	flags.StringVar(&o.out, "out", "", "file for the report; the default is bench/RESULTS.md for a run of everything and none otherwise")
	flags.BoolVar(&o.add, "append", false, "put the report of a part at the end of the file of -out, under a heading of its own")
	wantRows := flags.String("rows", "all", "rows, separated by commas: "+strings.Join(rowNames, ", "))
	wantProxies := flags.String("only", "all", "proxies, separated by commas: "+strings.Join(proxyNames, ", "))
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: see -help", flags.Arg(0))
	}
	if o.rounds < 1 || o.window < 10*time.Millisecond {
		return o, errors.New("-rounds must be at least 1, and -window at least 10ms")
	}
	pickedRows, err := pick("-rows", *wantRows, rowNames)
	if err != nil {
		return o, err
	}
	pickedProxies, err := pick("-only", *wantProxies, proxyNames)
	if err != nil {
		return o, err
	}
	o.reload = slices.Contains(pickedRows, "reload")
	o.scrape = slices.Contains(pickedRows, "scrape")
	o.outage = slices.Contains(pickedRows, "outage")
	o.simulator = slices.Contains(pickedRows, "simulator")
	o.rest = slices.Contains(pickedRows, "rest")
	o.idle10k = slices.Contains(pickedRows, "idle10k")
	o.rows = slices.DeleteFunc(rows(), func(r row) bool { return !slices.Contains(pickedRows, r.name) })
	o.candidates = slices.DeleteFunc(candidates(), func(c candidate) bool { return !slices.Contains(pickedProxies, c.name) })
	if o.add && o.out == "" {
		return o, errors.New("-append needs the file of -out")
	}
	everything := len(pickedRows) == len(rowNames) && len(pickedProxies) == len(proxyNames)
	if o.out == "" && everything {
		o.out = filepath.Join("bench", "RESULTS.md")
	}
	return o, nil
}

// pick splits a list and checks that each of it is known.
func pick(name, list string, known []string) ([]string, error) {
	if list == "all" {
		return known, nil
	}
	picked := strings.Split(list, ",")
	for _, p := range picked {
		if !slices.Contains(known, p) {
			return nil, fmt.Errorf("%s: unknown %q: choose from %s", name, p, strings.Join(known, ", "))
		}
	}
	return picked, nil
}

// run measures everything asked for and prints and writes the report.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	machine.RaiseFileLimit()
	unlock, err := machine.Lock(ctx, machine.LockFile(), func() {
		fmt.Fprintln(os.Stderr, "bench: another benchmark is running on this machine: waiting for its end")
	})
	if err != nil {
		return err
	}
	defer unlock()
	b := &bench{
		candidates: o.candidates, dir: dir, rounds: o.rounds, window: o.window, settle: idlePause, recovery: recoveryPause,
		progress: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
		},
	}
	c := conditions{
		machine: machine.Describe(), started: time.Now(), command: "go run ./bench " + strings.Join(os.Args[1:], " "),
		rounds: o.rounds, window: o.window, commit: commit(), goVer: runtime.Version(), rows: o.rows, reload: o.reload,
	}
	c.command = strings.TrimSpace(c.command)
	if b.keys, err = writeKeys(dir); err != nil {
		return err
	}
	defer func() {
		if b.collector != nil {
			b.collector.stop()
		}
		if b.store != nil {
			b.store.Stop()
		}
	}()
	if b.binaries, err = binaries(ctx, o.candidates, dir); err != nil {
		return err
	}
	for _, k := range o.candidates {
		if k.without == "" {
			c.versions = append(c.versions, k.name+": "+k.versionOf(b.binaries[k.name]))
		}
	}

	var r report
	var loadPrefix []string
	c.ownNetwork = o.ownNetwork
	b.prefix, c.realTime = machine.Pin(proxyCore)
	loadPrefix, _ = machine.Pin(loadCore)
	b.storeCore = loadPrefix
	c.pinned = slices.Contains(b.prefix, "taskset") && slices.Contains(loadPrefix, "taskset")
	if !c.pinned {
		r.note("**DEGRADED: not pinned.** taskset or a second core is missing: proxy and load disturb each other.")
	}
	if !c.realTime {
		r.note("**DEGRADED: no real-time scheduling.** `chrt -r 1` is not permitted: whatever else runs here disturbs the figures.")
	}
	for _, n := range r.notes {
		fmt.Fprintln(os.Stderr, "bench:", n)
	}
	if b.load, err = load.Start(loadPrefix, loadCommand); err != nil {
		return err
	}
	defer b.load.Stop()

	for _, row := range o.rows {
		all, err := b.row(ctx, row)
		if err != nil {
			return fmt.Errorf("row %s: %w", row.name, err)
		}
		r.row(row, all)
	}
	for _, k := range o.candidates {
		if o.reload && k.product && k.without == "" {
			took, err := b.reload(ctx, k)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.reload(k, took, err)
		}
		if o.scrape && k.product && k.without == "" {
			all, err := b.scrape(ctx, k)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.scrape(k, all, err)
		}
		if o.outage && k.sessions == storeInRedis {
			cells, err := b.outage(ctx, k)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.outageOf(k, cells, err)
		}
	}
	if o.simulator {
		s, err := b.simulator(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.simulator(s, err)
	}
	if o.rest || o.idle10k {
		c, err := b.image(ctx, o.rest, o.idle10k)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.image(c, err)
	}
	text := r.markdown(c)
	if o.add {
		text = r.part(c)
	}
	fmt.Print(text)
	if o.out != "" {
		if err := write(o.out, text, o.add); err != nil {
			return err
		}
	}
	if r.invalid {
		return errors.New("not everything could be measured: see INVALID above")
	}
	return nil
}

// commit is which source is measured; empty if that cannot be told.
func commit() string {
	text, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// write writes the report, or adds it to the file.
func write(file, text string, add bool) error {
	if !add {
		return os.WriteFile(file, []byte(text), 0o644)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + text)
	return errors.Join(err, f.Close())
}

// binaries builds or finds what each candidate runs.
func binaries(ctx context.Context, candidates []candidate, dir string) (map[string]string, error) {
	found, built := map[string]string{}, map[string]string{}
	for _, c := range candidates {
		if c.build == "" {
			path, err := find(c.binary)
			if err != nil {
				return nil, fmt.Errorf("%w: run .ci/install bench, or choose others by -only", err)
			}
			found[c.name] = path
			continue
		}
		if built[c.build] == "" {
			path := filepath.Join(dir, c.name+".bin")
			if err := server.Build(ctx, c.build, path); err != nil {
				return nil, fmt.Errorf("%w; choose others by -only", err)
			}
			built[c.build] = path
		}
		found[c.name] = built[c.build]
	}
	return found, nil
}
