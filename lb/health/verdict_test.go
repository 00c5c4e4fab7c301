package health_test

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/health"
	"go-loadbalancer/lb/policy"
)

// after lets n checks of a be made.
func (w *world) after(n int) {
	w.t.Helper()
	for range 1_000_000 {
		if w.checks("a") >= n {
			synctest.Wait()
			return
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
	w.t.Fatalf("a was checked %d times, want %d", w.checks("a"), n)
}

// TestThresholds: so many in a row decide, and the first check alone.
func TestThresholds(t *testing.T) {
	tests := []struct {
		name, script string
		initial      string
		want         []string
	}{
		{"all pass", "PPPPP", "Healthy", nil},
		{"the first decides", "FFFFF", "Healthy", []string{"- its first check failed: it is down"}},
		{"two failures are no fall", "PFFPFFP", "Healthy", nil},
		{"three are", "PFFF", "Healthy", []string{"- 3 checks in a row failed, the last one: it is down"}},
		{"one pass is no rise", "FPFPFPFF", "Healthy", []string{"- its first check failed: it is down"}},
		{"two are", "FPFPP", "Healthy", []string{"- its first check failed: it is down", "+ 2 checks in a row passed"}},
		{"unhealthy until the first check", "P", "Unhealthy", []string{"+ its first check passed"}},
		{"unhealthy before and after it", "FFF", "Unhealthy", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, scripted(tt.script))
				w.serve(with(func(a *policy.ActiveCheck) { a.InitialState = tt.initial }), "a")
				if got := w.endpoint("a").Healthy(); got != (tt.initial == "Healthy") {
					t.Errorf("healthy: %t, before any check", got)
				}
				if s := w.state("a"); s.Phase != health.Pending || !s.At.IsZero() {
					t.Errorf("%+v", s)
				}
				w.after(len(tt.script))
				if got := w.told(); !slices.Equal(got, tt.want) {
					t.Errorf("told %q, want %q", got, tt.want)
				}
				s := w.state("a")
				if want := tt.script[len(tt.script)-1] == 'P'; (s.Phase == health.Passing) != want || (s.Error == "") != want || s.At.IsZero() {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestOwnTroublesDoNotCount: want of descriptors or ports says nothing of an endpoint.
// That an IPv6 address cannot be reached from here does.
func TestOwnTroublesDoNotCount(t *testing.T) {
	noPort := func(ip string) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(ip), Port: 80}, Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}
	}
	for name, tt := range map[string]struct {
		err  error
		ours bool
	}{
		"descriptors of the process": {os.NewSyscallError("socket", syscall.EMFILE), true},
		"descriptors of the machine": {os.NewSyscallError("socket", syscall.ENFILE), true},
		"memory":                     {os.NewSyscallError("socket", syscall.ENOBUFS), true},
		"ports":                      {noPort("10.0.0.1"), true},
		"an address of IPv6":         {noPort("2001:db8::1"), false},
		"refused":                    {os.NewSyscallError("connect", syscall.ECONNREFUSED), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(_ context.Context, _ string, n int) error {
					if n == 0 {
						return nil
					}
					return tt.err
				})
				w.serve(&usual, "a")
				w.after(10)
				s := w.state("a")
				if got := len(w.told()) == 0 && s.Phase == health.Passing && strings.Contains(s.Error, "could not be made"); got != tt.ours {
					t.Errorf("%q, %+v", w.told(), s)
				}
			})
		})
	}
}

// TestPanicInACheck ends neither the process nor the checks.
func TestPanicInACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ context.Context, address string, _ int) error {
			if address == "a" {
				panic("oh")
			}
			return nil
		})
		w.serve(&usual, "a", "b")
		w.after(5)
		if w.endpoint("a").Healthy() || !w.endpoint("b").Healthy() || w.checks("b") < 3 {
			t.Errorf("%q", w.told())
		}
		w.note(func() {
			if !strings.Contains(w.log.String(), "goroutine") {
				t.Error("no stack is logged")
			}
		})
	})
}

