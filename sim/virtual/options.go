package virtual

import "time"

// Options say how to run it.
type Options struct {
	// Seed replaces the scenario's; 0: it does not.
	Seed uint64
	// Patience is how long a run may take, in real time; 0: a minute, and the duration of
	// the scenario again.
	Patience time.Duration
	// Workers is how many processes [RunAll] has at once; 0: one for each processor.
	Workers int
}

// Stage is what runs of this package are of.
const Stage = "virtual"
