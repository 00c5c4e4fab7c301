package schema

import "strings"

// Nearest returns the known name that was probably meant, or "".
func Nearest(name string, known []string) string {
	best, distance := "", len(name)/3+2 // a distance below that is close
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
		if dist := editDistance(strings.ToLower(name), strings.ToLower(k), distance); dist < distance {
			best, distance = k, dist
		}
	}
	if best != "" || len(name) < 4 {
		return best
	}
	for _, k := range known { // a part of one name only
		if strings.Contains(strings.ToLower(k), strings.ToLower(name)) {
			if best != "" {
				return ""
			}
			best = k
		}
	}
	return best
}

// DidYouMean ends a message about an unknown name: with the known one that was
// meant, or with all of them.
func DidYouMean(meant string, known []string) string {
	const most = 20
	switch {
	case meant != "":
		return ": did you mean " + Quote(meant) + "?"
	case len(known) == 0 || len(known) > most:
		return ""
	case len(known) == 1:
		return ": the only one is " + known[0]
	}
	return ": choose from " + strings.Join(known, ", ")
}

// editDistance is how many characters must be inserted, removed, replaced or
// swapped with their neighbour to make a into b (Damerau 1964, restricted to
// one edit a place). It returns limit if the distance is not below it.
func editDistance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}

func abs(n int) int { return max(n, -n) }
