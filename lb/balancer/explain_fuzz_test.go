package balancer_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"go-loadbalancer/lb/balancer"
	"go-loadbalancer/lb/explain"
	"go-loadbalancer/lb/policy"
)

// everything is a policy with all that a decision speaks of.
const everything = `
apiVersion: lb/v1
kind: Policy
metadata: {name: test, version: "1"}
spec:
  trustedProxies: [10.0.0.0/8]
  listeners: [{name: http, address: "127.0.0.1:0"}]
  routes:
    - name: rich
      hostnames: [a.test, "*.a.test"]
      matches: [{path: {value: /a}, method: GET}, {path: {type: RegularExpression, value: "/b.*"}, headers: [{name: X-A, value: "1"}], queryParams: [{name: q, value: "1"}]}]
      filters:
        - requestHeaderModifier: {set: {X-Key: secret}, remove: [X-B]}
        - urlRewrite: {hostname: c.test, path: {type: ReplaceFullPath, value: /v2}}
        - requestMirror: {pool: hashed, percent: 10}
        - rateLimit: {requests: 1, per: 1s, burst: 3, key: Header, header: {name: X-User}}
      backendRefs: [{pool: kept, weight: 3}, {pool: plain}]
      retry: {attempts: 2}
    - {name: moved, matches: [{path: {value: /moved}}], filters: [{requestRedirect: {path: {type: ReplacePrefixMatch, value: /to}}}]}
    - {name: hashed, matches: [{path: {value: /hashed}}], filters: [{rateLimit: {requests: 1, per: 1s}}], backendRefs: [{pool: hashed}]}
    - {name: all, backendRefs: [{pool: plain, weight: 0}, {pool: cookies}]}
  pools:
    - {name: kept, sessionPersistence: {store: Cookie}, endpoints: [{address: "10.0.0.1:80"}, {address: "10.0.0.2:80", drain: true}]}
    - {name: plain, endpoints: [{address: "10.0.1.1:80", weight: 0}]}
    - {name: hashed, loadBalancer: {type: ConsistentHash, hashOn: SourceIP}, endpoints: [{address: "10.0.2.1:80"}, {address: "10.0.2.2:80", priority: 1}]}
    - {name: cookies, loadBalancer: {type: ConsistentHash, hashOn: Cookie, name: c}, endpoints: [{address: "10.0.3.1:80"}, {address: "10.0.3.2:80"}]}
`

// Whatever is asked has a decision that adds up, as JSON and in words that hold no secret
// and no control character.
func FuzzExplainPolicy(f *testing.F) {
	p, found := policy.Files{"p.yaml": []byte(everything)}.Load()
	if p == nil {
		f.Fatal(found)
	}
	for _, s := range []string{
		"url=http://a.test/a/x?q=1", "url=http://x.a.test/b&header=x-a:1&header=Cookie:+lb_session%3Dabc", "url=/moved/on&method=POST", "url=*&method=OPTIONS",
		"url=/hashed&client=10.0.0.9&header=X-Forwarded-For:+203.0.113.5", "url=/hashed", "url=/&header=Cookie:+c%3D1", "url=/&method=TRACE", "url=/&method=OPTIONS&header=Max-Forwards:+0",
		"url=http://a.test/a/../moved/%252e%252e/x", "url=/&header=Transfer-Encoding:+chunked&method=POST", "url=http://a.test/a&header=X-User:+u&header=X-User:+v", "url=/&header=X-Forwarded-For:,,&client=10.0.0.1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, form string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		q, err := explain.FromValues(values)
		if err != nil {
			return
		}
		asked, err := q.Parse()
		if err != nil {
			return
		}
		d, err := balancer.ExplainPolicy(p, asked)
		if err != nil {
			t.Fatal(err)
		}
		if (d.Route == nil) != (d.Outcome == explain.NoRoute) || (d.Choice != nil) != (d.Outcome == explain.Forward) || d.Outcome != explain.Forward && d.Answer == "" {
			t.Fatalf("%q: %+v", form, d)
		}
		sum := 0.
		for _, b := range d.Backends {
			sum += b.Probability
		}
		if len(d.Backends) > 0 && (sum < 0.999 || sum > 1.001) {
			t.Fatalf("%q: the pools' probabilities add up to %v", form, sum)
		}
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var words strings.Builder
		if err := d.WriteText(&words); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret") && !strings.Contains(form, "secret") {
			t.Fatalf("%q: a header's value is told: %s", form, text)
		}
		if i := strings.IndexFunc(words.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }); i >= 0 {
			t.Fatalf("%q: %q", form, words.String())
		}
	})
}
