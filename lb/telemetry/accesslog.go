package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go-loadbalancer/lb/event"
)

// AccessLogOptions says where the access log goes.
type AccessLogOptions struct {
	// Open opens the destination: at [AccessLog.Start], and anew at each
	// [AccessLog.Reopen]. Required. See [LogFile] and [LogTo].
	Open func() (io.WriteCloser, error)
	// Logger is told when writing begins to fail and when it works again; nil
	// discards that.
	Logger *slog.Logger
}

// AccessLog writes a line of JSON for each request the policy wants logged.
// It must be made with [NewAccessLog].
type AccessLog struct {
	options AccessLogOptions
	sampler sampler
	redact  redactor

	mu       sync.Mutex
	batch    *batch   // being filled; nil: take one
	free     []*batch // the last one is taken first: it is in the processor's cache
	made     int      // batches allocated, at most maxBatches
	closed   bool
	repeated repeated
	out      io.WriteCloser // written to by run only
	at       int64          // where in it the next batch begins; only of a file
	file     bool           // it is a regular one

	full       chan *batch   // it has room for every batch
	pending    chan struct{} // a batch that was empty is no more
	reopen     chan reopening
	stop, done chan struct{}
	written    atomic.Uint64
	dropped    atomic.Uint64
	failing    bool // the last write failed; run's own
	midLine    bool // what was written last ends inside a line; run's own
}

const (
	// A batch is written when it holds batchSize bytes, or flushEvery after its
	// first line. Its buffer has room for one more line, however hostile.
	//
	// In a file the batches end where a multiple of batchSize does, and so within a line:
	// what is aligned so takes Linux a third less time to write (measured on ext4, 6.18).
	batchSize  = 64 << 10
	flushEvery = 100 * time.Millisecond
	// maxBatches is how far the destination may fall behind: 2 MiB of lines.
	maxBatches = 32
)

type batch struct {
	buf   []byte
	lines int  // that end in it
	joins bool // it begins with the rest of a line, which the batch before begins
}

type reopening struct {
	out  io.WriteCloser
	done chan struct{}
}

// NewAccessLog returns an access log that does nothing until it is started.
func NewAccessLog(o AccessLogOptions) *AccessLog {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &AccessLog{
		options: o,
		full:    make(chan *batch, maxBatches),
		pending: make(chan struct{}, 1),
		reopen:  make(chan reopening),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
}

// LogFile returns a function that opens the file for appending, creating it
// readable by owner and group.
func LogFile(path string) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		// Non-blocking, since opening a named pipe nobody reads would wait for ever.
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o640)
		if errors.Is(err, syscall.ENXIO) {
			return nil, fmt.Errorf("%w: nobody reads this named pipe: start its reader first", err)
		}
		if err != nil {
			return nil, err
		}
		return f, nil
	}
}

// LogTo returns a function that hands out w, which is never closed.
func LogTo(w io.Writer) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) { return keptOpen{w}, nil }
}

type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }

// Start opens the destination and begins to write. It may be called once.
func (l *AccessLog) Start() error {
	out, err := l.options.Open()
	if err != nil {
		return fmt.Errorf("access log: %w", err)
	}
	l.opened(out)
	go l.run()
	return nil
}

// Reopen opens the destination anew and writes everything from now on to that:
// what a log rotation asks for after it renamed the file. What is pending still
// goes to the old one. On an error that stays in use, except where ctx ends
// while a write blocks: then the change is made once the write is over. It needs
// a started log.
func (l *AccessLog) Reopen(ctx context.Context) error {
	out, err := l.options.Open()
	if err != nil {
		return fmt.Errorf("access log: reopen: %w", err)
	}
	r := reopening{out, make(chan struct{})}
	select {
	case l.reopen <- r:
	case <-l.done:
		err = os.ErrClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		out.Close()
		return fmt.Errorf("access log: reopen: %w", err)
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("access log: reopen: %w", context.Cause(ctx))
	}
}

// Close writes what is pending, closes the destination and ends the log;
// requests that end later are counted as dropped. If ctx ends first, the
// destination is closed under the write that blocks, and an error returned.
// It needs a started log.
func (l *AccessLog) Close(ctx context.Context) error {
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.mu.Unlock()
	if !again {
		close(l.stop)
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		out := l.out
		l.mu.Unlock()
		out.Close()
		return fmt.Errorf("access log: not all lines could be written in time: %w", context.Cause(ctx))
	}
}

// Written returns how many lines were written.
func (l *AccessLog) Written() uint64 { return l.written.Load() }

// Dropped returns how many lines were lost: to a destination that was too slow
// or failed, or because the log was closed.
func (l *AccessLog) Dropped() uint64 { return l.dropped.Load() }

