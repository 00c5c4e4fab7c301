// Package command is lb's command line: each command is one file.
package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

type commands struct {
	Run         runCommand         `cmd:"" default:"withargs" help:"Serve by the policy in a directory, and by what becomes of it. This is what lb alone does."`
	Validate    validateCommand    `cmd:"" help:"Say everything that is wrong with policies, and their hashes."`
	Diff        diffCommand        `cmd:"" help:"Say what another policy changes: where requests and sessions go, retries, thresholds."`
	Verify      verifyCommand      `cmd:"" help:"Wait until every replica serves a policy, and say which do not."`
	Explain     explainCommand     `cmd:"" help:"Say where a request goes and why: by a policy, or by a balancer that runs."`
	Schema      schemaCommand      `cmd:"" help:"Print the policy language as JSON Schema, for editors."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit with 0 if a load balancer on this machine is alive, for containers that have no curl."`
	Version     versionCommand     `cmd:"" help:"Print what was built."`
}

// streams is where a command writes.
type streams struct{ stdout, stderr io.Writer }

// Run does what the arguments (without the program's name) ask for, and returns
// the exit status: 0 all went well, 1 it did not, 2 the command line is wrong; of
// diff, as of diff(1): 0 no difference, 1 some, 2 trouble; of explain: 0 the request is
// forwarded or redirected, 1 it is not, 2 trouble.
func Run(args []string, stdout, stderr io.Writer) int {
	out := streams{stdout, stderr}
	var cmds commands
	exit := -1
	parser, err := kong.New(&cmds,
		kong.Name("lb"),
		kong.Description("An HTTP load balancer whose whole behaviour is versioned YAML."),
		kong.Writers(out.stdout, out.stderr),
		kong.Exit(func(code int) { exit = code }),
	)
	if err != nil {
		fmt.Fprintln(out.stderr, "lb:", err)
		return 2
	}
	chosen, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		fmt.Fprintf(out.stderr, "lb: %v\nlb --help says what there is.\n", err)
		return 2
	}
	err = chosen.Run(out)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
		return 1
	case errors.Is(err, errTrouble):
		return 2
	case errors.Is(err, errUnreadable), errors.Is(err, errUsage):
		fmt.Fprintf(out.stderr, "lb: %v\n", err)
		return 2
	}
	fmt.Fprintf(out.stderr, "lb: %v\n", err)
	return 1
}

var (
	// errUsage is wrapped by errors about what was typed.
	errUsage = errors.New("bad command line")
	// errUnreadable is wrapped by errors about a policy that is not there, or cannot be read.
	errUnreadable = errors.New("no policy could be read")
	// errSaid is for failures of which everything was said already.
	errSaid = errors.New("failed")
	// errTrouble is errSaid of a command for which 1 means something else.
	errTrouble = errors.New("trouble")
)
