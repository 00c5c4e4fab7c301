package pool

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestCachedWaitsForNobody: while one goroutine makes it the others have the old one
// at once; but what nobody has asked for in a while is waited for.
func TestCachedWaitsForNobody(t *testing.T) {
	for _, tt := range []struct {
		name string
		age  time.Duration // since it was too old; 0: there is none
		want string
	}{
		{"just too old", time.Nanosecond, "old"},
		{"much too old", time.Hour, "new"},
		{"none", 0, "new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c cached[string]
				if tt.age > 0 {
					c.made.Store(&made[string]{"old", time.Now().Add(-tt.age)})
				}
				making, proceed := make(chan bool), make(chan bool)
				first, second := make(chan string, 1), make(chan string, 1)
				go func() {
					first <- c.get(func() string {
						close(making)
						<-proceed
						return "new"
					})
				}()
				<-making
				go func() {
					second <- c.get(func() string { return "made twice" })
				}()
				if tt.want == "old" {
					synctest.Wait() // it waits for nothing
				} else {
					for range 1000 {
						runtime.Gosched()
					}
				}
				close(proceed)
				if got := <-second; got != tt.want {
					t.Errorf("got %q", got)
				}
				if got := <-first; got != "new" {
					t.Errorf("who made it got %q", got)
				}
			})
		})
	}
}
