//go:build !linux

package affinitytest

import "syscall"

// orphanless has nothing to offer here.
func orphanless() *syscall.SysProcAttr { return nil }
