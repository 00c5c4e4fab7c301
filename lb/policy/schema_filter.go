package policy

import (
	"time"

	"go-loadbalancer/lb/schema"
)

// filters reads a list of filters, each a mapping with the filter's name as its
// only key, into the fields of a Filters.
type filters struct{ known *schema.Object[Filters] }

func (k filters) Fill(*Filters)           {}
func (k filters) Clone(f Filters) Filters { return f }
func (k filters) Plain(f Filters) any     { return k.known.Plain(f) }

func (k filters) Shape() *schema.Shape {
	item := k.known.Shape()
	item.Text = "mapping with one filter"
	item.Schema.MinProperties, item.Schema.MaxProperties = 1, 1
	return &schema.Shape{Text: "list of filters", Item: item, Schema: schema.Schema{Type: "array", Items: &item.Schema}}
}

func (k filters) Read(d *schema.Decoder, n *schema.Node, f *Filters) {
	if d.PassedOver(n) {
		return
	}
	if n.Kind != schema.SequenceNode {
		d.Fail(n, CodeWrongType, "must be a list of filters, not %s: write \"- requestHeaderModifier: …\"", schema.Describe(n))
		return
	}
	first := make(map[string]*schema.Node)
	for i, item := range n.Content {
		if d.Full() {
			return
		}
		d.EnterItem(i)
		if item.Kind == schema.MappingNode && len(item.Content) != 2 {
			d.Fail(item, CodeBadValue, "must hold exactly one filter: begin each with its own \"-\"")
		} else {
			if item.Kind == schema.MappingNode && item.Content[0].Kind != 0 {
				key := item.Content[0]
				if earlier := first[key.Value]; earlier != nil {
					d.FailAt(item, key.Value, CodeDuplicateKey, "stands twice in this route: it is also at line %d, column %d", earlier.Line, earlier.Column)
				} else {
					first[key.Value] = key
				}
			}
			k.known.Read(d, item, f)
		}
		d.Leave()
	}
}

func filterFields() *schema.Object[Filters] {
	return &schema.Object[Filters]{Fields: []schema.Field[Filters]{
		schema.Extra("requestHeaderModifier", schema.Acts, headerModifierKind(), func(f *Filters) **HeaderModifier { return &f.RequestHeaders },
			"Changes header fields of the request: first remove, then set, then add."),
		schema.Extra("responseHeaderModifier", schema.Acts, headerModifierKind(), func(f *Filters) **HeaderModifier { return &f.ResponseHeaders },
			"The same for the response."),
		schema.Extra("urlRewrite", schema.Acts, urlRewriteKind(), func(f *Filters) **URLRewrite { return &f.Rewrite },
			"Changes the host or path before the request is sent upstream."),
		schema.Extra("requestRedirect", schema.Acts, redirectKind(), func(f *Filters) **Redirect { return &f.Redirect },
			"Answers with a redirect instead of asking a pool."),
		schema.Extra("requestMirror", schema.Acts, mirrorKind(), func(f *Filters) **Mirror { return &f.Mirror },
			"Sends a copy of some requests to another pool, and ignores its answers. See docs/decisions/mirror.md for what is copied and what bounds it."),
		schema.Extra("rateLimit", schema.Acts, rateLimitKind(), func(f *Filters) **RateLimit { return &f.RateLimit },
			"Answers 429 beyond a rate: a token bucket for each key. Each replica counts by itself. It remembers at most 65,536 keys of a route, and forgets first those that it saw longest ago."),
	}}
}

func headerModifierKind() *schema.Object[HeaderModifier] {
	return &schema.Object[HeaderModifier]{Fields: []schema.Field[HeaderModifier]{
		schema.Section("set", schema.Acts, schema.Headers(complainField), func(m *HeaderModifier) *[]HeaderValue { return &m.Set },
			"Fields that replace those of the same name."),
		schema.Section("add", schema.Acts, schema.Headers(complainField), func(m *HeaderModifier) *[]HeaderValue { return &m.Add },
			"Fields that join those of the same name."),
		schema.Optional("remove", schema.Acts, schema.ListOf(changedField()).AnyOrder(), nil, func(m *HeaderModifier) *[]string { return &m.Remove },
			"Names of fields to remove."),
	}}
}

