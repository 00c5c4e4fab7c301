package storytest

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"go-loadbalancer/lb/browsertest"
	"go-loadbalancer/lb/command"
)

var update = flag.Bool("update", false, "rewrite what docs/operate.md quotes of an incident, and make its pictures anew, for which it takes a minute longer: look at both before you commit them")

const docs = "../../docs/"

// addresses are those that the document gives the servers.
var addresses = []string{"10.1.2.11:8080", "10.1.2.12:8080", "10.1.2.13:8080"}

// quotes is what docs/operate.md may quote of the incident, by the name that it is
// asked for by: a comment before the block. It is night there, and the servers have the
// addresses that servers have.
type quotes struct {
	shop  *shop
	hours int // that the night is ahead of the clock
	texts map[string]string
}

// night is how many hours it is until, or since, a quarter past three or so.
func night(now time.Time) (hours int) {
	if hours = 3 - now.UTC().Hour(); hours < -12 {
		hours += 24
	}
	return hours
}

func newQuotes(s *shop) *quotes {
	return &quotes{shop: s, hours: night(time.Now()), texts: map[string]string{}}
}

// zone is that of the night.
func (q *quotes) zone() string { return fmt.Sprintf("Etc/GMT%+d", -q.hours) }

var instant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// add has a text be quoted.
func (q *quotes) add(name, text string) {
	var replace []string
	for i, s := range q.shop.servers {
		replace = append(replace, s.address, addresses[i])
	}
	replace = append(replace, "127.0.0.1", "10.1.0.7") // the client
	text = strings.NewReplacer(replace...).Replace(strings.TrimSpace(text))
	q.texts[name] = instant.ReplaceAllStringFunc(text, func(at string) string {
		when, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			q.shop.t.Error(err)
		}
		layout := "2006-01-02T15:04:05" + strings.Map(func(r rune) rune {
			if r >= '1' && r <= '9' {
				return '0'
			}
			return r
		}, strings.TrimSuffix(at[len("2006-01-02T15:04:05"):], "Z")) + "Z"
		return when.Add(time.Duration(q.hours) * time.Hour).Format(layout)
	}) + "\n"
}

// command adds what lb prints.
func (q *quotes) command(name string, args ...string) {
	var out, wrong strings.Builder
	if code := command.Run(args, &out, &wrong); code != 0 {
		q.shop.t.Errorf("lb %q exits with %d: %s", args, code, wrong.String())
	}
	q.add(name, out.String())
}

// grep adds the lines of a document of the admin address that hold a text.
func (q *quotes) grep(name, path, text string) {
	var found strings.Builder
	for line := range strings.Lines(q.shop.get(path)) {
		if strings.Contains(line, text) {
			found.WriteString(line)
		}
	}
	q.add(name, found.String())
}

// answer adds what a server says if it is asked directly.
func (q *quotes) answer(name string, s *server, method, path string) {
	r, err := http.NewRequest(method, "http://"+s.address+path, nil)
	if err != nil {
		q.shop.t.Fatal(err)
	}
	resp, err := q.shop.http.Do(r)
	if err != nil {
		q.shop.t.Fatal(err)
	}
	resp.Body.Close()
	q.add(name, resp.Proto+" "+resp.Status)
}

// page adds what can be read of parts of the page, each on a line, or on several.
func (q *quotes) page(name string, p *page, where, between string) {
	var all []string
	for _, text := range browsertest.Eval[[]string](p.Browser, fmt.Sprintf(`[...document.querySelectorAll(%q)].map((e) => e.innerText)`, where)) {
		words := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
		for i := range words {
			words[i] = strings.TrimSpace(words[i])
		}
		all = append(all, strings.Join(words, between))
	}
	q.add(name, strings.Join(all, "\n"))
}

