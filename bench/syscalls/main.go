// Syscalls counts the system calls that a request costs the balancer, by
// strace, and compares them with a table of ceilings (kind.go).
//
//	go run ./bench/syscalls           # prints the table
//	go run ./bench/syscalls -out bench/SYSCALLS.md
//	go test ./bench/syscalls          # the ceilings
//
// Counting is not timing: how busy the machine is says little. What the
// scheduler decides all the same (who is woken, how much one read finds) has
// ceilings with some room.
//
// It exits 0 if all was counted, whether or not a ceiling was kept; 1 if not; 2
// on wrong usage.
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
	"syscall"

	"go-loadbalancer/bench/load"
	"go-loadbalancer/bench/server"
)

// loadCommand is the argument that makes this program the load process.
const loadCommand = "load-process"

func main() {
	// Children are told to end when the thread that started them does.
	runtime.LockOSThread()
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		if err := load.Main(); err != nil {
			fmt.Fprintln(os.Stderr, "syscalls: load process:", err)
			os.Exit(1)
		}
		return
	}
	flags := flag.NewFlagSet("syscalls", flag.ContinueOnError)
	out := flags.String("out", "", "file for the table; none: it is only printed")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "syscalls:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	if err := traceable(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "syscalls-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := &counter{binary: filepath.Join(dir, "lb"), dir: dir}
	if err := server.Build(ctx, "go-loadbalancer/lb", c.binary); err != nil {
		return err
	}
	if c.load, err = load.Start(nil, loadCommand); err != nil {
		return err
	}
	defer c.load.Stop()
	var r report
	for _, k := range kinds() {
		if err := ctx.Err(); err != nil {
			return err
		}
		calls, err := c.count(ctx, k)
		if err != nil {
			return err
		}
		r.add(k, calls)
	}
	text := r.markdown()
	fmt.Print(text)
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(text), 0o644)
}
