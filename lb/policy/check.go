package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go-loadbalancer/lb/schema"
)

// What holds between the fields of one object: errors, lint warnings, and
// defaults that depend on another field.

func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

func checkListenerTLS(d *schema.Decoder, n *schema.Node, t *ListenerTLS) {
	if t.ClientAuth != "None" && t.ClientCA == "" {
		d.FailAt(n, "clientCA", CodeConflict, "is required with clientAuth: %s: name the authorities that client certificates come from", t.ClientAuth)
	}
}

// checkListenerLimits gives connectionsPerAddress its default, and keeps one
// address from having more than the listener.
func checkListenerLimits(d *schema.Decoder, n *schema.Node, l *ListenerLimits) {
	if !schema.Written(n, "connectionsPerAddress") {
		l.ConnectionsPerAddress = (l.Connections + 1) / 2
	} else if l.ConnectionsPerAddress > l.Connections {
		d.FailAt(n, "connectionsPerAddress", CodeConflict, "%d is more than connections (%d%s): one address cannot have more than the listener",
			l.ConnectionsPerAddress, l.Connections, byDefault(n, "connections"))
	}
}

func checkPoolTLS(d *schema.Decoder, n *schema.Node, t *PoolTLS) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		d.Fail(n, CodeConflict, "certFile and keyFile are needed together")
	}
}

func checkPathMatch(d *schema.Decoder, n *schema.Node, m *Match) {
	if m.PathType == PathRegex {
		re, complaint := anchored(m.Path)
		switch {
		case !schema.Written(n, "value"):
			d.FailAt(n, "value", CodeMissing, "is required with type: RegularExpression")
		case complaint != "":
			d.FailAt(n, "value", CodeBadValue, "%s", complaint)
		}
		m.PathRegex = re
		return
	}
	if !schema.Written(n, "value") && m.PathType == PathExact {
		d.FailAt(n, "value", CodeMissing, "is required with type: Exact")
	} else if complaint := complainPath(m.Path); complaint != "" {
		d.FailAt(n, "value", CodeBadValue, "%s", complaint)
	}
}

func checkValueMatch(d *schema.Decoder, n *schema.Node, v *ValueMatch) {
	if v.Type != "RegularExpression" {
		return
	}
	re, complaint := anchored(v.Value)
	if complaint != "" {
		d.FailAt(n, "value", CodeBadValue, "%s", complaint)
	}
	v.Regex = re
}

func checkRouteTimeouts(d *schema.Decoder, n *schema.Node, t *RouteTimeouts) {
	if t.Request > 0 && t.BackendRequest > t.Request {
		d.FailAt(n, "backendRequest", CodeConflict, "%s for one try is longer than request, %s for all of them%s",
			schema.FormatDuration(t.BackendRequest), schema.FormatDuration(t.Request), byDefault(n, "request"))
	}
}

// byDefault is a remark for a value that a message names and nobody wrote.
func byDefault(n *schema.Node, key string) string {
	if schema.Written(n, key) {
		return ""
	}
	return " by default"
}

func checkRoute(d *schema.Decoder, n *schema.Node, r *Route) {
	if len(r.Matches) == 0 {
		r.Matches = []Match{{PathType: PathPrefix, Path: "/"}}
	}
	checkRouteTarget(d, n, r)
	checkPathChanges(d, n, r)
	hosts := make(map[string]bool, len(r.Hostnames))
	for i, h := range r.Hostnames {
		if hosts[h] {
			d.FailAt(n, index("hostnames", i), CodeDuplicateName, "%s is listed twice", schema.Quote(h))
		}
		hosts[h] = true
	}
	if r.Retry != nil && r.Timeouts.Request > 0 {
		checkRetryTime(d, n, r.Retry, r.Timeouts)
	}
}

// maxPause is what package proxy bounds the pause before a retry by.
const maxPause = time.Minute

