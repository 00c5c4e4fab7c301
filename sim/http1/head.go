package http1

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrMalformed is of what is not HTTP.
var ErrMalformed = errors.New("http1: this is no HTTP/1.1")

// Head is the head of a request or a response.
type Head struct {
	// First are the three words of its first line.
	First  [3][]byte
	Fields []Field
}

// Field is a field with its value.
type Field struct{ Name, Value []byte }

func (h *Head) parse(text []byte) error {
	h.Fields = h.Fields[:0]
	line, rest, _ := bytes.Cut(text, []byte("\r\n"))
	a, b, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return ErrMalformed
	}
	b, c, _ := bytes.Cut(b, []byte(" "))
	h.First = [3][]byte{a, b, c}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 {
			return ErrMalformed
		}
		h.Fields = append(h.Fields, Field{name, bytes.Trim(value, " \t")})
	}
	return nil
}

// Get is the value of the first field of a name; nil if there is none.
func (h *Head) Get(name string) []byte {
	for i := range h.Fields {
		if f := &h.Fields[i]; len(f.Name) == len(name) && bytes.EqualFold(f.Name, []byte(name)) {
			return f.Value
		}
	}
	return nil
}

// Status is that of a response.
func (h *Head) Status() (int, error) {
	status, err := strconv.Atoi(string(h.First[1]))
	if !bytes.HasPrefix(h.First[0], []byte("HTTP/1.")) || err != nil || status < 100 || status > 999 {
		return 0, ErrMalformed
	}
	return status, nil
}

// Last says whether the connection ends with the message.
func (h *Head) Last() bool { return bytes.EqualFold(h.Get("Connection"), []byte("close")) }

// Framing is how the end of a body is known.
type Framing struct {
	Length  int64
	Chunked bool
	ToEnd   bool // of the connection
}

// RequestBody is how a request's body ends.
func (h *Head) RequestBody() (Framing, error) {
	if h.Get("Transfer-Encoding") != nil {
		return Framing{Chunked: true}, nil
	}
	n, err := h.length()
	return Framing{Length: max(n, 0)}, err
}

// ResponseBody is how the body of a final response to a method ends.
func (h *Head) ResponseBody(method string) (Framing, error) {
	status, err := h.Status()
	switch {
	case err != nil:
		return Framing{}, err
	case method == "HEAD", status == 204, status == 304:
		return Framing{}, nil
	case h.Get("Transfer-Encoding") != nil:
		return Framing{Chunked: true}, nil
	}
	n, err := h.length()
	if n < 0 {
		return Framing{ToEnd: true}, err
	}
	return Framing{Length: n}, err
}

// length is the Content-Length; -1: there is none.
func (h *Head) length() (int64, error) {
	text := h.Get("Content-Length")
	if text == nil {
		return -1, nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return 0, ErrMalformed
	}
	return n, nil
}
