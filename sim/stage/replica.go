package stage

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/event"
	"go-loadbalancer/lb/reload"
	"go-loadbalancer/lb/session"
	"go-loadbalancer/lb/session/redisstore"
	"go-loadbalancer/lb/telemetry"
)

// replica is a process of the balancer.
type replica struct {
	*record
	Balancer
	number int
	host   Host
	killed bool
	err    error // of its end
	ending sync.WaitGroup
}

// inProcess is a balancer in this process.
type inProcess struct {
	balancer *balancer.Balancer
	source   *source
	store    *redisstore.Store // nil: none
	metrics  *telemetry.Metrics
	access   *telemetry.AccessLog // nil: nobody wants it
	log      bytes.Buffer         // what it wrote
}

// firstReplica is before the address of lb/1.
var firstReplica = netip.MustParseAddr("198.18.0.0")

func replicaName(number int) string { return fmt.Sprintf("lb/%d", number) }

func replicaHost(g Ground, number int) Host {
	a := firstReplica.As4()
	a[2], a[3] = byte(number>>8), byte(number)
	return g.Host(replicaName(number), netip.AddrPortFrom(netip.AddrFrom4(a), 0))
}

// startReplica starts the nth process of all, which makes its random numbers others than
// theirs. It is a replica of that number.
func (st *stage) startReplica(number, nth int, files map[string][]byte) (*replica, error) {
	r := &replica{record: newRecord(replicaName(number), st.began, st.cast), number: number, host: replicaHost(st.ground, number)}
	ctx, cancel := context.WithTimeout(st.ctx, time.Minute)
	defer cancel()
	var err error
	if p, ok := st.ground.(Processes); ok {
		r.Balancer, err = p.Balancer(ctx, number, files, r.events())
	} else {
		r.Balancer, err = st.inProcess(ctx, r, nth)
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not start: %w", r.replica, err)
	}
	return r, nil
}

// inProcess starts a balancer in this process.
func (st *stage) inProcess(ctx context.Context, r *replica, nth int) (*inProcess, error) {
	p := &inProcess{source: newSource(st.files), metrics: telemetry.NewMetrics(telemetry.Build{})}
	seed := mixed(st.Seed, uint64(nth))
	o := balancer.Options{
		Policies: p.source, LastGood: st.kept(r.number), Listen: r.host.Listen, Dial: r.host.Dial, Resolve: st.cast.resolve, Rand: seed, Wall: st.wall(r.number),
		Events: event.Tee(p.metrics.Events(), r.events()), Logger: slog.New(&notes{stage: st, replica: r}),
	}
	if st.job.AccessLogs {
		p.access = telemetry.NewAccessLog(telemetry.AccessLogOptions{Open: telemetry.LogTo(&p.log), Logger: o.Logger})
		if err := p.access.Start(); err != nil {
			return nil, err
		}
		o.Events = event.Tee(o.Events, p.access.Events())
	}
	if st.redis != nil {
		var err error
		p.store, err = redisstore.New(redisstore.Options{
			URL: st.redis.URL(), Namespace: st.redis.Namespace(), Dial: r.host.Dial, Rand: numbers(seed), Wall: st.wall(r.number),
			Logger: o.Logger,
		})
		if err != nil {
			p.close(ctx)
			return nil, err
		}
		o.Sessions = p.store
	}
	if st.redis == nil {
		o.CookieKeys = []session.Key{cookieKey(st.Seed)}
	}
	p.balancer = balancer.New(o)
	if err := p.balancer.Start(ctx); err != nil {
		p.close(ctx)
		return nil, err
	}
	return p, nil
}

// cookieKey is the one that all replicas are given, as whoever has several of them and no
// Redis must: what one seals the others can read.
func cookieKey(seed uint64) (k session.Key) {
	for i := range len(k) / 8 {
		binary.BigEndian.PutUint64(k[8*i:], mixed(seed, uint64(i+1)))
	}
	return k
}

// numbers are random ones.
func numbers(seed uint64) func() uint64 {
	var mu sync.Mutex
	n := uint64(0)
	return func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		n++
		return mixed(seed, n)
	}
}

// mixed is a random number that two numbers have; not 0.
func mixed(a, b uint64) uint64 {
	x := a ^ b*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return (x ^ x>>31) | 1
}

