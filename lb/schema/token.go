package schema

import (
	"fmt"
	"regexp"
	"strings"
)

// Texts of HTTP that languages share: tokens, methods, field values.

// TokenPattern is RFC 9110 section 5.6.2.
const TokenPattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"

func IsToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

var methodPattern = regexp.MustCompile(`^[A-Z][A-Z0-9_-]*$`)

// Method is a request method. Methods are compared as they are spelled (RFC
// 9110 section 9.1), so a lower-case one would never match.
func Method() *Scalar[string] {
	return Checked("method", methodPattern.String(), func(s string) string {
		switch upper := strings.ToUpper(s); {
		case methodPattern.MatchString(s):
			return ""
		case methodPattern.MatchString(upper):
			return "methods are spelled in capitals: write " + upper
		}
		return Quote(s) + " is not a method: write it like GET"
	})
}

func ComplainToken(s string) string {
	if !IsToken(s) {
		return Quote(s) + " is not a header name: use letters, digits and '-'"
	}
	return ""
}

// ComplainFieldValue checks RFC 9110 section 5.5.
func ComplainFieldValue(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Sprintf("a header value must not hold the control character 0x%02x", c)
		}
	}
	if s != strings.Trim(s, " \t") {
		return "a header value must not begin or end with a space"
	}
	if len(s) > 8192 {
		return "a header value may have at most 8192 bytes here"
	}
	return ""
}
