package policy

import "time"

func poolKind() *object[Pool] {
	return &object[Pool]{pos: func(p *Pool) *Pos { return &p.Pos }, check: checkPool, fields: []field[Pool]{
		required("name", acts, name(), func(p *Pool) *string { return &p.Name },
			"The pool's name, unique among pools."),
		required("endpoints", acts, someOf(endpointKind()), func(p *Pool) *[]Endpoint { return &p.Endpoints },
			"The servers of the pool, at least one."),
		optional("drainTimeout", acts, duration(0, 24*time.Hour), 5*time.Minute, func(p *Pool) *time.Duration { return &p.DrainTimeout },
			"How long requests at a removed or draining endpoint may go on, and sessions that are at home there stay."),
		section("loadBalancer", acts, loadBalancerKind(), func(p *Pool) *LoadBalancer { return &p.LoadBalancer },
			"How an endpoint is picked."),
		section("circuitBreaker", acts, circuitBreakerKind(), func(p *Pool) *CircuitBreaker { return &p.CircuitBreaker },
			"When an endpoint that fails is left alone for a while. Each endpoint has a breaker of its own."),
		section("healthCheck", acts, healthCheckKind(), func(p *Pool) *HealthCheck { return &p.HealthCheck },
			"How endpoints are probed."),
		extra("sessionPersistence", acts, sessionKind(), func(p *Pool) **SessionPersistence { return &p.SessionPersistence },
			"Keeps a client at one endpoint. Pools of one route must have the same type, name and cookie: a client has one session for all of them, first its pool and then its endpoint."),
		section("retryBudget", acts, retryBudgetKind(), func(p *Pool) *RetryBudget { return &p.RetryBudget },
			"Caps retries relative to requests."),
		section("limits", acts, limitsKind(), func(p *Pool) *Limits { return &p.Limits },
			"Caps what the pool takes on at once."),
		optional("protocol", acts, choice[string](
			option{"HTTP1", acts, ""},
			option{"H2C", refused, "HTTP/1.1 would be sent to servers that do not speak it; write HTTP1"},
			option{"H2", refused, "HTTP/1.1 would be sent to servers that do not speak it; write HTTP1"},
		), "HTTP1", func(p *Pool) *string { return &p.Protocol },
			"What is spoken to the endpoints."),
		extra("tls", refused, poolTLSKind(), func(p *Pool) **PoolTLS { return &p.TLS },
			"TLS towards the endpoints."),
		optional("connectTimeout", acts, duration(time.Millisecond, 5*time.Minute), 2*time.Second, func(p *Pool) *time.Duration { return &p.ConnectTimeout },
			"How long a connection to an endpoint may take to open."),
		optional("idleTimeout", acts, duration(time.Millisecond, time.Hour), 30*time.Second, func(p *Pool) *time.Duration { return &p.IdleTimeout },
			"How long an unused connection to an endpoint is kept."),
		optional("resolveInterval", acts, duration(100*time.Millisecond, 24*time.Hour), 10*time.Second, func(p *Pool) *time.Duration { return &p.ResolveInterval },
			"How often endpoint addresses that are host names are looked up again, give or take a tenth. A resolver that knows how long its answer is valid is asked by then."),
	}}
}

func endpointKind() *object[Endpoint] {
	return &object[Endpoint]{pos: func(e *Endpoint) *Pos { return &e.Pos }, fields: []field[Endpoint]{
		required("address", acts, endpointAddress(), func(e *Endpoint) *string { return &e.Address },
			"The server's IP:PORT, localhost:PORT or NAME:PORT, unique in the pool. Every address that a name resolves to is an endpoint of its own; it is looked up again and again (resolveInterval), and while that fails, or finds nothing, the last addresses stay. A dot at the name's end, as in NAME.:PORT, leaves the machine's search list out."),
		optional("weight", acts, integer(0, 1000), 1, func(e *Endpoint) *int { return &e.Weight },
			"The endpoint's share of the pool's requests, relative to the others of its priority. 0: none."),
		optional("priority", acts, integer(0, 9), 0, func(e *Endpoint) *int { return &e.Priority },
			"0 is used first. A higher number is used only when no lower one has an eligible endpoint."),
		optional("drain", acts, boolean(), false, func(e *Endpoint) *bool { return &e.Drain },
			"Gets no new requests but those of sessions that are at home there, for drainTimeout at most; those in flight finish."),
	}}
}

