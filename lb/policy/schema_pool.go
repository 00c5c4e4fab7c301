package policy

import (
	"time"

	"go-loadbalancer/lb/schema"
)

func poolKind() *schema.Object[Pool] {
	return &schema.Object[Pool]{Pos: func(p *Pool) *Pos { return &p.Pos }, Check: checkPool, Fields: []schema.Field[Pool]{
		schema.Required("name", schema.Acts, schema.Name(), func(p *Pool) *string { return &p.Name },
			"The pool's name, unique among pools."),
		schema.Required("endpoints", schema.Acts, schema.SomeOf(endpointKind()), func(p *Pool) *[]Endpoint { return &p.Endpoints },
			"The servers of the pool, at least one."),
		schema.Optional("drainTimeout", schema.Acts, schema.Duration(0, 24*time.Hour), 5*time.Minute, func(p *Pool) *time.Duration { return &p.DrainTimeout },
			"How long requests at a removed or draining endpoint may go on, and sessions that are at home there stay."),
		schema.Section("loadBalancer", schema.Acts, loadBalancerKind(), func(p *Pool) *LoadBalancer { return &p.LoadBalancer },
			"How an endpoint is picked."),
		schema.Section("circuitBreaker", schema.Acts, circuitBreakerKind(), func(p *Pool) *CircuitBreaker { return &p.CircuitBreaker },
			"When an endpoint that fails is left alone for a while. Each endpoint has a breaker of its own."),
		schema.Section("healthCheck", schema.Acts, healthCheckKind(), func(p *Pool) *HealthCheck { return &p.HealthCheck },
			"How endpoints are probed."),
		schema.Extra("sessionPersistence", schema.Acts, sessionKind(), func(p *Pool) **SessionPersistence { return &p.SessionPersistence },
			"Keeps a client at one endpoint. Pools of one route must have the same type, name and cookie: a client has one session for all of them, first its pool and then its endpoint."),
		schema.Section("retryBudget", schema.Acts, retryBudgetKind(), func(p *Pool) *RetryBudget { return &p.RetryBudget },
			"Caps retries relative to requests."),
		schema.Section("limits", schema.Acts, limitsKind(), func(p *Pool) *Limits { return &p.Limits },
			"Caps what the pool takes on at once."),
		schema.Optional("protocol", schema.Acts, schema.Choice[string](
			schema.Option{Name: "HTTP1"},
			schema.Option{Name: "H2C", Status: schema.Refused, Because: "HTTP/1.1 would be sent to servers that do not speak it; write HTTP1"},
			schema.Option{Name: "H2", Status: schema.Refused, Because: "HTTP/1.1 would be sent to servers that do not speak it; write HTTP1"},
		), "HTTP1", func(p *Pool) *string { return &p.Protocol },
			"What is spoken to the endpoints."),
		schema.Extra("tls", schema.Refused, poolTLSKind(), func(p *Pool) **PoolTLS { return &p.TLS },
			"TLS towards the endpoints."),
		schema.Optional("connectTimeout", schema.Acts, schema.Duration(time.Millisecond, 5*time.Minute), 2*time.Second, func(p *Pool) *time.Duration { return &p.ConnectTimeout },
			"How long a connection to an endpoint may take to open."),
		schema.Optional("idleTimeout", schema.Acts, schema.Duration(time.Millisecond, time.Hour), 30*time.Second, func(p *Pool) *time.Duration { return &p.IdleTimeout },
			"How long an unused connection to an endpoint is kept."),
		schema.Optional("resolveInterval", schema.Acts, schema.Duration(100*time.Millisecond, 24*time.Hour), 10*time.Second, func(p *Pool) *time.Duration { return &p.ResolveInterval },
			"How often endpoint addresses that are host names are looked up again, give or take a tenth. A resolver that knows how long its answer is valid is asked by then."),
	}}
}

func endpointKind() *schema.Object[Endpoint] {
	return &schema.Object[Endpoint]{Pos: func(e *Endpoint) *Pos { return &e.Pos }, Fields: []schema.Field[Endpoint]{
		schema.Required("address", schema.Acts, endpointAddress(), func(e *Endpoint) *string { return &e.Address },
			"The server's IP:PORT, localhost:PORT or NAME:PORT, unique in the pool. Every address that a name resolves to is an endpoint of its own; it is looked up again and again (resolveInterval), and while that fails, or finds nothing, the last addresses stay. A dot at the name's end, as in NAME.:PORT, leaves the machine's search list out."),
		schema.Optional("weight", schema.Acts, schema.Integer(0, 1000), 1, func(e *Endpoint) *int { return &e.Weight },
			"The endpoint's share of the pool's requests, relative to the others of its priority. 0: none."),
		schema.Optional("priority", schema.Acts, schema.Integer(0, 9), 0, func(e *Endpoint) *int { return &e.Priority },
			"0 is used first. A higher number is used only when no lower one has an eligible endpoint."),
		schema.Optional("drain", schema.Acts, schema.Boolean(), false, func(e *Endpoint) *bool { return &e.Drain },
			"Gets no new requests but those of sessions that are at home there, for drainTimeout at most; those in flight finish."),
	}}
}

