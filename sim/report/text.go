package report

import (
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go-loadbalancer/sim/scenario"
)

const (
	maxWord  = 200     // runes of a name, a path, an error
	maxText  = 16_000  // runes of what may have lines: a stack
	maxFile  = 1 << 20 // bytes of a scenario's file that are read to quote a line
	ellipsis = "…"
)

// visible is s on one line of at most maxWord runes, in which a terminal, a log or a
// page finds nothing to obey: control characters, invisible ones and what is no UTF-8
// are written as Go writes them, and so are the first characters of what GitHub Actions
// takes for a command: :: where a line begins, and ##[ anywhere.
func visible(s string) string { return show(s, maxWord, false) }

// visibleLines is the same of a text that may have lines and tabs.
func visibleLines(s string) string { return show(strings.TrimRight(s, "\n"), maxText, true) }

func show(s string, most int, lines bool) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		if n++; n > most {
			b.WriteString(ellipsis)
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case lines && (r == '\n' || r == '\t'):
			b.WriteRune(r)
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return tame(b.String())
}

// tame takes the commands of GitHub Actions out of visible text.
func tame(s string) string {
	s = strings.ReplaceAll(s, "##[", `\x23#[`)
	if !strings.Contains(s, "::") {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		text := strings.TrimLeft(line, " \t")
		if strings.HasPrefix(text, "::") {
			line = line[:len(line)-len(text)] + `\x3a` + text[1:]
		}
		b.WriteString(line)
	}
	return b.String()
}

// instant is d as people say it: to the millisecond, and finer only below one.
func instant(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + instant(-d)
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	s := d.Round(time.Millisecond).String()
	if strings.HasSuffix(s, "m0s") { // 4m0s
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// after is an instant as a distance from another.
func after(d time.Duration) string {
	if d < 0 {
		return instant(d)
	}
	return "+" + instant(d)
}

func (s Span) String() string {
	if s.From == s.To {
		return "at " + instant(s.From)
	}
	return "from " + instant(s.From) + " to " + instant(s.To)
}

// count is n with its noun, and thousands kept apart: 48 000 requests.
func count(n int, noun string) string {
	digits := strconv.Itoa(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow, and does not break
		}
		b.WriteRune(d)
	}
	b.WriteString(" " + noun)
	if n != 1 && !strings.HasSuffix(noun, "d") { // passed, failed
		b.WriteString("s")
	}
	return b.String()
}

// percent is a share: to a thousandth below one percent, so that 99.97 % is not all.
func percent(part, all int) string {
	if all == 0 {
		return "0 %"
	}
	p := 100 * float64(part) / float64(all)
	digits := 1
	if part > 0 && part < all && (p < 1 || p > 99) {
		digits = 2
	}
	text := strconv.FormatFloat(p, 'f', digits, 64)
	return strings.TrimSuffix(text, ".0") + " %"
}

// place is where something was written; empty: that is not known.
func place(p scenario.Pos) string {
	if p.File == "" {
		return ""
	}
	return visible(p.File) + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

// line returns the line of a scenario's file that p is on; empty: it cannot be had.
func (s *Suite) line(p scenario.Pos) string {
	if s.Files == nil || !fs.ValidPath(p.File) {
		return ""
	}
	f, err := s.Files.Open(p.File)
	if err != nil {
		return "" // the report says the same without it
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return ""
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n == p.Line {
			return visible(strings.TrimSpace(line))
		}
	}
	return ""
}
