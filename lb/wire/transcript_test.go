package wire_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"

	"go-loadbalancer/lb/wire"
)

// message is what a reader understood a message to be, in words that two readers
// can be compared by.
type message struct {
	start    string // the request line's method and target, the status line's rest
	path     string // decoded
	query    string // with its "?"
	host     string
	framing  string // none, sized N, chunked, until close
	coded    bool   // it has a transfer coding, which here is the chunked one
	announce string // the length that a response without content announces
	keep     bool   // the connection can be used again
	fields   string // in lines, sorted by name, without what says the same as the above
	body     string
	trailers string
	end      int // where in the stream it ends

	connection string // of a message that is passed on: its Connection fields
}

// nominated reports whether the Connection fields name the field.
func (m *message) nominated(name []byte) bool {
	for member := range strings.SplitSeq(m.connection, ",") {
		if strings.EqualFold(strings.Trim(member, " \t"), string(name)) {
			return true
		}
	}
	return false
}

// verdict is how a reader came to the end of a stream.
type verdict string

const (
	ended   verdict = "ended"      // behind a whole message
	short   verdict = "incomplete" // inside of a message
	refused verdict = "refused"
)

// transcript is what a reader made of a stream.
type transcript struct {
	messages []message
	verdict  verdict
	err      error  // of a refusal
	partial  string // content read of the message that was not whole
}

func (t transcript) String() string {
	var b strings.Builder
	for _, m := range t.messages {
		fmt.Fprintf(&b, "  %#v\n", m)
	}
	fmt.Fprintf(&b, "  %s %v %q", t.verdict, t.err, t.partial)
	return b.String()
}

// maxMessages bounds how many messages of a stream are looked at.
const maxMessages = 6

// fragments cuts in into pieces of the lengths that cuts give, over and over; no
// cuts leave it whole.
func fragments(in, cuts []byte) (all [][]byte) {
	for i := 0; len(in) > 0; i++ {
		n := len(in)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		all = append(all, in[:n:n])
		in = in[n:]
	}
	return all
}

// reader reads a stream of messages as the proxy does.
type reader struct {
	source *pieces
	conn   *wire.Conn
	body   wire.Body
	whole  int
	data   func([]byte)      // is given each piece of content
	done   func(wire.Fields) // is given the trailers, when the content has ended
	transcript
}

func newReader(in, cuts []byte) *reader {
	r := &reader{source: &pieces{left: fragments(in, cuts)}, whole: len(in)}
	r.conn = wire.NewConn(r.source)
	r.data, r.done = func([]byte) {}, func(wire.Fields) {}
	return r
}

// at is how much of the stream was consumed.
func (r *reader) at() int {
	left := len(r.conn.Buffered())
	for _, p := range r.source.left {
		left += len(p)
	}
	return r.whole - left
}

// head reads a head, and reports whether there was one.
func (r *reader) head(parse func([]byte) (int, error)) bool {
	for {
		n, err := parse(r.conn.Buffered())
		switch {
		case err != nil:
			r.verdict, r.err = refused, err
			return false
		case n > 0:
			r.conn.Discard(n)
			return true
		}
		if err := r.conn.Fill(); err != nil {
			if r.verdict = short; len(r.conn.Buffered()) == 0 {
				r.verdict = ended
			}
			return false
		}
	}
}

// content reads the content of m, whose head has been read, and adds m to the
// transcript if it is whole.
func (r *reader) content(m message, framing wire.Framing, length int64) bool {
	r.body.Reset(r.conn, framing, length)
	r.conn.Hold()
	defer r.conn.Unhold()
	var got bytes.Buffer
	for {
		ready, reads := r.body.Buffered(), r.source.reads
		piece, err := r.body.Next()
		if ready != (r.source.reads == reads) {
			panic(fmt.Sprintf("Buffered said %v of piece %q, error %v", ready, piece, err))
		}
		got.Write(piece)
		if err == nil {
			r.data(piece)
			continue
		}
		if err == io.EOF {
			break
		}
		r.verdict, r.err, r.partial = refused, err, got.String()
		if err == io.ErrUnexpectedEOF {
			r.verdict, r.err = short, nil
		}
		return false
	}
	r.done(r.body.Trailers())
	m.body, m.trailers, m.end = got.String(), lines(r.body.Trailers()), r.at()
	r.messages = append(r.messages, m)
	r.verdict = ended
	return m.keep
}

