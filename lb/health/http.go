package health

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"go-loadbalancer/lb/policy"
	"go-loadbalancer/lb/wire"
)

const (
	// maxHeads bounds the final head of an answer, and all interim ones together.
	maxHeads = 32 << 10
	// maxBody is how much of a body is looked at.
	maxBody = 64 << 10
	// patience is how long an endpoint has to end the connection after its answer,
	// or to send more than that.
	patience = 50 * time.Millisecond
)

var (
	errNoAnswer = errors.New("the connection ended before a whole answer head")
	errBehind   = errors.New("more bytes came than the answer has by its own account")
	errSwitched = errors.New("it switched protocols, unasked")
)

// askHTTP asks for a path. It passes by an expected status with a body that is
// whole, or good as far as it is looked at. Redirects are not followed.
func askHTTP(nc net.Conn, host string, check *policy.ActiveCheck) error {
	if check.Hostname != "" {
		host = check.Hostname
	}
	conn := wire.NewConn(nc)
	defer conn.Close()
	conn.SetPending(wire.AppendRequest(conn.Pending(), &wire.Request{
		Method: []byte("GET"), Target: []byte(check.Path), Authority: []byte(host),
		Fields: wire.Fields{
			{Name: []byte("User-Agent"), Value: []byte(userAgent)},
			{Name: []byte("Accept"), Value: []byte("*/*")},
			// It is no end-to-end field, but nobody passes this request on.
			{Name: []byte("Connection"), Value: []byte("close")},
		},
	}))
	if err := conn.Flush(); err != nil {
		return err
	}
	r, err := readHead(conn)
	if err != nil {
		return err
	}
	if !slices.Contains(check.ExpectedStatuses, r.Status) {
		return fmt.Errorf("status %d, expected %v", r.Status, check.ExpectedStatuses)
	}
	return readBody(conn, r)
}

// readHead reads the final head.
func readHead(conn *wire.Conn) (*wire.Response, error) {
	r := new(wire.Response)
	for left := maxHeads; ; {
		n := 0
		if len(conn.Buffered()) > 0 {
			var err error
			if n, err = r.Parse(conn.Buffered(), false, wire.Limits{HeadBytes: maxHeads}); err != nil {
				return nil, err
			}
		}
		if n == 0 {
			if err := conn.Fill(); err == io.EOF {
				return nil, errNoAnswer
			} else if err != nil {
				return nil, err
			}
			continue
		}
		conn.Discard(n)
		switch {
		case r.Status == 101:
			return nil, errSwitched
		case r.Status >= 200:
			return r, nil
		}
		if left -= n; left <= 0 {
			return nil, fmt.Errorf("more than %d bytes of interim answers", maxHeads)
		}
	}
}

func readBody(conn *wire.Conn, r *wire.Response) error {
	var body wire.Body
	body.Reset(conn, r.Framing, r.Length)
	for body.BytesRead() < maxBody {
		_, err := body.Next()
		if err == io.EOF {
			return nothingBehind(conn)
		}
		if err != nil {
			return fmt.Errorf("status %d, and a broken body: %w", r.Status, err)
		}
	}
	return nil
}

// nothingBehind fails if anything comes after the answer. What is too much may be
// sent after the rest, so the end of the connection is waited for, which was asked
// for, but not for long: one who keeps it open is not ill.
func nothingBehind(conn *wire.Conn) error {
	conn.SetReadWindow(patience, patience)
	if len(conn.Buffered()) > 0 || conn.Fill() == nil {
		return errBehind
	}
	return nil // the end, or how it came about, says nothing any more
}
