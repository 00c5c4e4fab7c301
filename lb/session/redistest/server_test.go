package redistest_test

import (
	"errors"
	"strings"
	"testing"

	"go-loadbalancer/lb/session/redistest"
)

func TestServer(t *testing.T) {
	for name, o := range map[string]redistest.Options{
		"plain":    {},
		"password": {Password: "s3cret"},
		"TLS":      {TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := redistest.Start(t.TempDir(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			want := func(want any, args ...string) {
				t.Helper()
				if got, err := s.Do(args...); err != nil || got != want {
					t.Fatalf("%v: %v, %v; want %v", args, got, err, want)
				}
			}
			want("OK", "SET", "a", "b")
			if err := s.Restart(true); err != nil {
				t.Fatal(err)
			}
			want("b", "GET", "a")
			s.Kill()
			if err := s.Restart(false); err != nil {
				t.Fatal(err)
			}
			want(nil, "GET", "a")
			want(int64(1), "LPUSH", "l", "x")
			var refused redistest.Error
			if _, err := s.Do("GET", "l"); !errors.As(err, &refused) || !strings.HasPrefix(string(refused), "WRONGTYPE") {
				t.Fatalf("an error of the server came back as %v", err)
			}
		})
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	_, err := redistest.Start(t.TempDir(), redistest.Options{Args: []string{"--maxmemory", "much"}})
	if err == nil || !strings.Contains(err.Error(), "maxmemory") {
		t.Fatalf("the error is %v", err)
	}
}
