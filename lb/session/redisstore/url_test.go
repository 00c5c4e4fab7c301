package redisstore_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/session/redisstore"
)

// TestURLs has a store dial where its URL says, and looks where that is.
func TestURLs(t *testing.T) {
	for _, c := range []struct{ url, dials string }{
		{"redis://h", "tcp h:6379"},
		{"redis://h/", "tcp h:6379"},
		{"redis://h:1/3", "tcp h:1"},
		{"rediss://h:1", "tcp h:1"},
		{"redis://:pw@h", "tcp h:6379"},
		{"redis://u:p%40%2F%3A%3F@h:1", "tcp h:1"},
		{"redis://u:p@w@h:1", "tcp h:1"},
		{"redis://[::1]", "tcp [::1]:6379"},
		{"redis://[::1]:1/0", "tcp [::1]:1"},
		{"unix:///run/redis.sock", "unix /run/redis.sock"},
		{"unix://u:pw@/run/r%20s?db=2", "unix /run/r s"},
		{"redis+sentinel://a/0?master=m", "tcp a:26379"},
		{"redis-sentinel://u:pw@a:1/0?master=m&sentinel_username=s&sentinel_password=p", "tcp a:1"},
		{"rediss+sentinel://a,b:2,[::3]:3?master=m", "tcp a:26379 tcp b:2 tcp [::3]:3"},
		{"redis+cluster://a", "tcp a:6379"},
		{"redis-cluster://u:pw@a:1,b:2", "tcp a:1 tcp b:2"},
		{"rediss-cluster://a:1/0?server_name=x", "tcp a:1"},
	} {
		dials := make(chan string, 100)
		s := open(t, redisstore.Options{URL: c.url, Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
			select {
			case dials <- network + " " + addr:
			default:
			}
			return nil, errors.New("not today")
		}})
		if len(dials) > 0 {
			t.Errorf("%s: dialled by New", c.url)
		}
		if _, err := s.Find(t.Context(), "cart", ticket(), usual); err == nil || !strings.Contains(err.Error(), "not today") {
			t.Errorf("%s: the error is %v", c.url, err)
		}
		s.Close()
		close(dials)
		var got []string
		for d := range dials {
			got = append(got, d)
		}
		slices.Sort(got)
		want := strings.Split(strings.ReplaceAll(strings.ReplaceAll(c.dials, " tcp", "\ntcp"), " unix", "\nunix"), "\n")
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: dialled %q, want %q", c.url, got, want)
		}
	}
}

// TestWrongURLs wants an error that says what is wrong, and never what it says.
func TestWrongURLs(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, says string }{
		{"", "must begin with"},
		{"localhost:6379", "must begin with"},
		{"http://u:s3cret@h", "must begin with"},
		{"redis:/u:s3cret@h", "must begin with"},
		{"s3cret://h", "must begin with"},
		{"redis://", "hosts must be"},
		{"redis://u:s3cret@", "hosts must be"},
		{"redis://h:0", "hosts must be"},
		{"redis://h:65536", "hosts must be"},
		{"redis://h:s3cret", "hosts must be"},
		{"redis://h:1:2", "hosts must be"},
		{"redis://::1", "hosts must be"},
		{"redis://[::1", "hosts must be"},
		{"redis://u:s3cret/x@h", "hosts must be"},
		{"redis://u:s3cret?x@h", "no options"},
		{"redis://u:s3cret#x@h,", "hosts must be"},
		{"redis://u:%s3cret@h", "percent-encoded"},
		{"redis://s3cret@h", "user without a password"},
		{"redis://h,i", "several hosts"},
		{"redis://h/s3cret", "database"},
		{"redis://h/-1", "database"},
		{"redis://h/1/2", "database"},
		{"redis://h?password=s3cret", "no options"},
		{"redis://h?ca_file=/x", "no options"},
		{"rediss://h?skip_verify=true", "ca_file, cert_file"},
		{"rediss://h?s3cret", "ca_file, cert_file"},
		{"rediss://h?server_name=a&server_name=b", "repeated"},
		{"rediss://h?ca_file=/nowhere/ca.pem", "no such file"},
		{"rediss://h?ca_file=" + empty, "no certificate"},
		{"rediss://h?cert_file=" + empty, "key_file"},
		{"unix://", "path of the socket"},
		{"unix://h/run/redis.sock", "path of the socket"},
		{"unix:///run/redis.sock?db=s3cret", "database"},
		{"redis+sentinel://a", "master is missing"},
		{"redis+sentinel://a?master=", "master"},
		{"redis+sentinel://a?master=m&sentinel_username=u", "sentinel_password"},
		{"redis+cluster://a/1", "database"},
		{"redis+cluster://a,,b", "hosts must be"},
		{"redis+cluster://" + strings.Repeat("a,", 40) + "a", "more than 32"},
	} {
		s, err := redisstore.New(redisstore.Options{URL: c.url, Namespace: "shop"})
		if err == nil {
			s.Close()
			t.Errorf("%s: is right", c.url)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error is %q, want one that says %q", c.url, err, c.says)
		}
	}
	if _, err := redisstore.New(redisstore.Options{URL: "redis://h"}); err == nil {
		t.Error("there is a store without a namespace")
	}
}

func FuzzURL(f *testing.F) {
	f.Add("redis://u:pw@h:1/2?x=y", "s3cret")
	f.Add("rediss+sentinel://[::1]:1,b?master=m", "%")
	f.Fuzz(func(t *testing.T, url, password string) {
		const mark = "Zm9vYmFy"
		s, err := redisstore.New(redisstore.Options{URL: strings.Replace(url, "pw", mark+password, 1), Namespace: "shop"})
		if err == nil {
			s.Close()
		} else if strings.Contains(err.Error(), mark) && !strings.Contains(url, "_file") {
			t.Errorf("the error tells of the URL: %v", err)
		}
	})
}
