package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"gopkg.in/yaml.v3"
)

// Set returns the files with the field at a path replaced by a value, given as YAML, or
// added where it was left out. The files are one whole, in the order of their names:
// places in a list count through all of them. Items are called by their name, pool or
// address. Only the file that changes is written anew, without its layout.
//
// It fails if a file or the value is not YAML, or if there is no such item.
func Set(files map[string][]byte, path Path, value string) (map[string][]byte, error) {
	var replacement yaml.Node
	if err := decodeNode(yaml.NewDecoder(bytes.NewReader([]byte(value))), &replacement); err != nil {
		return nil, fmt.Errorf("the value of %s: %w", path, err)
	}
	documents := make(map[string][]*yaml.Node, len(files))
	var at []spot
	for _, name := range slices.Sorted(maps.Keys(files)) {
		roots, err := documentsOf(files[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		documents[name] = roots
		for _, root := range roots {
			at = append(at, spot{name, root.Content[0]})
		}
	}
	for i, step := range path {
		next := descend(at, step)
		if len(next) == 0 {
			parent, err := grow(at, path, i)
			if err != nil {
				return nil, err
			}
			next = []spot{parent}
		}
		at = next
	}
	*at[0].node = *replacement.Content[0]
	text, err := encodeDocuments(documents[at[0].file])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at[0].file, err)
	}
	changed := maps.Clone(files)
	changed[at[0].file] = text
	return changed, nil
}

// spot is a node and the file it is in.
type spot struct {
	file string
	node *yaml.Node
}

func documentsOf(text []byte) ([]*yaml.Node, error) {
	var roots []*yaml.Node
	decode := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var root yaml.Node
		switch err := decodeNode(decode, &root); {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return nil, err
		}
		roots = append(roots, &root)
	}
}

func encodeDocuments(roots []*yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	encode := yaml.NewEncoder(&b)
	encode.SetIndent(2)
	for _, root := range roots {
		if err := encode.Encode(root); err != nil {
			return nil, err
		}
	}
	if err := encode.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// descend returns what a step leads to from any of the nodes, in order.
func descend(from []spot, step Selector) (to []spot) {
	items := 0
	for _, s := range from {
		if !step.Item {
			nodes := []*yaml.Node{s.node}
			if s.node.Kind == yaml.SequenceNode { // the item that has the field
				nodes = s.node.Content
			}
			for _, n := range nodes {
				if _, value := Entry(n, step.Key); value != nil {
					to = append(to, spot{s.file, value})
				}
			}
			continue
		}
		if s.node.Kind != yaml.SequenceNode {
			continue
		}
		for _, item := range s.node.Content {
			if items == step.Index || step.Index < 0 && called(item, step.Key) {
				to = append(to, spot{s.file, item})
			}
			items++
		}
	}
	return to
}

// called reports whether an item of a list is called by a name.
func called(item *yaml.Node, name string) bool {
	for _, key := range callNames {
		if _, value := Entry(item, key); value != nil {
			return value.Kind == yaml.ScalarNode && value.Value == name
		}
	}
	return false
}

// grow adds the field that step i of a path names, as an empty mapping, to the first of
// the mappings that could hold it.
func grow(at []spot, path Path, i int) (spot, error) {
	step := path[i]
	for _, s := range at {
		if !step.Item && s.node.Kind == yaml.MappingNode {
			value := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			s.node.Content = append(s.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: step.Key}, value)
			return spot{s.file, value}, nil
		}
	}
	if step.Item {
		return spot{}, fmt.Errorf("%s: %s has no such item", path[:i+1], path[:i])
	}
	return spot{}, fmt.Errorf("%s: there is nothing that could hold the field", path[:i+1])
}

// Text returns a node as YAML. It is "" for a node that is not [Whole].
func Text(n *Node) string {
	if !Whole(n) {
		return ""
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return ""
	}
	return string(text)
}

// Whole reports whether nothing in a node was found not to be part of the language.
func Whole(n *Node) bool {
	return n.Kind != 0 && !slices.ContainsFunc(n.Content, func(inner *Node) bool { return !Whole(inner) })
}
