// Package machine is what benchmarks ask of the machine they run on: what it is,
// a core for each process, and that no other benchmark runs meanwhile.
//
//	unlock, err := machine.Lock(ctx, machine.LockFile(), func() { /* say so */ })
//	prefix, realTime := machine.Pin(0)
//	cmd := exec.Command(prefix[0], append(prefix[1:], "server")...)
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Description says where figures come from. What the system does not tell is
// empty.
type Description struct {
	CPU    string
	Cores  int
	Memory string
	Kernel string
	System string
	Load   string // averages over 1, 5 and 15 minutes, before the run
}

// Describe describes this machine.
func Describe() Description {
	m := Description{
		CPU: field("/proc/cpuinfo", "model name", ":"), Cores: runtime.NumCPU(),
		Memory: field("/proc/meminfo", "MemTotal", ":"),
		System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	return m
}

// field is the value of the first line of a file with a name before the separator.
func field(file, name, separator string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		k, v, ok := strings.Cut(line, separator)
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Pin says how to run a process on a core, by preference with the real-time
// policy that keeps everything else off it, and whether that is had. The prefix
// is empty where neither can be done.
func Pin(core int) (prefix []string, realTime bool) {
	if _, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > core {
		prefix = []string{"taskset", "-c", fmt.Sprint(core)}
	}
	if exec.Command("chrt", "-r", "1", "true").Run() == nil {
		return append(prefix, "chrt", "-r", "1"), true
	}
	return prefix, false
}

// RaiseFileLimit lets this process and its children open as many files as they
// may. Too few show as errors of whatever needs more.
func RaiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}
