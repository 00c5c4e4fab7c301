package schema

import (
	"strings"
	"unicode"
)

// excerptWidth is how many characters of a source line are shown.
const excerptWidth = 100

// excerpt returns the part of a line around the 1-based character col, and a
// line with a caret under that character wherever a terminal shows it: tabs
// stay tabs, and a wide character is passed by two spaces.
func excerpt(line string, col int) (source, caret string) {
	text := []rune(line)
	at := min(max(col-1, 0), len(text))
	from, to := 0, len(text)
	if len(text) > excerptWidth {
		from = max(0, at-excerptWidth/2)
		to = min(len(text), from+excerptWidth)
		from = max(0, to-excerptWidth)
	}
	var src, pad strings.Builder
	if from > 0 {
		src.WriteString("…")
		pad.WriteByte(' ')
	}
	for i := from; i < to; i++ {
		r := text[i]
		if r != '\t' && unicode.IsControl(r) {
			r = unicode.ReplacementChar // so that a file cannot drive the terminal
		}
		src.WriteRune(r)
		if i < at {
			pad.WriteString(blank(r))
		}
	}
	if to < len(text) {
		src.WriteString("…")
	}
	return src.String(), pad.String() + "^"
}

// blank is white space as wide as r is on a terminal.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return ""
	case isWide(r):
		return "  "
	}
	return " "
}

// isWide reports whether terminals give r two cells: the wide and full-width
// blocks of Unicode Standard Annex 11, whole blocks where nearly all are.
func isWide(r rune) bool {
	switch {
	case r < 0x1100:
		return false
	case r <= 0x115F, // Hangul Jamo
		r >= 0x2E80 && r <= 0x303E, // CJK radicals and punctuation
		r >= 0x3041 && r <= 0xA4CF, // kana to Yi
		r >= 0xAC00 && r <= 0xD7A3, // Hangul syllables
		r >= 0xF900 && r <= 0xFAFF, // CJK compatibility ideographs
		r >= 0xFE30 && r <= 0xFE6F, // CJK compatibility forms
		r >= 0xFF00 && r <= 0xFF60, // full-width forms
		r >= 0xFFE0 && r <= 0xFFE6,
		r >= 0x1F300 && r <= 0x1F64F, // pictographs
		r >= 0x1F680 && r <= 0x1F6FF,
		r >= 0x1F900 && r <= 0x1F9FF,
		r >= 0x20000 && r <= 0x3FFFD: // CJK extensions
		return true
	}
	return false
}
