package redistest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// primaryName is what the sentinels call the primary.
const primaryName = "shop"

// Sentinel is a primary and its replica, watched by sentinels that replace a primary
// they cannot reach for half a second.
type Sentinel struct {
	// Servers are the two of them; the first was the primary at first.
	Servers []*Server
	// Sentinels watch them.
	Sentinels []*Server

	options Options
}

// StartSentinel starts the two servers and so many sentinels, in subdirectories.
// The options are those of the servers, without TLS.
func StartSentinel(dir string, sentinels int, o Options) (_ *Sentinel, err error) {
	s := &Sentinel{options: o}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	for i := range 2 {
		each := o
		if i > 0 {
			each.Args = append(o.Args[:len(o.Args):len(o.Args)], "--replicaof", "127.0.0.1 "+s.Servers[0].Port)
		}
		if err := add(&s.Servers, dir, "server", func(dir string) (*Server, error) { return Start(dir, each) }); err != nil {
			return nil, err
		}
	}
	if err := s.awaitReplica(); err != nil {
		return nil, err
	}
	for range sentinels {
		if err := add(&s.Sentinels, dir, "sentinel", func(dir string) (*Server, error) { return s.watcher(dir, sentinels/2+1) }); err != nil {
			return nil, err
		}
	}
	return s, s.awaitWatched()
}

// add starts one more server of a kind in a subdirectory.
func add(servers *[]*Server, dir, kind string, start func(dir string) (*Server, error)) error {
	dir = filepath.Join(dir, kind+strconv.Itoa(len(*servers)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	server, err := start(dir)
	if err == nil {
		*servers = append(*servers, server)
	}
	return err
}

// watcher starts a sentinel.
func (s *Sentinel) watcher(dir string, quorum int) (*Server, error) {
	file := filepath.Join(dir, "sentinel.conf") // it writes what it learns there
	lines := []string{
		"bind 127.0.0.1",
		"dir " + dir,
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s %d", primaryName, s.Servers[0].Port, quorum),
		"sentinel down-after-milliseconds " + primaryName + " 500",
		"sentinel failover-timeout " + primaryName + " 3000",
	}
	if s.options.Password != "" {
		lines = append(lines, "sentinel auth-pass "+primaryName+" "+s.options.Password)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	w := &Server{dir: dir}
	return w, w.open([]string{file, "--sentinel"}, "--port")
}

// awaitReplica waits until the replica has what the primary was told. It calls the link
// up earlier than that: until it has acknowledged something, up to a second later, the
// primary keeps what it is told to itself, and all of it is lost if the replica takes
// over then.
func (s *Sentinel) awaitReplica() error {
	primary := s.Servers[0]
	for _, told := range [][]string{{"SET", "told", "1"}, {"DEL", "told"}} {
		if _, err := primary.Do(told...); err != nil {
			return err
		}
	}
	return await("the replica has what the primary was told", func() (bool, error) {
		info, err := primary.Do("INFO", "replication")
		text, _ := info.(string)
		_, after, _ := strings.Cut(text, "master_repl_offset:")
		offset, _, _ := strings.Cut(after, "\r\n")
		return offset > "0" && strings.Contains(text, "state=online,offset="+offset+","), err
	})
}

// awaitWatched waits until each sentinel knows the replica and all others.
func (s *Sentinel) awaitWatched() error {
	return await("the sentinels know everybody", func() (bool, error) {
		for _, w := range s.Sentinels {
			about, err := fields(w.Do("SENTINEL", "MASTER", primaryName))
			if err != nil || about["num-slaves"] != "1" || about["num-other-sentinels"] != strconv.Itoa(len(s.Sentinels)-1) {
				return false, err
			}
		}
		return true, nil
	})
}

// fields makes a map of an answer that lists names and values.
func fields(answer any, err error) (map[string]string, error) {
	all, _ := answer.([]any)
	m := map[string]string{}
	for i := 0; i+1 < len(all); i += 2 {
		m[fmt.Sprint(all[i])] = fmt.Sprint(all[i+1])
	}
	return m, err
}

// URL is where clients find whichever server is the primary.
func (s *Sentinel) URL() string {
	u := url.URL{Scheme: "redis+sentinel", Path: "/0", RawQuery: url.Values{"master": {primaryName}}.Encode()}
	if s.options.Password != "" {
		u.User = url.UserPassword("", s.options.Password)
	}
	var hosts []string
	for _, w := range s.Sentinels {
		hosts = append(hosts, w.Addr())
	}
	u.Host = strings.Join(hosts, ",")
	return u.String()
}

// Primary is the server that the sentinels believe to be the primary.
func (s *Sentinel) Primary() (*Server, error) {
	answer, err := s.Sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", primaryName)
	if err != nil {
		return nil, err
	}
	addr, _ := answer.([]any)
	for _, server := range s.Servers {
		if len(addr) == 2 && addr[1] == server.Port {
			return server, nil
		}
	}
	return nil, fmt.Errorf("the sentinels know no primary of ours: %v", answer)
}

// Failover has the replica take over from a primary that is well, and waits until it
// has. For some seconds more the old one believes to be the primary too.
func (s *Sentinel) Failover() error {
	old, err := s.Primary()
	if err != nil {
		return err
	}
	if _, err := s.Sentinels[0].Do("SENTINEL", "FAILOVER", primaryName); err != nil {
		return err
	}
	return s.AwaitPrimaryOtherThan(old)
}

// AwaitPrimaryOtherThan waits until a primary that was killed, or is to be replaced,
// has been.
func (s *Sentinel) AwaitPrimaryOtherThan(old *Server) error {
	return await("another primary", func() (bool, error) {
		now, err := s.Primary()
		if err != nil || now == old {
			return false, err
		}
		role, err := now.Do("ROLE")
		all, _ := role.([]any)
		return len(all) > 0 && all[0] == "master", err
	})
}

// Stop ends all of them.
func (s *Sentinel) Stop() {
	for _, w := range s.Sentinels {
		w.Stop()
	}
	for _, server := range s.Servers {
		server.Stop()
	}
}
