package event_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go-loadbalancer/lb/event"
)

// listener returns a listener that notes in calls every function that is called,
// under its name.
func listener(name string, calls *[]string) *event.Listener {
	l := new(event.Listener)
	v := reflect.ValueOf(l).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i).Name
		v.Field(i).Set(reflect.MakeFunc(v.Field(i).Type(), func([]reflect.Value) []reflect.Value {
			*calls = append(*calls, name+"."+field)
			return nil
		}))
	}
	return l
}

// call calls a function with zero values.
func call(f reflect.Value) {
	var args []reflect.Value
	for i := range f.Type().NumIn() {
		args = append(args, reflect.Zero(f.Type().In(i)))
	}
	f.Call(args)
}

// TestTee: every kind of event reaches every listener, in order. A field that is
// added to Listener and forgotten in Tee fails here.
func TestTee(t *testing.T) {
	var calls []string
	out := event.Tee(listener("a", &calls), nil, listener("b", &calls), &event.Listener{}, listener("c", &calls))
	v := reflect.ValueOf(out).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i).Name
		if v.Field(i).IsNil() {
			t.Errorf("%s is told to nobody", field)
			continue
		}
		calls = nil
		call(v.Field(i))
		if want := []string{"a." + field, "b." + field, "c." + field}; !slices.Equal(calls, want) {
			t.Errorf("%v, want %v", calls, want)
		}
	}
}

// TestTeeNobody: what nobody wants costs nothing, not even a call.
func TestTeeNobody(t *testing.T) {
	for _, out := range []*event.Listener{event.Tee(), event.Tee(nil), event.Tee(nil, &event.Listener{}, nil)} {
		if out == nil {
			t.Fatal("nil")
		}
		v := reflect.ValueOf(out).Elem()
		for i := range v.NumField() {
			if !v.Field(i).IsNil() {
				t.Errorf("%s is not nil", v.Type().Field(i).Name)
			}
		}
	}
	told := 0
	out := event.Tee(&event.Listener{}, &event.Listener{RequestRouted: func(event.ID) { told++ }})
	out.RequestRouted(event.None)
	if told != 1 || out.RequestEnded != nil {
		t.Errorf("told %d times; RequestEnded set: %v", told, out.RequestEnded != nil)
	}
}

// TestTeeKeepsItsListeners: a listener changed later does not change the tee.
func TestTeeKeepsItsListeners(t *testing.T) {
	told := ""
	l := &event.Listener{RequestRouted: func(event.ID) { told += "a" }}
	out := event.Tee(l, &event.Listener{RequestRouted: func(event.ID) { told += "b" }})
	l.RequestRouted = nil
	out.RequestRouted(0)
	if told != "ab" {
		t.Errorf("told %q", told)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		flags event.Flags
		want  string
	}{
		{0, ""},
		{event.NoRoute, "NR"},
		{event.Upgraded, "UG"},
		{event.OutOfResources, "OM"},
		{event.UpstreamTimeout | event.Retried | event.NoEndpoint, "UH,UT,RT"},
		{event.DownstreamProtocol | event.DownstreamTimeout, "DPE,DT"},
	} {
		if got := c.flags.String(); got != c.want {
			t.Errorf("%b: %q, want %q", c.flags, got, c.want)
		}
	}
	if got := string((event.NoRoute | event.Draining).AppendTo([]byte("flags="))); got != "flags=NR,DR" {
		t.Errorf("%q", got)
	}
}

// TestFlagNames: every flag has the name that its comment gives it, and one of
// its own.
func TestFlagNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "flags.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range file.Decls {
		if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.CONST {
			for _, spec := range d.Specs {
				name, _, _ := strings.Cut(spec.(*ast.ValueSpec).Comment.Text(), ":")
				names = append(names, name)
			}
		}
	}
	var all event.Flags
	for i, f := range event.EachFlag {
		if f != 1<<i || i >= len(names) || f.String() != names[i] {
			t.Errorf("flag %d is %b, %q; the names in the comments are %q", i, f, f, names)
		}
		all |= f
	}
	if len(event.EachFlag) != len(names) {
		t.Errorf("%d flags, %d constants", len(event.EachFlag), len(names))
	}
	slices.Sort(names)
	if n := len(names); len(slices.Compact(names)) != n || n == 0 || names[0] == "" {
		t.Errorf("names are not distinct: %q", names)
	}
	buf := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { all.AppendTo(buf) }); n > 0 {
		t.Errorf("AppendTo allocates %v times", n)
	}
}

// TestLists: results and states are listed once each: consumers make arrays of them.
func TestLists(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range event.Results {
		if r == "" || seen[string(r)] {
			t.Errorf("result %q", r)
		}
		seen[string(r)] = true
	}
	for _, r := range event.MirrorResults {
		if r == "" || seen["mirror "+string(r)] {
			t.Errorf("mirror result %q", r)
		}
		seen["mirror "+string(r)] = true
	}
	for _, r := range event.Resends {
		if r == "" || seen["resend "+string(r)] {
			t.Errorf("resend %q", r)
		}
		seen["resend "+string(r)] = true
	}
	for _, r := range event.CloseReasons {
		if r == "" || seen[string(r)] {
			t.Errorf("reason %q", r)
		}
		seen[string(r)] = true
	}
	if len(event.MirrorResults) != 6 || len(event.Results) != 11 || len(event.Resends) != 3 || len(event.CloseReasons) != 14 || len(event.BreakerStates) != 3 {
		t.Errorf("%d mirror results, %d results, %d resends, %d reasons, %d states", len(event.MirrorResults), len(event.Results), len(event.Resends), len(event.CloseReasons), len(event.BreakerStates))
	}
}
