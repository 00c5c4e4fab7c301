package admin_test

import (
	"bufio"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/admin"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/telemetry"
)

// A breaker's opening is told of within a tenth of a second, whenever it comes between two
// ticks, and whatever is told beside it: in virtual time, so that no other load counts. How long
// a browser takes to show it is measured where there is one.
func TestOpeningIsToldWithinATenth(t *testing.T) {
	for _, after := range []time.Duration{1, 50 * time.Millisecond, 450 * time.Millisecond, 950 * time.Millisecond, 999 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			timeline := telemetry.NewTimeline()
			dial, stop := inMemory(t, &fake{status: lone(), ready: true}, func(o *admin.Options) { o.Timeline = timeline })
			ours := dial()
			if _, err := io.WriteString(ours, "GET /api/v1/events HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			told := make(chan time.Duration, 1)
			var at time.Time
			var reading sync.WaitGroup
			reading.Go(func() {
				for in := bufio.NewReader(ours); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "data: ") && strings.Contains(line, "breaker open: too many failures in a row") {
						told <- time.Since(at)
						return
					}
				}
			})
			time.Sleep(2*time.Second + after)
			// Something else has just been told of, which makes it wait.
			timeline.Events().PolicyRejected(&event.Rejection{At: time.Now()})
			time.Sleep(time.Millisecond)
			at = time.Now()
			timeline.Events().BreakerChanged(event.BreakerChange{PoolName: "p", Address: "a", From: "closed", To: "open", Reason: "consecutive_failures", At: at})
			if took := <-told; took > 100*time.Millisecond {
				t.Errorf("%v after a tick it is told after %v", after, took)
			}
			ours.Close()
			reading.Wait()
			stop()
		})
	}
}
