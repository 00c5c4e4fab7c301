package schema

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteReference writes a language as Markdown made from its table: what the head
// says, the mappings, their defaults, and the diagnostics after a remark about them.
func WriteReference(w io.Writer, head string, document *Shape, remark string, codes []Code) error {
	var b strings.Builder
	b.WriteString(head)
	writeObject(&b, "", document, Acts, everythingActs(document))
	b.WriteString("\n## Diagnostics\n\n" + remark + "\n\n" +
		"| Code | Severity | Meaning |\n|---|---|---|\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, c.Severity, inCell(c.Meaning))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeObject writes the table of one mapping, then those of the mappings in
// it. Nothing acts inside of what does not. The status is left out of a language in
// which everything acts.
func writeObject(b *strings.Builder, path string, s *Shape, outer Status, plain bool) {
	title := "The document"
	if path != "" {
		title = "`" + path + "`"
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if s.Schema.MaxProperties == 1 {
		b.WriteString("Each item of the list holds exactly one of these.\n\n")
	}
	head, rule := " Status |", "---|"
	if plain {
		head, rule = "", ""
	}
	fmt.Fprintf(b, "| Field | Type | Default |%s Meaning |\n|---|---|---|---|%s\n", head, rule)
	for _, r := range s.Rows {
		status := fmt.Sprintf(" %s |", max(outer, r.Status))
		if plain {
			status = ""
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |%s %s |\n", r.Name, inCell(r.Shape.Text), defaultText(r), status, inCell(r.Doc))
	}
	for _, r := range s.Rows {
		inner, at := r.Shape, r.Name
		if path != "" {
			at = path + "." + r.Name
		}
		if inner.Item != nil {
			inner, at = inner.Item, at+"[]"
		}
		if inner.Values != nil {
			inner, at = inner.Values, at+".NAME"
		}
		if len(inner.Rows) > 0 {
			writeObject(b, at, inner, max(outer, r.Status), plain)
		}
	}
}

// everythingActs reports whether no row has another status.
func everythingActs(s *Shape) bool {
	if s == nil {
		return true
	}
	for _, r := range s.Rows {
		if r.Status != Acts || !everythingActs(r.Shape) {
			return false
		}
	}
	return everythingActs(s.Item) && everythingActs(s.Values)
}

func defaultText(r Row) string {
	switch {
	case r.Required:
		return "required"
	case r.inner && r.Shape.Rows != nil:
		return "as below"
	case r.Fallback == nil:
		return "none"
	}
	return "`" + flow(r.Fallback) + "`"
}

// flow writes a default as YAML in one line.
func flow(v any) string {
	switch v := v.(type) {
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = flow(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case Members:
		items := make([]string, len(v))
		for i, m := range v {
			items[i] = m.Name + ": " + flow(m.Value)
		}
		return "{" + strings.Join(items, ", ") + "}"
	case nil:
		return "none"
	case map[string]any:
		items := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			items = append(items, key+": "+flow(v[key]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// inCell keeps text from ending a table's cell or being taken for markup.
func inCell(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;").Replace(s)
}
