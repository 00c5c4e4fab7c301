package expect

import (
	"slices"
	"strings"
)

// unknown says that a name is none of those known, and which was meant; empty: it is
// one of them.
func unknown(noun, name string, known []string) string {
	if slices.Contains(known, name) {
		return ""
	}
	message := "there is no " + noun + " " + quote(name)
	best, least := "", len(name)/3+2
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	switch {
	case best != "":
		return message + ": did you mean " + quote(best) + "?"
	case len(known) == 0 || len(known) > 20:
		return message
	}
	return message + ": choose from " + strings.Join(known, ", ")
}

// distance is how many characters must be inserted, removed or replaced to make a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := before
			if a[i] != b[j] {
				d++
			}
			before = row[j+1]
			row[j+1] = min(d, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}