func loadBalancerKind() *object[LoadBalancer] {
	return &object[LoadBalancer]{check: checkLoadBalancer, fields: []field[LoadBalancer]{
		optional("type", acts, choice[string](
			option{"RoundRobin", acts, ""},
			option{"LeastRequest", acts, ""},
			option{"Random", acts, ""},
			option{"PeakEWMA", acts, ""},
			option{"ConsistentHash", acts, ""},
		), "LeastRequest", func(l *LoadBalancer) *string { return &l.Type },
			"RoundRobin: in turn, smoothly by weight. LeastRequest: the less loaded of two picked at random. Random: by weight. PeakEWMA: of two picked at random, the one that will answer sooner, by a moving average of its latency that jumps to peaks (Finagle's Peak EWMA); one that fails or stays silent counts as slow. Where there is little load the quickest gets nearly all: choose another algorithm if shares are to be even. ConsistentHash: the same key to the same endpoint."),
		section("slowStart", acts, slowStartKind(), same[LoadBalancer],
			"Gives an endpoint that joins a pool which serves, or returns to it (healthy again, its breaker closed again, no longer draining), its share bit by bit."),
		optional("hashOn", acts, oneOf("SourceIP", "Header", "Cookie", "QueryParam"), "", func(l *LoadBalancer) *string { return &l.HashOn },
			"ConsistentHash: what is hashed. Required with it."),
		optional("name", acts, freeText(256), "", func(l *LoadBalancer) *string { return &l.HashName },
			"ConsistentHash: the name of the header, cookie or query parameter. Required, except with SourceIP."),
		optional("boundedLoadFactor", acts, number(0, 100), 1.25, func(l *LoadBalancer) *float64 { return &l.BoundedLoadFactor },
			"ConsistentHash: most requests in flight at one endpoint, relative to the mean; beyond it the next endpoint is used. 0: unbounded; else 1 or more."),
	}}
}

func slowStartKind() *object[LoadBalancer] {
	return &object[LoadBalancer]{fields: []field[LoadBalancer]{
		optional("window", acts, duration(0, time.Hour), 0, func(l *LoadBalancer) *time.Duration { return &l.SlowStartWindow },
			"How long until it has its full share. 0s: at once."),
	}}
}

func circuitBreakerKind() *object[CircuitBreaker] {
	span := duration(time.Millisecond, time.Hour)
	return &object[CircuitBreaker]{check: checkCircuitBreaker, fields: []field[CircuitBreaker]{
		optional("consecutiveFailures", acts, integer(0, 10_000), 5, func(c *CircuitBreaker) *int { return &c.ConsecutiveFailures },
			"Failures in a row that open the breaker. 0: never for that."),
		optional("failurePercent", acts, integer(0, 100), 20, func(c *CircuitBreaker) *int { return &c.FailurePercent },
			"Share of failures within interval that opens the breaker. 0: never for that."),
		optional("minRequests", acts, integer(1, 1_000_000), 20, func(c *CircuitBreaker) *int { return &c.MinRequests },
			"Requests within interval before failurePercent counts."),
		optional("interval", acts, span, 10*time.Second, func(c *CircuitBreaker) *time.Duration { return &c.Interval },
			"Window that failurePercent looks at."),
		optional("openDuration", acts, span, 5*time.Second, func(c *CircuitBreaker) *time.Duration { return &c.OpenDuration },
			"How long the breaker stays open before it lets probes through, at first. Up to a tenth is added at random, so that replicas do not probe together."),
		optional("maxOpenDuration", acts, span, 30*time.Second, func(c *CircuitBreaker) *time.Duration { return &c.MaxOpenDuration },
			"How long the open time may grow: it doubles each time the breaker opens again, and is openDuration again once the breaker was closed for as long as this. If openDuration is longer, that is the default."),
		optional("halfOpenRequests", acts, integer(1, 1000), 3, func(c *CircuitBreaker) *int { return &c.HalfOpenRequests },
			"Probes at once, and successes in a row that close the breaker."),
		optional("codes", acts, listOf(integer(400, 599)), []int{500, 502, 503, 504}, func(c *CircuitBreaker) *[]int { return &c.Codes },
			"Response statuses that count as failures."),
		optional("errors", acts, listOf(oneOf("Connect", "Timeout", "Reset", "Protocol")), []string{"Connect", "Timeout", "Reset", "Protocol"}, func(c *CircuitBreaker) *[]string { return &c.Errors },
			"What else counts as a failure. Connect: no connection. Timeout: no answer in time. Reset: the connection broke before the answer or inside it. Protocol: the answer was not HTTP."),
	}}
}

