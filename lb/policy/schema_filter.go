package policy

import (
	"time"

	"gopkg.in/yaml.v3"
)

// filters reads a list of filters, each a mapping with the filter's name as its
// only key, into the fields of a Filters.
type filters struct{ known *object[Filters] }

func (k filters) fill(*Filters)           {}
func (k filters) clone(f Filters) Filters { return f }
func (k filters) plain(Filters) any       { return nil }

func (k filters) shape() *shape {
	item := k.known.shape()
	item.text = "mapping with one filter"
	item.schema.MinProperties, item.schema.MaxProperties = 1, 1
	return &shape{text: "list of filters", item: item, schema: schema{Type: "array", Items: &item.schema}}
}

func (k filters) read(d *decoder, n *yaml.Node, f *Filters) {
	if d.passedOver(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, CodeWrongType, "must be a list of filters, not %s: write \"- requestHeaderModifier: …\"", describe(n))
		return
	}
	first := make(map[string]*yaml.Node)
	for i, item := range n.Content {
		if d.full() {
			return
		}
		d.enterItem(i)
		if item.Kind == yaml.MappingNode && len(item.Content) != 2 {
			d.fail(item, CodeBadValue, "must hold exactly one filter: begin each with its own \"-\"")
		} else {
			if item.Kind == yaml.MappingNode && item.Content[0].Kind != 0 {
				key := item.Content[0]
				if earlier := first[key.Value]; earlier != nil {
					d.failAt(item, key.Value, CodeDuplicateKey, "stands twice in this route: it is also at line %d, column %d", earlier.Line, earlier.Column)
				} else {
					first[key.Value] = key
				}
			}
			k.known.read(d, item, f)
		}
		d.leave()
	}
}

func filterFields() *object[Filters] {
	return &object[Filters]{fields: []field[Filters]{
		extra("requestHeaderModifier", acts, headerModifierKind(), func(f *Filters) **HeaderModifier { return &f.RequestHeaders },
			"Changes header fields of the request: first remove, then set, then add."),
		extra("responseHeaderModifier", acts, headerModifierKind(), func(f *Filters) **HeaderModifier { return &f.ResponseHeaders },
			"The same for the response."),
		extra("urlRewrite", acts, urlRewriteKind(), func(f *Filters) **URLRewrite { return &f.Rewrite },
			"Changes the host or path before the request is sent upstream."),
		extra("requestRedirect", acts, redirectKind(), func(f *Filters) **Redirect { return &f.Redirect },
			"Answers with a redirect instead of asking a pool."),
		extra("requestMirror", acts, mirrorKind(), func(f *Filters) **Mirror { return &f.Mirror },
			"Sends a copy of some requests to another pool, and ignores its answers. See docs/decisions/mirror.md for what is copied and what bounds it."),
		extra("rateLimit", acts, rateLimitKind(), func(f *Filters) **RateLimit { return &f.RateLimit },
			"Answers 429 beyond a rate: a token bucket for each key. Each replica counts by itself. It remembers at most 65,536 keys of a route, and forgets first those that it saw longest ago."),
	}}
}

func headerModifierKind() *object[HeaderModifier] {
	return &object[HeaderModifier]{fields: []field[HeaderModifier]{
		section("set", acts, headerValues{}, func(m *HeaderModifier) *[]HeaderValue { return &m.Set },
			"Fields that replace those of the same name."),
		section("add", acts, headerValues{}, func(m *HeaderModifier) *[]HeaderValue { return &m.Add },
			"Fields that join those of the same name."),
		optional("remove", acts, listOf(changedField()), nil, func(m *HeaderModifier) *[]string { return &m.Remove },
			"Names of fields to remove."),
	}}
}

func urlRewriteKind() *object[URLRewrite] {
	return &object[URLRewrite]{check: checkRewrite, fields: []field[URLRewrite]{
		optional("hostname", acts, plainHostname(), "", func(w *URLRewrite) *string { return &w.Hostname },
			"The Host sent upstream. None: the client's."),
		section("path", acts, pathChangeKind(
			func(w *URLRewrite) *string { return &w.PathType },
			func(w *URLRewrite) *string { return &w.Path }), same[URLRewrite],
			"The path sent upstream. None: the client's."),
	}}
}

func redirectKind() *object[Redirect] {
	return &object[Redirect]{check: checkRedirect, fields: []field[Redirect]{
		optional("scheme", acts, oneOf("http", "https"), "", func(r *Redirect) *string { return &r.Scheme },
			"The new scheme. None: the request's own."),
		optional("hostname", acts, plainHostname(), "", func(r *Redirect) *string { return &r.Hostname },
			"The new host. None: the request's own."),
		optional("port", acts, integer(1, 65535), 0, func(r *Redirect) *int { return &r.Port },
			"The new port. None: the usual one of the scheme.").defaultsTo(nil),
		section("path", acts, pathChangeKind(
			func(r *Redirect) *string { return &r.PathType },
			func(r *Redirect) *string { return &r.Path }), same[Redirect],
			"The new path. None: the request's own."),
		optional("statusCode", acts, intChoice(301, 302, 303, 307, 308), 302, func(r *Redirect) *int { return &r.StatusCode },
			"The status of the answer."),
	}}
}

// pathChangeKind is how a rewrite and a redirect change the path.
func pathChangeKind[T any](typ, value func(*T) *string) *object[T] {
	return &object[T]{fields: []field[T]{
		required("type", acts, oneOf("ReplaceFullPath", "ReplacePrefixMatch"), typ,
			"What is replaced: the whole path, or the prefix that the route matched."),
		required("value", acts, path(), value,
			"What it is replaced by."),
	}}
}

func mirrorKind() *object[Mirror] {
	return &object[Mirror]{fields: []field[Mirror]{
		required("pool", acts, name(), func(m *Mirror) *string { return &m.Pool },
			"The pool that gets the copies. Its weights, breakers and load balancing act as for any request."),
		optional("percent", acts, number(0, 100), 100, func(m *Mirror) *float64 { return &m.Percent },
			"Share of the route's requests that are copied, chosen at random."),
	}}
}

func rateLimitKind() *object[RateLimit] {
	return &object[RateLimit]{check: checkRateLimit, fields: []field[RateLimit]{
		required("requests", acts, integer(1, 1_000_000), func(r *RateLimit) *int { return &r.Requests },
			"Requests let through for each key in each period."),
		optional("per", acts, duration(time.Millisecond, 24*time.Hour), time.Second, func(r *RateLimit) *time.Duration { return &r.Per },
			"The period."),
		optional("burst", acts, integer(1, 1_000_000), 0, func(r *RateLimit) *int { return &r.Burst },
			"Requests let through at once. None: as many as requests.").defaultsTo(nil),
		optional("key", acts, oneOf("SourceIP", "Header"), "SourceIP", func(r *RateLimit) *string { return &r.Key },
			"What requests are counted by."),
		section("header", acts, rateLimitHeaderKind(), same[RateLimit],
			"Which header, with key: Header. Requests that lack it, or have it more than once, share one bucket."),
	}}
}

func rateLimitHeaderKind() *object[RateLimit] {
	return &object[RateLimit]{fields: []field[RateLimit]{
		required("name", acts, matchedField(), func(r *RateLimit) *string { return &r.Header },
			"The header's name."),
	}}
}
