package policy

import (
	"time"

	"go-loadbalancer/lb/schema"
)

func routeKind() *schema.Object[Route] {
	return &schema.Object[Route]{Pos: func(r *Route) *Pos { return &r.Pos }, Check: checkRoute, Fields: []schema.Field[Route]{
		schema.Required("name", schema.Acts, schema.Name(), func(r *Route) *string { return &r.Name },
			"The route's name, unique among routes."),
		schema.Optional("hostnames", schema.Acts, schema.ListOf(hostname()).AnyOrder(), nil, func(r *Route) *[]string { return &r.Hostnames },
			"Hosts the route answers for. *.example.com stands for every host below example.com. None: every host."),
		schema.Optional("matches", schema.Acts, schema.ListOf(matchKind()).AnyOrder(), nil, func(r *Route) *[]Match { return &r.Matches },
			"Requests the route takes: those that fit any of these. None: every path.").
			DefaultsTo([]any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/"}}}),
		schema.Section("filters", schema.Acts, filters{filterFields()}, func(r *Route) *Filters { return &r.Filters },
			"What happens to a request and its response on the way. Each kind at most once."),
		schema.Optional("backendRefs", schema.Acts, schema.ListOf(backendRefKind()).AnyOrder(), nil, func(r *Route) *[]BackendRef { return &r.BackendRefs },
			"Pools that share the requests. Required, except with requestRedirect."),
		schema.Section("timeouts", schema.Acts, routeTimeoutsKind(), func(r *Route) *RouteTimeouts { return &r.Timeouts },
			"How long a request may take."),
		schema.Extra("retry", schema.Acts, retryKind(), func(r *Route) **Retry { return &r.Retry },
			"Which failed tries are made again, at another endpoint."),
	}}
}

func matchKind() *schema.Object[Match] {
	return &schema.Object[Match]{Pos: func(m *Match) *Pos { return &m.Pos }, Fields: []schema.Field[Match]{
		schema.Section("path", schema.Acts, pathMatchKind(), schema.Same[Match],
			"The path to compare with."),
		schema.Optional("method", schema.Acts, schema.Method(), "", func(m *Match) *string { return &m.Method },
			"The request's method. None: every method."),
		schema.Optional("headers", schema.Acts, schema.ListOf(valueMatchKind(matchedField())).AnyOrder(), nil, func(m *Match) *[]ValueMatch { return &m.Headers },
			"Request headers that must all fit."),
		schema.Optional("queryParams", schema.Acts, schema.ListOf(valueMatchKind(schema.FreeText(256))).AnyOrder(), nil, func(m *Match) *[]ValueMatch { return &m.Query },
			"Query parameters that must all fit."),
	}}
}

func pathMatchKind() *schema.Object[Match] {
	return &schema.Object[Match]{Check: checkPathMatch, Fields: []schema.Field[Match]{
		schema.Optional("type", schema.Acts, schema.Choice[PathType](
			schema.Option{Name: "Exact", Status: schema.Acts},
			schema.Option{Name: "PathPrefix", Status: schema.Acts},
			schema.Option{Name: "RegularExpression", Status: schema.Acts},
		), PathPrefix, func(m *Match) *PathType { return &m.PathType },
			"How the path is compared. PathPrefix compares whole elements: /a takes /a and /a/b, not /ab. RegularExpression (RE2) must match the whole path."),
		schema.Optional("value", schema.Acts, schema.FreeText(1024), "/", func(m *Match) *string { return &m.Path },
			"The path, prefix or expression."),
	}}
}

func valueMatchKind(names schema.Kind[string]) *schema.Object[ValueMatch] {
	return &schema.Object[ValueMatch]{Check: checkValueMatch, Fields: []schema.Field[ValueMatch]{
		schema.Required("name", schema.Acts, names, func(v *ValueMatch) *string { return &v.Name },
			"The name of the header, without regard to case, or of the query parameter."),
		schema.Optional("type", schema.Acts, schema.OneOf("Exact", "RegularExpression"), "Exact", func(v *ValueMatch) *string { return &v.Type },
			"How the value is compared. RegularExpression (RE2) must match the whole value."),
		schema.Required("value", schema.Acts, schema.Checked("text", "", schema.ComplainFieldValue), func(v *ValueMatch) *string { return &v.Value },
			"The value or expression."),
	}}
}

func backendRefKind() *schema.Object[BackendRef] {
	return &schema.Object[BackendRef]{Pos: func(b *BackendRef) *Pos { return &b.Pos }, Fields: []schema.Field[BackendRef]{
		schema.Required("pool", schema.Acts, schema.Name(), func(b *BackendRef) *string { return &b.Pool },
			"The pool's name."),
		schema.Optional("weight", schema.Acts, schema.Integer(0, 1_000_000), 1, func(b *BackendRef) *int { return &b.Weight },
			"The pool's share of the requests, relative to the other weights of the route. 0: none."),
	}}
}

func routeTimeoutsKind() *schema.Object[RouteTimeouts] {
	wait := schema.Duration(0, 24*time.Hour)
	return &schema.Object[RouteTimeouts]{Check: checkRouteTimeouts, Fields: []schema.Field[RouteTimeouts]{
		schema.Optional("request", schema.Acts, wait, 30*time.Second, func(t *RouteTimeouts) *time.Duration { return &t.Request },
			"From the request's head to the response's head, all tries and waiting included. 0s: no bound."),
		schema.Optional("backendRequest", schema.Acts, wait, 0, func(t *RouteTimeouts) *time.Duration { return &t.BackendRequest },
			"The same for a single try. 0s: as request."),
		schema.Optional("streamIdle", schema.Acts, wait, 5*time.Minute, func(t *RouteTimeouts) *time.Duration { return &t.StreamIdle },
			"Longest silence of a body or tunnel once it has begun. 0s: no bound."),
	}}
}

func retryKind() *schema.Object[Retry] {
	return &schema.Object[Retry]{Fields: []schema.Field[Retry]{
		schema.Optional("attempts", schema.Acts, schema.Integer(0, 10), 1, func(r *Retry) *int { return &r.Attempts },
			"Retries after the first try."),
		schema.Optional("codes", schema.Acts, schema.ListOf(schema.Integer(400, 599)).AnyOrder(), []int{502, 503, 504}, func(r *Retry) *[]int { return &r.Codes },
			"Response statuses that are tried again. Connections that fail always are."),
		schema.Optional("backoff", schema.Acts, schema.Duration(0, time.Minute), 25*time.Millisecond, func(r *Retry) *time.Duration { return &r.Backoff },
			"Base of the pause before a retry: it doubles each time, and is cut at random by up to half. A Retry-After of the response that is tried again is waited for; if that, or the pause, does not fit timeouts.request, the request is not tried again."),
		schema.Optional("methods", schema.Acts, schema.ListOf(schema.Method()).AnyOrder(), nil, func(r *Retry) *[]string { return &r.Methods },
			"Methods that are tried again. None: the idempotent ones (RFC 9110, section 9.2.2). A connection that could not be opened is tried again whatever the method."),
	}}
}
