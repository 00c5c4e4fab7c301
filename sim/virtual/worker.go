package virtual

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"time"

	"go-loadbalancer/sim/history"
	"go-loadbalancer/sim/memnet"
	"go-loadbalancer/sim/stage"
)

// command is the argument by which a process knows that it is a worker.
const command = "virtual-worker"

// answer is what a worker says.
type answer struct {
	Run   *history.Run
	Error string
}

// Work is the first thing that a program calls whose processes are to be workers. In a
// worker it does not return: the job comes by standard input, and its run goes to
// standard output.
func Work() {
	if len(os.Args) != 2 || os.Args[1] != command {
		return
	}
	// A run is short: collecting garbage seldom is cheaper than memory.
	debug.SetGCPercent(200)
	debug.SetMemoryLimit(mostMemory / 2)
	var j stage.Job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		fmt.Fprintln(os.Stderr, "the job cannot be read:", err)
		os.Exit(1)
	}
	go watch()
	bubble(func() int {
		var a answer
		run, err := stage.Play(context.Background(), ground{memnet.New(memnet.Options{Seed: j.Scenario.Seed})}, j)
		if a.Run = run; err != nil {
			a.Error = err.Error()
		}
		if err := gob.NewEncoder(os.Stdout).Encode(&a); err != nil {
			fmt.Fprintln(os.Stderr, "the run cannot be written:", err)
			return 1
		}
		return 0
	})
}

// standstill is for how long in real time a run may do nothing at all: goroutines that
// wait for a mutex keep the bubble's time from going on.
const standstill = 10 * time.Second

// mostMemory is how much a run may take: all that happened is kept until it was judged.
const mostMemory = 3 << 30

// memory is how much the process has.
func memory() uint64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64() - all[1].Value.Uint64()
}

// watch ends the process, and says where all are, when nothing happens any more. While
// the machine has no time for the process, none passes here either. It ends it too when
// the run takes more memory than it may.
func watch() {
	used := func() time.Duration {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	const step = standstill / 40
	for idle, before := 0, used(); ; {
		time.Sleep(step)
		if memory() > mostMemory {
			fmt.Fprintf(os.Stderr, "the run takes more than %d MiB of memory: give it less load, fewer sessions, or shorter bodies\n", mostMemory>>20)
			os.Exit(1)
		}
		now := used()
		if now-before > step/100 {
			idle = 0
		} else if idle++; idle == int(standstill/step) {
			fmt.Fprintf(os.Stderr, "nothing happened for %v of real time: a deadlock\n", standstill)
			os.Stderr.Write(waiting())
			os.Exit(1)
		}
		before = now
	}
}

// waiting is the stacks of all goroutines, those first that wait for a lock.
func waiting() []byte {
	text := make([]byte, 4<<20)
	all := bytes.Split(text[:runtime.Stack(text, true)], []byte("\n\n"))
	locked := func(g []byte) bool {
		head, _, _ := bytes.Cut(g, []byte("\n"))
		return bytes.Contains(head, []byte("Mutex")) || bytes.Contains(head, []byte("semacquire"))
	}
	slices.SortStableFunc(all, func(a, b []byte) int {
		switch {
		case locked(a) == locked(b):
			return 0
		case locked(a):
			return -1
		}
		return 1
	})
	return bytes.Join(all, []byte("\n\n"))
}

// mostOutput bounds what is kept of a worker's last words.
const mostOutput = 64 << 10

// Run runs a job in a worker process. A run that failed is one with a Failure; an error
// is of a job that cannot be run: its policy is wrong, say, or ctx ended.
func Run(ctx context.Context, j stage.Job, o Options) (*history.Run, error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	if o.Seed != 0 {
		s := *j.Scenario
		s.Seed = o.Seed
		j.Scenario = &s
	}
	if o.Patience == 0 {
		o.Patience = time.Minute + j.Scenario.Duration
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(&j)
	if err != nil {
		return nil, err
	}
	watched, stop := context.WithTimeout(ctx, o.Patience)
	defer stop()
	cmd := exec.CommandContext(watched, program, command)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOTRACEBACK=all")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // it says where it is
	cmd.WaitDelay = 2 * time.Second
	var out bytes.Buffer
	words := &tail{most: mostOutput}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, words
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if watched.Err() != nil {
		return j.Failed(Stage, fmt.Sprintf("it did not end within %v of real time; its goroutines:\n%s", o.Patience, words)), nil
	}
	var a answer
	if err == nil {
		err = gob.NewDecoder(&out).Decode(&a)
	}
	switch {
	case err != nil:
		return j.Failed(Stage, fmt.Sprintf("the worker ended: %v\n%s", err, words)), nil
	case a.Error != "":
		return nil, errors.New(a.Error)
	}
	return a.Run, nil
}

// tail keeps the beginning of what is written, which is where a panic is told.
type tail struct {
	most int
	bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.Buffer.Write(p[:min(len(p), t.most-t.Len())])
	return len(p), nil
}

// RunAll runs jobs, several at once, and calls done for each as it ends; not more than
// one at a time. It returns when all have ended.
func RunAll(ctx context.Context, jobs []stage.Job, o Options, done func(job int, run *history.Run, err error)) {
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	var (
		mu      sync.Mutex
		next    int
		running sync.WaitGroup
	)
	for range min(o.Workers, len(jobs)) {
		running.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(jobs) {
					return
				}
				run, err := Run(ctx, jobs[i], o)
				mu.Lock()
				done(i, run, err)
				mu.Unlock()
			}
		})
	}
	running.Wait()
}
