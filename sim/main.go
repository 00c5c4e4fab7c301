// Command sim shows and tests what a load balancer does: with fake flaky
// backends, load and faults.
//
//	sim run scenarios
//	sim demo --policies policies
//	sim backend --listen 127.0.0.1:9001
//
// Each command is one file. Exit status: 0 all went well, 1 it did not, 2 the
// command line is wrong, or a scenario; 3 a run proves nothing; 130 a run was
// interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"go-loadbalancer/lb/command"
	"go-loadbalancer/sim/containers"
	"go-loadbalancer/sim/demo"
	"go-loadbalancer/sim/virtual"
)

type commands struct {
	Run     runCommand     `cmd:"" help:"Scenarios: load and faults in memory and in virtual time, and whether the balancer did right."`
	Parity  parityCommand  `cmd:"" help:"The same scenarios in virtual time and on containers, compared."`
	Demo    demoCommand    `cmd:"" help:"A load balancer at work: fake backends for the policy's endpoints, misbehaving on a loop, load, the balancer and its dashboard, in one process."`
	Schema  schemaCommand  `cmd:"" help:"Print the language of scenarios as JSON Schema, for editors."`
	Backend backendCommand `cmd:"" help:"One fake flaky backend. Its faults are set over HTTP, at /_fault."`
	Relay   relayCommand   `cmd:"" hidden:"" help:"Stands before a server, and has its answers come later."`
	Silence silenceCommand `cmd:"" hidden:"" help:"Drops packets from and to others, in the container it is called in."`
}

// session is what a command is given: it ends when the context does.
type session struct {
	context.Context
	stdout io.Writer
}

func main() {
	// In the container image lb is a link to this: most of the one is in the other.
	if filepath.Base(os.Args[0]) == "lb" {
		runtime.MemProfileRate = 0 // nobody can ask for that profile; of an lb built apart the linker knows
		os.Exit(command.Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	virtual.Work()    // does not return in a process that plays a scenario
	containers.Work() // nor in one that clears away
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	var cmds commands
	helped := -1
	parser, err := kong.New(&cmds,
		kong.Name("sim"),
		kong.Description("Shows and tests what a load balancer does."),
		kong.Vars{"image": containers.DefaultImage},
		kong.Exit(func(code int) { helped = code }),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		return 2
	}
	chosen, err := parser.Parse(joined(args))
	if helped >= 0 { // --help
		return helped
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sim: %v\nsim --help says what there is.\n", err)
		return 2
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once, but not the first one's echo:
	// timeout(1) and others signal a process and then its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	err = chosen.Run(session{ctx, os.Stdout})
	var code exit
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(os.Stderr, "sim:", err)
		return 130 // 128 + SIGINT, as shells have it
	case errors.Is(err, errUsage), errors.Is(err, demo.ErrOption):
		fmt.Fprintf(os.Stderr, "sim: %v\n", err)
		return 2
	case err != nil:
		fmt.Fprintf(os.Stderr, "sim: %v\n", err)
		return 1
	}
	return 0
}

// joined has a negative number be the value of the flag before it, not a flag itself.
func joined(args []string) (out []string) {
	for _, arg := range args {
		n := len(out) - 1
		if negative.MatchString(arg) && n >= 0 && strings.HasPrefix(out[n], "--") && !strings.Contains(out[n], "=") {
			out[n] += "=" + arg
			continue
		}
		out = append(out, arg)
	}
	return out
}

var negative = regexp.MustCompile(`^-[0-9]`)

// errUsage is wrapped by errors about a flag whose value makes no sense.
var errUsage = errors.New("bad flag")

// errInterrupted is of a command that was told to end before it had.
var errInterrupted = errors.New("interrupted")