// checkRetryTime warns of tries that there will be no time for.
func checkRetryTime(d *schema.Decoder, n *schema.Node, r *Retry, t RouteTimeouts) {
	var pauses time.Duration // at their shortest
	for i := range r.Attempts {
		if pauses += min(r.Backoff<<i, maxPause) / 2; pauses >= t.Request {
			d.WarnAt(n, "retry.backoff", CodeRetriesTooLong, "of %d retries the last %d are never made: the pauses before them (%s, doubled each time and cut by up to half) do not fit into timeouts.request, %s",
				r.Attempts, r.Attempts-i, schema.FormatDuration(r.Backoff), schema.FormatDuration(t.Request))
			return
		}
	}
	tries := r.Attempts + 1
	if t.BackendRequest > t.Request/time.Duration(tries) {
		d.WarnAt(n, "retry.attempts", CodeRetriesTooLong, "%d tries of up to %s (timeouts.backendRequest) do not fit into timeouts.request, %s: the last ones may be cut short",
			tries, schema.FormatDuration(t.BackendRequest), schema.FormatDuration(t.Request))
	}
}

func checkRouteTarget(d *schema.Decoder, n *schema.Node, r *Route) {
	redirect := r.Filters.Redirect != nil
	switch {
	case redirect && len(r.BackendRefs) > 0:
		d.FailAt(n, "backendRefs", CodeConflict, "a route with requestRedirect answers itself: remove the one or the other")
		return
	case redirect && r.Filters.Rewrite != nil:
		d.FailAt(n, "filters.urlRewrite", CodeConflict, "a route with requestRedirect sends nothing upstream: remove the one or the other")
	case redirect && r.Filters.Mirror != nil:
		d.FailAt(n, "filters.requestMirror", CodeConflict, "a route with requestRedirect sends nothing upstream: remove the one or the other")
	case redirect && r.Retry != nil:
		d.FailAt(n, "retry", CodeConflict, "a route with requestRedirect sends nothing upstream: remove the one or the other")
	case !redirect && len(r.BackendRefs) == 0:
		d.FailAt(n, "backendRefs", CodeMissing, "is required, except with requestRedirect: name the pool that serves the route")
		return
	}
	first := make(map[string]int, len(r.BackendRefs))
	total := 0
	for i, ref := range r.BackendRefs {
		if j, twice := first[ref.Pool]; twice {
			d.FailAt(n, index("backendRefs", i)+".pool", CodeDuplicateName, "%s is listed twice: it is also backendRefs[%d]; add their weights", schema.Quote(ref.Pool), j)
		} else {
			first[ref.Pool] = i
		}
		total += ref.Weight
	}
	if len(r.BackendRefs) > 0 && total == 0 {
		d.WarnAt(n, "backendRefs", CodeZeroWeights, "every weight is 0: requests of this route are answered 503")
	}
}

// checkPathChanges reports a prefix to replace where no prefix was matched.
func checkPathChanges(d *schema.Decoder, n *schema.Node, r *Route) {
	check := func(filter, pathType string) {
		if pathType != "ReplacePrefixMatch" {
			return
		}
		for i := range r.Matches {
			if m := &r.Matches[i]; m.PathType != PathPrefix {
				d.FailAt(n, "filters."+filter+".path.type", CodeConflict,
					"ReplacePrefixMatch needs a prefix, but matches[%d].path.type is %s: use ReplaceFullPath, or match by PathPrefix", i, m.PathType)
				return
			}
		}
	}
	if w := r.Filters.Rewrite; w != nil {
		check("urlRewrite", w.PathType)
	}
	if t := r.Filters.Redirect; t != nil {
		check("requestRedirect", t.PathType)
	}
}

func checkRewrite(d *schema.Decoder, n *schema.Node, w *URLRewrite) {
	if w.Hostname == "" && w.PathType == "" {
		d.Fail(n, CodeMissing, "changes nothing: give hostname or path")
	}
}

