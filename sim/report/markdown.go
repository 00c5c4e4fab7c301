package report

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// maxMarkdown is how much a summary says in full: GitHub takes a mebibyte, and nobody
// reads that much. What failed beyond it is in the table only.
const maxMarkdown = 256 << 10

// WriteMarkdown writes a table of the runs, and what failed in each, as GitHub shows it
// in a step's summary.
func WriteMarkdown(w io.Writer, s *Suite) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## Simulator: %s\n\n", markup(summary(s)))
	if len(s.Found) > 0 {
		fmt.Fprintf(&b, "<pre>%s</pre>\n\n", inPre(found(s)))
	}
	if len(s.Runs) == 0 {
		_, err := io.WriteString(w, b.String())
		return err
	}
	b.WriteString("| | scenario | what is wrong | requests | errors | shed | p99 | time |\n|---|---|---|--:|--:|--:|--:|--:|\n")
	cut := 0
	for _, r := range s.Runs {
		if b.Len() > maxMarkdown {
			cut++
			continue
		}
		n := tally(r.History)
		fmt.Fprintf(&b, "| %s %s | %s | %s | %d | %s | %s | %s | %s |\n", sign(r.Verdict), r.Verdict,
			markup(visible(r.Scenario.Name)), markup(wrong(r)), n.requests,
			percent(n.errors, n.requests), percent(n.sheds, n.requests), instant(n.p99), instant(r.Real))
	}
	if cut > 0 {
		fmt.Fprintf(&b, "\nand %d more: see the other reports.\n", cut)
	}
	for _, r := range s.Runs {
		detail := paint(false).detail(s, r)
		if detail == "" || b.Len()+len(detail) > maxMarkdown {
			continue
		}
		fmt.Fprintf(&b, "\n<details><summary>%s <b>%s</b></summary>\n\n<pre>%s</pre>\n</details>\n",
			sign(r.Verdict), html.EscapeString(visible(r.Scenario.Name)), inPre(detail))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sign is a verdict that is seen before it is read.
func sign(v Verdict) string {
	switch v {
	case Passed:
		return "✅"
	case Invalid:
		return "⚠️"
	}
	return "❌"
}

// inPre escapes text for an HTML block, which an empty line would end.
func inPre(text string) string {
	return strings.ReplaceAll(html.EscapeString(strings.TrimRight(text, "\n")), "\n\n", "\n&#8203;\n")
}

// markup escapes what Markdown would take for markup, in one cell of a table: as
// entities, which it shows as they are. Names and numbers stay as they are to be read as
// text too: a hyphen, a colon or a bracket alone means nothing within a line, and what
// would begin a line of its own (#, +, -, !) does not stand there.
func markup(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case strings.ContainsRune("\\`*_[]<>|&@~$", r),
			r == ':' && strings.Contains(text[i:], "://"),     // a link by itself
			r == '#' && i+1 < len(text) && isDigit(text[i+1]): // a mention of an issue
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
