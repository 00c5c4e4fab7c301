package virtual

import (
	"flag"
	"os"
	"testing"
	"testing/synctest"
)

// bubble runs f in a bubble of virtual time and ends the process: with what f returns,
// or by a panic. That is all for which an ordinary program needs the testing package.
func bubble(f func() int) {
	testing.Init()
	flag.CommandLine.Parse([]string{"-test.timeout=0"})
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "virtual", F: func(t *testing.T) {
		synctest.Test(t, func(*testing.T) { os.Exit(f()) })
	}}}, nil, nil)
}
