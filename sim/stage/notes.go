package stage

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go-loadbalancer/sim/history"
)

// notes are what the balancers log for an operator, from warnings up. A request that
// makes one panic makes the run void.
type notes struct {
	stage   *stage
	replica *replica
	attrs   []slog.Attr
}

func (n *notes) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (n *notes) Handle(_ context.Context, r slog.Record) error {
	text := []string{n.replica.replica + ": " + r.Message}
	panicked, stack := false, ""
	add := func(a slog.Attr) bool {
		panicked = panicked || a.Key == "panic"
		if a.Key == "stack" {
			stack = a.Value.String()
		} else {
			text = append(text, a.Key+"="+a.Value.String())
		}
		return true
	}
	for _, a := range n.attrs {
		add(a)
	}
	r.Attrs(add)
	line := strings.Join(text, " ")
	n.replica.note(func() { n.stage.note(n.replica.since(time.Now()), line) })
	if panicked {
		n.stage.fail(strings.TrimSpace(line + "\n" + stack))
	}
	return nil
}

func (n *notes) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *n
	more.attrs = append(append([]slog.Attr(nil), n.attrs...), attrs...)
	return &more
}

func (n *notes) WithGroup(string) slog.Handler { return n }

// note adds to the run's notes.
func (st *stage) note(at time.Duration, text string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.run.Notes = append(st.run.Notes, history.Note{At: at, Text: text})
}

// fail makes the run void.
func (st *stage) fail(why string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.run.Failure == "" {
		st.run.Failure = why
	}
}
