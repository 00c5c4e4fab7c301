// Features tells what breaker, retry budget, limits and metrics cost a request, in a
// way that does not depend on how busy the machine is:
//
//	go run ./bench/features           # prints the tables
//	go run ./bench/features -out bench/FEATURES.md
//
// The first table counts instructions, by callgrind, of the balancer and of
// bench/plain, which is it without breaker and metrics. The second one is of processor
// time that the features need by themselves, when one processor uses them and when two
// use the same endpoint's.
//
// It exits 0 if all was measured; 1 if not; 2 on wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"go-loadbalancer/bench/load"
)

// loadCommand is the argument that makes this program the load process.
const loadCommand = "load-process"

func main() {
	// Children are told to end when the thread that started them does.
	runtime.LockOSThread()
	if len(os.Args) == 2 && os.Args[1] == loadCommand {
		if err := load.Main(); err != nil {
			fmt.Fprintln(os.Stderr, "features: load process:", err)
			os.Exit(1)
		}
		return
	}
	flags := flag.NewFlagSet("features", flag.ContinueOnError)
	out := flags.String("out", "", "file for the tables; none: they are only printed")
	if err := flags.Parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
		return
	} else if err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "features:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) error {
	counted, err := instructions(ctx)
	if err != nil {
		return err
	}
	used, err := contention(ctx)
	if err != nil {
		return err
	}
	text := markdown(counted, used)
	fmt.Print(text)
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(text), 0o644)
}
