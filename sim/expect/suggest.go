package expect

import (
	"slices"

	"go-loadbalancer/lb/schema"
)

// unknown says that a name is none of those known, and which was meant; empty: it is
// one of them.
func unknown(noun, name string, known []string) string {
	if slices.Contains(known, name) {
		return ""
	}
	return "there is no " + noun + " " + quote(name) + schema.DidYouMean(schema.Nearest(name, known), known)
}
