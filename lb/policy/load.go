package policy

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// Load decodes and validates the policy. It hashes exactly what it reads. The
// policy is nil if a diagnostic is an error.
func (f Files) Load() (*Policy, Diagnostics) {
	r := &report{noun: "policy"}
	p := &Policy{}
	if docs := f.decode(r); docs != nil {
		p = merge(r, docs)
	}
	found := r.diagnostics()
	if found.HasErrors() {
		return nil, found
	}
	p.Hash = f.Hash()
	return p, found
}

// decode reads the documents of all files. It returns nil if the files are too
// many, too large or none.
func (f Files) decode(r *report) []*document {
	names := f.names()
	if len(names) == 0 {
		r.add(Diagnostic{Severity: SeverityError, Code: CodeNoFile, Message: "the directory has no *.yaml or *.yml file: a policy needs one"})
		return nil
	}
	if len(names) > maxFiles {
		r.add(Diagnostic{Severity: SeverityError, Code: CodeTooManyFiles,
			Message: fmt.Sprintf("the directory has more than %d policy files: join some into one", maxFiles)})
		return nil
	}
	total := 0
	for _, name := range names {
		total += len(f[name])
		if len(f[name]) > maxFileSize {
			r.add(Diagnostic{Severity: SeverityError, Code: CodeTooLarge, Pos: Pos{File: name, Line: 1, Col: 1},
				Message: fmt.Sprintf("the file is larger than %d MiB: split it", maxFileSize>>20)})
		}
	}
	if total > maxTotalSize {
		r.add(Diagnostic{Severity: SeverityError, Code: CodeTooLarge,
			Message: fmt.Sprintf("the policy files are larger than %d MiB together", maxTotalSize>>20)})
	}
	if r.errors > 0 {
		return nil
	}

	kind := documentKind()
	docs := []*document{}
	for _, name := range names {
		file, roots := r.parse(name, f[name])
		for _, root := range roots {
			if r.full() {
				return docs
			}
			d := &decoder{report: r, file: file}
			if stranger(d, root) {
				r.incomplete = true
				continue
			}
			doc := &document{file: file, root: root}
			kind.read(d, root, doc)
			docs = append(docs, doc)
		}
	}
	return docs
}

// stranger reports a document that says it is something other than a policy:
// looking for its mistakes as a policy would bury that one.
func stranger(d *decoder, root *yaml.Node) bool {
	_, kind := entry(root, "kind")
	if kind == nil || kind.Kind != yaml.ScalarNode || kind.Value == "Policy" {
		return false
	}
	d.failAt(root, "kind", CodeUnknownChoice, "%s does not belong in a directory of policies: move the file elsewhere, or write Policy", quote(kind.Value))
	return true
}
