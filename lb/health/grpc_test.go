package health_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"go-loadbalancer/lb/policy"
)

// TestGRPC asks a real server.
func TestGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, statuses := grpc.NewServer(), grpchealth.NewServer()
	grpc_health_v1.RegisterHealthServer(server, statuses)
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(l) })
	defer serving.Wait()
	defer server.Stop()
	statuses.SetServingStatus("cart", grpc_health_v1.HealthCheckResponse_SERVING)
	statuses.SetServingStatus("stock", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	statuses.SetServingStatus("search", grpc_health_v1.HealthCheckResponse_UNKNOWN)
	statuses.SetServingStatus(strings.Repeat("x", 256), grpc_health_v1.HealthCheckResponse_SERVING)
	for service, failure := range map[string]string{
		"": "", "cart": "", strings.Repeat("x", 256): "",
		"stock": "it says NOT_SERVING", "search": "it says UNKNOWN", "nobody": "grpc-status 5",
	} {
		expect(t, first(t, l.Addr().String(), policy.ActiveCheck{Type: "GRPC", Service: service, Timeout: long}), failure)
	}
	bare := grpc.NewServer() // without the health service
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving.Go(func() { bare.Serve(l) })
	defer bare.Stop()
	expect(t, first(t, l.Addr().String(), policy.ActiveCheck{Type: "GRPC", Timeout: long}), "grpc-status 12")
}

// h2 is a server's side of one connection, frame by frame.
type h2 struct {
	net.Conn
	*http2.Framer
}

