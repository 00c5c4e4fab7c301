package expect

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
)

// WordTable is the words of expressions as a Markdown table, for docs/scenarios.md.
func WordTable() string {
	var b strings.Builder
	b.WriteString("| Word | Gives | Of | What it is |\n|---|---|---|---|\n")
	for _, w := range words {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", w.usage, given(w), extent(w), strings.ReplaceAll(w.means, "<", "&lt;"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// given is the type of what a word gives.
func given(w *word) string {
	switch w.gives {
	case cel.DoubleType:
		return "fraction"
	case cel.IntType:
		return "whole number"
	case cel.DurationType:
		return "duration"
	case cel.BoolType:
		return "boolean"
	}
	return "text"
}

// extent says what a word is judged over.
func extent(w *word) string {
	switch {
	case w.state:
		return "an instant"
	case w.ratio:
		return fmt.Sprintf("a window, of %d events at least", fewest)
	}
	return "a window"
}

// OperatorTable is what can stand between words, as a Markdown table, for docs/scenarios.md.
func OperatorTable() string {
	var b strings.Builder
	b.WriteString("| Operators | Of |\n|---|---|\n")
	for _, o := range signs {
		fmt.Fprintf(&b, "| %s | %s |\n", "`"+strings.Join(o.written, "`, `")+"`", o.of)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// signs are those that are of use, with an expression that has each of them.
var signs = []struct {
	written []string
	of      string
	tried   string
}{
	{[]string{"==", "!="}, "any two of a kind", `breaker("cart/1") == "open" && policy() != "2"`},
	{[]string{"<", "<=", ">", ">="}, "numbers, whole ones and fractions mixed; durations", `lost("5s") < 1.5 && shed("5s") <= 3 && latency(0.5, "5s") > duration("1ms") && rate("5s") >= 1`},
	{[]string{"+", "-", "*", "/"}, "numbers of one kind: 2.0 is a fraction, 2 a whole number; + and - also of durations", `rate("5s") + 1.0 - goodput("5s") * 2.0 / 3.0 < 10.0`},
	{[]string{"&&", "||", "!"}, "booleans", `!healthy("cart/1") && shed("5s") == 0 || success("5s") == 1.0`},
	{[]string{"? :"}, "a boolean, and two of a kind", `healthy("cart/1") ? share("cart/1", "5s") > 0.4 : share("cart/1", "5s") < 0.1`},
	{[]string{"in"}, "one of a list", `breaker("cart/1") in ["open", "half-open"]`},
	{[]string{"double(…)", "int(…)", "duration(…)"}, "conversion: of a number; of text such as \"80ms\"", `double(lost("5s")) / 2.0 < 1.0 && int(success("5s")) == 1 && latency(1.0, "5s") < duration("1s")`},
}
