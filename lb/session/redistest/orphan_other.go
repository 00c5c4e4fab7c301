//go:build !linux

package redistest

import "syscall"

// orphanless cannot have a process end with its parent here: a test that is killed
// leaves it behind.
func orphanless() *syscall.SysProcAttr { return nil }