func loadBalancerKind() *schema.Object[LoadBalancer] {
	return &schema.Object[LoadBalancer]{Check: checkLoadBalancer, Fields: []schema.Field[LoadBalancer]{
		schema.Optional("type", schema.Acts, schema.Choice[string](
			schema.Option{Name: "RoundRobin"},
			schema.Option{Name: "LeastRequest"},
			schema.Option{Name: "Random"},
			schema.Option{Name: "PeakEWMA"},
			schema.Option{Name: "ConsistentHash"},
		), "LeastRequest", func(l *LoadBalancer) *string { return &l.Type },
			"RoundRobin: in turn, smoothly by weight. LeastRequest: the less loaded of two picked at random. Random: by weight. PeakEWMA: of two picked at random, the one that will answer sooner, by a moving average of its latency that jumps to peaks (Finagle's Peak EWMA); one that fails or stays silent counts as slow. Where there is little load the quickest gets nearly all: choose another algorithm if shares are to be even. ConsistentHash: the same key to the same endpoint."),
		schema.Section("slowStart", schema.Acts, slowStartKind(), schema.Same[LoadBalancer],
			"Gives an endpoint that joins a pool which serves, or returns to it (healthy again, its breaker closed again, no longer draining), its share bit by bit."),
		schema.Optional("hashOn", schema.Acts, schema.OneOf("SourceIP", "Header", "Cookie", "QueryParam"), "", func(l *LoadBalancer) *string { return &l.HashOn },
			"ConsistentHash: what is hashed. Required with it."),
		schema.Optional("name", schema.Acts, schema.FreeText(256), "", func(l *LoadBalancer) *string { return &l.HashName },
			"ConsistentHash: the name of the header, cookie or query parameter. Required, except with SourceIP."),
		schema.Optional("boundedLoadFactor", schema.Acts, schema.Number(0, 100), 1.25, func(l *LoadBalancer) *float64 { return &l.BoundedLoadFactor },
			"ConsistentHash: most requests in flight at one endpoint, relative to the mean; beyond it the next endpoint is used. 0: unbounded; else 1 or more."),
	}}
}

func slowStartKind() *schema.Object[LoadBalancer] {
	return &schema.Object[LoadBalancer]{Fields: []schema.Field[LoadBalancer]{
		schema.Optional("window", schema.Acts, schema.Duration(0, time.Hour), 0, func(l *LoadBalancer) *time.Duration { return &l.SlowStartWindow },
			"How long until it has its full share. 0s: at once."),
	}}
}

func circuitBreakerKind() *schema.Object[CircuitBreaker] {
	span := schema.Duration(time.Millisecond, time.Hour)
	return &schema.Object[CircuitBreaker]{Check: checkCircuitBreaker, Fields: []schema.Field[CircuitBreaker]{
		schema.Optional("consecutiveFailures", schema.Acts, schema.Integer(0, 10_000), 5, func(c *CircuitBreaker) *int { return &c.ConsecutiveFailures },
			"Failures in a row that open the breaker. 0: never for that."),
		schema.Optional("failurePercent", schema.Acts, schema.Integer(0, 100), 20, func(c *CircuitBreaker) *int { return &c.FailurePercent },
			"Share of failures within interval that opens the breaker. 0: never for that."),
		schema.Optional("minRequests", schema.Acts, schema.Integer(1, 1_000_000), 20, func(c *CircuitBreaker) *int { return &c.MinRequests },
			"Requests within interval before failurePercent counts."),
		schema.Optional("interval", schema.Acts, span, 10*time.Second, func(c *CircuitBreaker) *time.Duration { return &c.Interval },
			"Window that failurePercent looks at."),
		schema.Optional("openDuration", schema.Acts, span, 5*time.Second, func(c *CircuitBreaker) *time.Duration { return &c.OpenDuration },
			"How long the breaker stays open before it lets probes through, at first. Up to a tenth is added at random, so that replicas do not probe together."),
		schema.Optional("maxOpenDuration", schema.Acts, span, 30*time.Second, func(c *CircuitBreaker) *time.Duration { return &c.MaxOpenDuration },
			"How long the open time may grow: it doubles each time the breaker opens again, and is openDuration again once the breaker was closed for as long as this. If openDuration is longer, that is the default."),
		schema.Optional("halfOpenRequests", schema.Acts, schema.Integer(1, 1000), 3, func(c *CircuitBreaker) *int { return &c.HalfOpenRequests },
			"Probes at once, and successes in a row that close the breaker."),
		schema.Optional("codes", schema.Acts, schema.ListOf(schema.Integer(400, 599)).AnyOrder(), []int{500, 502, 503, 504}, func(c *CircuitBreaker) *[]int { return &c.Codes },
			"Response statuses that count as failures."),
		schema.Optional("errors", schema.Acts, schema.ListOf(schema.OneOf("Connect", "Timeout", "Reset", "Protocol")).AnyOrder(), []string{"Connect", "Timeout", "Reset", "Protocol"}, func(c *CircuitBreaker) *[]string { return &c.Errors },
			"What else counts as a failure. Connect: no connection. Timeout: no answer in time. Reset: the connection broke before the answer or inside it. Protocol: the answer was not HTTP."),
	}}
}

