//go:build !image

package containers_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeEngine is a Docker Engine of which there is the API alone: it makes nothing, knows
// what it was asked to make and has not been asked to remove, and fails as it is told.
type fakeEngine struct {
	host string // for DOCKER_HOST

	fails   string        // "METHOD PATH" without numbers, which does not go well: a regular expression
	says    string        // then
	hangs   bool          // it is not answered then, until its client goes
	lingers bool          // nor this, but for a second, and it is done all the same
	reached chan struct{} // closed at the first request that is to fail

	once  sync.Once
	mu    sync.Mutex
	idle  *sync.Cond // busy is 0
	busy  int        // requests that are being served
	count int
	there map[string]json.RawMessage // labels, by kind and id
}

func newFakeEngine(t *testing.T, f *fakeEngine) *fakeEngine {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	f.host, f.reached, f.there = "unix://"+socket, make(chan struct{}), map[string]json.RawMessage{}
	f.idle = sync.NewCond(&f.mu)
	server := &http.Server{Handler: f}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return f
}

func (f *fakeEngine) serving(one int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy += one
	f.idle.Broadcast()
}

var version = regexp.MustCompile(`^/v1\.[0-9]+`)

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.serving(1)
	defer f.serving(-1)
	path := version.ReplaceAllString(r.URL.Path, "")
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	matches := f.fails != "" && regexp.MustCompile("^"+f.fails+"$").MatchString(r.Method+" "+path)
	if matches {
		f.once.Do(func() { close(f.reached) })
	}
	switch {
	case matches && f.hangs:
		<-r.Context().Done()
		return
	case matches && f.lingers:
		time.Sleep(time.Second) // as one that is slow: whether or not its client waits
	case matches:
		status := http.StatusInternalServerError
		if strings.HasPrefix(f.says, "No such image") {
			status = http.StatusNotFound
		}
		answer(status, map[string]string{"message": f.says})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kind, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case kind == "_ping":
		w.Header().Set("Api-Version", "1.41")
	case kind == "info", kind == "version":
		answer(http.StatusOK, map[string]string{"OSType": "linux", "ApiVersion": "1.41"})
	case kind == "images":
		answer(http.StatusOK, map[string]string{"Id": "sha256:1"})
	case rest == "create":
		var made struct{ Labels json.RawMessage }
		json.NewDecoder(r.Body).Decode(&made)
		f.count++
		id := fmt.Sprintf("%064x", f.count)
		f.there[kind+"/"+id] = made.Labels
		answer(http.StatusCreated, map[string]string{"Id": id})
	case r.Method == http.MethodDelete:
		delete(f.there, kind+"/"+rest)
		w.WriteHeader(http.StatusNoContent)
	case kind == "networks" && rest == "", path == "/containers/json":
		all := []map[string]any{}
		for name, labels := range f.there {
			if k, id, _ := strings.Cut(name, "/"); k == kind {
				all = append(all, map[string]any{"Id": id, "Name": id, "Names": []string{"/" + id}, "Labels": labels})
			}
		}
		answer(http.StatusOK, all)
	case strings.HasSuffix(rest, "/start"), strings.HasSuffix(rest, "/connect"):
		w.WriteHeader(http.StatusNoContent)
	case kind == "containers" && strings.HasSuffix(rest, "/json"):
		answer(http.StatusOK, map[string]any{"Id": strings.TrimSuffix(rest, "/json"), "State": map[string]any{"Running": true}})
	case kind == "networks":
		answer(http.StatusOK, map[string]string{"Id": rest, "Name": rest})
	default:
		answer(http.StatusNotFound, map[string]string{"message": "the fake engine knows no " + r.Method + " " + path})
	}
}

// left is what is there, once all is done that was asked for: nobody asks any more.
func (f *fakeEngine) left() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.busy > 0 {
		f.idle.Wait()
	}
	for name := range f.there {
		all = append(all, name)
	}
	return all
}

// made is how much was.
func (f *fakeEngine) made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}
