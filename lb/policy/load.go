package policy

import (
	"fmt"

	"go-loadbalancer/lb/schema"
)

// Load decodes and validates the policy. It hashes exactly what it reads. The
// policy is nil if a diagnostic is an error.
func (f Files) Load() (*Policy, Diagnostics) {
	w, found := f.Read()
	if w == nil {
		return nil, found
	}
	return w.Policy, found
}

// Read is [Files.Load] of a policy that knows where each of its values was written.
func (f Files) Read() (*Written, Diagnostics) {
	r := &schema.Report{Noun: "policy"}
	var p *placed
	if docs := f.decode(r); docs != nil {
		p = merge(r, docs)
	}
	found := r.Diagnostics()
	if found.HasErrors() {
		return nil, found
	}
	p.Hash = f.Hash()
	return &Written{p.Policy, p}, found
}

// decode reads the documents of all files. It returns nil if the files are too
// many, too large or none.
func (f Files) decode(r *schema.Report) []*document {
	names := f.names()
	if len(names) == 0 {
		r.Add(Diagnostic{Severity: SeverityError, Code: CodeNoFile, Message: "the directory has no *.yaml or *.yml file: a policy needs one"})
		return nil
	}
	if len(names) > maxFiles {
		r.Add(Diagnostic{Severity: SeverityError, Code: CodeTooManyFiles,
			Message: fmt.Sprintf("the directory has more than %d policy files: join some into one", maxFiles)})
		return nil
	}
	total := 0
	for _, name := range names {
		total += len(f[name])
		if len(f[name]) > maxFileSize {
			r.Add(Diagnostic{Severity: SeverityError, Code: CodeTooLarge, Pos: Pos{File: name, Line: 1, Col: 1},
				Message: fmt.Sprintf("the file is larger than %d MiB: split it", maxFileSize>>20)})
		}
	}
	if total > maxTotalSize {
		r.Add(Diagnostic{Severity: SeverityError, Code: CodeTooLarge,
			Message: fmt.Sprintf("the policy files are larger than %d MiB together", maxTotalSize>>20)})
	}
	if r.Errors > 0 {
		return nil
	}

	kind := documentKind()
	docs := []*document{}
	for _, name := range names {
		file, roots := r.Parse(name, f[name])
		for _, root := range roots {
			if r.Full() {
				return docs
			}
			d := &schema.Decoder{Report: r, File: file}
			if stranger(d, root) {
				r.Incomplete = true
				continue
			}
			doc := &document{file: file, root: root}
			kind.Read(d, root, doc)
			docs = append(docs, doc)
		}
	}
	return docs
}

// stranger reports a document that says it is something other than a policy:
// looking for its mistakes as a policy would bury that one.
func stranger(d *schema.Decoder, root *schema.Node) bool {
	_, kind := schema.Entry(root, "kind")
	if kind == nil || kind.Kind != schema.ScalarNode || kind.Value == "Policy" {
		return false
	}
	d.FailAt(root, "kind", CodeUnknownChoice, "%s does not belong in a directory of policies: move the file elsewhere, or write Policy", schema.Quote(kind.Value))
	return true
}
