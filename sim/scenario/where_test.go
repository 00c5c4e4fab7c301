package scenario_test

import (
	"strings"
	"testing"

	"go-loadbalancer/lb/schema"
)

// TestWhere finds a character of an expression, in each way that YAML has of writing it.
func TestWhere(t *testing.T) {
	rest := "  duration: 1s\n  policy: {}\n  load: [{rate: 1, requests: [{get: /}]}]\n  expect:\n"
	tests := []struct{ name, expect string }{
		{"plain", "    - that: a + !b\n"},
		{"plain over lines", "    - that: a\n        + 1\n\n        + !b\n"},
		{"single quotes", "    - {that: 'it''s + ''!b', at: 1s}\n"},
		{"double quotes", "    - that: \"\\\"\\x41\\u00e9\\U0001F600\\t\\\" + !b\"\n"},
		{"double quotes over lines", "    - that: \"a \\\n        + \\\n        !b\"\n"},
		{"literal", "    - that: |\n        a\n          + 1\n\n        + !b\n"},
		{"literal with head", "    - that: |2-  # why\n        a\n        + !b\n"},
		{"folded", "    - that: >-\n        a\n        +\n\n          1\n        + !b\n"},
		{"wide", "    - that: '\"é店🛒\" + !b'\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := head + rest + tt.expect
			s := one(t, rest+tt.expect)
			e := &s.Expect[0]
			offset := len([]rune(e.That[:strings.Index(e.That, "!")]))
			lines := strings.Split(text, "\n")
			at := s.Where(e, offset)
			if line := []rune(lines[at.Line-1]); at.Col > len(line) || line[at.Col-1] != '!' {
				t.Errorf("%q in %q is said to be at %s", "!", e.That, at)
			}
			if first := []rune(lines[e.ThatPos.Line-1])[e.ThatPos.Col-1]; first != []rune(e.That)[0] && first != '\\' {
				t.Errorf("the expression is said to begin at %s, with %q", e.ThatPos, first)
			}
			d := s.Complain(e, offset, "cel", "is %s", "wrong")
			caret := len([]rune(d.Caret)) - 1
			if d.Pos != at || d.Path != "spec.expect[0].that" || d.Message != "is wrong" || !strings.Contains(d.Source, "!") || d.Severity != schema.SeverityError || caret < 0 {
				t.Errorf("got %s", d)
			}
			end := s.Where(e, 10_000)
			if end.Line < at.Line || end.Line > len(lines) || s.Where(e, -1) != e.ThatPos {
				t.Errorf("the end is said to be at %s, the beginning at %s", end, s.Where(e, -1))
			}
		})
	}
}