func checkRedirect(d *schema.Decoder, n *schema.Node, r *Redirect) {
	if r.Scheme == "" && r.Hostname == "" && r.Port == 0 && r.PathType == "" {
		d.Fail(n, CodeMissing, "redirects to where the request came from: give scheme, hostname, port or path")
	}
}

func checkRateLimit(d *schema.Decoder, n *schema.Node, r *RateLimit) {
	if r.Burst == 0 {
		r.Burst = r.Requests
	}
	switch {
	case r.Key == "Header" && r.Header == "":
		d.FailAt(n, "header", CodeMissing, "is required with key: Header: write {name: X-Api-Key}")
	case r.Key != "Header" && r.Header != "":
		d.FailAt(n, "header", CodeConflict, "has no effect with key: %s: remove it, or write key: Header", r.Key)
	}
}

func checkPool(d *schema.Decoder, n *schema.Node, p *Pool) {
	first := make(map[string]int, len(p.Endpoints))
	total, picked := 0, 0
	for i, e := range p.Endpoints {
		address := canonicalAddress(e.Address)
		if j, twice := first[address]; twice {
			d.FailAt(n, index("endpoints", i)+".address", CodeDuplicateName, "%s is listed twice: it is also endpoints[%d]; give one a larger weight instead", schema.Quote(e.Address), j)
		} else {
			first[address] = i
		}
		total += e.Weight
		if !e.Drain {
			picked += e.Weight
		}
	}
	switch {
	case total == 0:
		d.WarnAt(n, "endpoints", CodeZeroWeights, "every weight is 0: no endpoint is ever picked, and requests are answered 503")
	case picked == 0:
		d.WarnAt(n, "endpoints", CodeZeroWeights, "every endpoint drains or has weight 0: none gets a new request, and they are answered 503")
	}
}

