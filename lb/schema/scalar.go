package schema

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
	return &problem{CodeWrongType, "must be " + article(want) + ", not " + Describe(n) + advice}
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

// Integer is a whole number from min to max.
func Integer(min, max int) *Scalar[int] {
	limits := fmt.Sprintf("%d to %d", min, max)
	return &Scalar[int]{
		text:   "integer, " + limits,
		schema: Schema{Type: "integer", Minimum: min, Maximum: max},
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

// Number is a decimal number from min to max.
func Number(min, max float64) *Scalar[float64] {
	limits := decimal(min) + " to " + decimal(max)
	return &Scalar[float64]{
		text:   "number, " + limits,
		schema: Schema{Type: "number", Minimum: min, Maximum: max},
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

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Boolean is true or false, and none of YAML 1.1's other spellings.
func Boolean() *Scalar[bool] {
	return &Scalar[bool]{
		text:   "boolean",
		schema: Schema{Type: "boolean"},
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

// Duration is a Go duration with its unit, from min to max.
func Duration(min, max time.Duration) *Scalar[time.Duration] {
	limits := FormatDuration(min) + " to " + FormatDuration(max)
	pattern := durationPattern.String()
	if min < 0 {
		pattern = "^-?" + strings.TrimPrefix(pattern, "^")
	}
	return &Scalar[time.Duration]{
		text:   "duration, " + limits,
		schema: Schema{Type: "string", Pattern: pattern},
		print:  func(v time.Duration) any { return FormatDuration(v) },
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
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s is not a duration: the longest unit is h, a day is 24h", Quote(n.Value))}
			case err != nil || !durationPattern.MatchString(strings.TrimPrefix(n.Value, "-")):
				return 0, &problem{CodeBadValue, fmt.Sprintf("%s is not a duration: write it like 250ms, 30s or 5m", Quote(n.Value))}
			case v < min || v > max:
				return 0, &problem{CodeOutOfRange, fmt.Sprintf("%s is out of range: choose %s", cut(n.Value), limits)}
			}
			return v, nil
		},
	}
}

// FormatDuration writes whole minutes and hours without the zeros behind them.
func FormatDuration(v time.Duration) string {
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Option is one of the texts a choice allows.
type Option struct {
	Name    string
	Status  Status
	Because string // overrides the consequence named when the option does not act
}

// Choice is one of a few texts.
func Choice[S ~string](options ...Option) *Scalar[S] {
	names, texts := make([]string, len(options)), make([]string, len(options))
	values := make([]any, len(options))
	for i, o := range options {
		names[i], texts[i], values[i] = o.Name, o.Name, o.Name
		if o.Status != Acts {
			texts[i] += " (" + o.Status.String() + ")"
		}
	}
	find := func(v S) *Option {
		for i := range options {
			if options[i].Name == string(v) {
				return &options[i]
			}
		}
		return nil
	}
	return &Scalar[S]{
		text:   strings.Join(texts, " | "),
		noun:   strings.Join(names, " or "),
		schema: Schema{Enum: values},
		print:  PrintText[S],
		parse: func(n *yaml.Node) (S, *problem) {
			if find(S(n.Value)) == nil {
				return "", &problem{CodeUnknownChoice, fmt.Sprintf("%s is not a choice here%s", Quote(n.Value), DidYouMean(Nearest(n.Value, names), names))}
			}
			if n.Style&quotedStyles == 0 && n.Tag != "!!str" {
				return "", wrongType("text", n, ": write "+strconv.Quote(n.Value)+", in quotes")
			}
			return S(n.Value), nil
		},
		used: func(d *Decoder, n *yaml.Node, v S) {
			o := find(v)
			o.Status.use(d, n, o.Name+" ", o.Because)
		},
	}
}

// IntegerOf is [Integer] for another Go type.
func IntegerOf[I ~int64 | ~uint64](min, max int) *Scalar[I] {
	k := Integer(min, max)
	return &Scalar[I]{
		text: k.text, schema: k.schema,
		print: func(v I) any { return int(v) },
		parse: func(n *yaml.Node) (I, *problem) {
			v, p := k.parse(n)
			return I(v), p
		},
	}
}

// Refine is a scalar of which accept refuses some values: it says why, or "". The text
// and the schema describe what is left.
func Refine[V any](k *Scalar[V], text string, s Schema, accept func(V) string) *Scalar[V] {
	refined := *k
	refined.text, refined.schema = text, s
	refined.parse = func(n *yaml.Node) (V, *problem) {
		v, p := k.parse(n)
		if p == nil {
			if complaint := accept(v); complaint != "" {
				p = &problem{CodeBadValue, complaint}
			}
		}
		return v, p
	}
	return &refined
}

// IntChoice is one of a few integers.
func IntChoice(allowed ...int) *Scalar[int] {
	values, names := make([]any, len(allowed)), make([]string, len(allowed))
	for i, v := range allowed {
		values[i], names[i] = v, strconv.Itoa(v)
	}
	k := Integer(allowed[0], allowed[len(allowed)-1])
	inRange := k.parse
	k.text, k.noun = strings.Join(names, " | "), strings.Join(names, " or ")
	k.schema = Schema{Enum: values}
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

// OneOf is a choice whose options all do the same.
func OneOf(names ...string) *Scalar[string] {
	options := make([]Option, len(names))
	for i, name := range names {
		options[i] = Option{Name: name, Status: Acts}
	}
	return Choice[string](options...)
}

func PrintText[S ~string](v S) any {
	if v == "" {
		return nil
	}
	return string(v)
}

// Words is text that accept turns into a V, or says what is wrong with.
func Words[V any](text, pattern string, accept func(string) (V, string), print func(V) any) *Scalar[V] {
	return &Scalar[V]{
		text:   text,
		schema: Schema{Type: "string", Pattern: pattern},
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

// Checked is words that are kept as they were written.
func Checked(text, pattern string, complain func(string) string) *Scalar[string] {
	return Words(text, pattern, func(s string) (string, string) { return s, complain(s) }, PrintText[string])
}
