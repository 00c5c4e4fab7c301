package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"go-loadbalancer/lb/schema"
)

type library struct {
	Name    string
	Shelves []shelf
	Tags    []string
	Order   []string
	Pairs   []pair
	Notes   []schema.HeaderValue
	Keeper  *keeper
}

type shelf struct {
	Name  string
	Books int
}

type pair struct {
	From string
	Many int
}

type keeper struct{ Since int }

func table() *schema.Object[library] {
	shelves := &schema.Object[shelf]{Fields: []schema.Field[shelf]{
		schema.Required("name", schema.Acts, schema.Name(), func(s *shelf) *string { return &s.Name }, "What it is called."),
		schema.Optional("books", schema.Acts, schema.Integer(0, 100), 10, func(s *shelf) *int { return &s.Books }, "How many books it holds."),
	}}
	pairs := &schema.Object[pair]{Fields: []schema.Field[pair]{
		schema.Optional("from", schema.Acts, schema.Name(), "a", func(p *pair) *string { return &p.From }, "Where it is from."),
		schema.Optional("many", schema.Acts, schema.Integer(0, 100), 1, func(p *pair) *int { return &p.Many }, "How many there are."),
	}}
	keepers := &schema.Object[keeper]{Fields: []schema.Field[keeper]{
		schema.Optional("since", schema.Acts, schema.Integer(0, 3000), 2000, func(k *keeper) *int { return &k.Since }, "The year it began."),
	}}
	return &schema.Object[library]{Fields: []schema.Field[library]{
		schema.Optional("name", schema.Acts, schema.Name(), "", func(l *library) *string { return &l.Name }, "What it is called."),
		schema.Optional("shelves", schema.Acts, schema.ListOf(shelves), nil, func(l *library) *[]shelf { return &l.Shelves }, "The shelves."),
		schema.Optional("tags", schema.Acts, schema.ListOf(schema.Name()).AnyOrder(), nil, func(l *library) *[]string { return &l.Tags }, "What it has."),
		schema.Optional("order", schema.Acts, schema.ListOf(schema.Name()), []string{"x"}, func(l *library) *[]string { return &l.Order }, "What comes first."),
		schema.Optional("pairs", schema.Acts, schema.ListOf(pairs).AnyOrder(), nil, func(l *library) *[]pair { return &l.Pairs }, "What is called nothing."),
		schema.Section("notes", schema.Acts, schema.Headers(func(string) string { return "" }), func(l *library) *[]schema.HeaderValue { return &l.Notes }, "What is said of it."),
		schema.Extra("keeper", schema.Acts, keepers, func(l *library) **keeper { return &l.Keeper }, "Who keeps it."),
	}}
}

func parse(t *testing.T, text string) library {
	t.Helper()
	r := &schema.Report{Noun: "library"}
	file, docs := r.Parse("a.yaml", []byte(text))
	var l library
	table().Read(&schema.Decoder{Report: r, File: file}, docs[0], &l)
	if r.Errors > 0 {
		t.Fatal(r.Diagnostics())
	}
	return l
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing", "{name: a}", "{name: a, order: [x]}", ""},
		{"a scalar", "{name: a}", "{name: b}", "changed name a b at name name"},
		{"a scalar that was none", "{tags: [a]}", "{tags: [a], name: b}", "changed name none b at name name"},
		{"items by name", "{shelves: [{name: a}, {name: b}]}", "{shelves: [{name: b, books: 1}, {name: c, books: 3}]}",
			"changed shelves[b].books 10 1 at shelves.1.books shelves.0.books|added shelves[c] none {name: c, books: 3} at  shelves.1|removed shelves[a] {name: a} none at shelves.0 "},
		{"another order", "{shelves: [{name: a}, {name: b}]}", "{shelves: [{name: b}, {name: a}]}", "reordered shelves [a, b] [b, a] at shelves shelves"},
		{"one comes in between", "{shelves: [{name: a}, {name: b}]}", "{shelves: [{name: a}, {name: c, books: 1}, {name: b}]}", "added shelves[c] none {name: c, books: 1} at  shelves.1"},
		{"another name", "{shelves: [{name: a, books: 5}, {name: b}]}", "{shelves: [{name: b}, {name: c, books: 5}]}",
			"renamed shelves[c].name a c at shelves.0.name shelves.1.name|reordered shelves [a, b] [b, c] at shelves shelves"},
		{"one name twice", "{shelves: [{name: a}, {name: a, books: 2}]}", "{shelves: [{name: a}, {name: a, books: 3}]}", "changed shelves[1].books 2 3 at shelves.1.books shelves.1.books"},
		{"a set", "{tags: [a, b]}", "{tags: [b, a, a]}", ""},
		{"a larger set", "{tags: [a, b]}", "{tags: [b, c, a]}", "changed tags [a, b] [b, c, a] at tags tags"},
		{"a list", "{order: [a, b]}", "{order: [b, a]}", "changed order [a, b] [b, a] at order order"},
		{"an empty list", "{order: []}", "{}", "changed order none [x] at order order"},
		{"items without a name", "{pairs: [{from: a}, {from: b}, {from: c}]}", "{pairs: [{from: c}, {from: b, many: 2}, {from: a}]}", "changed pairs[1].many 1 2 at pairs.1.many pairs.1.many"},
		{"others of them", "{pairs: [{from: a}, {from: b}]}", "{pairs: [{from: b}, {from: d}]}", "changed pairs[1].from a d at pairs.0.from pairs.1.from"},
		{"fewer of them", "{pairs: [{from: a}, {from: b}]}", "{pairs: [{from: b}]}", "removed pairs[0] {} none at pairs.0 "},
		{"free keys", "{notes: {A: x, B: y}}", "{notes: {C: z, B: q}}", "added notes.C none z at notes.C notes.C|changed notes.B y q at notes.B notes.B|removed notes.A x none at notes.A notes.A"},
		{"free keys in another order", "{notes: {A: x, B: y}}", "{notes: {B: y, A: x}}", ""},
		{"what can be left out", "{}", "{keeper: {}}", "added keeper none {} at keeper keeper"},
		{"and was", "{keeper: {since: 1990}}", "{}", "removed keeper {since: 1990} none at keeper keeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			steps := func(at []schema.Step) string {
				var parts []string
				for _, s := range at {
					if s.Key == "" {
						s.Key = fmt.Sprint(s.Index)
					}
					parts = append(parts, s.Key)
				}
				return strings.Join(parts, ".")
			}
			for _, d := range schema.Compare(table().Shape(), table().Plain(parse(t, c.old)), table().Plain(parse(t, c.new))) {
				got = append(got, fmt.Sprintf("%s %s %s %s at %s %s", d.Kind, d.Path, schema.Flow(schema.Brief(d.Shape, d.Old)), schema.Flow(schema.Brief(d.Shape, d.New)), steps(d.OldAt), steps(d.NewAt)))
			}
			if s := strings.Join(got, "|"); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}
