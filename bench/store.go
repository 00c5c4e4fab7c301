package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go-loadbalancer/bench/server"
)

// storeInRedis is what the product calls sessions that are kept in a store.
const storeInRedis = "Redis"

// store is the redis-server that sessions are kept in: one for the whole run, on the
// core of the load, so that nothing of it is counted as a balancer's.
type store struct {
	*server.Process
	command server.Command
	address string
}

// startStore starts the store if it does not run yet. It must be called from a locked
// thread.
func (b *bench) startStore(ctx context.Context) error {
	if b.store != nil {
		return nil
	}
	binary, err := find("redis-server")
	if err != nil {
		return fmt.Errorf("%w: run .ci/install bench", err)
	}
	dir, err := os.MkdirTemp(b.dir, "redis-")
	if err != nil {
		return err
	}
	addresses, err := server.FreeAddresses(1)
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(addresses[0])
	s := &store{address: addresses[0]}
	s.command = server.Command{
		Name: "redis-server", Dir: dir, Ready: s.answers,
		Argv: append(b.storeCore[:len(b.storeCore):len(b.storeCore)], binary,
			"--bind", host, "--port", port, "--save", "", "--appendonly", "no", "--dir", dir),
	}
	if err := s.restart(ctx); err != nil {
		return err
	}
	b.store = s
	return nil
}

// restart starts the store, empty.
func (s *store) restart(ctx context.Context) (err error) {
	s.Process, err = server.Start(ctx, s.command)
	return err
}

// answers asks the store whether it is there.
func (s *store) answers() error {
	conn, err := net.DialTimeout("tcp", s.address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	var pong [7]byte
	if _, err := io.ReadFull(conn, pong[:]); err != nil || string(pong[:]) != "+PONG\r\n" {
		return fmt.Errorf("PING: %q, %w", pong, err)
	}
	return nil
}

// pause has the store do nothing at all, though its kernel still takes what is sent;
// resume ends that.
func (s *store) pause() error  { return s.Signal(syscall.SIGSTOP) }
func (s *store) resume() error { return s.Signal(syscall.SIGCONT) }

// Stop ends the store, also if it is paused.
func (s *store) Stop() error {
	s.resume()
	return s.Process.Stop()
}

// kill ends the store without giving it time for anything.
func (s *store) kill() error {
	err := s.Signal(syscall.SIGKILL)
	<-s.Exited
	return err
}

// writeKeys writes a file of one key.
func writeKeys(dir string) (string, error) {
	file := filepath.Join(dir, "cookie.keys")
	var key [32]byte
	rand.Read(key[:]) // never fails: it ends the process rather
	return file, os.WriteFile(file, fmt.Appendf(nil, "%x\n", key[:]), 0o600)
}
