package scenario

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"go-loadbalancer/lb/schema"
)

// The table of the language: this file has its head, table_*.go the rest. A row is a
// field's name, its type, its default, where it goes in Go, and its documentation.

const acts = schema.Acts

// maxDuration is how long a scenario may be.
const maxDuration = 24 * time.Hour

// draft is what one document says, before what holds between its parts is looked at.
type draft struct {
	apiVersion, kind string
	use              string
	Scenario
}

// documentKind is a whole document. With keep, what its spec leaves out stays as it is.
func documentKind(keep bool) *schema.Object[draft] {
	return &schema.Object[draft]{Fields: []schema.Field[draft]{
		schema.Required("apiVersion", acts, schema.OneOf("sim/v1"), func(d *draft) *string { return &d.apiVersion },
			"The version of this language."),
		schema.Required("kind", acts, schema.OneOf("Scenario"), func(d *draft) *string { return &d.kind },
			"What the document is."),
		schema.Required("metadata", acts, metadataKind(), schema.Same[draft],
			"What the scenario is called."),
		schema.Required("spec", acts, specKind(keep), schema.Same[draft],
			"What the scenario says."),
	}, Pos: func(d *draft) *Pos { return &d.Pos }}
}

func metadataKind() *schema.Object[draft] {
	return &schema.Object[draft]{Fields: []schema.Field[draft]{
		schema.Required("name", acts, schema.Name(), func(d *draft) *string { return &d.Name },
			"The scenario's name, unique among those that are run together."),
		schema.Optional("description", acts, prose(4096), "", func(d *draft) *string { return &d.Description },
			"What goes wrong, and why that is hard."),
		schema.Optional("source", acts, prose(4096), "", func(d *draft) *string { return &d.Source },
			"Where the failure was seen, or described."),
	}}
}

func specKind(keep bool) *schema.Object[draft] {
	return &schema.Object[draft]{Keep: keep, Fields: []schema.Field[draft]{
		schema.Optional("use", acts, filePath(), "", func(d *draft) *string { return &d.use },
			"Another scenario that this one builds on: the path of a file with one document, relative to this file. What this spec leaves out is taken from there. Lists are replaced as a whole; of topology, each field of each pool can be given alone."),
		schema.Optional("seed", acts, schema.IntegerOf[uint64](1, 1<<53), 1, func(d *draft) *uint64 { return &d.Seed },
			"What chance is made from: the same seed gives the same run."),
		schema.Optional("duration", acts, schema.Duration(time.Millisecond, maxDuration), 0, func(d *draft) *time.Duration { return &d.Duration },
			"How long load comes and expectations are judged. Required, unless use gives it.").DefaultsTo(nil),
		schema.Optional("policy", acts, policyKind{}, Policy{}, func(d *draft) *Policy { return &d.Policy },
			"The policy that the balancers begin with: a directory, relative to this file, or a whole policy written out, as a mapping or as text. Required, unless use gives it.").DefaultsTo(nil),
		schema.Section("topology", acts, topologyKind(keep), func(d *draft) *Topology { return &d.Topology },
			"What there is beside the policy."),
		schema.Optional("load", acts, schema.SomeOf(loadKind()), nil, func(d *draft) *[]Load { return &d.Load },
			"Requests that come. Required, unless use gives it."),
		schema.Optional("timeline", acts, schema.ListOf(faultKind()), nil, func(d *draft) *[]Fault { return &d.Timeline },
			"What goes wrong, and when."),
		schema.Optional("expect", acts, schema.ListOf(expectationKind()), nil, func(d *draft) *[]Expectation { return &d.Expect },
			"What must be true. The invariants must hold besides."),
		schema.Optional("waive", acts, schema.ListOf(waiverKind()), nil, func(d *draft) *[]Waiver { return &d.Waive },
			"Invariants that need not hold."),
		schema.Optional("mutations", acts, schema.ListOf(mutationKind()), nil, func(d *draft) *[]Mutation { return &d.Mutations },
			"Changes of the policy by each of which the scenario must fail: that shows that it tests what it says."),
	}}
}

func waiverKind() *schema.Object[Waiver] {
	return &schema.Object[Waiver]{Pos: func(w *Waiver) *Pos { return &w.Pos }, Fields: []schema.Field[Waiver]{
		schema.Required("id", acts, schema.OneOf(invariantIDs()...), func(w *Waiver) *string { return &w.ID },
			"The invariant."),
		schema.Required("because", acts, prose(4096), func(w *Waiver) *string { return &w.Because },
			"Why it cannot hold here."),
	}}
}

// prose is text for people, of one or more lines.
func prose(most int) *schema.Scalar[string] {
	return schema.Checked(fmt.Sprintf("text, up to %d characters", most), "", func(s string) string {
		for _, r := range s {
			if r != '\n' && r != '\t' && unicode.IsControl(r) {
				return "must not hold control characters"
			}
		}
		switch {
		case s == "":
			return "must not be empty"
		case utf8.RuneCountInString(s) > most:
			return fmt.Sprintf("is longer than %d characters", most)
		}
		return ""
	})
}