func healthCheckKind() *schema.Object[HealthCheck] {
	return &schema.Object[HealthCheck]{Check: checkHealthCheck, Fields: []schema.Field[HealthCheck]{
		schema.Extra("active", schema.Acts, activeCheckKind(), func(h *HealthCheck) **ActiveCheck { return &h.Active },
			"Probes sent at an interval. None: every endpoint counts as healthy."),
		schema.Optional("panicThreshold", schema.Acts, schema.Integer(0, 100), 50, func(h *HealthCheck) *int { return &h.PanicThreshold },
			"Percent of healthy endpoints below which health is ignored: many checks that fail at once say more about the checks. It is ignored only if no priority of the pool has enough healthy ones. 0: never."),
	}}
}

func activeCheckKind() *schema.Object[ActiveCheck] {
	span := schema.Duration(time.Millisecond, time.Hour)
	return &schema.Object[ActiveCheck]{Check: checkActive, Fields: []schema.Field[ActiveCheck]{
		schema.Optional("type", schema.Acts, schema.OneOf("HTTP", "TCP", "GRPC"), "HTTP", func(a *ActiveCheck) *string { return &a.Type },
			"HTTP: a GET. TCP: a connection. GRPC: the health service."),
		schema.Section("http", schema.Acts, httpCheckKind(), schema.Same[ActiveCheck],
			"What is asked and expected, with type: HTTP."),
		schema.Section("grpc", schema.Acts, grpcCheckKind(), schema.Same[ActiveCheck],
			"What is asked, with type: GRPC."),
		schema.Optional("interval", schema.Acts, span, 2*time.Second, func(a *ActiveCheck) *time.Duration { return &a.Interval },
			"Time between the starts of two probes of an endpoint."),
		schema.Optional("timeout", schema.Acts, span, time.Second, func(a *ActiveCheck) *time.Duration { return &a.Timeout },
			"How long a probe may take. At most interval; if interval is shorter, that is the default."),
		schema.Optional("healthyThreshold", schema.Acts, schema.Integer(1, 100), 2, func(a *ActiveCheck) *int { return &a.HealthyThreshold },
			"Probes in a row that must pass before an endpoint counts as healthy."),
		schema.Optional("unhealthyThreshold", schema.Acts, schema.Integer(1, 100), 3, func(a *ActiveCheck) *int { return &a.UnhealthyThreshold },
			"Probes in a row that must fail before an endpoint counts as unhealthy."),
		schema.Optional("initialState", schema.Acts, schema.OneOf("Healthy", "Unhealthy"), "Healthy", func(a *ActiveCheck) *string { return &a.InitialState },
			"What an endpoint counts as until its first probe, whose result decides alone."),
		schema.Section("flapDamping", schema.Acts, flapDampingKind(), schema.Same[ActiveCheck],
			"Holds an endpoint that keeps coming and going out for longer each time."),
	}}
}

func grpcCheckKind() *schema.Object[ActiveCheck] {
	return &schema.Object[ActiveCheck]{Fields: []schema.Field[ActiveCheck]{
		schema.Optional("service", schema.Acts, schema.FreeText(256), "", func(a *ActiveCheck) *string { return &a.Service },
			"The service asked for (grpc.health.v1.HealthCheckRequest). None: the server as a whole."),
	}}
}

