//go:build !image

package containers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"go-loadbalancer/sim/endpoint"
	"go-loadbalancer/sim/model"
	"go-loadbalancer/sim/scenario"
	"go-loadbalancer/sim/stage"
)

// backend is a backend's container.
type backend struct {
	g         *ground
	o         model.Options
	at        netip.AddrPort // in the scenario
	real      netip.AddrPort // on the run's network
	container *testcontainers.DockerContainer
	told      *endpoint.Client
	queue     *queue

	// Of the goroutine of the queue.
	started bool // not for the first time any more
	up      bool
	crashed bool             // but its container runs
	faults  map[*remote]bool // that last

	visits []model.Visit // the ground's lock is held
}

const (
	// controlPort is where a backend is told things, if it does not listen there.
	controlPort = 9901
	// doing is how long one thing may take.
	doing = 30 * time.Second
	// pace is the pause between two looks.
	pace = 10 * time.Millisecond
)

// make makes the container.
func (b *backend) make(ctx context.Context) error {
	control := uint16(controlPort)
	if b.at.Port() == control {
		control++
	}
	b.g.mu.Lock()
	port, err := freePort(b.g.ports)
	b.g.mu.Unlock()
	if err != nil {
		return err
	}
	o, err := json.Marshal(b.o)
	if err != nil {
		return err
	}
	c, err := b.g.create(ctx, spec{
		run: b.g.id, name: plain(b.o.Name), image: b.g.options.Image, address: b.real.Addr(),
		command: []string{
			"sim", "backend", "--listen", ":" + strconv.Itoa(int(b.at.Port())), "--control", ":" + strconv.Itoa(int(control)), "--model", string(o),
		},
		ports: map[uint16]uint16{control: port}, cuttable: b.g.cut,
	})
	if err != nil {
		return err
	}
	b.container, b.told, b.queue = c, endpoint.NewClient(local(port)), newQueue()
	return nil
}

// plain is a name that containers and files may have.
func plain(name string) string {
	text := []byte(name)
	for i, c := range text {
		if c == '/' {
			text[i] = '-'
		}
	}
	return string(text)
}

// begin starts the container, and returns when it serves.
func (b *backend) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doing)
	defer cancel()
	if err := b.g.start(ctx, b.container.ID); err != nil {
		return fmt.Errorf("%s does not start: %w", b.o.Name, err)
	}
	following := make(chan error, 2)
	b.g.running.Go(func() { b.follow(following) })
	b.g.running.Go(func() {
		if status, err := b.g.exited(ctx, b.container.ID); err == nil {
			following <- fmt.Errorf("it ended at once, by status %d", status)
		}
	})
	select {
	case err := <-following:
		if err != nil {
			return b.why(err)
		}
	case <-ctx.Done():
		return b.why(ctx.Err())
	}
	b.up = true
	return nil
}

// revive has it listen again after a crash.
func (b *backend) revive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doing)
	defer cancel()
	if err := b.told.Refuse(ctx, false); err != nil {
		return fmt.Errorf("%s does not start again: %w", b.o.Name, err)
	}
	b.up, b.crashed = true, false
	return nil
}

// why is an error of the start, and what the process says.
func (b *backend) why(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), doing)
	defer cancel()
	text, _ := b.g.logs(ctx, b.container.ID, "")
	return fmt.Errorf("%s does not start: %w: is the image %s of this release?\n%s", b.o.Name, err, b.g.options.Image, strings.TrimSpace(text))
}

// follow follows one process, and sends nil to started once it does, or why it cannot.
func (b *backend) follow(started chan<- error) {
	b.g.mu.Lock()
	base := len(b.visits) // of earlier processes
	b.g.mu.Unlock()
	began := false
	see := func(v endpoint.Visit) {
		b.g.mu.Lock()
		defer b.g.mu.Unlock()
		for len(b.visits) <= base+v.N {
			b.visits = append(b.visits, model.Visit{})
		}
		b.visits[base+v.N] = v.Visit
	}
	for end := time.Now().Add(doing); ; {
		err := b.told.Visits(context.Background(), func() { began = true; started <- nil }, see)
		if began {
			return // with the process, which may have been killed
		}
		if time.Now().After(end) {
			started <- err
			return
		}
		select {
		case <-time.After(pace):
		case <-b.g.over:
			started <- errOver
			return
		}
	}
}

// Start starts it again; for the first time Prepare did.
func (b *backend) Start() error {
	b.queue.do(func() {
		if !b.started {
			b.started = true
			return
		}
		if b.g.isOver() {
			return
		}
		begin := b.begin
		if b.crashed {
			begin = b.revive
		}
		if err := begin(b.g.ctx); err != nil {
			b.g.note("%v", err)
			return
		}
		for f := range b.faults {
			f.begin()
		}
	})
	return nil
}

func (g *ground) isOver() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.given
}

// remote is a fault of what a backend answers.
type remote struct {
	of      *backend
	fault   *scenario.Fault
	id      int // 0: the process does not have it
	touched int // of processes that are no more, or of all when it has ended
}

