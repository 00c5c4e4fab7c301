package wire_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// TestEveryErrorIsProvoked: each variable of error.go is the outcome of some case
// of this package's tables.
func TestEveryErrorIsProvoked(t *testing.T) {
	provoked := map[string]bool{}
	note := func(want string) {
		if _, reason, ok := strings.Cut(want, " "); ok {
			provoked[reason] = true
		}
	}
	for _, c := range requests {
		note(c.want)
	}
	for _, c := range responses {
		note(c.want)
	}
	for _, c := range chunkedBad {
		note(c.want)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		reason := ""
		ast.Inspect(spec.Values[0], func(n ast.Node) bool { // the first text is the reason
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && reason == "" {
				reason, _ = strconv.Unquote(lit.Value)
			}
			return true
		})
		found++
		if !provoked[reason] {
			t.Errorf("no case provokes %s (%q)", spec.Names[0], reason)
		}
		return true
	})
	if found < 20 {
		t.Errorf("only %d errors found in error.go", found)
	}
}
