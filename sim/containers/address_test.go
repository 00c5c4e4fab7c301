//go:build !image

package containers

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// Addresses of a policy are other ones, where they stand by themselves, and what is told
// is put back.
func TestBook(t *testing.T) {
	b := newBook()
	b.add(netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("198.18.7.10:80"))
	b.add(netip.MustParseAddrPort("10.0.0.1:8080"), netip.MustParseAddrPort("198.18.7.11:8080"))
	b.listen["127.0.0.1:8000"] = ":8000"
	written := map[string][]byte{"shop.yaml": []byte(`[{address: "10.0.0.1:80"},{address: 10.0.0.1:8080}, "110.0.0.1:80", "127.0.0.1:8000", "10.0.0.1:80"]`)}
	given := b.policy(written)
	want := `[{address: "198.18.7.10:80"},{address: 198.18.7.11:8080}, "110.0.0.1:80", ":8000", "198.18.7.10:80"]`
	if got := string(given["shop.yaml"]); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for hash := range b.hashes {
		series := seriesOf("# HELP lb_x y\nlb_x{endpoint=\"198.18.7.11:8080\",pool=\"cart\"} 3\nlb_policy_info{hash=\""+hash+"\"} 1\n"+
			"lb_d_bucket{le=\"1\"} 4\nlb_d_sum 2.5\nlb_build_info{v=\"1\"} 1\ngo_goroutines 9\n", b)
		if len(series) != 3 || series[`lb_x{endpoint="10.0.0.1:8080",pool="cart"}`] != 3 || series[`lb_policy_info{hash="`+b.hashes[hash]+`"}`] != 1 || series["lb_d_sum"] != 2.5 {
			t.Errorf("%v", series)
		}
	}
}

// A policy is swapped as a ConfigMap is: readers see the files of one turn, and files
// that are no more are gone.
func TestMount(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "lb-1")
	m, err := newMount(dir, map[string][]byte{"a.yaml": []byte("1"), "b.yaml": []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Readlink(filepath.Join(dir, "..data"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.swap(map[string][]byte{"b.yaml": []byte("2"), "c.yaml": []byte("2")}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Readlink(filepath.Join(dir, "..data")); err != nil || after == before {
		t.Errorf("..data leads to %s, and did to %s: %v", after, before, err)
	}
	for name, want := range map[string]string{"a.yaml": "", "b.yaml": "2", "c.yaml": "2", before: ""} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if string(text) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "b.yaml"))
	if err != nil || info.Mode().Perm()&0o004 == 0 {
		t.Errorf("another user cannot read it: %v, %v", info.Mode(), err)
	}
}
