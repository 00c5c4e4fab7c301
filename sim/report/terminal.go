package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"go-loadbalancer/lb/schema"
)

const (
	liveWidth = 79                     // columns of the live line: one that wraps cannot be wiped
	liveEvery = 100 * time.Millisecond // it is drawn at most that often
)

// Terminal writes how runs go while they do: a line a run, and under it what failed.
// On a terminal there are colours, unless NO_COLOR is set or TERM is dumb, and a last
// line with live counters; elsewhere nothing but whole plain lines. It may be called
// from several goroutines. Errors of writing are dropped: whoever looks sees them.
type Terminal struct {
	mu      sync.Mutex
	w       io.Writer
	live    bool
	paint   paint
	running []progress // by when they began
	drawn   time.Time
	dirty   bool // the live line is on the screen
}

// progress is how far a run is.
type progress struct {
	name             string
	at, of           time.Duration
	requests, errors int
}

// NewTerminal returns one that writes to w; getenv is [os.Getenv].
func NewTerminal(w io.Writer, getenv func(string) string) *Terminal {
	live := isTerminal(w) && getenv("TERM") != "dumb"
	return &Terminal{w: w, live: live, paint: paint(live && getenv("NO_COLOR") == "")}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Begin says that the run of a scenario begins. Names are of one run at a time.
func (t *Terminal) Begin(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = append(t.running, progress{name: name})
	t.draw(true)
}

// Count says how far a run is: at is its time, of how long it takes. It is cheap, but
// not for every request; and it looks at the clock on the wall, so it is to be called
// from outside a bubble of virtual time.
func (t *Terminal) Count(name string, at, of time.Duration, requests, errors int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.running {
		if t.running[i].name == name {
			t.running[i] = progress{name, at, of, requests, errors}
			t.draw(false)
		}
	}
}

// Done says what a run came to; s is where it belongs, for the lines that are quoted.
func (t *Terminal) Done(s *Suite, r *Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.running {
		if t.running[i].name == r.Scenario.Name {
			t.running = append(t.running[:i], t.running[i+1:]...)
			break
		}
	}
	t.wipe()
	io.WriteString(t.w, t.paint.line(r)+"\n"+t.paint.detail(s, r))
	t.draw(true)
}

// Summary says what all came to, in a line.
func (t *Terminal) Summary(s *Suite) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wipe()
	io.WriteString(t.w, "\n"+t.paint.verdict(s, summary(s))+"\n")
}

// draw renews the live line, if there is one.
func (t *Terminal) draw(atOnce bool) {
	if !t.live || !atOnce && time.Since(t.drawn) < liveEvery {
		return
	}
	t.wipe()
	if len(t.running) == 0 {
		return
	}
	p := t.running[0]
	line := "…        " + visible(p.name)
	if p.of > 0 {
		line += fmt.Sprintf("  %d%%, %s, %s", 100*min(p.at, p.of)/p.of, count(p.requests, "request"), count(p.errors, "error"))
	}
	if n := len(t.running) - 1; n > 0 {
		line += fmt.Sprintf(", and %d more", n)
	}
	if utf8.RuneCountInString(line) > liveWidth {
		line = string([]rune(line)[:liveWidth-1]) + ellipsis
	}
	io.WriteString(t.w, line)
	t.drawn, t.dirty = time.Now(), true
}

// wipe takes the live line away.
func (t *Terminal) wipe() {
	if t.dirty {
		io.WriteString(t.w, "\r\x1b[2K")
		t.dirty = false
	}
}

// summary counts what all came to: "8 scenarios: 5 passed, 2 failed, …".
func summary(s *Suite) string {
	n := s.verdicts()
	var parts []string
	for _, v := range []struct {
		verdict Verdict
		words   string
	}{{Passed, "passed"}, {Failed, "failed"}, {Invalid, "invalid"}, {Failure, "came to no end"}} {
		if n[v.verdict] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[v.verdict], v.words))
		}
	}
	text := count(len(s.Runs), "scenario")
	if n := s.Found.Count(schema.SeverityError); n > 0 {
		text = count(n, "error") + ", " + text
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if caught, all := s.mutations(); all > 0 {
		text += fmt.Sprintf("; mutations caught: %d of %d (%s)", caught, all, percent(caught, all))
	}
	if virtual, real := s.took(); real > 0 {
		text += "; " + instant(virtual) + " in " + instant(real)
	}
	return text
}

// found is what is wrong with the files, in lines.
func found(s *Suite) string {
	var b strings.Builder
	for _, d := range s.Found {
		b.WriteString(visibleLines(d.String()) + "\n")
	}
	return b.String()
}
