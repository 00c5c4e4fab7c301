package affinitytest

import "syscall"

// orphanless has a process end with its parent.
func orphanless() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
