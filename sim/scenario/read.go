package scenario

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go-loadbalancer/lb/schema"
)

// What scenarios that are loaded together may weigh, so that a mistaken path cannot fill
// the memory.
const (
	maxFiles     = 256     // of a directory
	maxFileSize  = 1 << 20 // bytes
	maxDocuments = 64      // of a file
	maxUses      = 8       // scenarios that build on one another
)

// Read reads the scenarios of a file, or of the *.yaml and *.yml files of a directory, in
// the order of names and documents. One that has an error is left out. All errors are
// reported at once, up to a limit.
func Read(fsys fs.FS, name string) ([]*Scenario, Diagnostics) {
	l := &loader{fsys: fsys, report: &schema.Report{Noun: "scenario"}, files: map[string]*sheet{}}
	var scenarios []*Scenario
	for _, file := range l.list(path.Clean(name)) {
		if l.report.Full() {
			break
		}
		for _, doc := range l.read(file).documents {
			if s := doc.scenario(l); s != nil {
				scenarios = append(scenarios, s)
			}
		}
	}
	scenarios = distinct(l.report, scenarios)
	return scenarios, l.report.Diagnostics()
}

// loader reads files, each once.
type loader struct {
	fsys   fs.FS
	report *schema.Report
	files  map[string]*sheet
	open   []*document // that wait for the one they use, each by the next
}

// sheet is a file that was read.
type sheet struct {
	documents []*document
	failed    string // why it cannot be used; empty: it can
	reading   bool
}

// document is one scenario as it was written.
type document struct {
	file    *schema.File
	root    *schema.Node
	base    *document // that it builds on
	draft   draft
	sound   bool // nothing is wrong with it so far
	located map[Pos]place
}

// fail reports an error that is about no place in a file.
func (l *loader) fail(code, format string, args ...any) {
	l.report.Add(Diagnostic{Severity: schema.SeverityError, Code: code, Message: fmt.Sprintf(format, args...)})
}

// list returns the files that a path names.
func (l *loader) list(name string) []string {
	info, err := fs.Stat(l.fsys, name)
	if err != nil {
		l.fail(CodeUnreadable, "cannot read the scenarios: %s", err)
		return nil
	}
	if !info.IsDir() {
		return []string{name}
	}
	entries, err := fs.ReadDir(l.fsys, name)
	if err != nil {
		l.fail(CodeUnreadable, "cannot read the scenarios: %s", err)
		return nil
	}
	var files []string
	for _, entry := range entries {
		if base := entry.Name(); !entry.IsDir() && !strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml")) {
			files = append(files, path.Join(name, base))
		}
	}
	switch {
	case len(files) == 0:
		l.fail(CodeNoFile, "%s has no *.yaml or *.yml file: there is nothing to run", name)
	case len(files) > maxFiles:
		l.fail(CodeTooManyFiles, "%s has more than %d scenario files: spread them over directories", name, maxFiles)
		return nil
	}
	return files
}

// read reads a file, if it was not read before. What is wrong with it is reported.
func (l *loader) read(name string) *sheet {
	if s := l.files[name]; s != nil {
		return s
	}
	s := &sheet{reading: true}
	l.files[name] = s
	defer func() { s.reading = false }()
	text, err := l.text(name)
	if err != nil {
		s.failed = err.Error()
		l.report.Add(Diagnostic{Severity: schema.SeverityError, Code: CodeUnreadable, Pos: Pos{File: name, Line: 1, Col: 1}, Message: "cannot be read: " + s.failed})
		return s
	}
	file, roots := l.report.Parse(name, text)
	if len(roots) > maxDocuments {
		s.failed = fmt.Sprintf("it has more than %d documents", maxDocuments)
		l.report.Add(Diagnostic{Severity: schema.SeverityError, Code: CodeTooLarge, Pos: Pos{File: name, Line: 1, Col: 1},
			Message: fmt.Sprintf("the file has more than %d documents: split it", maxDocuments)})
		return s
	}
	for _, root := range roots {
		if l.report.Full() {
			break
		}
		s.documents = append(s.documents, l.document(file, root))
	}
	return s
}

// text returns the bytes of a file, if it may be a scenario's.
func (l *loader) text(name string) ([]byte, error) {
	info, err := fs.Stat(l.fsys, name) // before Open: opening a named pipe would wait for its writer
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("it is larger than %d MiB", maxFileSize>>20)
	}
	return text, err
}

