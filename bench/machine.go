package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// machine describes where the figures come from.
type machine struct {
	cpu    string
	cores  int
	memory string
	kernel string
	system string
	load   string // averages over 1, 5 and 15 minutes, before the run
}

// describe leaves out what the system does not tell.
func describe() machine {
	m := machine{
		cpu: field("/proc/cpuinfo", "model name", ":"), cores: runtime.NumCPU(),
		memory: field("/proc/meminfo", "MemTotal", ":"),
		system: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.kernel = strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load = strings.Join(strings.Fields(string(text))[:3], " ")
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

// pin says how to run a process on a core, by preference with the real-time
// policy that keeps everything else off it, and whether that is had.
func pin(core int) (prefix []string, realTime bool) {
	if _, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > core {
		prefix = []string{"taskset", "-c", fmt.Sprint(core)}
	}
	if exec.Command("chrt", "-r", "1", "true").Run() == nil {
		return append(prefix, "chrt", "-r", "1"), true
	}
	return prefix, false
}

// find looks a binary up, also where Debian keeps servers that are not on
// everybody's PATH.
func find(binary string) (string, error) {
	path, err := exec.LookPath(binary)
	if err == nil {
		return filepath.Abs(path)
	}
	if path := filepath.Join("/usr/sbin", binary); exec.Command(path, "-v").Run() == nil {
		return path, nil
	}
	return "", err
}

// version is the first line a candidate's binary says about itself.
func (c candidate) versionOf(binary string) string {
	text, err := exec.Command(binary, c.version...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if err != nil && line == "" {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return line
}
