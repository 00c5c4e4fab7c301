package schema

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts that languages share and that are not HTTP's: names, free text, host names.

const (
	namePatternText = `^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`
	hostPattern     = `^(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?))*$`
)

var (
	namePattern     = regexp.MustCompile(namePatternText)
	hostNamePattern = regexp.MustCompile(hostPattern)
)

// Name is what listeners, routes, pools and policies are called. Names become
// metric labels and parts of ids such as cart/1.
func Name() *Scalar[string] {
	return Checked("name", namePatternText, ComplainName)
}

// ComplainName says why a text is no [Name], or "".
func ComplainName(s string) string {
	if !namePattern.MatchString(s) {
		return Quote(s) + " is not a name: use 1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
	}
	return ""
}

// FreeText is printable text of 1 to max characters.
func FreeText(max int) *Scalar[string] {
	k := Checked(fmt.Sprintf("text, 1 to %d characters", max), "", func(s string) string {
		switch {
		case s == "":
			return "must not be empty"
		case utf8.RuneCountInString(s) > max:
			return fmt.Sprintf("is longer than %d characters", max)
		case strings.ContainsFunc(s, unicode.IsControl):
			return "must not hold control characters or line ends"
		}
		return ""
	})
	k.schema.MinLength, k.schema.MaxLength = 1, max
	return k
}

// ComplainHostName checks the syntax of RFC 1123 section 2.1, and allows the
// underscores that container networks use.
func ComplainHostName(s string) string {
	switch {
	case len(s) > 253:
		return "a host name has at most 253 characters"
	case !hostNamePattern.MatchString(s):
		return Quote(s) + " is not a host name: use labels of letters, digits and '-', separated by dots"
	}
	if last := s[strings.LastIndexByte(s, '.')+1:]; isDigits(last) {
		return Quote(s) + " is neither an IP address nor a host name"
	}
	return ""
}

// PlainHostname is a hostname without wildcard.
func PlainHostname() *Scalar[string] {
	return Words("host name", `^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`, func(s string) (string, string) {
		if _, err := netip.ParseAddr(s); err == nil && !strings.Contains(s, ":") {
			return s, ""
		}
		return strings.ToLower(s), ComplainHostName(s)
	}, PrintText[string])
}