// TestHoldDown: the first fall is free, each further one holds for twice as long,
// and a long time of health has all forgotten.
func TestHoldDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		up.Store(true)
		w := newWorld(t, func(context.Context, string, int) error {
			if up.Load() {
				return nil
			}
			return errDown
		})
		w.serve(&usual, "a")
		w.after(1)
		begin := time.Now()
		want := []time.Duration{0, 1, 2, 4, 8, 10, 10}
		for n, minutes := range want {
			hold := minutes * time.Minute
			up.Store(false)
			for w.endpoint("a").Healthy() {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
			fell := w.changes[len(w.changes)-1]
			s := w.state("a")
			if fell.Held != hold || s.Falls != n+1 || !s.HeldUntil.IsZero() != (hold > 0) {
				t.Errorf("fall %d: held for %v, want %v; %+v", n+1, fell.Held, hold, s)
			}
			if hold > 0 && (!s.HeldUntil.Equal(fell.At.Add(hold)) || !strings.Contains(fell.Reason, "held out for "+hold.String())) {
				t.Errorf("fall %d: %+v, %q", n+1, s, fell.Reason)
			}
			up.Store(true)
			for !w.endpoint("a").Healthy() {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
			rose := w.changes[len(w.changes)-1].At
			out := rose.Sub(fell.At)
			// Two passes are needed, which may come while it is held.
			if most := max(hold, 2200*time.Millisecond) + 2200*time.Millisecond; out < hold || out > most {
				t.Errorf("fall %d: out for %v, want %v to %v", n+1, out, hold, most)
			}
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if s := w.state("a"); s.Falls != 0 {
			t.Errorf("not forgotten: %+v", s)
		}
		up.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if last := w.changes[len(w.changes)-1]; last.Healthy || last.Held != 0 {
			t.Errorf("%+v", last)
		}
		t.Logf("%v in all", time.Since(begin))
	})
}

// TestHoldNeedsPasses: when the hold is over, an endpoint that fails stays out.
func TestHoldNeedsPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted("PFFFPPFFF"+strings.Repeat("PFF", 60)+"PP"))
		w.serve(&usual, "a")
		w.after(9 + 3*60)
		if got := w.told(); len(got) != 3 || w.state("a").Falls != 2 || !w.state("a").HeldUntil.IsZero() {
			t.Errorf("%q, %+v", got, w.state("a"))
		}
		w.after(9 + 3*60 + 2)
		if !w.endpoint("a").Healthy() {
			t.Error("it did not come back")
		}
	})
}

// TestFlapping is pattern 8 of the failure patterns (AWS, October 2025): whatever
// the rhythm, at most two transitions in any minute after the second fall.
func TestFlapping(t *testing.T) {
	for _, period := range []time.Duration{time.Second, 5 * time.Second, 8 * time.Second, 15 * time.Second, 40 * time.Second, 90 * time.Second} {
		for _, quick := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := newWorld(t, func(context.Context, string, int) error {
					if time.Since(begin)/period%2 == 0 {
						return nil
					}
					return errDown
				})
				check := &usual
				if quick {
					check = with(func(a *policy.ActiveCheck) { a.HealthyThreshold, a.UnhealthyThreshold = 1, 1 })
				}
				w.serve(check, "a")
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				falls := 0
				var after []time.Time // the second fall
				for _, c := range w.changes {
					if falls >= 2 {
						after = append(after, c.At)
					}
					if !c.Healthy {
						falls++
					}
				}
				for i := 2; i < len(after); i++ {
					if d := after[i].Sub(after[i-2]); d < time.Minute {
						t.Errorf("period %v, quick %t: three transitions in %v", period, quick, d)
					}
				}
				if quick && falls < 3 {
					t.Errorf("period %v: %d falls prove nothing", period, falls)
				}
			})
		}
	}
}

// TestNoDamping: holdDown: 0s never holds.
func TestNoDamping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, scripted(strings.Repeat("PPFFF", 10)+"P"))
		w.serve(with(func(a *policy.ActiveCheck) { a.HoldDown = 0 }), "a")
		w.after(50)
		if n := len(w.told()); n != 19 {
			t.Errorf("%d changes, want 19", n)
		}
		for _, c := range w.changes {
			if c.Held != 0 {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestTimeout: a connection that does not come about in time is a failure, and
// says so.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, hang)
		w.serve(&usual, "a")
		w.after(1)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := w.state("a"); s.Error != "no connection within 1s" || w.endpoint("a").Healthy() {
			t.Errorf("%+v", s)
		}
	})
}

// TestStop joins what is under way, whose end counts no more.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(ctx context.Context, _ string, _ int) error {
			<-ctx.Done()
			return errors.New("it fails")
		})
		w.serve(with(func(a *policy.ActiveCheck) { a.Interval, a.Timeout = time.Minute, time.Minute }), "a")
		w.after(1)
		w.checker.Stop()
		if len(w.told()) > 0 || w.state("a").Phase != health.Pending {
			t.Errorf("%q, %+v", w.told(), w.state("a"))
		}
		w.serve(&usual, "a", "b") // nothing begins again
		time.Sleep(time.Minute)
		if w.checks("b") > 0 {
			t.Error("it goes on")
		}
	})
}