func urlRewriteKind() *schema.Object[URLRewrite] {
	return &schema.Object[URLRewrite]{Check: checkRewrite, Fields: []schema.Field[URLRewrite]{
		schema.Optional("hostname", schema.Acts, schema.PlainHostname(), "", func(w *URLRewrite) *string { return &w.Hostname },
			"The Host sent upstream. None: the client's."),
		schema.Section("path", schema.Acts, pathChangeKind(
			func(w *URLRewrite) *string { return &w.PathType },
			func(w *URLRewrite) *string { return &w.Path }), schema.Same[URLRewrite],
			"The path sent upstream. None: the client's."),
	}}
}

func redirectKind() *schema.Object[Redirect] {
	return &schema.Object[Redirect]{Check: checkRedirect, Fields: []schema.Field[Redirect]{
		schema.Optional("scheme", schema.Acts, schema.OneOf("http", "https"), "", func(r *Redirect) *string { return &r.Scheme },
			"The new scheme. None: the request's own."),
		schema.Optional("hostname", schema.Acts, schema.PlainHostname(), "", func(r *Redirect) *string { return &r.Hostname },
			"The new host. None: the request's own."),
		schema.Optional("port", schema.Acts, schema.Integer(1, 65535), 0, func(r *Redirect) *int { return &r.Port },
			"The new port. None: the usual one of the scheme.").DefaultsTo(nil),
		schema.Section("path", schema.Acts, pathChangeKind(
			func(r *Redirect) *string { return &r.PathType },
			func(r *Redirect) *string { return &r.Path }), schema.Same[Redirect],
			"The new path. None: the request's own."),
		schema.Optional("statusCode", schema.Acts, schema.IntChoice(301, 302, 303, 307, 308), 302, func(r *Redirect) *int { return &r.StatusCode },
			"The status of the answer."),
	}}
}

// pathChangeKind is how a rewrite and a redirect change the path.
func pathChangeKind[T any](typ, value func(*T) *string) *schema.Object[T] {
	return &schema.Object[T]{Fields: []schema.Field[T]{
		schema.Required("type", schema.Acts, schema.OneOf("ReplaceFullPath", "ReplacePrefixMatch"), typ,
			"What is replaced: the whole path, or the prefix that the route matched."),
		schema.Required("value", schema.Acts, path(), value,
			"What it is replaced by."),
	}}
}

func mirrorKind() *schema.Object[Mirror] {
	return &schema.Object[Mirror]{Fields: []schema.Field[Mirror]{
		schema.Required("pool", schema.Acts, schema.Name(), func(m *Mirror) *string { return &m.Pool },
			"The pool that gets the copies. Its weights, breakers and load balancing act as for any request."),
		schema.Optional("percent", schema.Acts, schema.Number(0, 100), 100, func(m *Mirror) *float64 { return &m.Percent },
			"Share of the route's requests that are copied, chosen at random."),
	}}
}

func rateLimitKind() *schema.Object[RateLimit] {
	return &schema.Object[RateLimit]{Check: checkRateLimit, Fields: []schema.Field[RateLimit]{
		schema.Required("requests", schema.Acts, schema.Integer(1, 1_000_000), func(r *RateLimit) *int { return &r.Requests },
			"Requests let through for each key in each period."),
		schema.Optional("per", schema.Acts, schema.Duration(time.Millisecond, 24*time.Hour), time.Second, func(r *RateLimit) *time.Duration { return &r.Per },
			"The period."),
		schema.Optional("burst", schema.Acts, schema.Integer(1, 1_000_000), 0, func(r *RateLimit) *int { return &r.Burst },
			"Requests let through at once. None: as many as requests.").DefaultsTo(nil),
		schema.Optional("key", schema.Acts, schema.OneOf("SourceIP", "Header"), "SourceIP", func(r *RateLimit) *string { return &r.Key },
			"What requests are counted by."),
		schema.Section("header", schema.Acts, rateLimitHeaderKind(), schema.Same[RateLimit],
			"Which header, with key: Header. Requests that lack it, or have it more than once, share one bucket."),
	}}
}

func rateLimitHeaderKind() *schema.Object[RateLimit] {
	return &schema.Object[RateLimit]{Fields: []schema.Field[RateLimit]{
		schema.Required("name", schema.Acts, matchedField(), func(r *RateLimit) *string { return &r.Header },
			"The header's name."),
	}}
}
