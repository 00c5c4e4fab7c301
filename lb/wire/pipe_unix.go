//go:build unix && !linux

package wire

import "errors"

// Only Linux has splice(2).
func newPipe() *Pipe { return nil }

func (p *Pipe) close() {}

func (p *Pipe) spliceIn(uintptr, int64) (int, error) { return 0, errors.ErrUnsupported }

func (p *Pipe) spliceOut(uintptr) error { return errors.ErrUnsupported }
