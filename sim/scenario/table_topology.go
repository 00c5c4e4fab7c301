package scenario

import (
	"slices"
	"time"

	"go-loadbalancer/lb/schema"
)

// maxReplicas is how many balancers a scenario may have.
const maxReplicas = 64

// defaultLatency is how long a healthy endpoint takes.
const defaultLatency = 5 * time.Millisecond

func topologyKind(keep bool) *schema.Object[Topology] {
	return &schema.Object[Topology]{Keep: keep, Fields: []schema.Field[Topology]{
		schema.Optional("replicas", acts, schema.Integer(1, maxReplicas), 1, func(t *Topology) *int { return &t.Replicas },
			"How many balancers there are at first: lb/1, lb/2 and so on."),
		schema.Extra("redis", acts, schema.Boolean(), func(t *Topology) **bool { return &t.Redis },
			"Whether there is a Redis. None: if the policy has a pool with store: Redis."),
		schema.Section("pools", acts, poolModels{}, func(t *Topology) *[]PoolModel { return &t.Pools },
			"How the endpoints of pools do while they are well, by the pool's name. Those of a pool that is not here have the defaults."),
	}}
}

func poolModelKind(keep bool) *schema.Object[PoolModel] {
	return &schema.Object[PoolModel]{Keep: keep, Pos: func(p *PoolModel) *Pos { return &p.Pos }, Check: checkPoolModel, Fields: []schema.Field[PoolModel]{
		schema.Optional("latency", acts, latencyKind(), Latency{P50: defaultLatency}, func(p *PoolModel) *Latency { return &p.Latency },
			"How long an endpoint takes over a request."),
		schema.Optional("capacity", acts, schema.Number(0, 1_000_000), 0, func(p *PoolModel) *float64 { return &p.Capacity },
			"Requests a second that an endpoint serves. 0: no bound."),
		schema.Optional("queue", acts, schema.Integer(0, 1_000_000), 0, func(p *PoolModel) *int { return &p.Queue },
			"Requests that wait at an endpoint beyond its capacity, before it answers 503."),
		schema.Optional("bodySize", acts, schema.Integer(0, 64<<20), 64, func(p *PoolModel) *int { return &p.BodySize },
			"Bytes of the body of an answer."),
	}}
}

// latencyKind is one duration, or a distribution.
func latencyKind() schema.Kind[Latency] {
	return schema.Either(fixedLatency{schema.Duration(0, time.Hour)}, schema.Kind[Latency](spreadLatency()))
}

func spreadLatency() *schema.Object[Latency] {
	return &schema.Object[Latency]{Check: checkLatency, Fields: []schema.Field[Latency]{
		schema.Required("p50", acts, schema.Duration(0, time.Hour), func(l *Latency) *time.Duration { return &l.P50 },
			"The median."),
		schema.Optional("p99", acts, schema.Duration(0, time.Hour), 0, func(l *Latency) *time.Duration { return &l.P99 },
			"The 99th percentile of a log-normal distribution. None: it is always p50.").DefaultsTo(nil),
	}}
}

func checkLatency(d *schema.Decoder, n *schema.Node, l *Latency) {
	switch {
	case !schema.Written(n, "p99"):
	case l.P50 == 0:
		d.FailAt(n, "p50", schema.CodeConflict, "0s has no distribution around it: write latency: 0s, or a longer one")
	case l.P99 < l.P50:
		d.FailAt(n, "p99", schema.CodeConflict, "%s is shorter than p50, %s", schema.FormatDuration(l.P99), schema.FormatDuration(l.P50))
	}
}

// fixedLatency is a latency that is always the same.
type fixedLatency struct {
	of *schema.Scalar[time.Duration]
}

func (fixedLatency) Fill(*Latency)           {}
func (fixedLatency) Clone(l Latency) Latency { return l }
func (k fixedLatency) Plain(l Latency) any   { return k.of.Plain(l.P50) }
func (k fixedLatency) Shape() *schema.Shape  { return k.of.Shape() }
func (k fixedLatency) Read(d *schema.Decoder, n *schema.Node, l *Latency) {
	l.P99 = 0
	k.of.Read(d, n, &l.P50)
}

func checkPoolModel(d *schema.Decoder, n *schema.Node, p *PoolModel) {
	if p.Queue > 0 && p.Capacity == 0 && schema.Written(n, "queue") {
		d.FailAt(n, "queue", schema.CodeConflict, "has no effect without capacity: nothing ever waits")
	}
}

// poolModels is a mapping of pools' names to what is said about them. A pool that is
// there already keeps what is left out.
type poolModels struct{}

func (poolModels) Fill(*[]PoolModel)               {}
func (poolModels) Clone(v []PoolModel) []PoolModel { return slices.Clone(v) }
func (poolModels) Plain([]PoolModel) any           { return nil }

func (poolModels) Shape() *schema.Shape {
	one := poolModelKind(false).Shape()
	return &schema.Shape{Text: "mapping of names to pools", Values: one,
		Schema: schema.Schema{Type: "object", Additional: one.Schema}}
}

func (poolModels) Read(d *schema.Decoder, n *schema.Node, into *[]PoolModel) {
	name := schema.Name()
	schema.EachEntry(d, n, "mapping of pools' names to how they do: write {cart: {latency: 20ms}}", func(key, value *schema.Node) {
		var p PoolModel
		name.Read(d, key, &p.Name)
		at := slices.IndexFunc(*into, func(q PoolModel) bool { return q.Name == p.Name })
		if at >= 0 {
			p = (*into)[at]
			poolModelKind(true).Read(d, value, &p)
			(*into)[at] = p
			return
		}
		poolModelKind(false).Read(d, value, &p)
		*into = append(*into, p)
	})
}