// drained is how long a replica has to finish what it does.
const drained = 2 * time.Minute

// shutdown ends it as SIGTERM does; at once, if ctx ends. It does not wait for the end.
func (r *replica) shutdown(ctx context.Context) {
	r.ending.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, drained)
		defer cancel()
		r.err = r.Shutdown(ctx)
	})
}

func (p *inProcess) Apply(files map[string][]byte) { p.source.set(files) }

func (p *inProcess) Shutdown(ctx context.Context) error {
	defer p.close(context.WithoutCancel(ctx)) // memory takes all lines at once
	return p.balancer.Shutdown(ctx)
}

// kill ends it as SIGKILL does: nobody hears of it any more. What is left of it in
// memory is ended, which is not waited for either.
func (r *replica) kill() Fault {
	r.killed = true
	if _, ok := r.Balancer.(*inProcess); ok {
		r.end() // what it goes on to tell in memory nobody would have heard
	}
	crash := r.host.Crash()
	r.ending.Go(r.Killed)
	return crash
}

func (p *inProcess) Killed() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Shutdown(ctx) // fails: it is cut
}

func (p *inProcess) close(ctx context.Context) {
	if p.access != nil {
		p.access.Close(ctx)
	}
	if p.store != nil {
		p.store.Close()
	}
}

// left is what it has not let go of in the end.
func (r *replica) left() (left []string) {
	if r.killed {
		return nil
	}
	if r.err != nil {
		left = append(left, fmt.Sprintf("%s: %v", r.replica, r.err))
	}
	for _, what := range r.Left() {
		left = append(left, r.replica+": "+what)
	}
	return left
}

func (p *inProcess) Left() (left []string) {
	for _, p := range p.balancer.Status().Pools {
		for _, e := range p.Endpoints {
			if e.InFlight != 0 {
				left = append(left, fmt.Sprintf("%d requests in flight to %s", e.InFlight, e.ID))
			}
		}
	}
	return left
}

func (p *inProcess) Gather() (map[string]float64, error) {
	families, err := p.metrics.Gather()
	if err != nil {
		return nil, err
	}
	series := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "lb_") || f.GetName() == "lb_build_info" {
			continue
		}
		for _, m := range f.GetMetric() {
			var b strings.Builder
			for i, l := range m.GetLabel() {
				if i > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "%s=%q", l.GetName(), l.GetValue())
			}
			labels := b.String()
			if labels != "" {
				labels = "{" + labels + "}"
			}
			switch {
			case m.GetCounter() != nil:
				series[f.GetName()+labels] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				series[f.GetName()+labels] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				series[f.GetName()+"_count"+labels] = float64(m.GetHistogram().GetSampleCount())
				series[f.GetName()+"_sum"+labels] = m.GetHistogram().GetSampleSum()
			}
		}
	}
	return series, nil
}

// source is where a replica's policies come from.
type source struct {
	mu      sync.Mutex
	files   map[string][]byte
	changed chan struct{}
}

func newSource(files map[string][]byte) *source {
	return &source{files: files, changed: make(chan struct{}, 1)}
}

func (s *source) Read(context.Context) (reload.Bundle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return reload.Bundle{Files: s.files}, nil
}

func (s *source) Changed() <-chan struct{} { return s.changed }

func (s *source) set(files map[string][]byte) {
	s.mu.Lock()
	s.files = files
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// dial connects a client to a listener of a replica.
func (st *stage) dial(ctx context.Context, client int, replica, listener string) (net.Conn, error) {
	a := firstClient.As4()
	a[2], a[3] = byte(client>>8), byte(client)
	from := st.ground.Host("client/"+strconv.Itoa(client), netip.AddrPortFrom(netip.AddrFrom4(a), 0))
	return from.Dial(ctx, "tcp", st.address(replica, listener))
}

// firstClient is the address of a client.
var firstClient = netip.MustParseAddr("198.19.0.0")

// address is a listener's of a replica; the listener's name may be left out.
func (st *stage) address(replica, listener string) string {
	_, port, _ := net.SplitHostPort(listenerOf(st.policy, listener).Address) // it was checked
	number, _ := strconv.Atoi(strings.TrimPrefix(replica, "lb/"))
	return net.JoinHostPort(replicaHost(st.ground, number).Address().String(), port)
}
