package scenario

import (
	"time"

	"go-loadbalancer/lb/schema"
)

func faultKind() *schema.Object[Fault] {
	o := &schema.Object[Fault]{Pos: func(f *Fault) *Pos { return &f.Pos }, Check: checkFault, Fields: []schema.Field[Fault]{
		schema.Optional("name", acts, faultNameKind(), "", func(f *Fault) *string { return &f.Name },
			"What expectations call it. Its name is the time when it begins, and NAME.end the time when it ends."),
		schema.Required("at", acts, schema.Duration(0, maxDuration), func(f *Fault) *time.Duration { return &f.At },
			"When it begins."),
		schema.Optional("for", acts, schema.Duration(time.Millisecond, maxDuration), 0, func(f *Fault) *time.Duration { return &f.For },
			"How long it lasts. None: to the end of the run; what happens at once has none.").DefaultsTo(nil),
		schema.Required("on", acts, anyTarget(), func(f *Fault) *Target { return &f.On },
			"What it happens to. Endpoints have the numbers they have in the policy's file order, from 1, for the whole run."),
		schema.Extra("repeat", acts, repeatKind(), func(f *Fault) **Repeat { return &f.Repeat },
			"Has it happen more than once. Its name is then the time when it begins first, and NAME.end the time when it is over for the last time."),
	}}
	for _, e := range effects() {
		o.Fields = append(o.Fields, e.field)
	}
	return o
}

// effect is a kind of fault: what it is called, what it can happen to, and what it goes
// together with.
type effect struct {
	field schema.Field[Fault]
	on    []TargetKind
	group group
	// momentary says that it happens at once, and so has no for.
	momentary bool
}

// group says what a kind of fault goes together with in one fault.
type group int

const (
	changes group = iota // changes answers; goes with others, and with one instead
	instead              // happens instead of an answer, or is one
	alone                // leaves nothing that another one could act on
)

var (
	endpoints = []TargetKind{OnEndpoint}
	processes = []TargetKind{OnEndpoint, OnBalancer}
	reachable = []TargetKind{OnEndpoint, OnRedis}
	redisOnly = []TargetKind{OnRedis}
	balancers = []TargetKind{OnBalancer}
)

// effects is the table of the kinds of faults.
func effects() []effect {
	flag := func(name string, at func(*Fault) *bool, doc string) schema.Field[Fault] {
		return schema.Optional(name, acts, onlyTrue(), false, at, doc).DefaultsTo(nil)
	}
	return []effect{
		{extra("respond", respondKind(), func(f *Fault) **Respond { return &f.Respond },
			"Answers with a status instead of the endpoint's own answer."), endpoints, instead, false},
		{schema.Extra("latency", acts, latencyKind(), func(f *Fault) **Latency { return &f.Latency },
			"How long answers take instead."), endpoints, changes, false},
		{extra("errors", errorsKind(), func(f *Fault) **Errors { return &f.Errors },
			"Fails a share of the requests, at random."), endpoints, changes, false},
		{extra("first", firstKind(), func(f *Fault) **First { return &f.First },
			"Fails the first requests from its beginning on."), endpoints, changes, false},
		{flag("hang", func(f *Fault) *bool { return &f.Hang },
			"Requests are taken and never answered."), endpoints, instead, false},
		{schema.Optional("slowBody", acts, schema.Integer(1, 1<<30), 0, func(f *Fault) *int { return &f.SlowBody },
			"Bytes of body that are sent a second.").DefaultsTo(nil), endpoints, changes, false},
		{schema.Extra("truncate", acts, schema.IntegerOf[int64](0, 1<<40), func(f *Fault) **int64 { return &f.Truncate },
			"After how many bytes of the body the connection is closed."), endpoints, changes, false},
		{schema.Extra("contentLength", acts, schema.IntegerOf[int64](0, 1<<40), func(f *Fault) **int64 { return &f.ContentLength },
			"The length that is announced, whatever the body has."), endpoints, changes, false},
		{flag("garbage", func(f *Fault) *bool { return &f.Garbage },
			"Answers are bytes that are not HTTP."), endpoints, instead, false},
		{schema.Optional("health", acts, schema.OneOf("pass", "fail"), "", func(f *Fault) *string { return &f.Health },
			"What the endpoint's health check says, whatever else is wrong. None: it meets the fault as any request does."), endpoints, changes, false},
		{flag("refuse", func(f *Fault) *bool { return &f.Refuse },
			"Connections are refused."), endpoints, alone, false},
		{flag("blackhole", func(f *Fault) *bool { return &f.Blackhole },
			"What is sent is lost without a word, and so are attempts to connect."), endpoints, alone, false},
		{flag("reset", func(f *Fault) *bool { return &f.Reset },
			"Connections are reset instead of an answer."), endpoints, instead, false},
		{flag("close", func(f *Fault) *bool { return &f.Close },
			"Connections are closed instead of an answer."), endpoints, instead, false},
		{schema.Section("partition", acts, partitionKind{}, schema.Same[Fault],
			"Who cannot reach it: true for all balancers, or a list such as [lb/1].").DefaultsTo(nil), reachable, alone, false},
		{flag("kill", func(f *Fault) *bool { return &f.Kill },
			"The process ends without a word, and with it its connections. It comes back at the fault's end."), processes, alone, false},
		{flag("restart", func(f *Fault) *bool { return &f.Restart },
			"The process ends as it should, finishing what it has begun, and comes back at once. A balancer is sent nothing new for a second before."), processes, alone, true},
		{flag("pause", func(f *Fault) *bool { return &f.Pause },
			"The process stands still, its connections open."), processes, alone, false},
		{extra("flap", flapKind(), func(f *Fault) **Flap { return &f.Flap },
			"The process goes and comes, again and again."), endpoints, alone, false},
		{schema.Optional("clock", acts, schema.Duration(-maxDuration, maxDuration), 0, func(f *Fault) *time.Duration { return &f.Clock },
			"By how much its wall clock jumps: forward, or back with a minus. It jumps back at the fault's end.").DefaultsTo(nil), balancers, alone, false},
		{flag("down", func(f *Fault) *bool { return &f.Down },
			"Redis is away; what it holds is there when it is back."), redisOnly, alone, false},
		{schema.Optional("slow", acts, schema.Duration(time.Millisecond, time.Hour), 0, func(f *Fault) *time.Duration { return &f.Slow },
			"How much later Redis answers.").DefaultsTo(nil), redisOnly, alone, false},
		{flag("failover", func(f *Fault) *bool { return &f.Failover },
			"Another Redis takes over, without the last second's writes. With for, Redis is away so long meanwhile."), redisOnly, alone, false},
		{flag("flush", func(f *Fault) *bool { return &f.Flush },
			"Redis forgets all it holds."), redisOnly, alone, true},
		{flag("readonly", func(f *Fault) *bool { return &f.ReadOnly },
			"Redis refuses writes."), redisOnly, alone, false},
		{schema.Section("apply", acts, policiesKind{}, func(f *Fault) *[]Policy { return &f.Apply },
			"Another policy, good or bad: a directory, relative to this file, or a whole policy written out. With repeat a list of them, each in turn.").DefaultsTo(nil), []TargetKind{OnPolicy}, alone, true},
		{schema.Optional("scale", acts, schema.Integer(1, maxReplicas), 0, func(f *Fault) *int { return &f.Scale },
			"How many balancers there are from now on. New ones get the numbers that follow; the last ones go first, as they should.").DefaultsTo(nil), balancers, alone, true},
	}
}

