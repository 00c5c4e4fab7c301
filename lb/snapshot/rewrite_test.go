package snapshot_test

import (
	"testing"

	"go-loadbalancer/lb/policy"
)

func TestRewrite(t *testing.T) {
	for _, tt := range []struct {
		match, kind, value, target, want string
	}{
		{"/foo", "ReplacePrefixMatch", "/xyz", "/foo/bar", "/xyz/bar"},
		{"/foo", "ReplacePrefixMatch", "/xyz/", "/foo/bar", "/xyz/bar"},
		{"/foo/", "ReplacePrefixMatch", "/xyz", "/foo/bar", "/xyz/bar"},
		{"/foo/", "ReplacePrefixMatch", "/xyz/", "/foo/bar", "/xyz/bar"},
		{"/foo", "ReplacePrefixMatch", "/xyz", "/foo", "/xyz"},
		{"/foo", "ReplacePrefixMatch", "/xyz", "/foo/", "/xyz/"},
		{"/foo", "ReplacePrefixMatch", "/xyz/", "/foo", "/xyz/"},
		{"/foo", "ReplacePrefixMatch", "", "/foo/bar", "/bar"},
		{"/foo", "ReplacePrefixMatch", "", "/foo/", "/"},
		{"/foo", "ReplacePrefixMatch", "", "/foo", "/"},
		{"/foo", "ReplacePrefixMatch", "/", "/foo/bar", "/bar"},
		{"/foo", "ReplacePrefixMatch", "/", "/foo/", "/"},
		{"/foo", "ReplacePrefixMatch", "/", "/foo", "/"},
		{"/foo", "ReplacePrefixMatch", "/x", "/foo/a?b=c&d", "/x/a?b=c&d"},
		{"/foo", "ReplacePrefixMatch", "/x", "/foo?", "/x?"},
		{"/foo", "ReplacePrefixMatch", "/", "/foo//evil", "//evil"},
		{"/", "ReplacePrefixMatch", "/v1", "/bar", "/v1/bar"},
		{"/", "ReplacePrefixMatch", "/v1", "/", "/v1/"},
		{"/", "ReplacePrefixMatch", "/", "/a%2Fb", "/a%2Fb"},
		{"=/foo", "ReplacePrefixMatch", "/xyz", "/foo", "/foo"},
		{"/foo", "ReplaceFullPath", "/one", "/foo/bar?q=1", "/one?q=1"},
		{"=/foo", "ReplaceFullPath", "/one/", "/foo", "/one/"},
		{"~/f.*", "ReplaceFullPath", "", "/foo", "/"},
		{"/foo", "", "", "/foo/bar?q", "/foo/bar?q"},
	} {
		r := route("r", "", tt.match)
		r.Filters.Rewrite = &policy.URLRewrite{Hostname: "up.example.com", PathType: tt.kind, Path: tt.value}
		s := compile(t, r)
		q := request("GET http://h" + tt.target)
		m := s.Match(q)
		if m.Route == nil {
			t.Fatalf("%+v: no route", tt)
		}
		if got := m.Route.Rewrite.AppendTarget([]byte("GET "), q.Path, q.Query, m.PrefixLen); string(got) != "GET "+tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
		if string(m.Route.Rewrite.Hostname) != "up.example.com" || m.Route.Redirect != nil {
			t.Errorf("%+v", m.Route)
		}
	}
}

func TestRedirect(t *testing.T) {
	type redirect = policy.Redirect
	for _, tt := range []struct {
		redirect            redirect
		scheme, host, match string
		target, want        string
	}{
		{redirect{Scheme: "https"}, "http", "shop.example.com", "/", "/a?b=c", "https://shop.example.com/a?b=c"},
		{redirect{Scheme: "https"}, "http", "shop.example.com:8000", "/", "/a", "https://shop.example.com/a"},
		{redirect{Scheme: "https", Port: 8443}, "http", "h:8000", "/", "/", "https://h:8443/"},
		{redirect{Scheme: "https", Port: 443}, "http", "h", "/", "/", "https://h/"},
		{redirect{Scheme: "https", Port: 80}, "http", "h", "/", "/", "https://h:80/"},
		{redirect{Scheme: "http"}, "https", "h:8443", "/", "/", "http://h/"},
		{redirect{Port: 80}, "http", "h:8000", "/", "/", "http://h/"},
		{redirect{Port: 8080}, "http", "h", "/", "/", "http://h:8080/"},
		{redirect{Hostname: "new.example.com"}, "http", "old:8000", "/", "/x", "http://new.example.com:8000/x"},
		{redirect{Hostname: "new.example.com"}, "http", "old:80", "/", "/x", "http://new.example.com/x"},
		{redirect{Hostname: "new.example.com"}, "https", "old:443", "/", "/x", "https://new.example.com/x"},
		{redirect{Hostname: "new.example.com"}, "http", "", "/", "/x", "http://new.example.com/x"},
		{redirect{Scheme: "https"}, "http", "[::1]:8000", "/", "/", "https://[::1]/"},
		{redirect{}, "http", "[::1]:8000", "/", "/", "http://[::1]:8000/"},
		{redirect{PathType: "ReplaceFullPath", Path: "/new"}, "http", "h", "/", "/old?q=1", "http://h/new?q=1"},
		{redirect{PathType: "ReplacePrefixMatch", Path: "/new"}, "http", "h", "/old", "/old/x?q", "http://h/new/x?q"},
		{redirect{PathType: "ReplacePrefixMatch", Path: "/"}, "http", "h", "/old", "/old//evil.com", "http://h//evil.com"},
		{redirect{}, "http", "h", "/", "//evil.com", "http://h//evil.com"},
		{redirect{PathType: "ReplaceFullPath", Path: "/new"}, "http", "", "/", "/old", "/new"},
		{redirect{}, "http", "", "/", "///evil.com/a//b?c", "/evil.com/a//b?c"},
		{redirect{PathType: "ReplacePrefixMatch", Path: "/"}, "http", "", "/old", "/old//evil.com", "/evil.com"},
	} {
		r := route("r", "", tt.match)
		tt.redirect.StatusCode = 301
		r.Filters.Redirect = &tt.redirect
		s := compile(t, r)
		q := request("GET http://x" + tt.target)
		m := s.Match(q)
		if m.Route == nil || m.Route.Redirect.StatusCode != 301 || m.Route.Rewrite != nil || m.Route.Pick(1) != nil {
			t.Fatalf("%+v: %+v", tt, m.Route)
		}
		got := m.Route.Redirect.AppendLocation([]byte("Location: "), tt.scheme, []byte(tt.host), q.Path, q.Query, m.PrefixLen)
		if string(got) != "Location: "+tt.want {
			t.Errorf("%+v %s: got %q, want %q", tt.redirect, tt.target, got, tt.want)
		}
	}
}
