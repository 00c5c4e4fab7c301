package scenario

import (
	"io/fs"
	"path"
	"strings"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/schema"
)

// Files returns the files of the policy. It fails if they cannot be read.
func (p Policy) Files(fsys fs.FS) (policy.Files, error) {
	if p.Dir == "" {
		return policy.Files{path.Base(p.Pos.File): []byte(p.Inline)}, nil
	}
	dir, err := fs.Sub(fsys, p.Dir)
	if err != nil {
		return nil, err
	}
	return policy.ReadFiles(dir)
}

// filePath is the path of a file or directory, relative to the scenario's file.
func filePath() *schema.Scalar[string] {
	return schema.Checked("path", "", complainFilePath)
}

func complainFilePath(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > 4096:
		return "is too long a path"
	case path.IsAbs(s) || strings.ContainsAny(s, "\\\x00"):
		return schema.Quote(s) + " is not a path relative to this file, such as ../policies"
	}
	return ""
}

// beside returns the path, from the root of the FS, of what a file names relative to
// itself; "" if that lies outside.
func beside(file, relative string) string {
	joined := path.Join(path.Dir(file), relative)
	if !fs.ValidPath(joined) {
		return ""
	}
	return joined
}

// policiesKind is a policy, or a list of them.
type policiesKind struct{}

func (policiesKind) Fill(*[]Policy)            {}
func (policiesKind) Clone(p []Policy) []Policy { return p }
func (policiesKind) Plain([]Policy) any        { return nil }

func (policiesKind) Shape() *schema.Shape {
	one, some := policyKind{}.Shape(), schema.SomeOf[Policy](policyKind{}).Shape()
	return &schema.Shape{Text: "path, a policy, or a list of these",
		Schema: schema.Schema{AnyOf: append(one.Schema.AnyOf[:len(one.Schema.AnyOf):len(one.Schema.AnyOf)], some.Schema)}}
}

func (policiesKind) Read(d *schema.Decoder, n *schema.Node, into *[]Policy) {
	if n.Kind == schema.SequenceNode {
		schema.SomeOf[Policy](policyKind{}).Read(d, n, into)
		return
	}
	var one Policy
	policyKind{}.Read(d, n, &one)
	*into = []Policy{one}
}

// policyKind is the path of a directory, or a policy written out.
type policyKind struct{}

func (policyKind) Fill(*Policy)          {}
func (policyKind) Clone(p Policy) Policy { return p }
func (policyKind) Plain(Policy) any      { return nil }

func (policyKind) Shape() *schema.Shape {
	return &schema.Shape{Text: "path, or a policy",
		Schema: schema.Schema{AnyOf: []schema.Schema{{Type: "string"}, {Type: "object"}}}}
}

func (policyKind) Read(d *schema.Decoder, n *schema.Node, p *Policy) {
	switch {
	case d.PassedOver(n):
	case n.Kind == schema.MappingNode:
		*p = Policy{Pos: d.File.Pos(n), Inline: d.File.Source(n)}
	case n.Kind == schema.ScalarNode && strings.Contains(n.Value, "\n"):
		*p = Policy{Pos: d.File.Pos(n), Inline: d.File.BlockSource(n)}
	case n.Kind == schema.ScalarNode:
		var relative string
		errors := d.Errors
		filePath().Read(d, n, &relative)
		if d.Errors > errors {
			return
		}
		dir := beside(d.File.Name(), relative)
		if dir == "" {
			d.Fail(n, schema.CodeBadValue, "%s lies outside of the directory that scenarios are read from", schema.Quote(relative))
			return
		}
		*p = Policy{Pos: d.File.Pos(n), Dir: dir}
	default:
		d.Fail(n, schema.CodeWrongType, "must be the path of a directory, or a policy written out, not %s", schema.Describe(n))
	}
}