func healthCheckKind() *object[HealthCheck] {
	return &object[HealthCheck]{check: checkHealthCheck, fields: []field[HealthCheck]{
		extra("active", acts, activeCheckKind(), func(h *HealthCheck) **ActiveCheck { return &h.Active },
			"Probes sent at an interval. None: every endpoint counts as healthy."),
		optional("panicThreshold", acts, integer(0, 100), 50, func(h *HealthCheck) *int { return &h.PanicThreshold },
			"Percent of healthy endpoints below which health is ignored: many checks that fail at once say more about the checks. It is ignored only if no priority of the pool has enough healthy ones. 0: never."),
	}}
}

func activeCheckKind() *object[ActiveCheck] {
	span := duration(time.Millisecond, time.Hour)
	return &object[ActiveCheck]{check: checkActive, fields: []field[ActiveCheck]{
		optional("type", acts, oneOf("HTTP", "TCP", "GRPC"), "HTTP", func(a *ActiveCheck) *string { return &a.Type },
			"HTTP: a GET. TCP: a connection. GRPC: the health service."),
		section("http", acts, httpCheckKind(), same[ActiveCheck],
			"What is asked and expected, with type: HTTP."),
		section("grpc", acts, grpcCheckKind(), same[ActiveCheck],
			"What is asked, with type: GRPC."),
		optional("interval", acts, span, 2*time.Second, func(a *ActiveCheck) *time.Duration { return &a.Interval },
			"Time between the starts of two probes of an endpoint."),
		optional("timeout", acts, span, time.Second, func(a *ActiveCheck) *time.Duration { return &a.Timeout },
			"How long a probe may take. At most interval; if interval is shorter, that is the default."),
		optional("healthyThreshold", acts, integer(1, 100), 2, func(a *ActiveCheck) *int { return &a.HealthyThreshold },
			"Probes in a row that must pass before an endpoint counts as healthy."),
		optional("unhealthyThreshold", acts, integer(1, 100), 3, func(a *ActiveCheck) *int { return &a.UnhealthyThreshold },
			"Probes in a row that must fail before an endpoint counts as unhealthy."),
		optional("initialState", acts, oneOf("Healthy", "Unhealthy"), "Healthy", func(a *ActiveCheck) *string { return &a.InitialState },
			"What an endpoint counts as until its first probe, whose result decides alone."),
		section("flapDamping", acts, flapDampingKind(), same[ActiveCheck],
			"Holds an endpoint that keeps coming and going out for longer each time."),
	}}
}

func grpcCheckKind() *object[ActiveCheck] {
	return &object[ActiveCheck]{fields: []field[ActiveCheck]{
		optional("service", acts, freeText(256), "", func(a *ActiveCheck) *string { return &a.Service },
			"The service asked for (grpc.health.v1.HealthCheckRequest). None: the server as a whole."),
	}}
}

func flapDampingKind() *object[ActiveCheck] {
	wait := duration(0, 24*time.Hour)
	return &object[ActiveCheck]{check: checkFlapDamping, fields: []field[ActiveCheck]{
		optional("holdDown", acts, wait, time.Minute, func(a *ActiveCheck) *time.Duration { return &a.HoldDown },
			"How long an endpoint is held out, however well it does, when it turns unhealthy a second time. It doubles with each further time. 0s: never."),
		optional("maxHoldDown", acts, wait, 10*time.Minute, func(a *ActiveCheck) *time.Duration { return &a.MaxHoldDown },
			"How long it may be held out at most, and how long it must stay healthy until that is forgotten. If holdDown is longer, that is the default."),
	}}
}

func httpCheckKind() *object[ActiveCheck] {
	return &object[ActiveCheck]{fields: []field[ActiveCheck]{
		optional("path", acts, path(), "/healthz", func(a *ActiveCheck) *string { return &a.Path },
			"The path asked for."),
		optional("hostname", acts, plainHostname(), "", func(a *ActiveCheck) *string { return &a.Hostname },
			"The Host sent. None: the endpoint's address."),
		optional("expectedStatuses", acts, someOf(integer(200, 599)), []int{200}, func(a *ActiveCheck) *[]int { return &a.ExpectedStatuses },
			"Statuses that pass: those of final answers, so none of 1xx."),
	}}
}

func sessionKind() *object[SessionPersistence] {
	return &object[SessionPersistence]{pos: func(s *SessionPersistence) *Pos { return &s.Pos }, check: checkSession, fields: []field[SessionPersistence]{
		optional("type", acts, oneOf("Cookie", "Header"), "Cookie", func(s *SessionPersistence) *string { return &s.Type },
			"What carries the session. Cookie: a cookie. Header: the balancer gives the client a value in this header of a response; the client sends the last one it got. It never chooses the value."),
		optional("store", acts, oneOf("Redis", "Cookie", "Memory"), "Redis", func(s *SessionPersistence) *string { return &s.Store },
			"Where the session's endpoint is remembered. Redis: shared by replicas; without --redis it is as if Redis were away. Cookie: sealed, in the client. Memory: in each replica for itself."),
		section("cookie", acts, sessionCookieKind(), same[SessionPersistence],
			"The cookie, with type: Cookie."),
		section("header", acts, sessionHeaderKind(), same[SessionPersistence],
			"The header, with type: Header."),
		optional("absoluteTimeout", acts, duration(time.Second, 8760*time.Hour), 24*time.Hour, func(s *SessionPersistence) *time.Duration { return &s.AbsoluteTimeout },
			"How long a session lasts at most."),
		optional("idleTimeout", acts, duration(time.Second, 8760*time.Hour), 30*time.Minute, func(s *SessionPersistence) *time.Duration { return &s.IdleTimeout },
			"How long a session lasts without a request; it may end up to an eighth of that early. At most absoluteTimeout; if that is shorter, it is the default."),
		optional("onUnavailable", acts, oneOf("Return", "Rebind"), "Return", func(s *SessionPersistence) *string { return &s.OnUnavailable },
			"What happens when the session's endpoint is not eligible. Return: another one serves until it is back. Rebind: another one is home from then on. An endpoint that has drained or was removed is not waited for: its sessions move for good."),
		optional("storeTimeout", acts, duration(100*time.Microsecond, 10*time.Second), 5*time.Millisecond, func(s *SessionPersistence) *time.Duration { return &s.StoreTimeout },
			"How long a request waits for the store at most."),
	}}
}

