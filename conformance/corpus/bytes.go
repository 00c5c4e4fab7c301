package corpus

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bytes are bytes of a message, written as the package says.
type Bytes string

// maxBytes bounds what repetitions may make of a literal.
const maxBytes = 16 << 20

// UnmarshalYAML reads literals, or a text that stands for itself.
func (b *Bytes) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: bytes are a text of Go string literals", n.Line)
	}
	text := strings.TrimSpace(n.Value)
	if !strings.HasPrefix(text, `"`) {
		*b = Bytes(n.Value)
		return nil
	}
	raw, err := literals(text)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*b = Bytes(raw)
	return nil
}

// literals evaluates Go string literals and their repetitions.
func literals(text string) (string, error) {
	var out strings.Builder
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " \n") {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil || quoted[0] != '"' {
			return "", fmt.Errorf("not a Go string literal in double quotes: %.40s", text)
		}
		raw, err := strconv.Unquote(quoted)
		if err != nil {
			return "", err
		}
		text = text[len(quoted):]
		times := 1
		if count, ok := strings.CutPrefix(text, "*"); ok {
			end := strings.IndexAny(count, " \n")
			if end < 0 {
				end = len(count)
			}
			if times, err = strconv.Atoi(count[:end]); err != nil || times < 1 {
				return "", fmt.Errorf("not a count of repetitions: %.40s", count[:end])
			}
			text = count[end:]
		}
		if out.Len()+times*len(raw) > maxBytes {
			return "", errors.New("more than 16 MiB")
		}
		out.WriteString(strings.Repeat(raw, times))
	}
	return out.String(), nil
}

// decodeKnown decodes a mapping that may have the given keys alone: a decoder's
// strictness does not reach what decodes itself.
func decodeKnown(n *yaml.Node, into any, keys ...string) error {
	for i := 0; i < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(keys, key.Value) {
			return fmt.Errorf("line %d: unknown key %q", key.Line, key.Value)
		}
	}
	return n.Decode(into)
}
