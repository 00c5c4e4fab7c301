package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// patience is for how long anything here may take.
const patience = 20 * time.Second

// pace is the pause between two looks at something that is waited for.
const pace = 5 * time.Millisecond

// process is a running redis-server.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed once it has ended and was reaped
}

// launch starts redis-server in a directory.
func launch(dir string, args []string) (*process, error) {
	p := &process{cmd: exec.Command("redis-server", args...), log: filepath.Join(dir, "log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.SysProcAttr = orphanless()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// ended says whether the process has.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process, gently at first.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGCONT)
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience / 4):
		p.kill()
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// failure is what went wrong, with the end of what the process had to say.
func (p *process) failure(what string) error {
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("redis-server %s: %s", what, bytes.TrimSpace(text[max(0, len(text)-1000):]))
}

// await looks until what is true, or it cannot be any more.
func await(what string, look func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(pace) {
		ok, err := look()
		if ok {
			return nil
		}
		var final errFinal
		if errors.As(err, &final) {
			return final.error
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("not within %v: %s", patience, what), err)
		}
	}
}

// errFinal is an error that waiting does not cure.
type errFinal struct{ error }
