package scenario

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"go-loadbalancer/lb/schema"
)

//go:embed reference_head.md
var referenceHead string

// WriteReference writes docs/scenarios.md: the language, its defaults, faults and
// invariants, and the diagnostics, as Markdown made from the tables. The tables of the words
// of expressions and of what stands between them are of package expect, which knows them.
func WriteReference(w io.Writer, words, operators string) error {
	head := strings.NewReplacer("{{faults}}", faultTable(), "{{invariants}}", invariantTable(), "{{words}}", words, "{{operators}}", operators).Replace(referenceHead)
	return schema.WriteReference(w, head, documentKind(false).Shape(), "Codes are stable.", Codes())
}

// faultTable says which kinds of faults can happen to what.
func faultTable() string {
	var b strings.Builder
	b.WriteString("| Fault | of endpoints | of Redis | of balancers | of the policy |\n|---|---|---|---|---|\n")
	for _, e := range effects() {
		fmt.Fprintf(&b, "| `%s` |", e.field.Name)
		for _, kind := range []TargetKind{OnEndpoint, OnRedis, OnBalancer, OnPolicy} {
			switch {
			case !slices.Contains(e.on, kind):
				b.WriteString(" |")
			case e.momentary:
				b.WriteString(" at once |")
			default:
				b.WriteString(" yes |")
			}
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func invariantTable() string {
	var b strings.Builder
	b.WriteString("| Id | What holds |\n|---|---|\n")
	for _, i := range Invariants() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", i.ID, i.Meaning)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// JSONSchema returns the language as JSON Schema draft 2020-12, indented, for editors. It
// describes one document. What holds between fields only [Read] knows.
func JSONSchema() []byte {
	return schema.JSONSchema(documentKind(false).Shape(), "Simulator scenario", "One scenario: apiVersion sim/v1, kind Scenario.")
}
