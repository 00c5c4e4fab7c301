// Package procfs reads what processes used from Linux's /proc.
//
//	pids, err := procfs.Tree(cmd.Process.Pid)
//	before, err := procfs.ReadCPU(pids)
//	// …
//	after, err := procfs.ReadCPU(pids)
//	used, err := after.Since(before)
//
// See proc(5), and Documentation/scheduler/sched-stats.rst of the kernel for
// schedstat.
package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Tree lists a process and all its descendants.
func Tree(root int) ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, dir := range dirs {
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has just ended
		}
		pid, parent, err := parseStat(stat)
		if err != nil {
			return nil, fmt.Errorf("%s/stat: %w", dir, err)
		}
		children[parent] = append(children[parent], pid)
	}
	tree := []int{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// parseStat takes a process's id and its parent's from the text of stat. The
// second field, the command, may contain anything, parentheses included.
func parseStat(stat []byte) (pid, parent int, err error) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return 0, 0, fmt.Errorf("no command in %q", stat)
	}
	if pid, err = strconv.Atoi(string(bytes.TrimSpace(stat[:open]))); err != nil {
		return 0, 0, err
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 2 {
		return 0, 0, fmt.Errorf("too few fields in %q", stat)
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return pid, parent, err
}

// CPU is the time each thread of some processes has run, by thread id. The
// kernel brings a thread's figure up to date when it stops running, and at
// each timer tick while it runs.
type CPU map[int]time.Duration

// ReadCPU reads the times of all threads of the processes.
func ReadCPU(pids []int) (CPU, error) {
	cpu := CPU{}
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("process %d is gone, or the kernel has no schedstat", pid)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) {
				continue // Since says so if it matters
			}
			if err != nil {
				return nil, err
			}
			run, err := parseSchedstat(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			tid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				return nil, err
			}
			cpu[tid] = run
		}
	}
	return cpu, nil
}

// parseSchedstat takes the time run from "run wait slices", the times in
// nanoseconds.
func parseSchedstat(text []byte) (time.Duration, error) {
	fields := strings.Fields(string(text))
	if len(fields) != 3 {
		return 0, fmt.Errorf("three numbers expected, not %q", text)
	}
	ns, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || ns < 0 {
		return 0, fmt.Errorf("no time in %q", text)
	}
	return time.Duration(ns), nil
}

// Since is the time used since an earlier reading of the same processes. A
// thread that has ended since is an error: what it used is lost.
func (c CPU) Since(earlier CPU) (time.Duration, error) {
	var used time.Duration
	for tid, then := range earlier {
		now, ok := c[tid]
		if !ok {
			return 0, fmt.Errorf("thread %d ended meanwhile, and what it used is lost", tid)
		}
		used += now - then
	}
	for tid, now := range c {
		if _, ok := earlier[tid]; !ok {
			used += now
		}
	}
	return used, nil
}

// ReadPSS is the memory of the processes, in bytes, a page shared by n
// processes counted as an nth.
func ReadPSS(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		file := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		pss, err := parsePSS(text)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += pss
	}
	return sum, nil
}

func parsePSS(text []byte) (int64, error) {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "Pss:" && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no Pss line")
}

// ReadRSS is the resident memory of a process, in bytes.
func ReadRSS(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm: too few fields in %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// CountFiles is how many file descriptors a process has open.
func CountFiles(pid int) (int, error) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return len(names), err
}

// ReadTCPMemory is what the kernel uses for the buffers of all TCP connections
// of the machine, in bytes. Beyond the second figure of
// /proc/sys/net/ipv4/tcp_mem it drops what is sent, and connections stall.
func ReadTCPMemory() (int64, error) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	return parseTCPMemory(text)
}

// parseTCPMemory takes it from "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 2", in pages.
func parseTCPMemory(text []byte) (int64, error) {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == "TCP:" && fields[len(fields)-2] == "mem" {
			pages, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
			return pages * int64(os.Getpagesize()), err
		}
	}
	return 0, errors.New("/proc/net/sockstat: no TCP memory")
}

// ReadFileLimit is how many file descriptors a process may have open.
func ReadFileLimit(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, err
	}
	return parseFileLimit(string(text))
}

// parseFileLimit takes it from the line "Max open files SOFT HARD files".
func parseFileLimit(text string) (int, error) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "Max open files")
		if fields := strings.Fields(rest); ok && len(fields) > 0 {
			if fields[0] == "unlimited" {
				return math.MaxInt32, nil
			}
			return strconv.Atoi(fields[0])
		}
	}
	return 0, errors.New("no limit of open files")
}
