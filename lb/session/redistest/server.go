package redistest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
)

// Server is one redis-server. Its methods are called by one goroutine at a time;
// Do, Addr and URL by any.
type Server struct {
	// Port is the one it listens at, of 127.0.0.1.
	Port string

	dir     string
	options Options
	args    []string
	tls     *tls.Config
	process *process
}

// Start starts a server that keeps its files in an empty directory.
func Start(dir string, o Options) (*Server, error) {
	s := &Server{dir: dir, options: o}
	listen := "--port"
	if o.TLS {
		if err := certify(dir); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(s.CA())
		if err != nil {
			return nil, err
		}
		s.tls = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
		s.tls.RootCAs.AppendCertsFromPEM(text)
		listen = "--tls-port"
	}
	usual := []string{"--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", dir, "--repl-diskless-sync-delay", "0"}
	if o.TLS {
		usual = append(usual, "--port", "0", "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no")
	}
	if o.Password != "" {
		usual = append(usual, "--requirepass", o.Password, "--masterauth", o.Password)
	}
	return s, s.open(append(usual, o.Args...), listen)
}

// open starts the server at a free port; again at another if somebody was faster.
func (s *Server) open(args []string, listen string) (err error) {
	for range 3 {
		if s.Port, err = freePort(); err != nil {
			return err
		}
		s.args = append(args[:len(args):len(args)], listen, s.Port)
		if err = s.run(); err == nil {
			return nil
		}
	}
	return err
}

// run starts the process, and waits until it answers.
func (s *Server) run() (err error) {
	if s.process, err = launch(s.dir, s.args); err != nil {
		return err
	}
	err = await("redis-server answers", func() (bool, error) {
		if s.process.ended() {
			return false, errFinal{s.process.failure("ended")}
		}
		pong, err := s.Do("PING")
		return pong == "PONG", err
	})
	if err != nil {
		s.process.kill()
	}
	return err
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", s.Port) }

// CA is the file of the CA that signed the server's certificate.
func (s *Server) CA() string { return filepath.Join(s.dir, "ca.pem") }

// URL is where clients find the server, with the password if there is one.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr()}
	if s.options.TLS {
		u.Scheme = "rediss"
		u.RawQuery = url.Values{"ca_file": {s.CA()}}.Encode()
	}
	if s.options.Password != "" {
		u.User = url.UserPassword("", s.options.Password)
	}
	return u.String()
}

// Do has the server execute a command, on a connection of its own. It returns a
// string, an int64, nil, or a []any of such.
func (s *Server) Do(args ...string) (any, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), patience/2)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if s.tls != nil {
		conn = tls.Client(conn, s.tls)
	}
	if s.options.Password != "" {
		if _, err := ask(conn, []string{"AUTH", s.options.Password}); err != nil {
			return nil, err
		}
	}
	return ask(conn, args)
}

// Stop ends the server and waits for its end. It may be called again.
func (s *Server) Stop() { s.process.stop() }

// Kill ends the server without giving it time for anything.
func (s *Server) Kill() { s.process.kill() }

// Pause has the server do nothing at all; its kernel still accepts connections.
func (s *Server) Pause() error { return s.process.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (s *Server) Resume() error { return s.process.cmd.Process.Signal(syscall.SIGCONT) }

// Restart starts the server again at the same port, having stopped it if it runs:
// with what it held, or empty.
func (s *Server) Restart(keep bool) error {
	dump := filepath.Join(s.dir, "dump.rdb")
	if keep {
		if s.process.ended() {
			return errors.New("the server has ended: what it held is lost")
		}
		if _, err := s.Do("SAVE"); err != nil {
			return fmt.Errorf("saving what the server holds: %w", err)
		}
	}
	s.Stop()
	if !keep {
		if err := os.Remove(dump); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return s.run()
}
