package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"go-loadbalancer/lb/policy"
)

const (
	lookEvery  = 100 * time.Millisecond
	askTimeout = 2 * time.Second
	maxStatus  = 8 << 20 // bytes of a status
)

// status is the part of /api/v1/status the demo looks at.
type status struct {
	Policy struct {
		Version   string
		Hash      string
		LastError *struct {
			At      time.Time
			Message string
		}
	}
	Pools []struct {
		Endpoints []struct {
			ID      string
			Breaker struct{ State string }
		}
	}
}

// watch looks at the policy directory and at the balancer's status, and says
// what changes.
type watch struct {
	policies string
	url      string
	out      *log.Logger
	cast     *cast
	retarget func(*policy.Policy) // told of a policy that has begun to serve
	client   *http.Client

	onDisk   string            // hash of the files last looked at
	latest   *policy.Policy    // the last valid one of the directory
	serving  string            // hash
	refused  time.Time         // when the last refusal was that was told of
	bad      bool              // the files are refused now
	breakers map[string]string // state by endpoint id
}

func newWatch(o Options, out *log.Logger, c *cast) *watch {
	return &watch{
		policies: o.Policies,
		url:      localURL(o.Admin),
		out:      out,
		cast:     c,
		client:   &http.Client{Transport: &http.Transport{}, Timeout: askTimeout},
	}
}

func (w *watch) close() { w.client.CloseIdleConnections() }

// seen takes p for what is known already.
func (w *watch) seen(p *policy.Policy) {
	w.onDisk, w.latest, w.serving = p.Hash, p, p.Hash
}

// ready waits until the balancer serves. If ctx ends before, it returns why.
func (w *watch) ready(ctx context.Context, timeout time.Duration) error {
	deadline, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var s status
		err := w.ask(deadline, &s)
		if err == nil && s.Policy.Hash != "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the balancer does not serve after %v; its status at %s: %v", timeout, w.url, err)
		}
	}
}

// run looks at intervals until ctx is done.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.look()
		var s status
		if w.ask(ctx, &s) == nil {
			w.tell(&s)
		}
	}
}

// look starts the backends of endpoints that are new on disk, so that they are
// there when the balancer first sends to them.
func (w *watch) look() {
	files, err := policy.ReadFiles(os.DirFS(w.policies))
	if err != nil || files.Hash() == w.onDisk {
		return
	}
	w.onDisk = files.Hash()
	p, found := files.Load()
	if p == nil {
		return // the balancer refuses it too, and says why
	}
	w.latest = p
	w.warn(found)
	if err := w.cast.follow(p); err != nil {
		w.out.Printf("! no backend for:\n%v", err)
	}
}

// warn shows what a policy that serves is warned of.
func (w *watch) warn(found policy.Diagnostics) {
	for _, d := range found {
		w.out.Printf("! %v", d)
	}
}

// tell says what is new in the balancer's status.
func (w *watch) tell(s *status) {
	wasBad := w.bad
	w.bad = s.Policy.LastError != nil
	switch {
	case s.Policy.Hash != w.serving && w.latest.Hash == s.Policy.Hash:
		w.serving = s.Policy.Hash
		w.retarget(w.latest)
		w.out.Printf("* the edited policy serves: version %q, hash %.12s", s.Policy.Version, s.Policy.Hash)
	case wasBad && !w.bad:
		w.out.Print("* the files are good again: they are what serves")
	}
	if e := s.Policy.LastError; e != nil && e.At.After(w.refused) {
		w.refused = e.At
		w.out.Printf("! the edit is refused, the last good policy goes on serving:\n\n%s\n", strings.TrimRight(e.Message, "\n"))
	}
	breakers := make(map[string]string)
	for _, pool := range s.Pools {
		for _, e := range pool.Endpoints {
			if strings.HasSuffix(e.ID, "/-") {
				continue // left the policy, and has no name of its own any more
			}
			state := e.Breaker.State
			breakers[e.ID] = state
			if was := w.breakers[e.ID]; was != state && (was != "" || state != "closed") {
				w.out.Printf("* %s [CB: %s]", e.ID, strings.ToUpper(state))
			}
		}
	}
	w.breakers = breakers
}

// ask gets the balancer's status.
func (w *watch) ask(ctx context.Context, s *status) error {
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/api/v1/status", nil)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(s)
}