// readRequests is what this package makes of a stream of requests. Each whole
// head is shown, while it is valid.
func readRequests(in, cuts []byte, lim wire.Limits, show func(*reader, *wire.Request)) transcript {
	r := newReader(in, cuts)
	defer r.conn.Close()
	var req wire.Request
	for len(r.messages) < maxMessages && r.head(func(b []byte) (int, error) { return req.Parse(b, lim) }) {
		if show != nil {
			show(r, &req)
		}
		m := message{
			start: string(req.Method) + " " + string(req.Target), host: string(req.Authority), keep: req.KeepAlive,
			framing: framing(req.Framing, req.Length), fields: lines(req.Fields, wire.Host, wire.TransferEncoding),
		}
		_, m.coded = req.Fields.Get("transfer-encoding")
		m.path, _ = url.PathUnescape(string(req.Path))
		if req.Query != nil {
			m.query = "?" + string(req.Query)
		}
		if !r.content(m, req.Framing, req.Length) {
			break
		}
	}
	return r.transcript
}

// readResponses is readRequests for responses: interim ones, and the final one.
func readResponses(in, cuts []byte, lim wire.Limits, toHead bool, show func(*reader, *wire.Response)) transcript {
	r := newReader(in, cuts)
	defer r.conn.Close()
	var resp wire.Response
	for len(r.messages) < maxMessages && r.head(func(b []byte) (int, error) { return resp.Parse(b, toHead, lim) }) {
		if show != nil {
			show(r, &resp)
		}
		m := message{
			start: fmt.Sprintf("%03d %s", resp.Status, resp.Reason), keep: resp.KeepAlive,
			framing: framing(resp.Framing, resp.Length), fields: lines(resp.Fields, wire.TransferEncoding),
		}
		_, m.coded = resp.Fields.Get("transfer-encoding")
		if resp.Framing == wire.NoBody && resp.Status >= 200 && resp.Status != 204 {
			m.announce = fmt.Sprint(resp.Length)
		}
		if !r.content(m, resp.Framing, max(resp.Length, 0)) || resp.Status >= 200 || resp.Status == 101 {
			break
		}
	}
	return r.transcript
}

func framing(f wire.Framing, length int64) string {
	switch {
	case f == wire.Sized && length > 0:
		return fmt.Sprint("sized ", length)
	case f == wire.Chunked:
		return "chunked"
	case f == wire.UntilClose:
		return "until close"
	}
	return "none"
}

// lines is a field section in lines, sorted by name, without some.
func lines(fields wire.Fields, without ...wire.FieldID) string {
	var all []string
	for _, f := range fields {
		if !slices.Contains(without, f.ID) {
			all = append(all, textproto.CanonicalMIMEHeaderKey(string(f.Name))+": "+string(f.Value))
		}
	}
	return sorted(all)
}

// sorted joins lines sorted by their names, those of one name in the order given.
func sorted(lines []string) string {
	slices.SortStableFunc(lines, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return strings.Join(lines, "\n")
}

func stdLines(h http.Header) string {
	var all []string
	for name, values := range h {
		for _, v := range values {
			all = append(all, name+": "+v)
		}
	}
	return sorted(all)
}

// std reads a stream as net/http does.
type std struct {
	in    *bytes.Reader
	br    *bufio.Reader
	whole int
	transcript
}

func newStd(in []byte) *std {
	s := &std{in: bytes.NewReader(in), whole: len(in)}
	s.br = bufio.NewReaderSize(s.in, 64<<10)
	return s
}

func (s *std) at() int { return s.whole - s.in.Len() - s.br.Buffered() }

// failed notes why a message was not whole.
func (s *std) failed(err error) {
	s.verdict, s.err = refused, err
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "unexpected EOF reading trailer"),
		// It is so only because the end of the trailers is missing: the buffer is larger
		// than any stream of these tests.
		strings.Contains(err.Error(), "suspiciously long trailer"):
		s.verdict, s.err = short, nil
	}
}

