package command

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"go-loadbalancer/lb/impact"
	"go-loadbalancer/lb/policy"
)

type diffCommand struct {
	Paths   []string `arg:"" name:"path" help:"The old policy and the new one: directories, or single files. With --against, the new one only."`
	Against string   `placeholder:"REV" help:"Compare with what git has of the same path at a revision, such as HEAD or origin/main."`
	JSON    bool     `name:"json" help:"Print JSON, of a form that is documented in docs/diff.md."`
}

// Run says what differs. Exit status: 0 nothing, 1 something, 2 a policy cannot be read
// or is invalid.
func (c *diffCommand) Run(out streams) error {
	want := 2
	if c.Against != "" {
		want = 1
	}
	if len(c.Paths) != want {
		return fmt.Errorf("%w: lb diff OLD NEW, or lb diff --against REV PATH", errUsage)
	}
	var sides [2]located
	var err error
	if c.Against != "" {
		sides[0], err = readRevision(c.Against, c.Paths[0])
	} else {
		sides[0], err = readPolicy(c.Paths[0])
	}
	if err == nil {
		sides[1], err = readPolicy(c.Paths[len(c.Paths)-1])
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	var read [2]*policy.Written
	for i := range sides {
		w, found := sides[i].files.Read()
		if w == nil {
			for _, d := range sides[i].named(found) {
				if d.Pos.File == "" {
					fmt.Fprintf(out.stderr, "%s: ", sides[i].dir)
				}
				fmt.Fprintln(out.stderr, d)
			}
		}
		read[i] = w
	}
	if read[0] == nil || read[1] == nil {
		return errTrouble
	}
	report, err := impact.Of(read[0], read[1])
	if err != nil {
		fmt.Fprintf(out.stderr, "lb: %v\n", err)
		return errTrouble
	}
	for i := range report.Changes {
		change := &report.Changes[i]
		change.OldAt, change.NewAt = within(sides[0].dir, change.OldAt), within(sides[1].dir, change.NewAt)
	}
	if err := c.print(out, report); err != nil {
		fmt.Fprintf(out.stderr, "lb: %v\n", err)
		return errTrouble
	}
	if !report.Same {
		return errSaid
	}
	return nil
}

// within is a place in a file of a directory, as the shell names it.
func within(dir, at string) string {
	if at == "" {
		return ""
	}
	return filepath.Join(dir, at)
}

func (c *diffCommand) print(out streams, r *impact.Report) error {
	if !c.JSON {
		return r.WriteText(out.stdout)
	}
	e := json.NewEncoder(out.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