// document reads one document, and before that the one it builds on.
func (l *loader) document(file *schema.File, root *schema.Node) *document {
	doc := &document{file: file, root: root}
	d := &schema.Decoder{Report: l.report, File: file}
	if stranger(d, root) {
		return doc
	}
	errors := l.report.Errors
	usable := true
	if _, spec := schema.Entry(root, "spec"); spec != nil {
		if _, use := schema.Entry(spec, "use"); use != nil && use.Kind == schema.ScalarNode {
			doc.base = l.use(doc, use.Value)
			usable = doc.base != nil && doc.base.sound
		}
	}
	if doc.base != nil {
		doc.draft = doc.base.draft
		doc.draft.Description, doc.draft.Source = "", ""
		doc.draft.Topology.Pools = slices.Clone(doc.draft.Topology.Pools)
	}
	documentKind(doc.base != nil || !usable).Read(d, root, &doc.draft)
	doc.sound = usable && l.report.Errors == errors && schema.Whole(root)
	return doc
}

// stranger reports a document that says it is something other than a scenario: looking
// for its mistakes as a scenario would bury that one.
func stranger(d *schema.Decoder, root *schema.Node) bool {
	_, kind := schema.Entry(root, "kind")
	if kind == nil || kind.Kind != schema.ScalarNode || kind.Value == "Scenario" {
		return false
	}
	d.FailAt(root, "kind", schema.CodeUnknownChoice, "%s does not belong among scenarios: move the file elsewhere, or write Scenario", schema.Quote(kind.Value))
	return true
}

// use returns the document that another one builds on, or nil.
func (l *loader) use(doc *document, relative string) *document {
	const at = "spec.use"
	refuse := func(code, format string, args ...any) *document {
		doc.decoder(l.report).FailAt(doc.root, at, code, format, args...)
		return nil
	}
	if complaint := complainFilePath(relative); complaint != "" {
		return nil // it is reported where the field is read
	}
	name := beside(doc.file.Name(), relative)
	if name == "" {
		return refuse(schema.CodeBadValue, "%s lies outside of the directory that scenarios are read from", schema.Quote(relative))
	}
	if name == doc.file.Name() {
		return refuse(CodeCycle, "%s is this file: a scenario cannot build on itself", schema.Quote(name))
	}
	if s := l.files[name]; s != nil && s.reading {
		return refuse(CodeCycle, "%s builds on this one already: %s; a scenario cannot build on itself", schema.Quote(name), l.chain(name))
	}
	if len(l.open) >= maxUses {
		return refuse(CodeCycle, "more than %d scenarios build on one another here", maxUses)
	}
	if info, err := fs.Stat(l.fsys, name); err != nil || !info.Mode().IsRegular() {
		return refuse(CodeUnreadable, "there is no file %s", schema.Quote(name))
	}
	l.open = append(l.open, doc)
	s := l.read(name)
	l.open = l.open[:len(l.open)-1]
	switch {
	case s.failed != "":
		return refuse(CodeUnreadable, "%s cannot be used: %s", schema.Quote(name), s.failed)
	case len(s.documents) > 1:
		return refuse(schema.CodeConflict, "%s has %d scenarios: one that others build on stands in a file of its own", schema.Quote(name), len(s.documents))
	case len(s.documents) == 0: // it was reported
		return nil
	}
	return s.documents[0]
}

// chain says which scenarios lead from a file to the one that is read now.
func (l *loader) chain(name string) string {
	var uses []string
	from := slices.IndexFunc(l.open, func(doc *document) bool { return doc.file.Name() == name })
	for _, doc := range l.open[max(from, 0):] {
		_, spec := schema.Entry(doc.root, "spec")
		_, use := schema.Entry(spec, "use")
		uses = append(uses, fmt.Sprintf("%s at %s", schema.Quote(use.Value), doc.file.Pos(use)))
	}
	return strings.Join(uses, ", then ")
}

func (doc *document) decoder(r *schema.Report) *schema.Decoder {
	return &schema.Decoder{Report: r, File: doc.file}
}

// distinct leaves out, and reports, scenarios that have the name of one before.
func distinct(r *schema.Report, scenarios []*Scenario) (kept []*Scenario) {
	first := make(map[string]*Scenario, len(scenarios))
	for _, s := range scenarios {
		if other := first[s.Name]; other != nil {
			s.written.decoder(r).FailAt(s.written.root, "metadata.name", schema.CodeDuplicateName, "%s is the name of two scenarios: it is also that of the one at %s", schema.Quote(s.Name), other.Pos)
			continue
		}
		first[s.Name] = s
		kept = append(kept, s)
	}
	return kept
}
