package affinitytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// replica is an lb process, or what is left of one that was killed.
type replica struct {
	t     testing.TB
	name  string
	redis string
	dir   string // of its policy

	// What those who visit it look at.
	addr   atomic.Pointer[string]
	down   atomic.Bool
	deaths atomic.Int64

	admin string
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	lines []string
	come  chan struct{} // a line did
}

func newReplica(t testing.TB, name, redis string) *replica {
	r := &replica{t: t, name: name, redis: redis, dir: t.TempDir()}
	r.down.Store(true)
	t.Cleanup(func() {
		if !r.down.Load() {
			r.stop()
		}
	})
	return r
}

// run starts the process and waits until it serves.
func (r *replica) run() {
	r.t.Helper()
	r.cmd = exec.Command(binary, "run", "--policies", r.dir, "--admin", "127.0.0.1:0", "--access-log", "off",
		"--redis", r.redis, "--redis-namespace", "affinity", "--shutdown-timeout", "10s")
	r.cmd.SysProcAttr = orphanless()
	out, err := r.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.lines, r.come = nil, make(chan struct{}, 1)
	r.mu.Unlock()
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		for in := bufio.NewScanner(out); in.Scan(); {
			r.mu.Lock()
			r.lines = append(r.lines, in.Text())
			r.mu.Unlock()
			select {
			case r.come <- struct{}{}:
			default:
			}
		}
		io.Copy(io.Discard, out) // after a line that is too long
	}()
	r.admin = r.says(`"for":"admin"`).Address
	addr := r.says(`"for":"traffic"`).Address
	eventually(r.t, r.name+" is ready", func() bool {
		resp, err := r.get("/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	r.addr.Store(&addr)
	r.down.Store(false)
}

type line struct{ Address string }

// says waits for a line of its log with the text.
func (r *replica) says(text string) (l line) {
	r.t.Helper()
	for late := time.After(patience); ; {
		if all := r.said(text); len(all) > 0 {
			if err := json.Unmarshal([]byte(all[0]), &l); err != nil {
				r.t.Fatal(err)
			}
			return l
		}
		select {
		case <-r.come:
		case <-r.ended:
			r.t.Fatalf("%s ended:\n%s", r.name, strings.Join(r.said(""), "\n"))
		case <-late:
			r.t.Fatalf("%s never says %s:\n%s", r.name, text, strings.Join(r.said(""), "\n"))
		}
	}
}

// said is all lines of its log with the text.
func (r *replica) said(text string) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if strings.Contains(l, text) {
			all = append(all, l)
		}
	}
	return all
}

// stop ends the process, which must go well.
func (r *replica) stop() {
	r.down.Store(true)
	r.deaths.Add(1)
	r.cmd.Process.Signal(syscall.SIGTERM)
	<-r.ended
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("%s: %v", r.name, err)
	}
	r.looksSound()
}

// kill ends the process without giving it time for anything.
func (r *replica) kill() {
	r.down.Store(true)
	r.deaths.Add(1)
	r.cmd.Process.Kill()
	<-r.ended
	r.cmd.Wait()
	r.looksSound()
}

func (r *replica) looksSound() {
	if r.t.Failed() || len(r.said("DATA RACE")) > 0 || len(r.said("goroutine ")) > 0 {
		r.t.Errorf("the log of %s:\n%s", r.name, strings.Join(r.said(""), "\n"))
	}
}

// put writes a policy, as a careful editor does.
func (r *replica) put(text string) {
	r.t.Helper()
	fresh := filepath.Join(r.dir, ".policy.yaml.new")
	if err := os.WriteFile(fresh, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(fresh, filepath.Join(r.dir, "policy.yaml")); err != nil {
		r.t.Fatal(err)
	}
}

// awaitVersion waits until a version of the policy serves.
func (r *replica) awaitVersion(n int) {
	r.t.Helper()
	var last status
	eventually(r.t, fmt.Sprintf("%s serves version %d", r.name, n), func() bool {
		last = r.status()
		if last.Policy.LastError != nil {
			r.t.Fatalf("version %d is refused: %s", n, last.Policy.LastError.Message)
		}
		return last.Policy.Version == strconv.Itoa(n)
	})
}

// status is what it says of itself.
type status struct {
	Policy struct {
		Version   string
		LastError *struct{ Message string }
	}
	Sessions struct {
		State, Reason  string
		Moved, Refused map[string]int
		LatencyMs      struct{ Median, P99 float64 }
	}
	Pools []struct{ Endpoints []struct{ Draining bool } }
}

// draining says whether any endpoint is.
func (r *replica) draining() bool {
	r.t.Helper()
	for _, p := range r.status().Pools {
		for _, e := range p.Endpoints {
			if e.Draining {
				return true
			}
		}
	}
	return false
}

func (r *replica) status() (s status) {
	r.t.Helper()
	resp, err := r.get("/api/v1/status")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// asking is how a replica's admin address is asked.
var asking = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func (r *replica) get(path string) (*http.Response, error) {
	return asking.Get("http://" + r.admin + path)
}

// reload has it look at its policy.
func (r *replica) reload() {
	r.t.Helper()
	resp, err := asking.Post("http://"+r.admin+"/-/reload", "", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
}

// operation is one of the store's, and what came of it.
type operation struct{ op, result string }

// operations is what was asked of the store so far, by its metrics.
func (r *replica) operations() map[operation]int {
	r.t.Helper()
	resp, err := r.get("/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	all := map[operation]int{}
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		var o operation
		var n float64
		text := strings.NewReplacer(`",result="`, " ", `"}`, " ").Replace(in.Text())
		if rest, ok := strings.CutPrefix(text, `lb_session_store_operations_total{op="`); ok {
			if _, err := fmt.Sscan(rest, &o.op, &o.result, &n); err != nil {
				r.t.Fatalf("%s: %v", in.Text(), err)
			}
			all[o] = int(n)
		}
	}
	if len(all) == 0 {
		r.t.Fatal("no metric of the operations of the store")
	}
	return all
}
