package k8s

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	corev1 "k8s.io/api/core/v1"
)

const dashboardFile = "components/grafana/go-loadbalancer.json"

// dashboard has of Grafana's dashboard model what is tested here.
type dashboard struct {
	UID           string `json:"uid"`
	Title         string `json:"title"`
	SchemaVersion int    `json:"schemaVersion"`
	Links         []struct {
		URL string `json:"url"`
	} `json:"links"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query any    `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Panels []dashboardPanel `json:"panels"`
}

type dashboardPanel struct {
	ID         int        `json:"id"`
	Type       string     `json:"type"`
	Title      string     `json:"title"`
	Datasource datasource `json:"datasource"`
	GridPos    struct {
		X, Y, W, H int
	} `json:"gridPos"`
	Targets []struct {
		RefID        string `json:"refId"`
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// refusals are what is wrong with a dashboard by Grafana's own types: fields that there
// are not, or that are missing, and values of another type. Their strictness does not
// reach everywhere, so what they read is also written again and compared.
func refusals(text []byte) []string {
	kinds := cog.NewRuntime()
	for _, panel := range []variants.PanelcfgConfig{heatmap.VariantConfig(), stat.VariantConfig(), statetimeline.VariantConfig(), table.VariantConfig(), timeseries.VariantConfig()} {
		kinds.RegisterPanelcfgVariant(panel)
	}
	kinds.RegisterDataqueryVariant(prometheus.VariantConfig())
	//lint:ignore SA1019 files, sidecars and provisioning go by this model, not by the one after it
	var strict, d sdk.Dashboard
	var wrong []string
	for _, err := range []error{strict.UnmarshalJSONStrict(text), json.Unmarshal(text, &d), d.Validate()} {
		if err != nil && err.Error() != "" { // an empty list of errors is one too
			wrong = append(wrong, err.Error())
		}
	}
	again, err := json.Marshal(d)
	if err != nil {
		return append(wrong, err.Error())
	}
	var was, is any
	for _, err := range []error{json.Unmarshal(text, &was), json.Unmarshal(again, &is)} {
		if err != nil {
			return append(wrong, err.Error())
		}
	}
	return append(wrong, lost("dashboard", was, is)...)
}

// lost are the values that are not there any more once Grafana's types have read them.
func lost(path string, was, is any) (wrong []string) {
	switch was := was.(type) {
	case map[string]any:
		is, _ := is.(map[string]any)
		for key, value := range was {
			if got, ok := is[key]; ok || value != nil {
				wrong = append(wrong, lost(path+"."+key, value, got)...)
			}
		}
	case []any:
		is, _ := is.([]any)
		for i, value := range was {
			var got any
			if i < len(is) {
				got = is[i]
			}
			wrong = append(wrong, lost(fmt.Sprintf("%s[%d]", path, i), value, got)...)
		}
	default:
		if was != is {
			wrong = append(wrong, fmt.Sprintf("%s: %v is lost", path, was))
		}
	}
	return wrong
}

// chosen has the variables of a query replaced as Grafana does when everything is chosen.
func chosen(query string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$namespace", ".*", "$pod", ".*", "$route", ".*", "$pool", ".*").Replace(query)
}

// dashboardQueries are all of a dashboard, by what asks.
func dashboardQueries(d dashboard) map[string]string {
	queries := map[string]string{}
	section := ""
	for _, p := range d.Panels {
		if p.Type == "row" {
			section = p.Title
		}
		for _, target := range p.Targets {
			queries[section+": "+p.Title+" "+target.RefID] = chosen(target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		queries["annotation "+a.Name] = chosen(a.Expr)
	}
	return queries
}

// The dashboard is one that Grafana takes: panels have ids of their own and places that
// do not overlap, variables are defined and used, legends speak of labels.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range refusals(text) {
		t.Error(wrong)
	}
	for _, c := range []struct{ right, wrong string }{
		{`"legendFormat":`, `"legend":`}, {`"unit": "s"`, `"units": "s"`}, {`"fillOpacity": 5`, `"fillOpacity": "5"`}, {`"iconColor":`, `"color":`}, {`"w": 24`, `"width": 24`},
	} {
		if slip := strings.Replace(string(text), c.right, c.wrong, 1); slip == string(text) || len(refusals([]byte(slip))) == 0 {
			t.Errorf("%s in place of %s: nobody notices", c.wrong, c.right)
		}
	}

	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion != 42 {
		t.Errorf("uid %q, title %q, schemaVersion %d", d.UID, d.Title, d.SchemaVersion)
	}
	ids, titles, section := map[int]bool{}, map[string]bool{}, ""
	taken := map[[2]int]string{}
	variable := regexp.MustCompile(`\$\{?([a-zA-Z_]+)`)
	used := map[string]bool{}
	for _, p := range d.Panels {
		if p.Type == "row" {
			section = p.Title
		}
		name := section + ": " + p.Title
		if p.ID <= 0 || ids[p.ID] || p.Title == "" || p.Type != "row" && titles[name] {
			t.Errorf("panel %q: its id %d or its title is there twice, or missing", name, p.ID)
		}
		ids[p.ID], titles[name] = true, true
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("panel %q is at %+v, of a width of 24", name, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("panels %q and %q overlap", name, other)
				}
				taken[[2]int{x, y}] = name
			}
		}
		if p.Type == "row" {
			continue
		}
		if (p.Datasource != datasource{"prometheus", "${datasource}"}) || len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("panel %q: source %v, %d queries, unit %q", name, p.Datasource, len(p.Targets), p.FieldConfig.Defaults.Unit)
		}
		var refs []string
		for _, target := range p.Targets {
			if slices.Contains(refs, target.RefID) || target.RefID == "" {
				t.Errorf("panel %q: refId %q", name, target.RefID)
			}
			refs = append(refs, target.RefID)
			for _, v := range variable.FindAllStringSubmatch(target.Expr, -1) {
				used[v[1]] = true
			}
		}
	}
	for _, a := range d.Annotations.List {
		for _, v := range variable.FindAllStringSubmatch(a.Expr, -1) {
			used[v[1]] = true
		}
	}
	used["datasource"] = true // by every panel, see above
	delete(used, "__rate_interval")
	for _, v := range d.Templating.List {
		if !used[v.Name] {
			t.Errorf("nothing uses the variable %s", v.Name)
		}
		delete(used, v.Name)
	}
	for name := range used {
		t.Errorf("there is no variable %s", name)
	}
	runbooks := strings.TrimSuffix(alerts(t)[0].Annotations["runbook_url"], "/"+alerts(t)[0].Alert+".md")
	if len(d.Links) != 1 || d.Links[0].URL != runbooks {
		t.Errorf("links lead to %v, want %s", d.Links, runbooks)
	}
}