// Begin has something be wrong. A process that cannot answer is one that is paused.
func (b *backend) Begin(f *scenario.Fault) stage.Fault {
	if f.Pause {
		return b.pause()
	}
	r := &remote{of: b, fault: f}
	b.queue.do(func() {
		b.faults[r] = true
		if b.up {
			r.begin()
		}
	})
	return r
}

func (r *remote) begin() {
	ctx, cancel := context.WithTimeout(r.of.g.ctx, doing)
	defer cancel()
	var err error
	if r.id, err = r.of.told.Begin(ctx, r.fault); err != nil {
		r.of.g.note("%s cannot be told what is to be wrong with it: %v", r.of.o.Name, err)
	}
}

// count adds what the process knows.
func (r *remote) count(end bool) {
	if r.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.of.g.ctx, doing)
	defer cancel()
	var n int
	var err error
	if end {
		n, err = r.of.told.End(ctx, r.id)
	} else {
		n, err = r.of.told.Touched(ctx, r.id)
	}
	if err == nil {
		r.touched += n
	}
	r.id = 0
}

func (r *remote) End() {
	r.of.queue.do(func() {
		delete(r.of.faults, r)
		if r.of.up {
			r.count(true)
		}
	})
}

func (r *remote) Touched() (n int) {
	r.of.queue.wait(func() { n = r.touched })
	return n
}

// gone notes that the process ends, and what it has counted.
func (b *backend) gone() {
	if b.up {
		for f := range b.faults {
			f.count(false)
		}
	}
	b.up = false
	b.told.Close() // connections to it are no good any more
}

// refuse has it listen no more.
func (b *backend) refuse() stage.Fault {
	f := b.g.during(b.real.String(), nil, 0)
	set := func(is bool) {
		b.queue.do(func() {
			if !b.up {
				return // and refuses by itself
			}
			ctx, cancel := context.WithTimeout(b.g.ctx, doing)
			defer cancel()
			if err := b.told.Refuse(ctx, is); err != nil && !b.g.isOver() {
				b.g.note("%s: %v", b.o.Name, err)
			}
		})
	}
	set(true)
	over := f.end
	f.end = func() { over(); set(false) }
	return f
}

// crash ends it as a process that is killed on a machine that stays: whoever connects is
// refused. A container that is killed takes its machine with it, and nobody would answer.
func (b *backend) crash() stage.Fault {
	open := 0
	b.queue.wait(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.g.ctx), doing)
		defer cancel()
		if !b.up {
			return
		}
		if s, err := b.told.State(ctx); err == nil {
			open = s.Open
		}
		b.gone()
		if err := b.told.Crash(ctx); err != nil && !b.g.isOver() {
			b.g.note("%s cannot be killed: %v", b.o.Name, err)
		}
		b.crashed = true
	})
	return b.g.during(b.real.String(), nil, open)
}

// Drain ends the process as SIGTERM does.
func (b *backend) Drain() {
	b.queue.do(func() {
		b.gone()
		b.crashed = false // whatever it was, a new process begins
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.g.ctx), doing)
		defer cancel()
		if err := b.g.kill(ctx, b.container.ID, "TERM"); err != nil {
			b.g.note("%s cannot be told to stop: %v", b.o.Name, err)
			return
		}
		if _, err := b.g.exited(ctx, b.container.ID); err != nil {
			b.g.note("%s does not stop: %v", b.o.Name, err)
		}
	})
}

// pause has the process stand still.
func (b *backend) pause() stage.Fault {
	f := b.g.during(b.real.String(), nil, 0)
	b.queue.wait(func() {
		ctx, cancel := context.WithTimeout(b.g.ctx, doing)
		defer cancel()
		if _, err := b.g.client.ContainerPause(ctx, b.container.ID, client.ContainerPauseOptions{}); err != nil {
			f.why = "it cannot be paused: " + err.Error()
		}
	})
	over := f.end
	f.end = func() {
		over()
		b.queue.do(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(b.g.ctx), doing)
			defer cancel()
			if _, err := b.g.client.ContainerUnpause(ctx, b.container.ID, client.ContainerUnpauseOptions{}); err != nil {
				b.g.note("%s stands still for ever: %v", b.o.Name, err)
			}
		})
	}
	return f
}

// Visits are complete when it has ended.
func (b *backend) Visits() []model.Visit {
	b.g.mu.Lock()
	defer b.g.mu.Unlock()
	return b.visits
}

// Stop has it end, and tell the last of what it has seen.
func (b *backend) Stop() {
	if b.queue == nil {
		return // it was never made
	}
	b.queue.do(func() {
		if !b.up && !b.crashed {
			return
		}
		b.up = false
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.g.ctx), doing)
		defer cancel()
		if !b.g.isOver() && b.g.kill(ctx, b.container.ID, "TERM") == nil {
			// All is told before. But an engine (20.10) that is to remove a container while it
			// ends can lose count of the network's, which then cannot be removed ever.
			b.g.exited(ctx, b.container.ID)
		}
	})
	b.told.Close()
}
