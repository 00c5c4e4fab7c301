package policy

import (
	"net/netip"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// The table of the language: this file has its head, schema_*.go the rest. A
// row is a field's name, what it does in this release, its type, its default,
// where it goes in Go, and its documentation. The table is the only place that
// knows any of these: decoding, defaults, docs/policy.md and the JSON Schema
// follow it. To let a field act, change its status to acts.

// document is one YAML document of a policy.
type document struct {
	file *file
	root *yaml.Node

	apiVersion, kind string
	name, version    string
	trustedProxies   []netip.Prefix
	accessLog        *AccessLog
	listeners        []Listener
	routes           []Route
	pools            []Pool
}

func documentKind() *object[document] {
	return &object[document]{fields: []field[document]{
		required("apiVersion", acts, oneOf("lb/v1"), func(d *document) *string { return &d.apiVersion },
			"The version of this language."),
		required("kind", acts, oneOf("Policy"), func(d *document) *string { return &d.kind },
			"What the document is."),
		required("metadata", acts, metadataKind(), same[document],
			"What the policy is called."),
		required("spec", acts, specKind(), same[document],
			"What the policy says. Every list may be spread over several documents and files."),
	}}
}

func metadataKind() *object[document] {
	return &object[document]{fields: []field[document]{
		required("name", acts, name(), func(d *document) *string { return &d.name },
			"The policy's name: the same in every document of a directory."),
		optional("version", acts, freeText(128), "", func(d *document) *string { return &d.version },
			"The policy's version, in words of your own. Exactly one document of a directory has it."),
	}}
}

func specKind() *object[document] {
	return &object[document]{fields: []field[document]{
		optional("trustedProxies", acts, listOf(prefix()), nil, func(d *document) *[]netip.Prefix { return &d.trustedProxies },
			"Peers whose X-Forwarded-For, -Proto and -Host are believed. Everybody else's are replaced. In one document only."),
		extra("accessLog", acts, accessLogKind(), func(d *document) **AccessLog { return &d.accessLog },
			"Which requests the access log shows. In one document only.").filled(),
		optional("listeners", acts, listOf(listenerKind()), nil, func(d *document) *[]Listener { return &d.listeners },
			"Addresses that traffic comes in by. At least one in all documents together."),
		optional("routes", acts, listOf(routeKind()), nil, func(d *document) *[]Route { return &d.routes },
			"Which requests go where. The most specific match wins; among equals, the first in file order."),
		optional("pools", acts, listOf(poolKind()), nil, func(d *document) *[]Pool { return &d.pools },
			"Sets of endpoints that serve the same thing."),
	}}
}

func accessLogKind() *object[AccessLog] {
	return &object[AccessLog]{fields: []field[AccessLog]{
		optional("sample", acts, number(0, 1), 1, func(a *AccessLog) *float64 { return &a.Sample },
			"Share of the requests that are logged."),
		section("always", acts, alwaysLogged{}, same[AccessLog],
			"Requests logged whatever the sample: errors (a status of 500 and above, or a broken response), slow (longer than slowerThan).").
			defaultsTo([]any{"errors", "slow"}),
		optional("slowerThan", acts, duration(time.Millisecond, time.Hour), time.Second, func(a *AccessLog) *time.Duration { return &a.SlowerThan },
			"How long a request takes at least to count as slow."),
	}}
}

// alwaysLogged reads a list of words into the flags of an AccessLog.
type alwaysLogged struct{}

func (alwaysLogged) words() *list[string]        { return listOf(oneOf("errors", "slow")) }
func (alwaysLogged) clone(a AccessLog) AccessLog { return a }
func (alwaysLogged) plain(AccessLog) any         { return nil }
func (k alwaysLogged) shape() *shape             { return k.words().shape() }
func (alwaysLogged) fill(a *AccessLog)           { a.AlwaysErrors, a.AlwaysSlow = true, true }

func (k alwaysLogged) read(d *decoder, n *yaml.Node, a *AccessLog) {
	var chosen []string
	k.words().read(d, n, &chosen)
	a.AlwaysErrors = slices.Contains(chosen, "errors")
	a.AlwaysSlow = slices.Contains(chosen, "slow")
}
