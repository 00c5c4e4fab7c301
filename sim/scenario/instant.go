package scenario

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go-loadbalancer/lb/schema"
)

const faultNameText = `^[A-Za-z][A-Za-z0-9_-]{0,62}$`

var faultName = regexp.MustCompile(faultNameText)

// String is the instant as it is written.
func (i Instant) String() string {
	switch {
	case i.Fault == "":
		return schema.FormatDuration(i.Offset)
	case i.End:
		return i.Fault + ".end"
	}
	return i.Fault
}

// faultNameKind is what a fault is called: it is a time to expectations.
func faultNameKind() *schema.Scalar[string] {
	return schema.Checked("name of a fault", faultNameText, func(s string) string {
		if !faultName.MatchString(s) {
			return schema.Quote(s) + " is not a name of a fault: use a letter, then up to 62 letters, digits, '-' or '_'"
		}
		return ""
	})
}

// instant is a duration from the run's beginning, or a fault's name, or its end.
func instant() *schema.Scalar[Instant] {
	return schema.Words("fault, fault.end or duration", `^([A-Za-z][A-Za-z0-9_-]{0,62}(\.end)?|[0-9].*)$`, func(s string) (Instant, string) {
		name, end := strings.CutSuffix(s, ".end")
		if faultName.MatchString(name) {
			return Instant{Fault: name, End: end}, ""
		}
		at, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return Instant{}, schema.Quote(s) + " is no time: write the name of a fault, NAME.end, or a duration such as 90s"
		case at < 0 || at > maxDuration:
			return Instant{}, fmt.Sprintf("%s is out of range: choose 0s to %s", schema.Quote(s), schema.FormatDuration(maxDuration))
		}
		return Instant{Offset: at}, ""
	}, func(i Instant) any { return nil })
}

// duringKind is a fault that lasts.
func duringKind() *schema.Scalar[Instant] {
	return schema.Words("fault", faultNameText, func(s string) (Instant, string) {
		if !faultName.MatchString(s) {
			return Instant{}, schema.Quote(s) + " is no fault: write the name of one"
		}
		return Instant{Fault: s}, ""
	}, func(i Instant) any { return nil })
}
