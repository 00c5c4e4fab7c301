package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ReadWorkingSet is the memory of the control group that a process is in, in bytes, as
// Kubernetes counts it against a limit: all that is charged to it, kernel memory
// included, less the file pages that were not used lately (inactive_file). Version 1 of
// control groups leaves out the buffers of sockets.
func ReadWorkingSet(pid int) (int64, error) {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return 0, err
	}
	dir, v1, err := memoryGroup(string(groups))
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	usage, inactive := "memory.current", "inactive_file"
	if v1 {
		usage, inactive = "memory.usage_in_bytes", "total_inactive_file"
	}
	text, err := os.ReadFile(filepath.Join(dir, usage))
	if err != nil {
		return 0, err
	}
	all, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, err
	}
	if text, err = os.ReadFile(filepath.Join(dir, "memory.stat")); err != nil {
		return 0, err
	}
	unused, err := statOf(string(text), inactive)
	return max(0, all-unused), err
}

// memoryGroup is the directory of the group that accounts for memory, from the text of
// /proc/PID/cgroup: lines of "hierarchy:controllers:path". See cgroups(7).
func memoryGroup(text string) (dir string, v1 bool, err error) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			if controller == "memory" {
				return filepath.Join("/sys/fs/cgroup/memory", fields[2]), true, nil
			}
		}
		if fields[0] == "0" {
			dir = filepath.Join("/sys/fs/cgroup", fields[2])
		}
	}
	if dir == "" {
		return "", false, fmt.Errorf("no control group accounts for its memory: %q", text)
	}
	return dir, false, nil
}

// statOf is a figure of memory.stat: lines of "name value".
func statOf(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("memory.stat has no %s", name)
}
