package local

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
)

// label is what goroutines of a run have, with its number: they inherit it.
const label = "sim/local"

// goroutines are those of a run but for the caller's, by the function that each runs.
func goroutines(number string) (left []string) {
	var b bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	mark := fmt.Sprintf("%q:%q", label, number)
	for _, group := range strings.Split(b.String(), "\n\n") {
		head, labels, _ := strings.Cut(group, "# labels: ")
		labels, stack, _ := strings.Cut(labels, "\n")
		if !strings.Contains(labels, mark) || strings.Contains(stack, "sim/local.goroutines+") {
			continue
		}
		count, _, _ := strings.Cut(strings.TrimSpace(head[strings.LastIndexByte(strings.TrimSpace(head), '\n')+1:]), " ")
		var in string
		for line := range strings.Lines(stack) {
			if f := strings.Fields(line); len(f) >= 3 { // the last one is what it began with
				in, _, _ = strings.Cut(f[2], "+0x")
			}
		}
		left = append(left, count+" of the goroutine of "+in)
	}
	return left
}
