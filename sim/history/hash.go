package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Hash is a number, in hexadecimal, that two runs have in common if they were the same
// to the last nanosecond.
func (r *Run) Hash() string {
	h := sha256.New()
	plain := *r
	plain.Metrics = nil // its numbers may be none that JSON knows
	if err := json.NewEncoder(h).Encode(&plain); err != nil {
		panic(err) // it has numbers, strings and lists of them
	}
	for _, replica := range slices.Sorted(maps.Keys(r.Metrics)) {
		for _, series := range slices.Sorted(maps.Keys(r.Metrics[replica])) {
			fmt.Fprintln(h, replica, series, strconv.FormatFloat(r.Metrics[replica][series], 'g', -1, 64))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
