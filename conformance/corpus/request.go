package corpus

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// Request is what a client sends, and what must come of it.
type Request struct {
	Topic string `yaml:"-"` // the file's name without its ending
	Name  string `yaml:"name"`
	RFC   string `yaml:"rfc"`
	// Why says what decided where the RFC leaves a choice.
	Why string `yaml:"why"`

	Send Bytes `yaml:"send"`
	// Continued is sent once a 100 has come; never if a final answer comes first.
	Continued Bytes `yaml:"continued"`
	// End: the client ends its side of the connection behind what it sent.
	End bool `yaml:"end"`

	// Forward are the requests the backend must get, in this order; each is
	// answered with 200. More than these, or others, are smuggled.
	Forward []Forwarded `yaml:"forward"`
	// Refuse are the statuses of which one must be the last answer. Nothing but
	// Forward may reach the backend whole, and the connection is closed.
	Refuse []int `yaml:"refuse"`
	// Own are the statuses of which one the subject must answer by itself; nothing
	// but Forward reaches the backend, and the connection goes on.
	Own []int `yaml:"own"`
	// Begun: what is refused may reach the backend in part, since its beginning is
	// well formed and bodies are streamed. Such a case is put twice: at once, and the
	// body apart from its head.
	Begun bool `yaml:"begun"`
	// Tolerated is what else the RFC allows to be forwarded of what is refused here.
	Tolerated []Forwarded `yaml:"tolerated"`
	// Close: the connection is closed behind the last answer. Implied by Refuse.
	Close bool `yaml:"close"`
	// Silent: what was sent last is not whole and never will be. It may be answered by
	// an error; nothing but Forward may reach the backend whole, and the connection is
	// closed.
	Silent bool `yaml:"silent"`
}

// Forwarded is a request as the backend gets it.
type Forwarded struct {
	Method string           `yaml:"method"`
	Target Bytes            `yaml:"target"`
	Body   Bytes            `yaml:"body"`
	Fields map[string]Bytes `yaml:"fields"` // by name: the value one field line has
	Absent []string         `yaml:"absent"` // names no field has
	// Trailers are the fields behind the body.
	Trailers map[string]Bytes `yaml:"trailers"`
}

// UnmarshalYAML reads a mapping, or "METHOD TARGET BODY" for short.
func (f *Forwarded) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		type plain Forwarded
		if err := decodeKnown(n, (*plain)(f), "method", "target", "body", "fields", "absent", "trailers"); err != nil {
			return err
		}
		if f.Method == "" {
			f.Method = "GET"
		}
		if f.Target == "" {
			f.Target = "/"
		}
		return nil
	}
	parts := strings.SplitN(n.Value, " ", 3)
	if len(parts) < 2 {
		return fmt.Errorf("line %d: what is forwarded is METHOD TARGET BODY or a mapping", n.Line)
	}
	f.Method, f.Target = parts[0], Bytes(parts[1])
	if len(parts) == 3 {
		f.Body = Bytes(parts[2])
	}
	return nil
}

// Answers is how many final answers the client gets.
func (r *Request) Answers() int {
	n := len(r.Forward)
	if len(r.Refuse) > 0 || len(r.Own) > 0 {
		n++
	}
	return n
}

// Closes reports whether the connection must end.
func (r *Request) Closes() bool { return r.Close || r.End || r.Silent || len(r.Refuse) > 0 }

// Valid reports whether all of it is passed on.
func (r *Request) Valid() bool { return len(r.Refuse) == 0 && len(r.Own) == 0 && !r.Silent }

func (r *Request) check() error {
	switch {
	case r.Send == "":
		return errors.New("nothing is sent")
	case r.Silent && len(r.Refuse) > 0, len(r.Own) > 0 && (r.Silent || len(r.Refuse) > 0):
		return errors.New("two of refuse, own and silent")
	case r.Valid() && len(r.Forward) == 0:
		return errors.New("neither refused nor forwarded")
	case r.Valid() && (r.Begun || r.Tolerated != nil):
		return errors.New("begun or tolerated though nothing is refused")
	}
	for _, status := range r.Refuse {
		if status < 400 || status > 599 {
			return fmt.Errorf("refused by a %d", status)
		}
	}
	return nil
}
