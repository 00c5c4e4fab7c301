package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	maxGRPC    = 96 << 10 // of everything that comes
	maxMessage = 4 << 10
	ourStream  = 1 // the only one
)

// askGRPC calls grpc.health.v1.Health/Check on HTTP/2 without TLS. It passes by
// SERVING and nothing else.
// See https://github.com/grpc/grpc/blob/master/doc/health-checking.md and
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
//
// One exchange on one connection needs no client that multiplexes: frames are
// read one after the other by this goroutine alone, which bounds what they cost.
func askGRPC(ctx context.Context, nc net.Conn, host, service string) error {
	in := &io.LimitedReader{R: nc, N: maxGRPC}
	call := &grpcCall{conn: nc}
	call.framer = http2.NewFramer(&call.out, in)
	call.framer.SetMaxReadFrameSize(16 << 10)
	call.framer.MaxHeaderListSize = maxHeads
	call.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	call.request(ctx, host, service)
	for {
		if err := call.flush(); err != nil {
			return err
		}
		f, err := call.framer.ReadFrame()
		if err != nil {
			return readFailed(err, in.N)
		}
		ended, err := call.take(f)
		if err != nil {
			return err
		}
		if ended {
			return call.verdict()
		}
	}
}

func readFailed(err error, left int64) error {
	switch {
	case left == 0:
		return fmt.Errorf("an answer of more than %d bytes", maxGRPC)
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return errNoAnswer
	}
	var stream http2.StreamError
	var conn http2.ConnectionError
	if errors.As(err, &stream) || errors.As(err, &conn) || errors.Is(err, http2.ErrFrameTooLarge) {
		return fmt.Errorf("what came is not HTTP/2: %w", err)
	}
	return err
}

// grpcCall is one call and what has come of its answer.
type grpcCall struct {
	conn   net.Conn
	out    bytes.Buffer // to be written
	framer *http2.Framer

	settled bool // the server's settings have come, which must be first
	head    bool // the final head has come
	status  string
	message []byte // with its prefix
}

// request gathers the whole request.
func (c *grpcCall) request(ctx context.Context, host, service string) {
	c.out.WriteString(http2.ClientPreface)
	c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	var block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", "/grpc.health.v1.Health/Check"}, {":authority", host},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"user-agent", userAgent},
	} {
		fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := max(1, time.Until(deadline).Milliseconds())
		fields.WriteField(hpack.HeaderField{Name: "grpc-timeout", Value: strconv.FormatInt(left, 10) + "m"})
	}
	c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: ourStream, BlockFragment: block.Bytes(), EndHeaders: true})
	var m []byte
	if service != "" {
		m = protowire.AppendTag(m, 1, protowire.BytesType)
		m = protowire.AppendString(m, service)
	}
	prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m)))
	c.framer.WriteData(ourStream, true, append(prefix, m...))
}

func (c *grpcCall) flush() error {
	if c.out.Len() == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

var errNotSettled = errors.New("what came is not HTTP/2: it does not begin with settings")

// take takes a frame and says whether it was the answer's last.
func (c *grpcCall) take(f http2.Frame) (ended bool, err error) {
	if s, ok := f.(*http2.SettingsFrame); !c.settled && (!ok || s.IsAck()) {
		return false, errNotSettled
	}
	c.settled = true
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.framer.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		if f.ErrCode != http2.ErrCodeNo || f.LastStreamID < ourStream {
			return false, fmt.Errorf("it closed the connection by GOAWAY, %v", f.ErrCode)
		}
	case *http2.RSTStreamFrame:
		return false, fmt.Errorf("it broke the call off by RST_STREAM, %v", f.ErrCode)
	case *http2.MetaHeadersFrame:
		return f.StreamEnded(), c.takeFields(f)
	case *http2.DataFrame:
		if f.StreamID != ourStream || !c.head {
			return false, errors.New("data came before the answer's head")
		}
		if c.message = append(c.message, f.Data()...); len(c.message) > maxMessage {
			return false, fmt.Errorf("a message of more than %d bytes", maxMessage)
		}
		return f.StreamEnded(), nil
	case *http2.PushPromiseFrame:
		return false, errors.New("it pushes, unasked")
	}
	return false, nil
}

// takeFields takes a head, or trailers, or a head that is both.
func (c *grpcCall) takeFields(f *http2.MetaHeadersFrame) error {
	if f.StreamID != ourStream || f.Truncated {
		return fmt.Errorf("fields of another stream, or of more than %d bytes", maxHeads)
	}
	if !c.head {
		switch status := f.PseudoValue("status"); {
		case len(status) == 3 && status[0] == '1' && !f.StreamEnded():
			return nil
		case status != "200":
			n, _ := strconv.Atoi(status)
			return fmt.Errorf("HTTP status %d, expected 200", n)
		}
		c.head = true
		if !strings.HasPrefix(value(f, "content-type"), "application/grpc") {
			return errors.New("the answer is not gRPC by its Content-Type")
		}
	}
	if f.StreamEnded() {
		c.status = value(f, "grpc-status")
	}
	return nil
}

func value(f *http2.MetaHeadersFrame, name string) string {
	for _, field := range f.RegularFields() {
		if field.Name == name {
			return field.Value
		}
	}
	return ""
}

// verdict judges an answer that has ended.
func (c *grpcCall) verdict() error {
	if c.status != "0" {
		n, err := strconv.Atoi(c.status)
		if err != nil {
			return errors.New("the answer has no usable grpc-status")
		}
		if n == 5 {
			return errors.New("grpc-status 5: it does not know the service")
		}
		return fmt.Errorf("grpc-status %d", n)
	}
	m := c.message
	if len(m) < 5 || m[0] != 0 || int(binary.BigEndian.Uint32(m[1:])) != len(m)-5 {
		return errors.New("the answer is not one whole, uncompressed message")
	}
	status, err := servingStatus(m[5:])
	if err != nil {
		return err
	}
	switch status {
	case 1:
		return nil
	case 0:
		return errors.New("it says UNKNOWN")
	case 2:
		return errors.New("it says NOT_SERVING")
	case 3:
		return errors.New("it says SERVICE_UNKNOWN")
	}
	return fmt.Errorf("it says %d, which is no status", status)
}

// servingStatus reads a grpc.health.v1.HealthCheckResponse.
func servingStatus(m []byte) (status uint64, err error) {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return 0, errNotProto
		}
		m = m[n:]
		if number == 1 && kind == protowire.VarintType {
			status, n = protowire.ConsumeVarint(m)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, m)
		}
		if n < 0 {
			return 0, errNotProto
		}
		m = m[n:]
	}
	return status, nil
}

var errNotProto = errors.New("the answer is no HealthCheckResponse")
