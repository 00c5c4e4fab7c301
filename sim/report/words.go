package report

import "strings"

// flagWords are the balancer's remarks on a request in words; docs/telemetry.md has more
// of each.
var flagWords = map[string]string{
	"NR": "no route", "UH": "no endpoint eligible", "CB": "every breaker refused", "UO": "no room", "UF": "no connection",
	"UC": "connection broke", "UT": "too slow", "UPE": "not HTTP", "DC": "client left", "DPE": "malformed request",
	"DT": "client too slow", "RT": "tried more than once", "DR": "broken off by a drain", "RD": "redirected", "UG": "tunnel",
	"OM": "no descriptor or memory", "QT": "waited too long", "RL": "rate limit", "PM": "health ignored", "RB": "retry budget used up", "RS": "kept connection was closed", "IE": "broken off by a mistake of the balancer's",
}

// resultWords are what became of a try, where the product's own name says it badly. Of one
// that the breaker counts as failed the status says it.
var resultWords = map[string]string{
	"status": "failed", "connect": "no connection", "timeout": "timed out", "reset": "connection broke", "truncated": "broken off",
	"protocol_error": "not HTTP", "client_canceled": "the client left", "exhausted": "no descriptor or memory",
	"overflow": "no room", "aborted": "broken off by a drain",
}

// sessionWords are how a request's session was served.
var sessionWords = map[string]string{"new": "new", "home": "at its home", "away": "away from its home", "moved": "moved to another home"}

// flags are a request's remarks, each with its words.
func flags(short string) string {
	if short == "" {
		return ""
	}
	all := strings.Split(short, ",")
	for i, f := range all {
		if words := flagWords[f]; words != "" {
			all[i] = f + " (" + words + ")"
		}
	}
	return strings.Join(all, ", ")
}
