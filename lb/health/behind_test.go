package health_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/health"
)

// TestBehind: what comes after the whole answer, within 50 ms, is a failure. That
// the connection is kept is none, nor that the check's time is over meanwhile.
func TestBehind(t *testing.T) {
	const sized, none, chunked = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	const soon, late = 49 * time.Millisecond, 51 * time.Millisecond
	for _, tt := range []struct {
		name, answer string
		before, wait time.Duration
		more         string // empty: it closes
		want         health.Phase
	}{
		{"more than its length", sized, 0, soon, "!", health.Failing},
		{"more than its chunks", chunked, 0, soon, "0\r\n", health.Failing},
		{"more than nothing", none, 0, soon, "x", health.Failing},
		{"closes soon", sized, 0, soon, "", health.Passing},
		{"is kept", sized, 0, time.Hour, "", health.Passing},
		{"too late", sized, 0, late, "!", health.Passing},
		{"the time is over", sized, 990 * time.Millisecond, time.Hour, "", health.Passing},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check := usual
				check.Type, check.Path, check.ExpectedStatuses, check.Interval = "HTTP", "/", []int{200, 204}, time.Hour
				w := newWorld(t, scripted("P"))
				var took atomic.Int64 // by the last of the checks: two may fit into the time
				w.script = func(c net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
						return
					}
					time.Sleep(tt.before)
					io.WriteString(c, tt.answer)
					if begin := time.Now(); tt.more != "" {
						time.Sleep(tt.wait)
						io.WriteString(c, tt.more)
					} else {
						c.SetReadDeadline(begin.Add(tt.wait))
						io.Copy(io.Discard, c)
						took.Store(int64(time.Since(begin)))
					}
				}
				w.serve(&check, "a")
				time.Sleep(time.Hour + time.Minute)
				synctest.Wait()
				if s := w.state("a"); s.Phase != tt.want {
					t.Errorf("%+v", s)
				}
				if took := time.Duration(took.Load()); took > 50*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
