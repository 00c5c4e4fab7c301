package machine

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownNetwork marks a process that OwnNetwork has started.
const ownNetwork = "BENCH_OWN_NETWORK"

// OwnNetwork gives this program a loopback of its own, where no firewall rule
// nor connection tracking of the machine costs every packet something: it runs
// the program again in a network namespace, and ends with its exit status. In
// that second process it returns true; false where namespaces are not to be had,
// as without root. It must be called first of all.
//
// There the congestion control is Reno, which every system has: it sends what
// it may at once, as Linux's default, Cubic, does. Where the machine's own is BBR
// every burst is paced by a timer instead, and what that costs is a good part of
// what a large body costs, and no proxy's doing.
func OwnNetwork() bool {
	if os.Getenv(ownNetwork) != "" {
		os.Unsetenv(ownNetwork)
		return loopbackUp() == nil && os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0) == nil
	}
	if os.Geteuid() != 0 {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		return false
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), ownNetwork+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		signal.Reset()
		return false
	}
	go func() {
		for s := range signals {
			// The terminal has told the child of an interrupt itself.
			if s != os.Interrupt {
				cmd.Process.Signal(s)
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit) && exit.Exited():
		os.Exit(exit.ExitCode())
	}
	os.Exit(1)
	return false
}

// Network says in a report what OwnNetwork returned.
func Network(own bool) string {
	if own {
		return "the loopback of a network namespace of its own; congestion control Reno"
	}
	return "the machine's loopback, with its firewall rules"
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