func (s *std) content(m message, body io.Reader, trailers *http.Header) bool {
	got, err := io.ReadAll(body)
	if err != nil {
		s.failed(err)
		return false
	}
	m.body, m.trailers, m.end = string(got), stdLines(*trailers), s.at()
	s.messages = append(s.messages, m)
	s.verdict = ended
	return m.keep
}

// stdRequests is what net/http makes of a stream of requests, but for the one
// empty line before a request that RFC 9112 section 2.2 has servers pass over.
func stdRequests(in []byte) transcript {
	s := newStd(in)
	s.verdict = ended
	for len(s.messages) < maxMessages {
		if b, _ := s.br.Peek(2); string(b) == "\r\n" {
			s.br.Discard(2)
			s.verdict = short
		}
		if _, err := s.br.Peek(1); err != nil {
			break
		}
		req, err := http.ReadRequest(s.br)
		if err != nil {
			s.failed(err)
			break
		}
		m := message{
			start: req.Method + " " + req.RequestURI, path: req.URL.Path, host: req.Host, keep: !req.Close, framing: "none",
			fields: stdLines(req.Header),
		}
		if req.URL.RawQuery != "" || req.URL.ForceQuery {
			m.query = "?" + req.URL.RawQuery
		}
		m.coded = len(req.TransferEncoding) > 0
		switch {
		case m.coded:
			m.framing = "chunked"
		case req.ContentLength > 0:
			m.framing = fmt.Sprint("sized ", req.ContentLength)
		}
		if !s.content(m, req.Body, &req.Trailer) {
			break
		}
	}
	return s.transcript
}

// stdResponses is stdRequests for responses.
func stdResponses(in []byte, toHead bool) transcript {
	method := "GET"
	if toHead {
		method = "HEAD"
	}
	s := newStd(in)
	s.verdict = ended
	for len(s.messages) < maxMessages {
		if _, err := s.br.Peek(1); err != nil {
			break
		}
		resp, err := http.ReadResponse(s.br, &http.Request{Method: method})
		if err != nil {
			s.failed(err)
			break
		}
		m := message{start: resp.Status, keep: !resp.Close, framing: "until close", fields: stdLines(resp.Header)}
		m.coded = len(resp.TransferEncoding) > 0
		switch {
		case resp.Body == http.NoBody:
			m.framing = "none"
			if (toHead || resp.StatusCode == 304) && resp.StatusCode >= 200 && resp.StatusCode != 204 {
				m.announce = fmt.Sprint(resp.ContentLength)
			}
		case m.coded:
			m.framing = "chunked"
		case resp.ContentLength >= 0:
			m.framing = fmt.Sprint("sized ", resp.ContentLength)
		}
		if len(m.start) == 3 {
			m.start += " " // the space before an empty reason may be missing
		}
		if !s.content(m, resp.Body, &resp.Trailer) || resp.StatusCode >= 200 || resp.StatusCode == 101 {
			break
		}
	}
	return s.transcript
}

// difference is a deliberate one between this package and net/http in what a
// message both accept is understood to be. It has an example, which must differ
// by it and by nothing else.
type difference struct {
	name    string
	example string
	// adapt changes what net/http understood to what this package does, if the
	// difference is the case.
	adapt func(ours message, theirs *message)
}

var requestDifferences = []difference{
	{
		// RFC 9112 section 3.2.1: an empty path is sent on as "/". net/url keeps it
		// empty.
		"an empty path is /", "GET http://h?a HTTP/1.1\r\nHost: h\r\n\r\n",
		func(ours message, theirs *message) {
			if theirs.path == "" && !strings.HasPrefix(ours.start, "OPTIONS ") {
				theirs.path = "/"
			}
		},
	},
	{
		// RFC 9112 section 3.2.4: of OPTIONS, an empty path without a query is "*".
		"an empty path of OPTIONS is *", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n",
		func(ours message, theirs *message) {
			if theirs.path == "" && strings.HasPrefix(ours.start, "OPTIONS ") {
				if theirs.path = "*"; theirs.query != "" {
					theirs.path = "/"
				}
			}
		},
	},
	pragma("GET / HTTP/1.1\r\nHost: h\r\n"),
	trailer("POST / HTTP/1.1\r\nHost: h\r\n"),
}

