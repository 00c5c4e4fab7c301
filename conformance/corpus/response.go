package corpus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Response is what a backend answers, and what must come of it.
type Response struct {
	Topic string `yaml:"-"`
	Name  string `yaml:"name"`
	RFC   string `yaml:"rfc"`
	Why   string `yaml:"why"`

	// Ask is the request: a method, or a whole message; empty is GET.
	Ask Bytes `yaml:"ask"`
	// Send is what the backend sends to it.
	Send Bytes `yaml:"send"`
	// Later is what the backend sends once the client has its response.
	Later Bytes `yaml:"later"`
	// End: the backend then closes the connection; Reset: by a reset.
	End   bool `yaml:"end"`
	Reset bool `yaml:"reset"`

	// See is the response the client gets.
	See See `yaml:"see"`
	// Interim are the statuses of the interim responses it gets before.
	Interim []int `yaml:"interim"`
	// Bad: the response is none: the client gets a 502 (any of Refuse, if given) or,
	// once the head was passed on, sees the connection break. The connection to the
	// backend is not used again.
	Bad    bool  `yaml:"bad"`
	Refuse []int `yaml:"refuse"`
	// Broken: what is bad comes behind the head, so that See's status and a break is
	// right as well.
	Broken bool `yaml:"broken"`
	// Tolerated is what else the RFC allows the client to see.
	Tolerated *See `yaml:"tolerated"`
	// Once: the connection to the backend is not used again though the response is a
	// good one.
	Once bool `yaml:"once"`
}

// See is a response as the client gets it.
type See struct {
	Status int              `yaml:"status"`
	Body   Bytes            `yaml:"body"`
	Fields map[string]Bytes `yaml:"fields"`
	Absent []string         `yaml:"absent"`
	// Trailers are the fields behind the body.
	Trailers map[string]Bytes `yaml:"trailers"`
}

// UnmarshalYAML reads a mapping, or "STATUS BODY" for short.
func (s *See) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		type plain See
		return decodeKnown(n, (*plain)(s), "status", "body", "fields", "absent", "trailers")
	}
	status, body, _ := strings.Cut(n.Value, " ")
	var err error
	if s.Status, err = strconv.Atoi(status); err != nil {
		return fmt.Errorf("line %d: what is seen is STATUS BODY or a mapping", n.Line)
	}
	s.Body = Bytes(body)
	return nil
}

// Request is the message the client sends.
func (r *Response) Request() Bytes {
	switch {
	case strings.Contains(string(r.Ask), "\r\n"):
		return r.Ask
	case r.Ask == "":
		return "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	return r.Ask + " / HTTP/1.1\r\nHost: h\r\n\r\n"
}

// Method is the request's.
func (r *Response) Method() string {
	method, _, _ := strings.Cut(string(r.Request()), " ")
	return method
}

func (r *Response) check() error {
	switch {
	case r.Send == "" && !r.End && !r.Reset:
		return errors.New("nothing is sent")
	case r.Bad == (r.See.Status != 0) && !r.Broken:
		return errors.New("either it is bad or the client sees it")
	case r.Broken && (!r.Bad || r.See.Status == 0):
		return errors.New("what breaks is bad, and the client may see its status")
	case (len(r.Refuse) > 0 || r.Tolerated != nil) && !r.Bad:
		return errors.New("refused or tolerated though it is not bad")
	}
	return nil
}
