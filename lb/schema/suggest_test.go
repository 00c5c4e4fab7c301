package schema

import "testing"

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"cart", "cart", 0}, {"crat", "cart", 1}, {"endpoint", "endpoints", 1},
		{"kitten", "sitting", 3}, {"adress", "address", 1}, {"abcdef", "ghijkl", 5},
	} {
		if got := editDistance(tt.a, tt.b, 5); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := editDistance(tt.b, tt.a, 5); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
