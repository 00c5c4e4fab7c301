package policy

import (
	"slices"

	"go-loadbalancer/lb/schema"
)

// place is where one item of a document's list was written.
type place struct {
	doc   *document
	node  *schema.Node
	list  string // such as "pools"
	index int
}

// places returns where the items of a document's list were written.
func (doc *document) places(list string, count int) []place {
	_, spec := schema.Entry(doc.root, "spec")
	var items *schema.Node
	if spec != nil {
		_, items = schema.Entry(spec, list)
	}
	at := make([]place, count)
	for i := range at {
		at[i] = place{doc, items.Content[i], list, i}
	}
	return at
}

// decoder returns a decoder that stands at the item.
func (p place) decoder(r *schema.Report) *schema.Decoder {
	return &schema.Decoder{Report: r, File: p.doc.file, Path: []schema.Step{{Key: "spec"}, {Key: p.list}, {Index: p.index}}}
}

// fail reports an error about a field below the item.
func (p place) fail(r *schema.Report, below, code, format string, args ...any) {
	p.decoder(r).FailAt(p.node, below, code, format, args...)
}

// warn is fail for a warning.
func (p place) warn(r *schema.Report, below, code, format string, args ...any) {
	p.decoder(r).WarnAt(p.node, below, code, format, args...)
}

// String is file:line:col.
func (p place) String() string { return p.doc.file.Pos(p.node).String() }

// fail reports an error about a field of the document.
func (doc *document) fail(r *schema.Report, below, code, format string, args ...any) {
	d := &schema.Decoder{Report: r, File: doc.file}
	d.FailAt(doc.root, below, code, format, args...)
}

// where returns file:line:col of a field of the document.
func (doc *document) where(below string) string {
	n, _ := (&schema.Decoder{}).Find(doc.root, below)
	return doc.file.Pos(n).String()
}

// placed is a policy with where its parts were written, index by index.
type placed struct {
	*Policy
	docs                           []*document
	listenersAt, routesAt, poolsAt []place
}

// merge makes one policy of the documents, and validates it.
func merge(r *schema.Report, docs []*document) *placed {
	p := &placed{Policy: &Policy{}, docs: docs}
	p.AccessLog = AccessLog{}
	accessLogKind().Fill(&p.AccessLog)
	for _, doc := range docs {
		p.Listeners = append(p.Listeners, doc.listeners...)
		p.Routes = append(p.Routes, doc.routes...)
		p.Pools = append(p.Pools, doc.pools...)
		p.listenersAt = append(p.listenersAt, doc.places("listeners", len(doc.listeners))...)
		p.routesAt = append(p.routesAt, doc.places("routes", len(doc.routes))...)
		p.poolsAt = append(p.poolsAt, doc.places("pools", len(doc.pools))...)
	}
	p.mergeSingle(r, docs)
	p.validate(r, docs)
	if r.Errors == 0 {
		p.lint(r)
	}
	return p
}

// mergeSingle takes over what only one document may say.
func (p *placed) mergeSingle(r *schema.Report, docs []*document) {
	var named, versioned, trusting, logging *document
	for _, doc := range docs {
		switch {
		case doc.name == "":
		case named == nil:
			named, p.Name = doc, doc.name
		case doc.name != p.Name:
			doc.fail(r, "metadata.name", CodeMixedPolicies, "is %s, but %s at %s: all documents of a directory make one policy",
				schema.Quote(doc.name), schema.Quote(p.Name), named.where("metadata.name"))
		}
		switch {
		case doc.version == "":
		case versioned == nil:
			versioned, p.Version = doc, doc.version
		default:
			doc.fail(r, "metadata.version", CodeMixedPolicies, "is given twice: it is also at %s; keep it in one document",
				versioned.where("metadata.version"))
		}
		switch {
		case doc.trustedProxies == nil:
		case trusting == nil:
			trusting, p.TrustedProxies = doc, doc.trustedProxies
		default:
			doc.fail(r, "spec.trustedProxies", CodeMixedPolicies, "is given twice: it is also at %s; join the two lists",
				trusting.where("spec.trustedProxies"))
		}
		switch {
		case doc.accessLog == nil:
		case logging == nil:
			logging, p.AccessLog = doc, *doc.accessLog
		default:
			doc.fail(r, "spec.accessLog", CodeMixedPolicies, "is given twice: it is also at %s; keep it in one document",
				logging.where("spec.accessLog"))
		}
	}
	unread := func(doc *document) bool { // the version is there and wrong, or metadata is
		_, metadata := schema.Entry(doc.root, "metadata")
		return metadata == nil || metadata.Kind == 0 || schema.Written(metadata, "version")
	}
	if versioned == nil && !r.Incomplete && len(docs) > 0 && !slices.ContainsFunc(docs, unread) {
		docs[0].fail(r, "metadata.version", CodeMissing, "is required in exactly one document: say which version of the policy this is")
	}
}
