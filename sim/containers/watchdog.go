//go:build !image

package containers

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// command is the argument by which a process knows that it is to clear away.
const command = "containers-clear-away"

// Work is the first thing that a program calls which plays on containers. It does not
// return in the process that removes a run's containers should the one that plays it be
// killed or panic: it has the run's label as its argument, and the end of its standard
// input tells that the other one is no more.
func Work() {
	if len(os.Args) != 3 || os.Args[1] != command {
		return
	}
	word := make([]byte, 1)
	if n, _ := io.ReadFull(os.Stdin, word); n == 1 {
		os.Exit(0) // all is removed
	}
	e, err := dial(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
	label := labelRun + "=" + os.Args[2]
	// Something may be in the making yet.
	for range 3 {
		e.remove(label)
		time.Sleep(time.Second)
	}
	if left := e.remove(label); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "sim: left of a run that was broken off:", left)
		os.Exit(1)
	}
	os.Exit(0)
}

// watchdog is that process.
type watchdog struct {
	process *exec.Cmd
	lives   io.WriteCloser
}

// watch starts one for a run.
func watch(run string) (*watchdog, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &watchdog{process: exec.Command(self, command, run)}
	w.process.Stderr = os.Stderr
	w.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not meant for it
	if w.lives, err = w.process.StdinPipe(); err != nil {
		return nil, err
	}
	if err := w.process.Start(); err != nil {
		return nil, fmt.Errorf("who would clear away cannot be started: %w", err)
	}
	return w, nil
}

// end tells it that all is removed, or that it is to try what this process could not.
func (w *watchdog) end(removed bool) {
	if removed {
		w.lives.Write([]byte{'.'})
	}
	w.lives.Close()
	w.process.Wait()
}
