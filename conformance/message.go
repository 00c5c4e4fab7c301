package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// message is a request or a response as the far end of a connection understands
// it. The reading here is written for this purpose alone and shares no code with
// what it judges: it takes the grammar of RFC 9112 to the letter and knows none of
// its allowances in what tells where messages end, so that what two readers could
// take for different things counts as malformed.
type message struct {
	start    [3]string // method, target, version; or version, status, reason
	fields   []field
	body     string
	trailers []field
	status   int

	raw       []byte // its head, and the lines around its chunks, as they came
	malformed string // why it is none; empty: it is one
	partial   bool   // the connection ended, or it ended short, before its end
	untilEnd  bool   // its end is the connection's
}

type field struct{ name, value string }

// maxHead and maxBody bound what is read of one message.
const (
	maxHead = 1 << 20
	maxBody = 32 << 20
)

// values joins what the fields of a name say by " | ".
func values(fields []field, name string) (string, bool) {
	var all []string
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			all = append(all, f.value)
		}
	}
	return strings.Join(all, " | "), all != nil
}

// errMalformed says why bytes are no message.
type errMalformed string

func (e errMalformed) Error() string { return string(e) }

// reader reads messages.
type reader struct {
	in *bufio.Reader
	// seen is told of every head as soon as it was read, to answer an expectation.
	seen func(*message)
}

// request reads a request. The error is [io.EOF] if the connection ended before
// one began; a message that is malformed or partial comes with an error too.
func (r *reader) request() (*message, error) {
	m := new(message)
	return m, r.end(m, r.readRequest(m))
}

// response reads the response to a request of the method.
func (r *reader) response(method string) (*message, error) {
	m := new(message)
	return m, r.end(m, r.readResponse(m, method))
}

// end marks in the message what the error means for it.
func (r *reader) end(m *message, err error) error {
	var malformed errMalformed
	switch {
	case err == nil:
		return nil
	case errors.As(err, &malformed):
		m.malformed = string(malformed)
		return err
	case len(m.raw) == 0 && err == io.EOF:
		return io.EOF
	}
	m.partial = true
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (r *reader) readRequest(m *message) error {
	if err := r.head(m); err != nil {
		return err
	}
	method, target, version := m.start[0], m.start[1], m.start[2]
	switch {
	case !token(method) || target == "" || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return errMalformed("request line")
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		return errMalformed("version")
	}
	hosts := 0
	for _, f := range m.fields {
		if strings.EqualFold(f.name, "Host") {
			hosts++
		}
	}
	if hosts > 1 {
		return errMalformed(fmt.Sprintf("%d Host fields", hosts))
	}
	if r.seen != nil {
		r.seen(m)
	}
	length, chunked, err := framing(m)
	switch {
	case err != nil:
		return err
	case chunked:
		return r.chunks(m)
	case length > 0:
		return r.sized(m, length)
	}
	return nil
}

func (r *reader) readResponse(m *message, method string) error {
	if err := r.head(m); err != nil {
		return err
	}
	status, err := strconv.Atoi(m.start[1])
	if !strings.HasPrefix(m.start[0], "HTTP/1.") || len(m.start[0]) != 8 || err != nil || len(m.start[1]) != 3 || status < 100 {
		return errMalformed("status line")
	}
	m.status = status
	length, chunked, err := framing(m)
	if err != nil {
		return err
	}
	if r.seen != nil {
		r.seen(m)
	}
	switch {
	case status == 101:
		return r.rest(m)
	case status < 200 || status == 204 || status == 304 || method == "HEAD":
		return nil // whatever its fields say
	case chunked:
		return r.chunks(m)
	case length >= 0:
		return r.sized(m, length)
	}
	return r.rest(m)
}

// head reads a start line and fields.
func (r *reader) head(m *message) error {
	line, err := r.line(m)
	if err != nil {
		return err
	}
	parts := strings.SplitN(line, " ", 3)
	copy(m.start[:], parts)
	if len(parts) < 2 {
		return errMalformed("start line")
	}
	m.fields, err = r.section(m)
	return err
}

// section reads field lines up to the empty one.
func (r *reader) section(m *message) ([]field, error) {
	var fields []field
	for {
		line, err := r.line(m)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !token(name) {
			return fields, errMalformed("field name")
		}
		value = strings.Trim(value, " \t")
		// Other control bytes are invalid too, but may be kept (RFC 9110 section 5.5).
		if strings.ContainsAny(value, "\x00\r\n") {
			return fields, errMalformed("field value")
		}
		fields = append(fields, field{name, value})
	}
}

// line reads a line, which ends in CRLF and holds no other CR.
func (r *reader) line(m *message) (string, error) {
	line, err := r.in.ReadString('\n')
	m.raw = append(m.raw, line...)
	switch {
	case err != nil:
		return "", err
	case len(m.raw) > maxHead:
		return "", errMalformed("endless head")
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.Contains(text, "\r") {
		return "", errMalformed("line end")
	}
	return text, nil
}

// framing is what the fields say of the content: its length, -1 if they do not.
func framing(m *message) (length int64, chunked bool, err error) {
	length = -1
	for _, f := range m.fields {
		switch {
		case strings.EqualFold(f.name, "Content-Length"):
			n, err := strconv.ParseUint(f.value, 10, 64)
			if err != nil || length >= 0 || strings.Trim(f.value, "0123456789") != "" {
				return 0, false, errMalformed("Content-Length")
			}
			length = int64(min(n, math.MaxInt64))
		case strings.EqualFold(f.name, "Transfer-Encoding"):
			if chunked || !strings.EqualFold(f.value, "chunked") {
				return 0, false, errMalformed("Transfer-Encoding")
			}
			chunked = true
		}
	}
	if chunked && (length >= 0 || m.start[2] == "HTTP/1.0" || m.start[0] == "HTTP/1.0") {
		return 0, false, errMalformed("two framings")
	}
	return length, chunked, nil
}

func (r *reader) sized(m *message, n int64) error {
	var b strings.Builder
	_, err := io.CopyN(&b, r.in, min(n, maxBody))
	m.body = b.String()
	return err
}

func (r *reader) rest(m *message) error {
	m.untilEnd = true
	var b strings.Builder
	_, err := io.Copy(&b, io.LimitReader(r.in, maxBody))
	m.body = b.String()
	return err
}

func (r *reader) chunks(m *message) error {
	var b strings.Builder
	defer func() { m.body = b.String() }()
	for {
		line, err := r.line(m)
		if err != nil {
			return err
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(digits, 16, 31)
		if err != nil || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
			return errMalformed("chunk size")
		}
		if size == 0 {
			m.trailers, err = r.section(m)
			return err
		}
		if _, err := io.CopyN(&b, r.in, int64(size)); err != nil {
			return err
		}
		if end, err := r.line(m); err != nil {
			return err
		} else if end != "" {
			return errMalformed("chunk end")
		}
	}
}

// token reports whether s is a token (RFC 9110 section 5.6.2).
func token(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
