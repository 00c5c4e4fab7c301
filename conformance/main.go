// Conformance puts the corpus of lb/wire/testdata to the load balancer and to its
// peers, HAProxy, nginx and Apache httpd, through real sockets, and reports what
// each makes of every case.
//
//	make conformance            # everything; writes docs/conformance.md
//	go run ./conformance -only lb,nginx -case 'two Hosts'    # a look at one; only prints
//
// What a case is and what must come of it is data: see package corpus. Proxies are
// in subject.go, their configurations in testdata. How it is judged is told in
// docs/conformance.md.
//
// It exits 0 if all of it was put to everybody, whatever came of it; 1 if
// something was not, or lb answers a case worse than the best of its peers; 2 on
// wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"go-loadbalancer/bench/server"
	"go-loadbalancer/conformance/corpus"
)

func main() {
	// Children are told to end when the thread that started them does.
	runtime.LockOSThread()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	corpus   string
	subjects []subject
	name     string // of the one case to look at; empty: all
	rounds   int    // how often each case is put
	out      string // file for the report; empty: none
}

func parse(args []string) (options, error) {
	var o options
	var names []string
	for _, s := range subjects() {
		names = append(names, s.name)
	}
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.StringVar(&o.corpus, "corpus", "lb/wire/testdata", "directory of the corpus")
	flags.StringVar(&o.name, "case", "", "name of the one case to run, in full detail")
	flags.StringVar(&o.out, "out", "", "file for the report; the default is docs/conformance.md for a run of everything and none otherwise")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each case is put, 1 or more; the worst outcome counts")
	only := flags.String("only", "all", "proxies, separated by commas: "+strings.Join(names, ", "))
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: see -help", flags.Arg(0))
	}
	if o.rounds < 1 {
		return o, errors.New("-rounds must be at least 1")
	}
	o.subjects = subjects()
	if *only != "all" {
		wanted := strings.Split(*only, ",")
		for _, name := range wanted {
			if !slices.Contains(names, name) {
				return o, fmt.Errorf("-only %s: there is no such proxy: see -help", name)
			}
		}
		o.subjects = slices.DeleteFunc(o.subjects, func(s subject) bool { return !slices.Contains(wanted, s.name) })
	} else if o.name == "" && o.out == "" {
		o.out = "docs/conformance.md"
	}
	return o, nil
}

// result is what a subject made of the corpus at worst, in its order.
type result struct {
	subject   subject
	version   string
	requests  []verdict
	responses []verdict
}

func run(ctx context.Context, o options) error {
	c, err := corpus.Load(o.corpus)
	if err != nil {
		return err
	}
	if o.name != "" {
		c.Requests = slices.DeleteFunc(c.Requests, func(q *corpus.Request) bool { return q.Name != o.name })
		c.Responses = slices.DeleteFunc(c.Responses, func(p *corpus.Response) bool { return p.Name != o.name })
		if len(c.Requests)+len(c.Responses) == 0 {
			return fmt.Errorf("-case %s: the corpus has none of that name", o.name)
		}
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	results := make([]*result, len(o.subjects))
	errs := make([]error, len(o.subjects))
	var running sync.WaitGroup
	for i, s := range o.subjects {
		binary, err := s.binaryIn(ctx, dir)
		if err != nil {
			errs[i] = fmt.Errorf("%s: %w", s.name, err)
			continue
		}
		b, err := listenBackend()
		if err != nil {
			errs[i] = err
			continue
		}
		defer b.close()
		p, r, err := s.start(ctx, dir, binary, b)
		if err != nil {
			errs[i] = err
			continue
		}
		defer p.Stop()
		results[i] = &result{
			subject: s, version: s.versionOf(binary),
			requests: make([]verdict, len(c.Requests)), responses: make([]verdict, len(c.Responses)),
		}
		running.Go(func() {
			for round := 0; round < o.rounds && errs[i] == nil; round++ {
				errs[i] = results[i].put(ctx, c, r, o.name != "")
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", s.name, errs[i])
			}
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	report := report{corpus: c, results: results}
	fmt.Print(report.summary())
	if o.out != "" {
		if err := os.WriteFile(o.out, []byte(report.text()), 0o644); err != nil {
			return err
		}
	}
	if worse := report.worse(); len(worse) > 0 {
		return fmt.Errorf("lb answers worse than the best of its peers:\n%s", strings.Join(worse, "\n"))
	}
	return nil
}

// quiet is how long a process may say nothing until it is taken to wait for more.
// What it takes a loaded machine to answer is far less.
const quiet = 1500 * time.Millisecond

// hold is how long a body waits for its head to be passed on. It need only be long
// enough that a proxy on the same machine has read the head by itself.
const hold = 50 * time.Millisecond

// binaryIn is the subject's binary, built into dir if it is ours.
func (s subject) binaryIn(ctx context.Context, dir string) (string, error) {
	if s.build == "" {
		return find(s.binary)
	}
	binary := filepath.Join(dir, "bin-"+s.name)
	return binary, server.Build(ctx, s.build, binary)
}

// deliveries are the ways by which a case is sent: at once, and apart.
func deliveries(q *corpus.Request) []bool {
	if q.Begun && q.Continued == "" {
		return []bool{false, true}
	}
	return []bool{false}
}

// put puts the corpus to the subject; in detail, it also prints what it observed.
func (r *result) put(ctx context.Context, c *corpus.Corpus, to *runner, detail bool) error {
	say := func(name string, v verdict, o *observed) {
		if detail {
			fmt.Printf("%s: %s: %s: %s\n%s\n\n", r.subject.name, name, v.grade, v.why, o.detail())
		}
	}
	for i, q := range c.Requests {
		for _, apart := range deliveries(q) {
			o, err := to.request(q, apart)
			if err = errors.Join(err, ctx.Err()); err != nil {
				return fmt.Errorf("request %s: %w", q.Name, err)
			}
			v := judgeRequest(q, o)
			say(q.Name, v, o)
			r.requests[i].atWorst(v)
		}
	}
	for i, p := range c.Responses {
		o, err := to.response(p)
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("response %s: %w", p.Name, err)
		}
		v := judgeResponse(p, o)
		say(p.Name, v, o)
		r.responses[i].atWorst(v)
	}
	return nil
}
