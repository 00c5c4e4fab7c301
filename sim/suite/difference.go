package suite

import (
	"fmt"
	"reflect"
	"strings"

	"go-loadbalancer/sim/history"
)

// difference tells of the first thing that two runs have not in common.
func difference(a, b *history.Run) string {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		name := strings.ToLower(x.Type().Field(i).Name)
		p, q := x.Field(i), y.Field(i)
		if reflect.DeepEqual(p.Interface(), q.Interface()) {
			continue
		}
		if p.Kind() == reflect.Map {
			return name
		}
		if p.Kind() != reflect.Slice {
			return fmt.Sprintf("%s: %v, then %v", name, p, q)
		}
		for n := range min(p.Len(), q.Len()) {
			if one, other := p.Index(n).Interface(), q.Index(n).Interface(); !reflect.DeepEqual(one, other) {
				return fmt.Sprintf("%s, number %d: %+v, then %+v", name, n+1, one, other)
			}
		}
		return fmt.Sprintf("%s: %d, then %d", name, p.Len(), q.Len())
	}
	return "nothing"
}