func flapDampingKind() *schema.Object[ActiveCheck] {
	wait := schema.Duration(0, 24*time.Hour)
	return &schema.Object[ActiveCheck]{Check: checkFlapDamping, Fields: []schema.Field[ActiveCheck]{
		schema.Optional("holdDown", schema.Acts, wait, time.Minute, func(a *ActiveCheck) *time.Duration { return &a.HoldDown },
			"How long an endpoint is held out, however well it does, when it turns unhealthy a second time. It doubles with each further time. 0s: never."),
		schema.Optional("maxHoldDown", schema.Acts, wait, 10*time.Minute, func(a *ActiveCheck) *time.Duration { return &a.MaxHoldDown },
			"How long it may be held out at most, and how long it must stay healthy until that is forgotten. If holdDown is longer, that is the default."),
	}}
}

func httpCheckKind() *schema.Object[ActiveCheck] {
	return &schema.Object[ActiveCheck]{Fields: []schema.Field[ActiveCheck]{
		schema.Optional("path", schema.Acts, path(), "/healthz", func(a *ActiveCheck) *string { return &a.Path },
			"The path asked for."),
		schema.Optional("hostname", schema.Acts, schema.PlainHostname(), "", func(a *ActiveCheck) *string { return &a.Hostname },
			"The Host sent. None: the endpoint's address."),
		schema.Optional("expectedStatuses", schema.Acts, schema.SomeOf(schema.Integer(200, 599)).AnyOrder(), []int{200}, func(a *ActiveCheck) *[]int { return &a.ExpectedStatuses },
			"Statuses that pass: those of final answers, so none of 1xx."),
	}}
}

func sessionKind() *schema.Object[SessionPersistence] {
	return &schema.Object[SessionPersistence]{Pos: func(s *SessionPersistence) *Pos { return &s.Pos }, Check: checkSession, Fields: []schema.Field[SessionPersistence]{
		schema.Optional("type", schema.Acts, schema.OneOf("Cookie", "Header"), "Cookie", func(s *SessionPersistence) *string { return &s.Type },
			"What carries the session. Cookie: a cookie. Header: the balancer gives the client a value in this header of a response; the client sends the last one it got. It never chooses the value."),
		schema.Optional("store", schema.Acts, schema.OneOf("Redis", "Cookie", "Memory"), "Redis", func(s *SessionPersistence) *string { return &s.Store },
			"Where the session's endpoint is remembered. Redis: shared by replicas; without --redis it is as if Redis were away. Cookie: sealed, in the client. Memory: in each replica for itself."),
		schema.Section("cookie", schema.Acts, sessionCookieKind(), schema.Same[SessionPersistence],
			"The cookie, with type: Cookie."),
		schema.Section("header", schema.Acts, sessionHeaderKind(), schema.Same[SessionPersistence],
			"The header, with type: Header."),
		schema.Optional("absoluteTimeout", schema.Acts, schema.Duration(time.Second, 8760*time.Hour), 24*time.Hour, func(s *SessionPersistence) *time.Duration { return &s.AbsoluteTimeout },
			"How long a session lasts at most."),
		schema.Optional("idleTimeout", schema.Acts, schema.Duration(time.Second, 8760*time.Hour), 30*time.Minute, func(s *SessionPersistence) *time.Duration { return &s.IdleTimeout },
			"How long a session lasts without a request; it may end up to an eighth of that early. At most absoluteTimeout; if that is shorter, it is the default."),
		schema.Optional("onUnavailable", schema.Acts, schema.OneOf("Return", "Rebind"), "Return", func(s *SessionPersistence) *string { return &s.OnUnavailable },
			"What happens when the session's endpoint is not eligible. Return: another one serves until it is back. Rebind: another one is home from then on. An endpoint that has drained or was removed is not waited for: its sessions move for good."),
		schema.Optional("storeTimeout", schema.Acts, schema.Duration(100*time.Microsecond, 10*time.Second), 5*time.Millisecond, func(s *SessionPersistence) *time.Duration { return &s.StoreTimeout },
			"How long a request waits for the store at most."),
	}}
}