// canonicalAddress is the same for two spellings of one address.
func canonicalAddress(address string) string {
	host, port, _ := splitAddress(address, 1)
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return fmt.Sprintf("%s:%d", strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

func checkLoadBalancer(d *schema.Decoder, n *schema.Node, l *LoadBalancer) {
	if l.Type != "ConsistentHash" {
		for _, key := range []string{"hashOn", "name", "boundedLoadFactor"} {
			if schema.Written(n, key) {
				d.FailAt(n, key, CodeConflict, "has no effect with type: %s: remove it, or write type: ConsistentHash", l.Type)
			}
		}
		return
	}
	if l.BoundedLoadFactor != 0 && l.BoundedLoadFactor < 1 {
		d.FailAt(n, "boundedLoadFactor", CodeOutOfRange, "%v would leave some requests without an endpoint: choose 1 or more, or 0 for no bound", l.BoundedLoadFactor)
	}
	complaint := ""
	switch l.HashOn {
	case "":
		d.FailAt(n, "hashOn", CodeMissing, "is required with type: ConsistentHash: choose from SourceIP, Header, Cookie, QueryParam")
		return
	case "SourceIP":
		if l.HashName != "" {
			d.FailAt(n, "name", CodeConflict, "has no effect with hashOn: SourceIP: remove it")
		}
		return
	case "Header":
		complaint = schema.ComplainToken(l.HashName)
	case "Cookie":
		complaint = complainCookie(l.HashName)
	}
	if l.HashName == "" {
		d.FailAt(n, "name", CodeMissing, "is required with hashOn: %s: say which one", l.HashOn)
	} else if complaint != "" {
		d.FailAt(n, "name", CodeBadValue, "%s", complaint)
	}
}

func checkCircuitBreaker(d *schema.Decoder, n *schema.Node, c *CircuitBreaker) {
	if c.ConsecutiveFailures == 0 && c.FailurePercent == 0 {
		d.Warn(n, CodeBreakerInert, "consecutiveFailures and failurePercent are both 0: the breaker never opens, and failing endpoints keep their traffic")
	} else if len(c.Codes)+len(c.Errors) == 0 {
		d.Warn(n, CodeBreakerInert, "codes and errors are both empty: nothing counts as a failure, the breaker never opens, and failing endpoints keep their traffic")
	}
	if c.MaxOpenDuration >= c.OpenDuration {
		return
	}
	if !schema.Written(n, "maxOpenDuration") {
		c.MaxOpenDuration = c.OpenDuration
		return
	}
	d.FailAt(n, "maxOpenDuration", CodeConflict, "%s is shorter than openDuration, %s%s",
		schema.FormatDuration(c.MaxOpenDuration), schema.FormatDuration(c.OpenDuration), byDefault(n, "openDuration"))
}

func checkHealthCheck(d *schema.Decoder, n *schema.Node, h *HealthCheck) {
	if h.Active == nil && schema.Written(n, "panicThreshold") {
		d.WarnAt(n, "panicThreshold", CodeWithoutEffect, "has no effect without active: unchecked endpoints all count as healthy")
	}
}

// checkLimits warns of limits that are never reached, since a smaller one is
// before. That the default of a limit is, is no news.
func checkLimits(d *schema.Decoder, n *schema.Node, l *Limits) {
	if l.MaxParallelRequests > l.MaxConnections && schema.Written(n, "maxParallelRequests") {
		d.WarnAt(n, "maxParallelRequests", CodeWithoutEffect, "%d is more than maxConnections (%d%s), which is reached first: each request in flight has a connection of its own",
			l.MaxParallelRequests, l.MaxConnections, byDefault(n, "maxConnections"))
	}
	if l.PerEndpointParallelRequests > l.MaxParallelRequests {
		d.WarnAt(n, "perEndpoint.maxParallelRequests", CodeWithoutEffect, "%d is more than maxParallelRequests of the pool (%d%s), which is reached first",
			l.PerEndpointParallelRequests, l.MaxParallelRequests, byDefault(n, "maxParallelRequests"))
	}
}

// steadyHold is the least hold-down by which an endpoint makes at most two
// changes a minute, whatever its checks find.
const steadyHold = time.Minute

func checkFlapDamping(d *schema.Decoder, n *schema.Node, a *ActiveCheck) {
	if 0 < a.HoldDown && a.HoldDown < steadyHold {
		d.WarnAt(n, "holdDown", CodeWeakDamping, "%s holds a flapping endpoint so shortly that it comes and goes more than once a minute: write %s or more, or 0s for no damping",
			schema.FormatDuration(a.HoldDown), schema.FormatDuration(steadyHold))
	}
	if a.MaxHoldDown >= a.HoldDown {
		return
	}
	if !schema.Written(n, "maxHoldDown") {
		a.MaxHoldDown = a.HoldDown
		return
	}
	d.FailAt(n, "maxHoldDown", CodeConflict, "%s is shorter than holdDown, %s%s",
		schema.FormatDuration(a.MaxHoldDown), schema.FormatDuration(a.HoldDown), byDefault(n, "holdDown"))
}

func checkActive(d *schema.Decoder, n *schema.Node, a *ActiveCheck) {
	if a.Type != "GRPC" && schema.Written(n, "grpc") {
		d.FailAt(n, "grpc", CodeConflict, "has no effect with type: %s: remove it, or write type: GRPC", a.Type)
	}
	if a.Type != "HTTP" && schema.Written(n, "http") {
		d.FailAt(n, "http", CodeConflict, "has no effect with type: %s: remove it, or write type: HTTP", a.Type)
	}
	if a.Timeout <= a.Interval {
		return
	}
	if !schema.Written(n, "timeout") {
		a.Timeout = a.Interval
		return
	}
	d.FailAt(n, "timeout", CodeConflict, "%s is longer than interval, %s%s: probes of an endpoint would overlap",
		schema.FormatDuration(a.Timeout), schema.FormatDuration(a.Interval), byDefault(n, "interval"))
}
