package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const quotedStyles = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func wrongType(want string, n *yaml.Node, advice string) *problem {
	return &problem{CodeWrongType, "must be " + article(want) + ", not " + describe(n) + advice}
}

func article(noun string) string {
	switch {
	case strings.HasPrefix(noun, "text"):
		return noun
	case strings.ContainsRune("aeiou", rune(noun[0])):
		return "an " + noun
	}
	return "a " + noun
}

// integer is a whole number from min to max.
func integer(min, max int) *scalar[int] {
	limits := fmt.Sprintf("%d to %d", min, max)
	return &scalar[int]{
		text:   "integer, " + limits,
		schema: schema{Type: "integer", Minimum: min, Maximum: max},
		print:  func(v int) any { return v },
		parse: func(n *yaml.Node) (int, *problem) {
			digits := strings.TrimPrefix(n.Value, "-")
			switch {
			case n.Style&quotedStyles != 0 && isDigits(digits):
				return 0, wrongType("integer", n, ": remove the quotes")
			case n.Style&quotedStyles != 0 || n.Tag != "!!int" && n.Tag != "!!float":
				return 0, wrongType("integer, "+limits, n, "")
			case len(digits) > 1 && digits[0] == '0' && isDigits(digits):
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s could be read as octal: write it without the leading 0", n.Value)}
			case !isDigits(digits):
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s is not written as an integer: use decimal digits only", cut(n.Value))}
			}
			v, err := strconv.Atoi(n.Value)
			if err != nil || v < min || v > max {
				return 0, &problem{CodeOutOfRange, fmt.Sprintf("%s is out of range: choose %s", cut(n.Value), limits)}
			}
			return v, nil
		},
	}
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

var decimalPattern = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// number is a decimal number from min to max.
func number(min, max float64) *scalar[float64] {
	limits := fmt.Sprintf("%v to %v", min, max)
	return &scalar[float64]{
		text:   "number, " + limits,
		schema: schema{Type: "number", Minimum: min, Maximum: max},
		print:  func(v float64) any { return v },
		parse: func(n *yaml.Node) (float64, *problem) {
			switch {
			case n.Style&quotedStyles != 0 && decimalPattern.MatchString(n.Value):
				return 0, wrongType("number", n, ": remove the quotes")
			case n.Style&quotedStyles != 0 || n.Tag != "!!int" && n.Tag != "!!float":
				return 0, wrongType("number, "+limits, n, "")
			case !decimalPattern.MatchString(n.Value): // .nan and .inf among them
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s is not written as a decimal number, such as 0.5", cut(n.Value))}
			}
			v, err := strconv.ParseFloat(n.Value, 64)
			if err != nil || v < min || v > max {
				return 0, &problem{CodeOutOfRange, fmt.Sprintf("%s is out of range: choose %s", cut(n.Value), limits)}
			}
			return v, nil
		},
	}
}

// boolean is true or false, and none of YAML 1.1's other spellings.
func boolean() *scalar[bool] {
	return &scalar[bool]{
		text:   "boolean",
		schema: schema{Type: "boolean"},
		print:  func(v bool) any { return v },
		parse: func(n *yaml.Node) (bool, *problem) {
			if n.Style&quotedStyles == 0 {
				switch n.Value {
				case "true":
					return true, nil
				case "false":
					return false, nil
				}
			}
			switch strings.ToLower(n.Value) {
			case "true", "yes", "y", "on":
				return false, wrongType("boolean", n, ": write true")
			case "false", "no", "n", "off":
				return false, wrongType("boolean", n, ": write false")
			}
			return false, wrongType("boolean", n, ": write true or false")
		},
	}
}

var durationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`)

// duration is a Go duration with its unit, from min to max.
func duration(min, max time.Duration) *scalar[time.Duration] {
	limits := formatDuration(min) + " to " + formatDuration(max)
	return &scalar[time.Duration]{
		text:   "duration, " + limits,
		schema: schema{Type: "string", Pattern: durationPattern.String()},
		print:  func(v time.Duration) any { return formatDuration(v) },
		parse: func(n *yaml.Node) (time.Duration, *problem) {
			if n.Tag != "!!str" && n.Tag != "!!int" && n.Tag != "!!float" {
				return 0, wrongType("duration", n, ": write it like 250ms, 30s or 5m")
			}
			if n.Tag != "!!str" || decimalPattern.MatchString(n.Value) {
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s has no unit: write it like %ss or %sms", cut(n.Value), cut(n.Value), cut(n.Value))}
			}
			v, err := time.ParseDuration(n.Value)
			switch {
			case err != nil && strings.HasSuffix(n.Value, "d"):
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s is not a duration: the longest unit is h, a day is 24h", quote(n.Value))}
			case err != nil || !durationPattern.MatchString(strings.TrimPrefix(n.Value, "-")):
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s is not a duration: write it like 250ms, 30s or 5m", quote(n.Value))}
			case v < min || v > max:
				return 0, &problem{CodeOutOfRange, fmt.Sprintf("%s is out of range: choose %s", cut(n.Value), limits)}
			}
			return v, nil
		},
	}
}

// formatDuration writes whole minutes and hours without the zeros behind them.
func formatDuration(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// option is one of the texts a choice allows.
type option struct {
	name    string
	status  status
	because string // overrides the consequence named when the option does not act
}

// choice is one of a few texts.
func choice[S ~string](options ...option) *scalar[S] {
	names, texts := make([]string, len(options)), make([]string, len(options))
	values := make([]any, len(options))
	for i, o := range options {
		names[i], texts[i], values[i] = o.name, o.name, o.name
		if o.status != acts {
			texts[i] += " (" + o.status.String() + ")"
		}
	}
	find := func(v S) *option {
		for i := range options {
			if options[i].name == string(v) {
				return &options[i]
			}
		}
		return nil
	}
	return &scalar[S]{
		text:   strings.Join(texts, " | "),
		noun:   strings.Join(names, " or "),
		schema: schema{Enum: values},
		print:  printText[S],
		parse: func(n *yaml.Node) (S, *problem) {
			if find(S(n.Value)) == nil {
				return "", &problem{CodeUnknownChoice, fmt.Sprintf("%s is not a choice here%s", quote(n.Value), didYouMean(nearest(n.Value, names), names))}
			}
			if n.Style&quotedStyles == 0 && n.Tag != "!!str" {
				return "", wrongType("text", n, ": write "+strconv.Quote(n.Value)+", in quotes")
			}
			return S(n.Value), nil
		},
		used: func(d *decoder, n *yaml.Node, v S) {
			o := find(v)
			o.status.use(d, n, o.name+" ", o.because)
		},
	}
}

// intChoice is one of a few integers.
func intChoice(allowed ...int) *scalar[int] {
	values, names := make([]any, len(allowed)), make([]string, len(allowed))
	for i, v := range allowed {
		values[i], names[i] = v, strconv.Itoa(v)
	}
	k := integer(allowed[0], allowed[len(allowed)-1])
	inRange := k.parse
	k.text, k.noun = strings.Join(names, " | "), strings.Join(names, " or ")
	k.schema = schema{Enum: values}
	k.parse = func(n *yaml.Node) (int, *problem) {
		v, p := inRange(n)
		if p != nil && p.code != CodeOutOfRange {
			return v, p
		}
		if p != nil || !slices.Contains(allowed, v) {
			return 0, &problem{CodeUnknownChoice, fmt.Sprintf("%s is not a choice here: choose from %s", cut(n.Value), strings.Join(names, ", "))}
		}
		return v, nil
	}
	return k
}

// oneOf is a choice whose options all do the same.
func oneOf(names ...string) *scalar[string] {
	options := make([]option, len(names))
	for i, name := range names {
		options[i] = option{name: name, status: acts}
	}
	return choice[string](options...)
}

func printText[S ~string](v S) any {
	if v == "" {
		return nil
	}
	return string(v)
}

// words is text that accept turns into a V, or says what is wrong with.
func words[V any](text, pattern string, accept func(string) (V, string), print func(V) any) *scalar[V] {
	return &scalar[V]{
		text:   text,
		schema: schema{Type: "string", Pattern: pattern},
		print:  print,
		parse: func(n *yaml.Node) (V, *problem) {
			var none V
			if n.Style&quotedStyles == 0 && n.Tag != "!!str" {
				return none, wrongType("text", n, ": write "+strconv.Quote(n.Value)+", in quotes")
			}
			v, complaint := accept(n.Value)
			if complaint != "" {
				return none, &problem{CodeBadValue, complaint}
			}
			return v, nil
		},
	}
}

// checked is words that are kept as they were written.
func checked(text, pattern string, complain func(string) string) *scalar[string] {
	return words(text, pattern, func(s string) (string, string) { return s, complain(s) }, printText[string])
}
