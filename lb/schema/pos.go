package schema

import "fmt"

// Pos is where a value was written. Line and Col count from 1; Col counts
// characters, not bytes. The zero Pos belongs to a defaulted value.
type Pos struct {
	File      string
	Line, Col int
}

// String is file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }
