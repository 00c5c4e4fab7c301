package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go-loadbalancer/lb/balancer"
)

var (
	oldHash = strings.Repeat("0", 64)
	newHash = strings.Repeat("1", 64)
)

// fleet is replicas behind one name, in virtual time.
type fleet struct {
	start time.Time
	pods  map[string]func(after time.Duration) (balancer.PolicyStatus, error) // by address; nil: never answers
	from  map[string]time.Duration                                            // since when the name has it
	until map[string]time.Duration                                            // and until when, if not 0
}

func (f *fleet) resolve(_ context.Context, u *url.URL) ([]replica, error) {
	var found []replica
	after := time.Since(f.start)
	for address := range f.pods {
		if end := f.until[address]; after >= f.from[address] && (end == 0 || after < end) {
			found = append(found, replica{u, address})
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no such host")
	}
	return found, nil
}

func (f *fleet) ask(ctx context.Context, r replica) (balancer.PolicyStatus, error) {
	answer := f.pods[r.address]
	if answer == nil {
		<-ctx.Done()
		return balancer.PolicyStatus{}, ctx.Err()
	}
	return answer(time.Since(f.start))
}

func serving(hash string) func(time.Duration) (balancer.PolicyStatus, error) {
	return func(time.Duration) (balancer.PolicyStatus, error) {
		return balancer.PolicyStatus{Name: "shop", Version: "1", Hash: hash}, nil
	}
}

// reloads is a replica that gets the new policy after a time.
func reloads(at time.Duration) func(time.Duration) (balancer.PolicyStatus, error) {
	return func(after time.Duration) (balancer.PolicyStatus, error) {
		if after < at {
			return serving(oldHash)(after)
		}
		return serving(newHash)(after)
	}
}

func refuses(reason string, from, until time.Duration) func(time.Duration) (balancer.PolicyStatus, error) {
	return func(after time.Duration) (balancer.PolicyStatus, error) {
		switch {
		case after >= until:
			return serving(newHash)(after)
		case after >= from:
			return balancer.PolicyStatus{Name: "shop", Hash: oldHash, LastError: &balancer.LastError{
				Hash: newHash, Reason: reason, Message: "shop.yaml:1:1: " + strings.Repeat("x", 5000)}}, nil
		}
		return serving(oldHash)(after)
	}
}

func TestVerification(t *testing.T) {
	pods := func(of ...func(time.Duration) (balancer.PolicyStatus, error)) map[string]func(time.Duration) (balancer.PolicyStatus, error) {
		m := map[string]func(time.Duration) (balancer.PolicyStatus, error){}
		for i, p := range of {
			m[fmt.Sprintf("10.0.0.%d:8080", i+1)] = p
		}
		return m
	}
	const never = time.Hour
	for name, c := range map[string]struct {
		fleet fleet
		least int
		ok    bool
		took  time.Duration // give or take a pause and an answer
		says  []string
	}{
		"all serve it already": {
			fleet: fleet{pods: pods(serving(newHash), serving(newHash))}, ok: true,
			says: []string{"10.0.0.1:8080: serves it", "10.0.0.2:8080: serves it", "verified: 2 replicas"},
		},
		"each gets it in its time": {
			fleet: fleet{pods: pods(reloads(70*time.Second), reloads(20*time.Second), serving(newHash))}, ok: true, took: 70 * time.Second,
			says: []string{`10.0.0.1:8080: serves policy "shop", version "1", hash ` + oldHash, "verified: 3 replicas"},
		},
		"one never does": {
			fleet: fleet{pods: pods(serving(newHash), serving(oldHash))}, took: 3 * time.Minute,
			says: []string{"10.0.0.2:8080: serves policy", "not verified in time"},
		},
		"one never answers": {
			fleet: fleet{pods: pods(serving(newHash), nil)}, took: 3 * time.Minute,
			says: []string{"10.0.0.2:8080: context deadline exceeded", "not verified in time"},
		},
		"one refused it": {
			fleet: fleet{pods: pods(serving(oldHash), refuses("invalid", 5*time.Second, never))}, took: 5 * time.Second,
			says: []string{"10.0.0.2:8080: refused it (invalid)", "shop.yaml:1:1: xxx", "…", "not verified: policy " + newHash + " was refused"},
		},
		"one cannot listen for a while": {
			fleet: fleet{pods: pods(refuses("listen", 0, 30*time.Second))}, ok: true, took: 30 * time.Second,
			says: []string{"refused it (listen)", "verified: 1 replica,"},
		},
		"one has no policy yet": {
			fleet: fleet{pods: pods(func(after time.Duration) (balancer.PolicyStatus, error) {
				if after < 10*time.Second {
					return balancer.PolicyStatus{}, nil
				}
				return serving(newHash)(after)
			})}, ok: true, took: 10 * time.Second, says: []string{"serves no policy yet"},
		},
		"the name has no address for a while": {
			fleet: fleet{pods: pods(serving(newHash)), from: map[string]time.Duration{"10.0.0.1:8080": 20 * time.Second}}, ok: true, took: 20 * time.Second,
			says: []string{"http://lb:8080: no such host", "verified: 1 replica,"},
		},
		"an old one ends": {
			fleet: fleet{pods: pods(serving(newHash), serving(oldHash)), until: map[string]time.Duration{"10.0.0.2:8080": 40 * time.Second}}, ok: true, took: 40 * time.Second,
			says: []string{"10.0.0.2:8080: is gone", "verified: 1 replica,"},
		},
		"fewer than there must be": {
			fleet: fleet{pods: pods(serving(newHash), serving(newHash)), from: map[string]time.Duration{"10.0.0.2:8080": 15 * time.Second}}, least: 2, ok: true, took: 15 * time.Second,
			says: []string{"verified: 2 replicas"},
		},
		"never as many as there must be": {
			fleet: fleet{pods: pods(serving(newHash))}, least: 2, took: 3 * time.Minute,
			says: []string{"not verified in time", "2 wanted at least"},
		},
		"more than are asked": {
			fleet: fleet{pods: func() map[string]func(time.Duration) (balancer.PolicyStatus, error) {
				m := map[string]func(time.Duration) (balancer.PolicyStatus, error){}
				for i := range maxReplicas + 1 {
					m[fmt.Sprintf("10.0.%d.%d:8080", i/256, i%256)] = serving(newHash)
				}
				return m
			}()}, took: 3 * time.Minute,
			says: []string{"there are 1001 replicas, and at most 1000 are asked", "not verified in time"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &c.fleet
				f.start = time.Now()
				var out bytes.Buffer
				v := verification{
					admins:   []*url.URL{{Scheme: "http", Host: "lb:8080"}},
					expected: newHash, least: max(c.least, 1), out: &out, resolve: f.resolve, ask: f.ask,
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
				defer cancel()
				err := v.wait(ctx)
				took := time.Since(f.start)
				if c.ok != (err == nil) || err != nil && !errors.Is(err, errSaid) {
					t.Errorf("err = %v", err)
				}
				if took < c.took || took > c.took+verifyPause+verifyAnswer {
					t.Errorf("took %v, want %v", took, c.took)
				}
				for _, want := range c.says {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%q is not in:\n%s", want, &out)
					}
				}
				if n := out.Len(); n > 200*len(f.pods)+4000 {
					t.Errorf("says the same again and again, or too much: %d bytes", n)
				}
			})
		})
	}
}

func TestParseAdmin(t *testing.T) {
	for s, ok := range map[string]bool{
		"http://10.0.0.7:8080":   true,
		"http://[fd00::1]:8080/": true,
		"https://lb.example/a":   true,
		"lb:8080":                false,
		"10.0.0.7:8080":          false,
		"http://":                false,
		"http://:8080":           false,
		"ftp://lb":               false,
		"http://me@lb":           false,
		"http://lb?x":            false,
		"http://lb:80 80":        false,
		"":                       false,
	} {
		if _, err := parseAdmin(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestReplicasOfAddress(t *testing.T) {
	for s, want := range map[string]string{
		"http://127.0.0.2:8080": "127.0.0.2:8080",
		"http://[::1]":          "[::1]:80",
		"https://localhost/lb":  "localhost:443",
	} {
		u, err := parseAdmin(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := resolveReplicas(t.Context(), u)
		if err != nil || len(got) != 1 || got[0].address != want {
			t.Errorf("%s: %v, %v; want %s", s, got, err, want)
		}
	}
}
