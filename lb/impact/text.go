package impact

import (
	"fmt"
	"io"
	"strings"
)

// mostLines bounds each part of the text; JSON has all of it.
const mostLines = 40

// WriteText writes the report for people: what it comes to first, the fields last.
func (r *Report) WriteText(w io.Writer) error {
	t := &text{}
	t.line("%s → %s", r.Old.String(), r.New.String())
	if r.Same {
		if r.Old.Hash != r.New.Hash {
			t.line("no difference: the files differ, what they say does not")
		} else {
			t.line("no difference")
		}
		_, err := io.WriteString(w, t.String())
		return err
	}
	t.requests(&r.Requests)
	t.part("Endpoints", len(r.Endpoints), func(i int) { t.item("%s", r.Endpoints[i].String()) })
	t.part("Sessions", len(r.Sessions)+len(r.Keys), func(i int) {
		if i >= len(r.Sessions) {
			t.item("%s", r.Keys[i-len(r.Sessions)].String())
			return
		}
		t.sessions(&r.Sessions[i])
	})
	t.retries(&r.Retries)
	lines := r.Reload.lines()
	t.part("Reload", len(lines), func(i int) { t.item("%s", lines[i]) })
	t.part("Fields", len(r.Changes), func(i int) { t.change(&r.Changes[i]) })
	_, err := io.WriteString(w, t.String())
	return err
}

func (i Identity) String() string { return fmt.Sprintf("policy %s, version %s", i.Name, i.Version) }

type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }
func (t *text) item(format string, args ...any) { fmt.Fprintf(t, "  "+format+"\n", args...) }

// part writes a title and items, if there are any.
func (t *text) part(title string, n int, write func(i int)) {
	if n == 0 {
		return
	}
	t.line("\n%s", title)
	for i := range min(n, mostLines) {
		write(i)
	}
	if n > mostLines {
		t.item("and %d more: --json has all of them", n-mostLines)
	}
}

func (t *text) requests(r *Requests) {
	t.line("\nRequests")
	for i := range min(len(r.Moved), mostLines) {
		m := &r.Moved[i]
		switch {
		case m.Old.Route == m.New.Route:
			t.item("route %s as before, but for: %s", m.Old.Route, strings.Join(m.Differs, ", "))
		default:
			t.item("%s → %s", routeName(m.Old.Route), routeName(m.New.Route))
		}
		if m.Old.Answer != m.New.Answer {
			t.item("  %s → %s", m.Old.Answer, m.New.Answer)
		} else if m.Old.Route != m.New.Route {
			t.item("  %s, as before%s", m.New.Answer, besides(m.Differs))
		}
		for _, e := range m.Examples {
			t.item("  such as %s", cut(e))
		}
	}
	if n := len(r.Moved); n > mostLines {
		t.item("and %d more: --json has all of them", n-mostLines)
	}
	sure := "every combination of what the matches name"
	if !r.All {
		sure = "not every combination: there may be more"
	}
	if len(r.Moved) == 0 {
		t.item("none goes elsewhere")
	}
	t.item("(%d requests matched by both policies, %s)", r.Probed, sure)
}

func routeName(name string) string {
	if name == "" {
		return "no route"
	}
	return "route " + name
}

// besides is what else differs of requests that another route takes.
func besides(differs []string) string {
	var rest []string
	for _, d := range differs {
		if d != "route" && d != "answer" {
			rest = append(rest, d)
		}
	}
	if rest == nil {
		return ""
	}
	return ", with other " + strings.Join(rest, ", ")
}

func (t *text) sessions(s *Sessions) {
	of := ""
	if len(s.Moves) > 0 && s.Moves[0].Reason != "carrier" && s.Moves[0].Reason != "ended" && s.Moves[0].Reason != "route" {
		of = fmt.Sprintf(" (of %d that were drawn)", s.Sampled)
	}
	t.item("%s: %s of the sessions move%s", routesOf(s.Routes), percent(s.Share), of)
	for i := range s.Moves {
		if i == mostLines {
			t.item("  and %d more ways", len(s.Moves)-i)
			break
		}
		t.item("  %s %s", percent(s.Moves[i].Share), s.Moves[i].why())
	}
	if s.Note != "" {
		t.item("  %s", s.Note)
	}
}

func (t *text) retries(a *Amplification) {
	if len(a.Routes)+len(a.Copies) == 0 {
		return
	}
	t.line("\nRetries, at worst")
	if old, new := a.Worst[0].String(), a.Worst[1].String(); old != new {
		t.item("of all routes: a request costs up to %s → %s", old, new)
	}
	for i := range min(len(a.Routes), mostLines) {
		t.item("%s", a.Routes[i].String())
	}
	for i := range min(len(a.Copies), mostLines) {
		t.item("%s", a.Copies[i].String())
	}
	if n := max(0, len(a.Routes)-mostLines) + max(0, len(a.Copies)-mostLines); n > 0 {
		t.item("and %d more: --json has all of them", n)
	}
}

func (t *text) change(c *Change) {
	t.item("%s: %s", c.Path, c.values())
	where := c.NewAt
	switch {
	case c.OldAt != "" && c.NewAt != "" && c.OldAt != c.NewAt:
		where = c.OldAt + " → " + c.NewAt
	case where == "":
		where = c.OldAt
	}
	if where != "" {
		t.item("    at %s", where)
	}
	switch {
	case c.Direction != "":
		t.item("    %s: %s", c.Direction, c.Meaning)
	case c.Meaning != "":
		t.item("    %s", c.Meaning)
	}
}