func sessionCookieKind() *schema.Object[SessionPersistence] {
	return &schema.Object[SessionPersistence]{Check: checkSessionCookie, Fields: []schema.Field[SessionPersistence]{
		schema.Optional("name", schema.Acts, cookieName(), "lb_session", func(s *SessionPersistence) *string { return &s.CookieName },
			"The cookie's name. It is always HttpOnly: scripts do not see it."),
		schema.Optional("path", schema.Acts, cookiePath(), "/", func(s *SessionPersistence) *string { return &s.CookiePath },
			"The paths that the client sends the cookie with: this one and those below."),
		schema.Optional("sameSite", schema.Acts, schema.OneOf("Lax", "Strict", "None"), "Lax", func(s *SessionPersistence) *string { return &s.CookieSameSite },
			"Which requests made by other sites have the cookie. Lax: links that are followed. Strict: none. None: all; browsers want it to be Secure then."),
		schema.Optional("secure", schema.Acts, schema.OneOf("Auto", "Always", "Never"), "Auto", func(s *SessionPersistence) *string { return &s.CookieSecure },
			"Whether the cookie is Secure, for https only. Auto: where the client used https, as the listener or a trusted proxy's X-Forwarded-Proto says."),
		schema.Optional("lifetime", schema.Acts, schema.OneOf("Session", "Permanent"), "Session", func(s *SessionPersistence) *string { return &s.CookieLifetime },
			"How long the client keeps the cookie. Session: until the browser ends. Permanent: for absoluteTimeout, as Max-Age; so pools of one route must have that in common too."),
	}}
}

func sessionHeaderKind() *schema.Object[SessionPersistence] {
	return &schema.Object[SessionPersistence]{Fields: []schema.Field[SessionPersistence]{
		schema.Required("name", schema.Acts, sessionField(), func(s *SessionPersistence) *string { return &s.HeaderName },
			"The header's name."),
	}}
}

func retryBudgetKind() *schema.Object[RetryBudget] {
	return &schema.Object[RetryBudget]{Fields: []schema.Field[RetryBudget]{
		schema.Optional("percent", schema.Acts, schema.Number(0, 100), 20, func(b *RetryBudget) *float64 { return &b.Percent },
			"Retries allowed, relative to the pool's requests."),
		schema.Optional("minRetriesPerSecond", schema.Acts, schema.Integer(0, 100_000), 10, func(b *RetryBudget) *int { return &b.MinRetriesPerSecond },
			"Retries allowed in any case."),
	}}
}

func limitsKind() *schema.Object[Limits] {
	return &schema.Object[Limits]{Check: checkLimits, Fields: []schema.Field[Limits]{
		schema.Optional("maxParallelRequests", schema.Acts, schema.Integer(1, 1_000_000), 1024, func(l *Limits) *int { return &l.MaxParallelRequests },
			"Requests in flight at once in the pool."),
		schema.Optional("maxPendingRequests", schema.Acts, schema.Integer(0, 1_000_000), 256, func(l *Limits) *int { return &l.MaxPendingRequests },
			"Requests that may wait for their turn."),
		schema.Optional("pendingTimeout", schema.Acts, schema.Duration(0, time.Hour), time.Second, func(l *Limits) *time.Duration { return &l.PendingTimeout },
			"How long a request may wait for its turn."),
		schema.Optional("maxConnections", schema.Acts, schema.Integer(1, 1_000_000), 1024, func(l *Limits) *int { return &l.MaxConnections },
			"Connections of the pool, to all endpoints together."),
		schema.Section("perEndpoint", schema.Acts, perEndpointKind(), schema.Same[Limits],
			"Caps for each endpoint."),
	}}
}

func perEndpointKind() *schema.Object[Limits] {
	return &schema.Object[Limits]{Fields: []schema.Field[Limits]{
		schema.Optional("maxParallelRequests", schema.Acts, schema.Integer(0, 1_000_000), 0, func(l *Limits) *int { return &l.PerEndpointParallelRequests },
			"Requests in flight at once at one endpoint. 0: no cap but the pool's."),
	}}
}

func poolTLSKind() *schema.Object[PoolTLS] {
	return &schema.Object[PoolTLS]{Check: checkPoolTLS, Fields: []schema.Field[PoolTLS]{
		schema.Optional("serverName", schema.Acts, schema.PlainHostname(), "", func(t *PoolTLS) *string { return &t.ServerName },
			"The name asked for and expected in the certificate. None: the host of the endpoint's address."),
		schema.Optional("caFile", schema.Acts, fileName(), "", func(t *PoolTLS) *string { return &t.CAFile },
			"PEM file of the authorities that are trusted. None: the system's."),
		schema.Optional("certFile", schema.Acts, fileName(), "", func(t *PoolTLS) *string { return &t.CertFile },
			"PEM file of the certificate shown to the endpoints, followed by its chain."),
		schema.Optional("keyFile", schema.Acts, fileName(), "", func(t *PoolTLS) *string { return &t.KeyFile },
			"PEM file of its private key."),
		schema.Optional("subjectAltNames", schema.Acts, schema.ListOf(schema.PlainHostname()).AnyOrder(), nil, func(t *PoolTLS) *[]string { return &t.SubjectAltNames },
			"Names of which the certificate must have one."),
	}}
}