var responseDifferences = []difference{
	pragma("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
	trailer("HTTP/1.1 200 OK\r\n"),
	{
		// net/http takes a Connection field with "close" out of the head and says so by
		// Response.Close.
		"a Connection field that closes is taken out", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		func(ours message, theirs *message) {
			if !theirs.keep && hasField(ours, "Connection") && !hasField(*theirs, "Connection") {
				theirs.fields = sorted(append(split(theirs.fields), fieldsOf(ours, "Connection")...))
			}
		},
	},
	{
		// RFC 9110 section 8.6: a 304's Content-Length is the one a 200 would have had.
		// net/http says 0 for it, unless HEAD was asked.
		"a 304 announces a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		func(ours message, theirs *message) {
			if strings.HasPrefix(ours.start, "304 ") && theirs.announce == "0" {
				theirs.announce = ours.announce
			}
		},
	},
}

// pragma: net/http adds "Cache-Control: no-cache" where Pragma says so and nothing
// else does (RFC 9111 section 5.4 has it understood so). A proxy passes on what it
// received.
func pragma(head string) difference {
	return difference{"Cache-Control is added to Pragma", head + "Pragma: no-cache\r\n\r\n", func(ours message, theirs *message) {
		if p := fieldsOf(ours, "Pragma"); len(p) > 0 && p[0] == "Pragma: no-cache" && !hasField(ours, "Cache-Control") {
			theirs.fields = sorted(slices.DeleteFunc(split(theirs.fields), func(l string) bool { return l == "Cache-Control: no-cache" }))
		}
	}}
}

// trailer: net/http takes the Trailer field of a chunked message out of the head
// and makes it the keys of its Trailer map.
func trailer(head string) difference {
	in := head + "Trailer: A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"
	return difference{"the Trailer field is taken out", in, func(ours message, theirs *message) {
		if ours.coded && !hasField(*theirs, "Trailer") {
			theirs.fields = sorted(append(split(theirs.fields), fieldsOf(ours, "Trailer")...))
		}
	}}
}

func split(fields string) []string {
	if fields == "" {
		return nil
	}
	return strings.Split(fields, "\n")
}

func fieldsOf(m message, name string) (all []string) {
	for _, l := range split(m.fields) {
		if strings.HasPrefix(l, name+": ") {
			all = append(all, l)
		}
	}
	return all
}

func hasField(m message, name string) bool { return len(fieldsOf(m, name)) > 0 }

// disagreement says where two readers understood a stream differently; "" if they
// agree, or if this package refuses what comes next. It also finds what this
// package accepts and net/http does not.
func disagreement(ours, theirs transcript, known []difference) string {
	for i := range ours.messages {
		if i == len(theirs.messages) {
			return fmt.Sprintf("message %d is whole; to net/http it is %s: %v", i, theirs.verdict, theirs.err)
		}
		mine, other := ours.messages[i], theirs.messages[i]
		for _, d := range known {
			d.adapt(mine, &other)
		}
		if mine != other {
			return fmt.Sprintf("message %d is understood differently:\n%#v\n%#v", i, mine, other)
		}
	}
	if ours.verdict == refused {
		return ""
	}
	if len(theirs.messages) > len(ours.messages) {
		return fmt.Sprintf("message %d is %s; to net/http it is whole", len(ours.messages), ours.verdict)
	}
	if theirs.verdict != refused && theirs.verdict != ours.verdict {
		return fmt.Sprintf("behind message %d the stream is %s; to net/http it is %s", len(ours.messages), ours.verdict, theirs.verdict)
	}
	return ""
}

// same reports whether two transcripts say the same, reasons of refusals included
// if they are to be.
func same(a, b transcript, reasons bool) bool {
	if reasons && fmt.Sprint(a.err) != fmt.Sprint(b.err) {
		return false
	}
	return slices.Equal(a.messages, b.messages) && a.verdict == b.verdict && a.partial == b.partial
}

// proper reports whether a refusal is one: an Error with a status.
func proper(t transcript) bool {
	var e *wire.Error
	return t.verdict != refused || errors.As(t.err, &e) && e.Status >= 400 && !errors.Is(t.err, os.ErrDeadlineExceeded)
}
