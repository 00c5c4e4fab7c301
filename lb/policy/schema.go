package policy

import (
	"net/netip"
	"slices"
	"time"

	"go-loadbalancer/lb/schema"
)

// The table of the language: this file has its head, schema_*.go the rest. A
// row is a field's name, what it does in this release, its type, its default,
// where it goes in Go, and its documentation. The table is the only place that
// knows any of these: decoding, defaults, docs/policy.md and the JSON Schema
// follow it. To let a field act, change its status to acts.

// document is one YAML document of a policy.
type document struct {
	file *schema.File
	root *schema.Node

	apiVersion, kind string
	name, version    string
	trustedProxies   []netip.Prefix
	accessLog        *AccessLog
	listeners        []Listener
	routes           []Route
	pools            []Pool
}

func documentKind() *schema.Object[document] {
	return &schema.Object[document]{Fields: []schema.Field[document]{
		schema.Required("apiVersion", schema.Acts, schema.OneOf("lb/v1"), func(d *document) *string { return &d.apiVersion },
			"The version of this language."),
		schema.Required("kind", schema.Acts, schema.OneOf("Policy"), func(d *document) *string { return &d.kind },
			"What the document is."),
		schema.Required("metadata", schema.Acts, metadataKind(), schema.Same[document],
			"What the policy is called."),
		schema.Required("spec", schema.Acts, specKind(), schema.Same[document],
			"What the policy says. Every list may be spread over several documents and files."),
	}}
}

func metadataKind() *schema.Object[document] {
	return &schema.Object[document]{Fields: []schema.Field[document]{
		schema.Required("name", schema.Acts, schema.Name(), func(d *document) *string { return &d.name },
			"The policy's name: the same in every document of a directory."),
		schema.Optional("version", schema.Acts, schema.FreeText(128), "", func(d *document) *string { return &d.version },
			"The policy's version, in words of your own. Exactly one document of a directory has it."),
	}}
}

func specKind() *schema.Object[document] {
	return &schema.Object[document]{Fields: []schema.Field[document]{
		schema.Optional("trustedProxies", schema.Acts, schema.ListOf(prefix()).AnyOrder(), nil, func(d *document) *[]netip.Prefix { return &d.trustedProxies },
			"Peers whose X-Forwarded-For, -Proto and -Host are believed. Everybody else's are replaced. In one document only."),
		schema.Extra("accessLog", schema.Acts, accessLogKind(), func(d *document) **AccessLog { return &d.accessLog },
			"Which requests the access log shows. In one document only.").Filled(),
		schema.Optional("listeners", schema.Acts, schema.ListOf(listenerKind()).AnyOrder(), nil, func(d *document) *[]Listener { return &d.listeners },
			"Addresses that traffic comes in by. At least one in all documents together."),
		schema.Optional("routes", schema.Acts, schema.ListOf(routeKind()), nil, func(d *document) *[]Route { return &d.routes },
			"Which requests go where. The most specific match wins; among equals, the first in file order."),
		schema.Optional("pools", schema.Acts, schema.ListOf(poolKind()).AnyOrder(), nil, func(d *document) *[]Pool { return &d.pools },
			"Sets of endpoints that serve the same thing."),
	}}
}

func accessLogKind() *schema.Object[AccessLog] {
	return &schema.Object[AccessLog]{Fields: []schema.Field[AccessLog]{
		schema.Optional("sample", schema.Acts, schema.Number(0, 1), 1, func(a *AccessLog) *float64 { return &a.Sample },
			"Share of the requests that are logged."),
		schema.Section("always", schema.Acts, alwaysLogged{}, schema.Same[AccessLog],
			"Requests logged whatever the sample: errors (a status of 500 and above, or a broken response), slow (longer than slowerThan).").
			DefaultsTo([]any{"errors", "slow"}),
		schema.Optional("slowerThan", schema.Acts, schema.Duration(time.Millisecond, time.Hour), time.Second, func(a *AccessLog) *time.Duration { return &a.SlowerThan },
			"How long a request takes at least to count as slow."),
		schema.Optional("redactQueryParams", schema.Acts, schema.ListOf(queryParam()).AnyOrder(), nil, func(a *AccessLog) *[]string { return &a.RedactQueryParams },
			"Query parameters whose values are not shown, beside the usual names of secrets (docs/telemetry.md); in traces neither. `*`: all of them."),
	}}
}

// alwaysLogged reads a list of words into the flags of an AccessLog.
type alwaysLogged struct{}

func (alwaysLogged) words() *schema.List[string] {
	return schema.ListOf(schema.OneOf("errors", "slow")).AnyOrder()
}
func (alwaysLogged) Clone(a AccessLog) AccessLog { return a }
func (alwaysLogged) Plain(a AccessLog) any {
	logged := []any{}
	if a.AlwaysErrors {
		logged = append(logged, "errors")
	}
	if a.AlwaysSlow {
		logged = append(logged, "slow")
	}
	return logged
}
func (k alwaysLogged) Shape() *schema.Shape { return k.words().Shape() }
func (alwaysLogged) Fill(a *AccessLog)      { a.AlwaysErrors, a.AlwaysSlow = true, true }

func (k alwaysLogged) Read(d *schema.Decoder, n *schema.Node, a *AccessLog) {
	var chosen []string
	k.words().Read(d, n, &chosen)
	a.AlwaysErrors = slices.Contains(chosen, "errors")
	a.AlwaysSlow = slices.Contains(chosen, "slow")
}
