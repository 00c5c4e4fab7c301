package schema

// EachEntry calls visit with the key and value of each entry of a mapping whose keys are
// free, with the decoder standing at the entry. What is no mapping is reported; want
// ends the message.
func EachEntry(d *Decoder, n *Node, want string, visit func(key, value *Node)) {
	if d.PassedOver(n) {
		return
	}
	if n.Kind != MappingNode {
		d.Fail(n, CodeWrongType, "must be a %s, not %s", want, Describe(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if d.Full() {
			return
		}
		if d.PassedOver(n.Content[i]) {
			continue
		}
		d.Enter(n.Content[i].Value)
		visit(n.Content[i], n.Content[i+1])
		d.Leave()
	}
}