func extra[V any](name string, k *schema.Object[V], at func(*Fault) **V, doc string) schema.Field[Fault] {
	return schema.Extra(name, acts, k, at, doc)
}

// mostTimes is how often a fault happens at the most.
const mostTimes = 10_000

func repeatKind() *schema.Object[Repeat] {
	return &schema.Object[Repeat]{Fields: []schema.Field[Repeat]{
		schema.Required("every", acts, schema.Duration(time.Millisecond, time.Hour), func(r *Repeat) *time.Duration { return &r.Every },
			"How long from one beginning to the next."),
		schema.Required("times", acts, schema.Integer(2, mostTimes), func(r *Repeat) *int { return &r.Times },
			"How often it happens in all."),
	}}
}

func respondKind() *schema.Object[Respond] {
	return &schema.Object[Respond]{Fields: []schema.Field[Respond]{
		schema.Required("status", acts, schema.Integer(200, 599), func(r *Respond) *int { return &r.Status },
			"The status."),
		schema.Optional("after", acts, schema.Duration(0, time.Hour), 0, func(r *Respond) *time.Duration { return &r.After },
			"How long the answer takes in all."),
	}}
}

func errorsKind() *schema.Object[Errors] {
	return &schema.Object[Errors]{Fields: []schema.Field[Errors]{
		schema.Required("percent", acts, schema.Number(0, 100), func(e *Errors) *float64 { return &e.Percent },
			"The share of the requests."),
		schema.Optional("status", acts, schema.Integer(400, 599), 503, func(e *Errors) *int { return &e.Status },
			"The status that they are answered with."),
	}}
}

func firstKind() *schema.Object[First] {
	return &schema.Object[First]{Fields: []schema.Field[First]{
		schema.Required("count", acts, schema.Integer(1, 1_000_000), func(f *First) *int { return &f.Count },
			"How many requests."),
		schema.Optional("status", acts, schema.Integer(400, 599), 503, func(f *First) *int { return &f.Status },
			"The status that they are answered with."),
	}}
}

func flapKind() *schema.Object[Flap] {
	span := schema.Duration(time.Millisecond, time.Hour)
	return &schema.Object[Flap]{Fields: []schema.Field[Flap]{
		schema.Required("up", acts, span, func(f *Flap) *time.Duration { return &f.Up },
			"How long it is there each time."),
		schema.Required("down", acts, span, func(f *Flap) *time.Duration { return &f.Down },
			"How long it is away each time; it begins by going."),
	}}
}

// onlyTrue is true: what is not so is left out.
func onlyTrue() *schema.Scalar[bool] {
	return schema.Refine(schema.Boolean(), "true", schema.Schema{Enum: []any{true}}, func(v bool) string {
		if !v {
			return "false says nothing: leave it out"
		}
		return ""
	})
}

// partitionKind is true, or a list of balancers.
type partitionKind struct{}

func (partitionKind) Fill(*Fault)         {}
func (partitionKind) Clone(f Fault) Fault { return f }
func (partitionKind) Plain(Fault) any     { return nil }

func (partitionKind) Shape() *schema.Shape {
	all, some := onlyTrue().Shape(), schema.SomeOf(oneBalancer()).Shape()
	return &schema.Shape{Text: "true, or a " + some.Text, Schema: schema.Schema{AnyOf: []schema.Schema{all.Schema, some.Schema}}}
}

func (partitionKind) Read(d *schema.Decoder, n *schema.Node, f *Fault) {
	if n.Kind == schema.SequenceNode {
		f.Partitioned = true
		schema.SomeOf(oneBalancer()).Read(d, n, &f.Partition)
		return
	}
	onlyTrue().Read(d, n, &f.Partitioned)
}
