package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/telemetry"
)

// disk is a file whose writes fail now and then, part of them written.
type disk struct {
	*os.File
	rnd   *rand.Rand // by which writes fail; nil: none does
	odds  float64
	ends  int // failures that left nothing of a line but its end
	sizes []int
}

func (d *disk) Write(p []byte) (int, error) {
	if d.rnd != nil && d.rnd.Float64() < d.odds {
		n, _ := d.File.Write(p[:d.rnd.IntN(len(p)+1)])
		if n < len(p) && p[n] == '\n' {
			d.ends++
		}
		return n, errors.New("disk full")
	}
	d.sizes = append(d.sizes, len(p))
	return d.File.Write(p)
}

// In a file, batches end where multiples of their size do, whatever was there before and
// however lines come, and lines are whole all the same.
func TestAccessLogBatchesAreAligned(t *testing.T) {
	const batch = 64 << 10
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "access.log")
		const before = "{\"a\":1}\n"
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		d := &disk{}
		l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: func() (io.WriteCloser, error) {
			f, err := telemetry.LogFile(path)()
			if err == nil {
				d.File = f.(*os.File)
			}
			return d, err
		}})
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		const lines = 3000
		for n := range lines {
			r := request()
			r.UserAgent = []byte(strings.Repeat("x", n%700))
			l.Events().RequestEnded(r)
			if n%600 == 599 {
				time.Sleep(time.Second) // it is written, whatever there is of it
			}
			synctest.Wait()
		}
		closeLog(t, l)
		at, full := len(before), 0
		for _, size := range d.sizes {
			if at%batch+size > batch {
				t.Errorf("%d bytes are written at %d: across a multiple of %d", size, at, batch)
			}
			if at += size; at%batch == 0 {
				full++
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if whole := wholeLines(text); whole != lines+1 || len(text) != at || full < len(text)/batch {
			t.Errorf("%d whole lines in %d bytes, of which %d were written, %d times to a multiple of %d", whole, len(text), at-len(before), full, batch)
		}
	})
}

// However a disk fails, no line that is said to be written is broken, and every line is
// said to be written or dropped.
func TestAccessLogOnAFailingDisk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			d := &disk{rnd: rand.New(rand.NewPCG(seed, rnd.Uint64())), odds: rnd.Float64()}
			l := telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: func() (io.WriteCloser, error) {
				f, err := telemetry.LogFile(path)()
				if err == nil {
					d.File = f.(*os.File)
				}
				return d, err
			}})
			if err := l.Start(); err != nil {
				t.Fatal(err)
			}
			lines := 200 + rnd.IntN(1500)
			for range lines {
				r := request()
				r.UserAgent = bytes.Repeat([]byte("x"), rnd.IntN(1000))
				l.Events().RequestEnded(r)
				if rnd.IntN(100) == 0 {
					time.Sleep(time.Second)
				}
				synctest.Wait()
			}
			closeLog(t, l)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			whole, written := wholeLines(text), int(l.Written())
			if whole < written || whole > written+d.ends || written+int(l.Dropped()) != lines {
				t.Errorf("%d whole lines, %d said to be written and %d dropped, of %d; %d dropped ones lack their end", whole, written, l.Dropped(), lines, d.ends)
			}
		})
	}
}

// wholeLines is how many lines are JSON, and end.
func wholeLines(text []byte) (n int) {
	for line := range bytes.Lines(text) {
		if bytes.HasSuffix(line, []byte{'\n'}) && json.Valid(line) {
			n++
		}
	}
	return n
}
