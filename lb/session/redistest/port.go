package redistest

import (
	"errors"
	"net"
	"strconv"
)

// freePort returns a port that nobody listened at a moment ago, nor at the one
// 10000 above, which is a cluster node's second.
func freePort() (string, error) {
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		port := first.Addr().(*net.TCPAddr).Port
		first.Close()
		if port+10000 > 65535 {
			port -= 20000
		}
		free := true
		for _, p := range []int{port, port + 10000} {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return strconv.Itoa(port), nil
		}
	}
	return "", errors.New("no free port")
}
