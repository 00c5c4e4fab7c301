package corpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLiterals(t *testing.T) {
	for in, want := range map[string]string{
		`"a"`:                      "a",
		`"\x00\xff\r\n\v\"\\é"`:    "\x00\xff\r\n\v\"\\é",
		`"ab"*3 "c"` + "\n  \"d\"": "abababcd",
	} {
		if got, err := literals(in); got != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", in, got, err, want)
		}
	}
	for in, why := range map[string]string{
		`"a" b`:             "not a Go string literal",
		`"a`:                "not a Go string literal",
		"\"a\" `b`":         "not a Go string literal",
		`"a"*x`:             "not a count",
		`"a"*0`:             "not a count",
		`"abcd"*1000000000`: "more than 16 MiB",
	} {
		if got, err := literals(in); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s is %.20q, %v; want an error that says %q", in, got, err, why)
		}
	}
}

// write makes a corpus of one file of requests and one good response.
func write(t *testing.T, requests string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"requests/a.yaml":  requests,
		"responses/a.yaml": "- {name: b, rfc: c, send: d, see: 200 e}",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	c, err := Load(write(t, `
- {name: a, rfc: b, send: '"c"*2', forward: [GET /d e f, {target: '"g"*2', absent: [h]}], close: true}
- {name: i, rfc: j, send: k, refuse: [400]}`))
	if err != nil {
		t.Fatal(err)
	}
	a, i := c.Requests[0], c.Requests[1]
	if a.Topic != "a" || a.Send != "cc" || a.Answers() != 2 || !a.Valid() || !a.Closes() {
		t.Errorf("%+v", a)
	}
	if f := a.Forward[0]; f.Method != "GET" || f.Target != "/d" || f.Body != "e f" {
		t.Errorf("%+v", f)
	}
	if f := a.Forward[1]; f.Method != "GET" || f.Target != "gg" || f.Absent[0] != "h" {
		t.Errorf("%+v", f)
	}
	if i.Valid() || !i.Closes() || i.Answers() != 1 {
		t.Errorf("%+v", i)
	}
	if p := c.Responses[0]; p.See.Status != 200 || p.See.Body != "e" || p.Method() != "GET" {
		t.Errorf("%+v", p)
	}
}

func TestLoadRefuses(t *testing.T) {
	for in, why := range map[string]string{
		`[{name: a, rfc: b, send: c, refuse: [400], x: 1}]`:                                      "field x not found",
		`[{name: a, rfc: b, send: c, forward: [{methods: GET}]}]`:                                `unknown key "methods"`,
		`[{name: a, rfc: b, send: c}]`:                                                           "neither refused nor forwarded",
		`[{name: a, rfc: b, refuse: [400]}]`:                                                     "nothing is sent",
		`[{name: a, send: c, refuse: [400]}]`:                                                    "a name and an rfc",
		`[{name: a, rfc: b, send: c, refuse: [200]}]`:                                            "refused by a 200",
		`[{name: a, rfc: b, send: c, refuse: [400], silent: true}]`:                              "two of",
		`[{name: a, rfc: b, send: c, forward: [GET /], begun: true}]`:                            "nothing is refused",
		`[{name: a, rfc: b, send: c, forward: [GET]}]`:                                           "METHOD TARGET BODY",
		`[{name: a, rfc: b, send: c, refuse: [400]}, {name: a, rfc: b, send: c, refuse: [400]}]`: "named like request a/a",
	} {
		if _, err := Load(write(t, in)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v; want an error that says %q", in, err, why)
		}
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "working directory") {
		t.Errorf("no corpus at all: %v", err)
	}
}

// Every message of the corpus is another one: a case that repeats another tests
// nothing.
func TestCasesDiffer(t *testing.T) {
	c, err := Load("../../lb/wire/testdata")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, q := range c.Requests {
		end := ""
		if q.End {
			end = "end"
		}
		key := string(q.Send) + "|" + string(q.Continued) + "|" + end
		if first := seen[key]; first != "" {
			t.Errorf("%q sends what %q does", q.Name, first)
		}
		seen[key] = q.Name
	}
	for _, p := range c.Responses {
		end := ""
		switch {
		case p.End:
			end = "end"
		case p.Reset:
			end = "reset"
		}
		key := "response " + string(p.Request()) + string(p.Send) + "|" + string(p.Later) + "|" + end
		if first := seen[key]; first != "" {
			t.Errorf("%q sends what %q does", p.Name, first)
		}
		seen[key] = p.Name
	}
}