// trace adds the spans of a request, as whatever shows traces would.
func (q *quotes) trace(name string, spans []span) {
	slices.SortFunc(spans, func(a, b span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	slices.SortStableFunc(spans, func(a, b span) int {
		if a.server != b.server && a.server {
			return -1
		}
		return 0
	})
	var out strings.Builder
	for _, s := range spans {
		took := time.Duration(s.EndTimeUnixNano - s.StartTimeUnixNano).Round(100 * time.Microsecond)
		begin, kind := "", "server"
		names := []string{"http.response.status_code", "error.type", "lb.route", "lb.pool", "lb.upstream", "lb.attempts", "lb.session.use"}
		if !s.server {
			begin, kind = "└─ ", "client"
			names = []string{"http.response.status_code", "server.address", "lb.attempt.result", "lb.breaker.state", "lb.breaker.verdict"}
		}
		fmt.Fprintf(&out, "%s%s  %s  %v\n", begin, s.Name, kind, took)
		for _, name := range names {
			if v := s.is[name]; v != "" {
				for i, one := range q.shop.servers {
					if name == "server.address" && strings.HasPrefix(one.address, v+":") {
						v, _, _ = strings.Cut(addresses[i], ":")
					}
				}
				fmt.Fprintf(&out, "%s   %s=%s\n", strings.Repeat(" ", len([]rune(begin))), name, v)
			}
		}
	}
	q.add(name, out.String())
}

// alert adds an alert's summary, as the rules have it.
func (q *quotes) alert(name, alert string, labels map[string]string) {
	text, err := os.ReadFile("../../k8s/components/prometheus-operator/prometheusrule.yaml")
	if err != nil {
		q.shop.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "- alert: "+alert+"\n")
	_, rest, ok := strings.Cut(rest, "summary: '")
	summary, _, _ := strings.Cut(rest, "'\n")
	if !ok {
		q.shop.t.Fatalf("there is no alert %s with a summary in quotes", alert)
	}
	for label, value := range labels {
		summary = strings.ReplaceAll(summary, "{{ $labels."+label+" }}", value)
	}
	q.add(name, alert+": "+strings.ReplaceAll(summary, "{{ $value }}", "1"))
}

// picture makes one of the document's if they are to be made.
func (q *quotes) picture(p *page, name string) {
	if !*update {
		return
	}
	exchange := func(of, by []string) {
		browsertest.Eval[bool](p.Browser, fmt.Sprintf(`(() => {
			const of = %s, by = %s;
			const all = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
			while (all.nextNode()) of.forEach((text, i) => {
				if (all.currentNode.data.includes(text)) all.currentNode.data = all.currentNode.data.replaceAll(text, by[i]);
			});
			return true;
		})()`, list(of), list(by)))
	}
	var real, shown []string
	for i, s := range q.shop.servers {
		real, shown = append(real, s.address), append(shown, addresses[i])
	}
	exchange(real, shown)
	p.SmallPicture(filepath.Join(docs, name))
	exchange(shown, real)
}

// list is strings in JavaScript.
func list(all []string) string {
	text, _ := json.Marshal(all) // of strings never fails
	return string(text)
}

// quoted is a block of the document with the name of what it quotes.
var quoted = regexp.MustCompile("(?s)<!-- story: ([a-z-]+) -->\n```(json|text|yaml)\n(.*?)```\n")

// what differs from run to run: times, ids, ports, counts. Widths of columns follow.
var differs = regexp.MustCompile(`[0-9a-f]{12,}|[0-9][0-9:.T]*[0-9Z]|[0-9]|(ns|µs|ms|s)\b| +`)

// check holds the document against what was.
func (q *quotes) check(t *testing.T) {
	t.Helper()
	const file = docs + "operate.md"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	unused := map[string]bool{}
	for name := range q.texts {
		unused[name] = true
	}
	now := quoted.ReplaceAllStringFunc(string(doc), func(block string) string {
		parts := quoted.FindStringSubmatch(block)
		text, ok := q.texts[parts[1]]
		if !ok {
			t.Errorf("docs/operate.md quotes %s, which the story does not have", parts[1])
			return block
		}
		delete(unused, parts[1])
		return fmt.Sprintf("<!-- story: %s -->\n```%s\n%s```\n", parts[1], parts[2], text)
	})
	for name := range unused {
		t.Errorf("docs/operate.md does not quote %s:\n%s", name, q.texts[name])
	}
	mask := func(s string) string { return differs.ReplaceAllString(s, "#") }
	switch diff := cmp.Diff(mask(string(doc)), mask(now)); {
	case *update:
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
	case diff != "":
		t.Errorf("docs/operate.md does not quote what is said (-quoted +said); if that is meant, run with -update:\n%s", diff)
	}
	pictures, err := filepath.Glob(docs + "incident-*.png")
	if err != nil || len(pictures) != 3 {
		t.Errorf("pictures of the incident: %v %v", pictures, err)
	}
	for _, name := range pictures {
		info, err := os.Stat(name)
		if err != nil || info.Size() > 200<<10 {
			t.Errorf("%s is larger than 200 KiB: %v", name, err)
		}
		if !strings.Contains(now, "("+filepath.Base(name)+")") {
			t.Errorf("docs/operate.md does not show %s", name)
		}
	}
}
