package schema

import "gopkg.in/yaml.v3"

// Node is a node of a document, with where it was written. Languages look at nodes
// and leave reading and writing YAML to this package.
type Node = yaml.Node

// Kinds of a [Node]. One of kind 0 was reported: [Decoder.PassedOver] says so.
const (
	MappingNode  = yaml.MappingNode
	SequenceNode = yaml.SequenceNode
	ScalarNode   = yaml.ScalarNode
)