func sessionCookieKind() *object[SessionPersistence] {
	return &object[SessionPersistence]{check: checkSessionCookie, fields: []field[SessionPersistence]{
		optional("name", acts, cookieName(), "lb_session", func(s *SessionPersistence) *string { return &s.CookieName },
			"The cookie's name. It is always HttpOnly: scripts do not see it."),
		optional("path", acts, cookiePath(), "/", func(s *SessionPersistence) *string { return &s.CookiePath },
			"The paths that the client sends the cookie with: this one and those below."),
		optional("sameSite", acts, oneOf("Lax", "Strict", "None"), "Lax", func(s *SessionPersistence) *string { return &s.CookieSameSite },
			"Which requests made by other sites have the cookie. Lax: links that are followed. Strict: none. None: all; browsers want it to be Secure then."),
		optional("secure", acts, oneOf("Auto", "Always", "Never"), "Auto", func(s *SessionPersistence) *string { return &s.CookieSecure },
			"Whether the cookie is Secure, for https only. Auto: where the client used https, as the listener or a trusted proxy's X-Forwarded-Proto says."),
		optional("lifetime", acts, oneOf("Session", "Permanent"), "Session", func(s *SessionPersistence) *string { return &s.CookieLifetime },
			"How long the client keeps the cookie. Session: until the browser ends. Permanent: for absoluteTimeout, as Max-Age; so pools of one route must have that in common too."),
	}}
}

func sessionHeaderKind() *object[SessionPersistence] {
	return &object[SessionPersistence]{fields: []field[SessionPersistence]{
		required("name", acts, sessionField(), func(s *SessionPersistence) *string { return &s.HeaderName },
			"The header's name."),
	}}
}

func retryBudgetKind() *object[RetryBudget] {
	return &object[RetryBudget]{fields: []field[RetryBudget]{
		optional("percent", acts, number(0, 100), 20, func(b *RetryBudget) *float64 { return &b.Percent },
			"Retries allowed, relative to the pool's requests."),
		optional("minRetriesPerSecond", acts, integer(0, 100_000), 10, func(b *RetryBudget) *int { return &b.MinRetriesPerSecond },
			"Retries allowed in any case."),
	}}
}

func limitsKind() *object[Limits] {
	return &object[Limits]{check: checkLimits, fields: []field[Limits]{
		optional("maxParallelRequests", acts, integer(1, 1_000_000), 1024, func(l *Limits) *int { return &l.MaxParallelRequests },
			"Requests in flight at once in the pool."),
		optional("maxPendingRequests", acts, integer(0, 1_000_000), 256, func(l *Limits) *int { return &l.MaxPendingRequests },
			"Requests that may wait for their turn."),
		optional("pendingTimeout", acts, duration(0, time.Hour), time.Second, func(l *Limits) *time.Duration { return &l.PendingTimeout },
			"How long a request may wait for its turn."),
		optional("maxConnections", acts, integer(1, 1_000_000), 1024, func(l *Limits) *int { return &l.MaxConnections },
			"Connections of the pool, to all endpoints together."),
		section("perEndpoint", acts, perEndpointKind(), same[Limits],
			"Caps for each endpoint."),
	}}
}

func perEndpointKind() *object[Limits] {
	return &object[Limits]{fields: []field[Limits]{
		optional("maxParallelRequests", acts, integer(0, 1_000_000), 0, func(l *Limits) *int { return &l.PerEndpointParallelRequests },
			"Requests in flight at once at one endpoint. 0: no cap but the pool's."),
	}}
}

func poolTLSKind() *object[PoolTLS] {
	return &object[PoolTLS]{check: checkPoolTLS, fields: []field[PoolTLS]{
		optional("serverName", acts, plainHostname(), "", func(t *PoolTLS) *string { return &t.ServerName },
			"The name asked for and expected in the certificate. None: the host of the endpoint's address."),
		optional("caFile", acts, fileName(), "", func(t *PoolTLS) *string { return &t.CAFile },
			"PEM file of the authorities that are trusted. None: the system's."),
		optional("certFile", acts, fileName(), "", func(t *PoolTLS) *string { return &t.CertFile },
			"PEM file of the certificate shown to the endpoints, followed by its chain."),
		optional("keyFile", acts, fileName(), "", func(t *PoolTLS) *string { return &t.KeyFile },
			"PEM file of its private key."),
		optional("subjectAltNames", acts, listOf(plainHostname()), nil, func(t *PoolTLS) *[]string { return &t.SubjectAltNames },
			"Names of which the certificate must have one."),
	}}
}
