package policy

import (
	_ "embed"
	"io"

	"go-loadbalancer/lb/schema"
)

//go:embed reference_head.md
var referenceHead string

// WriteReference writes docs/policy.md: the language, its defaults and the
// diagnostics, as Markdown made from the schema table.
func WriteReference(w io.Writer) error {
	return schema.WriteReference(w, referenceHead, documentKind().Shape(),
		"Codes are stable: metrics and the JSON output of `lb validate` use them.", Codes())
}

// Shape is the table of the language: for what points into policies from outside.
func Shape() *schema.Shape { return documentKind().Shape() }

// JSONSchema returns the language as JSON Schema draft 2020-12, indented, for
// editors. It describes one document. What holds between fields, and between
// documents, only [Load] knows.
func JSONSchema() []byte {
	return schema.JSONSchema(documentKind().Shape(), "Load balancer policy",
		"One document of a policy: apiVersion lb/v1, kind Policy.")
}
