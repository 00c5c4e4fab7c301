package policy

import "time"

func routeKind() *object[Route] {
	return &object[Route]{pos: func(r *Route) *Pos { return &r.Pos }, check: checkRoute, fields: []field[Route]{
		required("name", acts, name(), func(r *Route) *string { return &r.Name },
			"The route's name, unique among routes."),
		optional("hostnames", acts, listOf(hostname()), nil, func(r *Route) *[]string { return &r.Hostnames },
			"Hosts the route answers for. *.example.com stands for every host below example.com. None: every host."),
		optional("matches", acts, listOf(matchKind()), nil, func(r *Route) *[]Match { return &r.Matches },
			"Requests the route takes: those that fit any of these. None: every path.").
			defaultsTo([]any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}}),
		section("filters", acts, filters{filterFields()}, func(r *Route) *Filters { return &r.Filters },
			"What happens to a request and its response on the way. Each kind at most once."),
		optional("backendRefs", acts, listOf(backendRefKind()), nil, func(r *Route) *[]BackendRef { return &r.BackendRefs },
			"Pools that share the requests. Required, except with requestRedirect."),
		section("timeouts", acts, routeTimeoutsKind(), func(r *Route) *RouteTimeouts { return &r.Timeouts },
			"How long a request may take."),
		extra("retry", acts, retryKind(), func(r *Route) **Retry { return &r.Retry },
			"Which failed tries are made again, at another endpoint."),
	}}
}

func matchKind() *object[Match] {
	return &object[Match]{pos: func(m *Match) *Pos { return &m.Pos }, fields: []field[Match]{
		section("path", acts, pathMatchKind(), same[Match],
			"The path to compare with."),
		optional("method", acts, method(), "", func(m *Match) *string { return &m.Method },
			"The request's method. None: every method."),
		optional("headers", acts, listOf(valueMatchKind(matchedField())), nil, func(m *Match) *[]ValueMatch { return &m.Headers },
			"Request headers that must all fit."),
		optional("queryParams", acts, listOf(valueMatchKind(freeText(256))), nil, func(m *Match) *[]ValueMatch { return &m.Query },
			"Query parameters that must all fit."),
	}}
}

func pathMatchKind() *object[Match] {
	return &object[Match]{check: checkPathMatch, fields: []field[Match]{
		optional("type", acts, choice[PathType](
			option{name: "Exact", status: acts},
			option{name: "PathPrefix", status: acts},
			option{name: "RegularExpression", status: acts},
		), PathPrefix, func(m *Match) *PathType { return &m.PathType },
			"How the path is compared. PathPrefix compares whole elements: /a takes /a and /a/b, not /ab. RegularExpression (RE2) must match the whole path."),
		optional("value", acts, freeText(1024), "/", func(m *Match) *string { return &m.Path },
			"The path, prefix or expression."),
	}}
}

func valueMatchKind(names kind[string]) *object[ValueMatch] {
	return &object[ValueMatch]{check: checkValueMatch, fields: []field[ValueMatch]{
		required("name", acts, names, func(v *ValueMatch) *string { return &v.Name },
			"The name of the header, without regard to case, or of the query parameter."),
		optional("type", acts, oneOf("Exact", "RegularExpression"), "Exact", func(v *ValueMatch) *string { return &v.Type },
			"How the value is compared. RegularExpression (RE2) must match the whole value."),
		required("value", acts, checked("text", "", complainFieldValue), func(v *ValueMatch) *string { return &v.Value },
			"The value or expression."),
	}}
}

func backendRefKind() *object[BackendRef] {
	return &object[BackendRef]{pos: func(b *BackendRef) *Pos { return &b.Pos }, fields: []field[BackendRef]{
		required("pool", acts, name(), func(b *BackendRef) *string { return &b.Pool },
			"The pool's name."),
		optional("weight", acts, integer(0, 1_000_000), 1, func(b *BackendRef) *int { return &b.Weight },
			"The pool's share of the requests, relative to the other weights of the route. 0: none."),
	}}
}

func routeTimeoutsKind() *object[RouteTimeouts] {
	wait := duration(0, 24*time.Hour)
	return &object[RouteTimeouts]{check: checkRouteTimeouts, fields: []field[RouteTimeouts]{
		optional("request", acts, wait, 30*time.Second, func(t *RouteTimeouts) *time.Duration { return &t.Request },
			"From the request's head to the response's head, all tries and waiting included. 0s: no bound."),
		optional("backendRequest", acts, wait, 0, func(t *RouteTimeouts) *time.Duration { return &t.BackendRequest },
			"The same for a single try. 0s: as request."),
		optional("streamIdle", acts, wait, 5*time.Minute, func(t *RouteTimeouts) *time.Duration { return &t.StreamIdle },
			"Longest silence of a body or tunnel once it has begun. 0s: no bound."),
	}}
}

func retryKind() *object[Retry] {
	return &object[Retry]{fields: []field[Retry]{
		optional("attempts", acts, integer(0, 10), 1, func(r *Retry) *int { return &r.Attempts },
			"Retries after the first try."),
		optional("codes", acts, listOf(integer(400, 599)), []int{502, 503, 504}, func(r *Retry) *[]int { return &r.Codes },
			"Response statuses that are tried again. Connections that fail always are."),
		optional("backoff", acts, duration(0, time.Minute), 25*time.Millisecond, func(r *Retry) *time.Duration { return &r.Backoff },
			"Base of the pause before a retry: it doubles each time, and is cut at random by up to half. A Retry-After of the response that is tried again is waited for; if that, or the pause, does not fit timeouts.request, the request is not tried again."),
		optional("methods", acts, listOf(method()), nil, func(r *Retry) *[]string { return &r.Methods },
			"Methods that are tried again. None: the idempotent ones (RFC 9110, section 9.2.2). A connection that could not be opened is tried again whatever the method."),
	}}
}