// Events returns the listener that feeds the log.
func (l *AccessLog) Events() *event.Listener {
	return &event.Listener{
		RequestEnded:   l.requestEnded,
		PolicyPrepared: l.redact.prepared,
		PolicyCommitted: func(c *event.Commit) {
			l.sampler.set(c.AccessLog)
			l.redact.committed(c)
		},
	}
}

func (l *AccessLog) requestEnded(e *event.Request) {
	if !l.sampler.wants(e) {
		return
	}
	l.mu.Lock()
	b := l.current()
	if b == nil {
		l.mu.Unlock()
		l.dropped.Add(1)
		return
	}
	line := len(b.buf)
	first := line == 0
	b.buf = appendLine(b.buf, e, &l.repeated, l.redact.hidden())
	b.lines++
	size := batchSize
	if l.file {
		size -= int(l.at % batchSize)
	}
	if len(b.buf) >= size {
		first = l.hand(b, line, size)
	}
	l.mu.Unlock()
	if first {
		select {
		case l.pending <- struct{}{}:
		default:
		}
	}
}

// hand has a batch written, to a file just so much of it, and reports whether a new one
// holds the rest: all or part of its last line, which begins there. Under mu.
func (l *AccessLog) hand(b *batch, line, size int) (rest bool) {
	l.batch = nil
	if size = max(size, line); l.file && size < len(b.buf) {
		if next := l.current(); next != nil {
			next.buf = append(next.buf, b.buf[size:]...)
			next.lines, next.joins = 1, size > line
			b.buf, b.lines = b.buf[:size], b.lines-1
		}
	}
	l.at += int64(len(b.buf))
	l.full <- b // never blocks: it has room for all there are
	return l.batch != nil
}

// opened has everything from now on be written to out. Under mu, or before Start.
func (l *AccessLog) opened(out io.WriteCloser) {
	l.out, l.at, l.file = out, 0, false
	if f, ok := out.(interface{ Stat() (os.FileInfo, error) }); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			l.at, l.file = info.Size(), true
		}
	}
}

// current returns the batch to append to; nil if there is none. Under mu.
func (l *AccessLog) current() *batch {
	if l.batch != nil {
		return l.batch
	}
	if l.closed {
		return nil
	}
	if n := len(l.free); n > 0 {
		l.batch, l.free = l.free[n-1], l.free[:n-1]
	} else if l.made < maxBatches {
		l.made++
		l.batch = &batch{buf: make([]byte, 0, batchSize+maxLine)}
	}
	return l.batch
}

func (l *AccessLog) run() {
	defer close(l.done)
	timer := time.NewTimer(flushEvery)
	timer.Stop()
	armed := false
	for {
		select {
		case b := <-l.full:
			l.write(b)
		case <-l.pending:
			if !armed {
				timer.Reset(flushEvery)
				armed = true
			}
		case <-timer.C:
			armed = false
			l.flush()
		case r := <-l.reopen:
			l.flush()
			l.mu.Lock()
			old := l.out
			l.opened(r.out)
			l.mu.Unlock()
			old.Close()
			l.midLine = false
			close(r.done)
		case <-l.stop:
			l.flush()
			if err := l.out.Close(); err != nil {
				l.options.Logger.Error("access log: close failed", "error", err)
			}
			return
		}
	}
}

// flush writes all there is, oldest first.
func (l *AccessLog) flush() {
	l.mu.Lock()
	last, older := l.batch, len(l.full)
	l.batch = nil
	if last != nil {
		l.at += int64(len(last.buf))
	}
	l.mu.Unlock()
	for range older {
		l.write(<-l.full)
	}
	if last != nil {
		l.write(last)
	}
}

func (l *AccessLog) write(b *batch) {
	text := b.buf
	if l.failing && b.joins { // a line whose beginning is lost, or does not end
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	var ended, n int
	var err error
	if l.failing && l.midLine {
		ended, err = l.out.Write([]byte{'\n'})
		l.midLine = ended == 0
	}
	if err == nil {
		n, err = l.out.Write(text)
	}
	if n > 0 {
		l.midLine = text[n-1] != '\n'
	}
	wrote := b.lines
	if err != nil || len(text) < len(b.buf) {
		wrote = countLines(text[:n])
	}
	l.written.Add(uint64(wrote))
	l.dropped.Add(uint64(b.lines - wrote))
	switch {
	case err != nil && !l.failing:
		l.options.Logger.Error("access log: write failed; lines are dropped until it works again", "error", err)
	case err == nil && l.failing:
		l.options.Logger.Info("access log: written again", "dropped", l.dropped.Load())
	}
	l.failing = err != nil
	l.mu.Lock()
	l.at += int64(ended + n - len(b.buf))
	b.buf, b.lines, b.joins = b.buf[:0], 0, false
	l.free = append(l.free, b)
	l.mu.Unlock()
}
