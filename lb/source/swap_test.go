package source_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"go-loadbalancer/lb/source"
)

// Every one of many swaps is delivered, by events alone.
func TestEverySwapIsDelivered(t *testing.T) {
	for name, publisher := range publishers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, publish := publisher(t)
			publish(t, generation(0))
			d := watch(t, path, quick)
			for n := 1; n <= 120; n++ {
				publish(t, generation(n))
				await(t, d, fmt.Sprint("generation ", n), generation(n))
			}
		})
	}
}

// Bursts of swaps without a pause, while somebody reads all the time: no
// reading is torn, and the last state of every burst is delivered.
func TestSwapsWhileReading(t *testing.T) {
	for name, publisher := range publishers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, publish := publisher(t)
			publish(t, generation(0))
			d := watch(t, path, quick)

			other := source.NewDir(path, quick)
			stop := make(chan struct{})
			var reader sync.WaitGroup
			var good atomic.Int64
			reader.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					// Errors are fine: a directory that never holds still
					// cannot be read.
					if got, _, err := read(other); err == nil {
						good.Add(1)
						if torn(got) {
							t.Errorf("torn reading: %v", got)
							return
						}
					}
				}
			})
			n := 0
			for range 15 {
				for range 10 {
					n++
					publish(t, generation(n))
				}
				await(t, d, fmt.Sprint("generation ", n), generation(n))
			}
			close(stop)
			reader.Wait()
			t.Logf("%d good readings beside %d swaps", good.Load(), n)
		})
	}
}

func TestRevisionFollowsGitSync(t *testing.T) {
	g := &gitSync{root: t.TempDir()}
	for n := range 5 {
		g.swap(t, generation(n))
		_, revision, err := read(source.NewDir(g.link(), quick))
		if err != nil || revision != g.commit() {
			t.Errorf("revision %q, error %v; want %q", revision, err, g.commit())
		}
	}
}
