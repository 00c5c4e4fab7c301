package scenario

import (
	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

func mutationKind() *schema.Object[Mutation] {
	return &schema.Object[Mutation]{Pos: func(m *Mutation) *Pos { return &m.Pos }, Fields: []schema.Field[Mutation]{
		schema.Required("name", acts, schema.Name(), func(m *Mutation) *string { return &m.Name },
			"What it is called in reports, unique in the scenario."),
		schema.Required("set", acts, assignments{}, func(m *Mutation) *[]Assignment { return &m.Set },
			"Fields of the policy with other values, such as {\"spec.pools[cart].circuitBreaker.failurePercent\": 0}. Items of lists are named by their name, pool or address, or by their place, from 0. The policies that are applied are changed likewise, where they have the item."),
	}}
}

// assignments is a mapping of paths to values.
type assignments struct{}

func (assignments) Fill(*[]Assignment)                {}
func (assignments) Clone(v []Assignment) []Assignment { return v }
func (assignments) Plain([]Assignment) any            { return nil }

func (assignments) Shape() *schema.Shape {
	return &schema.Shape{Text: "mapping of paths to values",
		Schema: schema.Schema{Type: "object", Additional: schema.Schema{}, MinProperties: 1}}
}

func (assignments) Read(d *schema.Decoder, n *schema.Node, into *[]Assignment) {
	language := policy.Shape()
	schema.EachEntry(d, n, "mapping of paths to values: write {\"spec.pools[cart].drainTimeout\": 1s}", func(key, value *schema.Node) {
		path, err := schema.ParsePath(key.Value)
		if err != nil {
			d.Fail(key, schema.CodeBadValue, "%s", err)
			return
		}
		if complaint := path.In(language); complaint != "" {
			d.Fail(key, schema.CodeUnknownField, "names no field of a policy: %s", complaint)
		}
		text := schema.Text(value)
		if text == "" { // it was reported
			return
		}
		*into = append(*into, Assignment{Pos: d.File.Pos(key), Path: key.Value, Value: text})
	})
	if n.Kind == schema.MappingNode && len(n.Content) == 0 {
		d.Fail(n, schema.CodeBadValue, "must not be empty")
	}
}