// fields sends a head or trailers: "name: value", one a line.
func (h *h2) fields(end bool, lines ...string) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, l := range lines {
		name, value, _ := strings.Cut(l, "= ")
		e.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

func (h *h2) head() { h.fields(false, ":status= 200", "content-type= application/grpc") }

// message sends a message with its prefix.
func (h *h2) message(flag byte, length int, m string) {
	h.WriteData(1, false, append(binary.BigEndian.AppendUint32([]byte{flag}, uint32(length)), m...))
}

const serving = "\x08\x01" // field 1, 1

// TestGRPCAnswers: nothing passes but SERVING, said as it must be.
func TestGRPCAnswers(t *testing.T) {
	tests := []struct {
		name    string
		answer  func(*h2)
		timeout time.Duration
		failure string
	}{
		{"serving", func(h *h2) { h.head(); h.message(0, 2, serving); h.fields(true, "grpc-status= 0") }, long, ""},
		{"in pieces", func(h *h2) {
			h.WriteWindowUpdate(0, 1000)
			h.WritePing(false, [8]byte{1})
			h.fields(false, ":status= 103")
			h.head()
			h.WriteData(1, false, []byte{0, 0, 0})
			h.WriteData(1, false, []byte{0, 2, 8})
			h.WriteData(1, false, []byte{1})
			h.WriteGoAway(1, http2.ErrCodeNo, nil)
			h.fields(true, "grpc-status= 0", "grpc-message= fine")
		}, long, ""},
		{"with an unknown field", func(h *h2) { h.head(); h.message(0, 6, "\x12\x02hi"+serving); h.fields(true, "grpc-status= 0") }, long, ""},

		{"not serving", func(h *h2) { h.head(); h.message(0, 2, "\x08\x02"); h.fields(true, "grpc-status= 0") }, long, "NOT_SERVING"},
		{"nothing said", func(h *h2) { h.head(); h.message(0, 0, ""); h.fields(true, "grpc-status= 0") }, long, "UNKNOWN"},
		{"no such status", func(h *h2) { h.head(); h.message(0, 2, "\x08\x63"); h.fields(true, "grpc-status= 0") }, long, "it says 99"},
		{"serving, but an error", func(h *h2) { h.head(); h.message(0, 2, serving); h.fields(true, "grpc-status= 13") }, long, "grpc-status 13"},
		{"serving, no grpc-status", func(h *h2) { h.head(); h.message(0, 2, serving); h.fields(true, "x= y") }, long, "no usable grpc-status"},
		{"serving, no trailers", func(h *h2) {
			h.head()
			h.WriteData(1, true, append([]byte{0, 0, 0, 0, 2}, serving...))
		}, long, "no usable grpc-status"},
		{"an error at once", func(h *h2) {
			h.fields(true, ":status= 200", "content-type= application/grpc", "grpc-status= 14")
		}, long, "grpc-status 14"},
		{"0 and no message", func(h *h2) { h.fields(true, ":status= 200", "content-type= application/grpc", "grpc-status= 0") }, long, "not one whole"},
		{"half a message", func(h *h2) { h.head(); h.message(0, 9, serving); h.fields(true, "grpc-status= 0") }, long, "not one whole"},
		{"two messages", func(h *h2) {
			h.head()
			h.message(0, 2, serving)
			h.message(0, 2, serving)
			h.fields(true, "grpc-status= 0")
		}, long, "not one whole"},
		{"compressed", func(h *h2) { h.head(); h.message(1, 2, serving); h.fields(true, "grpc-status= 0") }, long, "uncompressed"},
		{"no message of protobuf", func(h *h2) { h.head(); h.message(0, 2, "\xff\xff"); h.fields(true, "grpc-status= 0") }, long, "no HealthCheckResponse"},
		{"HTTP status", func(h *h2) { h.fields(true, ":status= 503", "content-type= text/plain") }, long, "HTTP status 503"},
		{"a web page", func(h *h2) { h.fields(true, ":status= 200", "content-type= text/html") }, long, "not gRPC"},
		{"reset", func(h *h2) { h.WriteRSTStream(1, http2.ErrCodeRefusedStream) }, long, "REFUSED_STREAM"},
		{"go away", func(h *h2) { h.WriteGoAway(0, http2.ErrCodeNo, nil) }, long, "GOAWAY"},
		{"closes", func(h *h2) {}, long, "ended before"},
		{"closes after its head", func(h *h2) { h.head() }, long, "ended before"},
		{"closes before its trailers", func(h *h2) { h.head(); h.message(0, 2, serving) }, long, "ended before"},
		{"an unknown service", func(h *h2) { h.head(); h.message(0, 2, "\x08\x03"); h.fields(true, "grpc-status= 0") }, long, "SERVICE_UNKNOWN"},
		{"pushes", func(h *h2) {
			h.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}, long, "pushes"},
		{"a long message", func(h *h2) {
			h.head()
			h.WriteData(1, false, make([]byte, 5000))
			io.Copy(io.Discard, h.Conn)
		}, long, "more than 4096 bytes"},
		{"fields for ever", func(h *h2) {
			fields := bytes.Repeat([]byte{0, 1, 'a', 1, 'b'}, 1000)
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields})
			for h.WriteContinuation(1, false, fields) == nil {
			}
		}, long, "not HTTP/2"},
		{"settings for ever", func(h *h2) {
			for h.WriteSettings() == nil {
			}
		}, long, "more than 98304 bytes"},
		{"empty data for ever", func(h *h2) {
			h.head()
			for h.WriteData(1, false, nil) == nil {
			}
		}, long, "more than 98304 bytes"},
		{"pings for ever", func(h *h2) {
			for h.WritePing(false, [8]byte{}) == nil {
			}
		}, long, "more than 98304 bytes"},
		{"a huge frame", func(h *h2) { h.head(); h.WriteData(1, false, make([]byte, 1<<20)) }, long, "not HTTP/2"},
		{"no answer", func(h *h2) { io.Copy(io.Discard, h.Conn) }, soon, "no whole answer within 150ms"},
		{"pings, slowly", func(h *h2) {
			for h.WritePing(false, [8]byte{}) == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}, soon, "no whole answer within 150ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := listen(t, func(c net.Conn) {
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
					t.Errorf("%q, %v", preface, err)
					return
				}
				h := &h2{c, http2.NewFramer(c, c)}
				for { // all of the request, lest the close resets
					f, err := h.ReadFrame()
					if err != nil {
						t.Error(err)
						return
					}
					if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
						break
					}
				}
				h.WriteSettings()
				tt.answer(h)
				c.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
			})
			expect(t, first(t, address, policy.ActiveCheck{Type: "GRPC", Timeout: tt.timeout}), tt.failure)
		})
	}
}

// TestGRPCStrangers: what does not speak HTTP/2 at all.
func TestGRPCStrangers(t *testing.T) {
	for name, text := range map[string]string{
		"HTTP/1.1":         "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"garbage":          strings.Repeat("\xff", 100),
		"no settings":      "\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh",
		"settings' answer": "\x00\x00\x00\x04\x01\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(c net.Conn) {
				io.WriteString(c, text)
				io.Copy(io.Discard, c)
			})
			expect(t, first(t, address, policy.ActiveCheck{Type: "GRPC", Timeout: long}), "not HTTP/2")
		})
	}
	expect(t, first(t, refusing(t), policy.ActiveCheck{Type: "GRPC", Timeout: long}), "connection refused")
}