// The dashboard asks for metrics, labels and values that a running balancer has, its
// legends speak of labels that are left, and no metric is shown to nobody.
func TestDashboardAsksForWhatThereIs(t *testing.T) {
	have := series(t)
	have["ALERTS"] = values{"alertname": nil, "alertstate": {"pending", "firing"}}
	for _, a := range alerts(t) {
		have["ALERTS"]["alertname"] = append(have["ALERTS"]["alertname"], a.Alert)
	}
	d := readDashboard(t)
	asked := ""
	for of, query := range dashboardQueries(d) {
		for _, w := range check(query, have) {
			t.Errorf("%s: %s: %s", of, w, query)
		}
		asked += query + "\n"
	}
	label := regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			for _, l := range label.FindAllStringSubmatch(target.LegendFormat, -1) {
				if by := regexp.MustCompile(`by \([^)]*\b` + l[1] + `\b`); !by.MatchString(target.Expr) && (strings.Contains(target.Expr, " by (") || !slices.Contains(targetLabels, l[1])) {
					t.Errorf("panel %q: its legend speaks of %s, which is not left of %s", p.Title, l[1], target.Expr)
				}
			}
		}
	}
	query := regexp.MustCompile(`^label_values\((.*), ([a-z]+)\)$`)
	for _, v := range d.Templating.List {
		if v.Type == "datasource" {
			continue
		}
		q, _ := v.Query.(map[string]any)
		m := query.FindStringSubmatch(fmt.Sprint(q["query"]))
		if m == nil {
			t.Errorf("variable %s: %v", v.Name, v.Query)
			continue
		}
		for _, w := range check(chosen("count by ("+m[2]+") ("+m[1]+")"), have) {
			t.Errorf("variable %s: %s", v.Name, w)
		}
	}
	for name := range have {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count"), "_bucket")
		if strings.HasPrefix(name, "lb_") && !strings.Contains(asked, base) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// The component brings the dashboard to Grafana's sidecar, byte for byte.
func TestDashboardIsDelivered(t *testing.T) {
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	m := find[*corev1.ConfigMap](t, objects(t, buildWith(t, "hot-reload", []string{"grafana"})), "go-loadbalancer-dashboard")
	if m.Labels["grafana_dashboard"] != "1" || m.Data["go-loadbalancer.json"] != string(text) {
		t.Errorf("labels %v, %d bytes of %d", m.Labels, len(m.Data["go-loadbalancer.json"]), len(text))
	}
}
