package impact

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxSample bounds a text that a regular expression takes, in bytes.
const maxSample = 1024

// sample returns a short text that an expression takes, one that begins with start if
// there is one; false if none was found. whole is the expression, anchored.
func sample(expr string, whole *regexp.Regexp, start string) (string, bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil || whole == nil {
		return "", false
	}
	for _, prefix := range []string{"", start} {
		for _, often := range []int{0, 1} {
			var b strings.Builder
			write(&b, re, often)
			text := prefix + b.String()
			if len(text) <= maxSample && strings.HasPrefix(text, start) && whole.MatchString(text) {
				return text, true
			}
		}
	}
	return "", false
}

// write appends a text that the expression takes: with what may be left out as often as
// said.
func write(b *strings.Builder, re *syntax.Regexp, often int) {
	if b.Len() > maxSample {
		return
	}
	times := 0
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			b.WriteRune(pick(re.Rune))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpAlternate:
		write(b, re.Sub[0], often)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			write(b, sub, often)
		}
	case syntax.OpStar, syntax.OpQuest:
		times = often
	case syntax.OpPlus:
		times = 1
	case syntax.OpRepeat:
		if times = re.Min; times == 0 && re.Max != 0 {
			times = often
		}
	}
	for range times {
		write(b, re.Sub[0], often)
	}
}

// pick prefers a character of a class that people write.
func pick(ranges []rune) rune {
	for _, want := range "a1A-" {
		for i := 0; i < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	return ranges[0]
}
