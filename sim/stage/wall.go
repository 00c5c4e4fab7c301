package stage

import (
	"sync/atomic"
	"time"
)

// wrong is a jump of wall clocks that lasts.
type wrong struct {
	by      time.Duration
	replica int // 0: of all
	told    atomic.Int64
}

// setClocks changes which jumps there are.
func (st *stage) setClocks(change func([]*wrong) []*wrong) {
	var now []*wrong
	if before := st.clocks.Load(); before != nil {
		now = append(now, *before...)
	}
	now = change(now)
	st.clocks.Store(&now)
}

// wall is a replica's wall clock. It has no monotonic reading: whoever measures by it
// what lasts is wrong when it jumps, and is to be found out.
func (st *stage) wall(replica int) func() time.Time {
	return func() time.Time {
		t := time.Now().Round(0)
		if all := st.clocks.Load(); all != nil {
			for _, w := range *all {
				if w.replica == 0 || w.replica == replica {
					w.told.Add(1)
					t = t.Add(w.by)
				}
			}
		}
		return t
	}
}
