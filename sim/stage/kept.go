package stage

import (
	"fmt"
	"io/fs"
	"sync"

	"go-loadbalancer/lb/reload"
)

// kept is a replica's state directory, which outlives its processes.
type kept struct {
	mu     sync.Mutex
	bundle *reload.Bundle
}

func (k *kept) Load() (reload.Bundle, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bundle == nil {
		return reload.Bundle{}, fmt.Errorf("no policy was kept: %w", fs.ErrNotExist)
	}
	return *k.bundle, nil
}

func (k *kept) Save(b reload.Bundle) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bundle = &b
	return nil
}

// kept is what a replica of that number has kept.
func (st *stage) kept(number int) *kept {
	if st.states == nil {
		st.states = map[int]*kept{}
	}
	if st.states[number] == nil {
		st.states[number] = &kept{}
	}
	return st.states[number]
}
