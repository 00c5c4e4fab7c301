package schema

// Either is a kind that is written short, as one scalar, or at length, as a mapping or
// a list.
func Either[V any](short, long Kind[V]) Kind[V] { return either[V]{short, long} }

type either[V any] struct{ short, long Kind[V] }

func (k either[V]) Fill(into *V)  { k.long.Fill(into) }
func (k either[V]) Clone(v V) V   { return k.long.Clone(v) }
func (k either[V]) Plain(v V) any { return k.short.Plain(v) }

func (k either[V]) Shape() *Shape {
	short, long := k.short.Shape(), *k.long.Shape()
	long.Text = short.Text + ", or a " + long.Text
	long.Schema = Schema{AnyOf: []Schema{short.Schema, long.Schema}}
	return &long
}

func (k either[V]) Read(d *Decoder, n *Node, into *V) {
	if n.Kind == ScalarNode {
		k.short.Read(d, n, into)
		return
	}
	k.long.Read(d, n, into)
}
