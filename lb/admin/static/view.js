// The sections of the page. Each is made once, as nodes, and then brought up to date.
import { h, setText, setClass, setAttribute, show, keyed, since, until, rate, share, duration, clock, utc } from "./dom.js";
import { Spark, Lanes } from "./chart.js";
import { sums, states, stateOf } from "./model.js";

const RECENT = 3; // slots that "now" is the mean of
const MINUTE = 12; // slots
const LISTED = 6; // endpoints of a pool on its card
const LARGE = 60; // endpoints of a pool whose card takes the whole width

const to = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");
export const poolLink = (name) => h("a", { href: to("pool", name) }, name);

const marker = (state) => h("span", { class: `badge breaker ${state}` }, `[CB: ${state.toUpperCase()}]`);
const setMarker = (node, state) => {
  setText(node, `[CB: ${state.toUpperCase()}]`);
  setClass(node, `badge breaker ${state}`);
};

const words = { bad: "✕ bad", warn: "▲ warning", good: "✓ good", note: "• note" };

// Problems is what is wrong now.
export class Problems {
  constructor() {
    this.list = h("ol", { class: "problems" });
    this.fine = h("p", { class: "fine" }, "✓ Nothing is wrong.");
    this.more = h("p", { class: "quiet" });
    this.node = h("section", { "aria-labelledby": "problems", "aria-live": "polite" }, h("h2", { id: "problems" }, "What is wrong"), this.fine, this.list, this.more);
  }

  update(m) {
    const shown = m.problems.slice(0, 12);
    show(this.fine, m.problems.length === 0);
    keyed(this.list, shown, (p) => `${p.what.replace(/[0-9.]+ %/, "")}`, () => this.make(), (part, p) => {
      setClass(part.node, `problem ${p.severity}`);
      setText(part.what, p.what);
      show(part.marker, Boolean(p.breaker));
      if (p.breaker) setMarker(part.marker, p.breaker);
      setAttribute(part.since, "data-since", p.since || "");
      setAttribute(part.until, "data-until", p.until || "");
      setText(part.doing, p.doing);
      const place = p.endpoint ? to("endpoint", p.pool, p.endpoint) : p.pool ? to("pool", p.pool) : p.route ? to("route", p.route) : null;
      setAttribute(part.link, "href", place);
      setText(part.mark, words[p.severity].slice(0, 1));
    });
    const left = m.problems.length - shown.length;
    setText(this.more, left ? `and ${left} more` : "");
  }

  make() {
    const part = { what: h("span"), marker: marker("open"), since: since(0), until: until(0), doing: h("p", { class: "doing" }), mark: h("span", { class: "mark", "aria-hidden": "true" }) };
    part.link = h("a", { class: "what" }, part.what);
    part.node = h("li", {}, part.mark, h("div", {}, h("p", {}, part.link, " ", part.marker), h("p", { class: "when" }, part.since, " ", part.until), part.doing));
    return part;
  }
}

// Traffic is the charts of all requests, of a route, a pool or an endpoint.
export class Traffic {
  constructor(title, series, scope) {
    this.series = series;
    this.scope = scope;
    this.vitals = h("dl", { class: "vitals" });
    this.lanes = new Lanes(`${title}: ${scope.pool === undefined ? "requests" : "attempts"}, failures and latency of the last 15 minutes`, scope.pool === undefined ? "requests" : "attempts");
    this.node = h("section", {}, h("h2", {}, title), this.vitals, this.lanes.node);
  }

  update(m) {
    const slots = this.series(m);
    if (!slots) return;
    const now = sums(slots, RECENT, m.slotMs);
    const facts = [
      [this.scope.pool === undefined ? "Requests a second" : "Attempts a second", rate(now.rate), ""],
      ["Failed", share(now.failing), now.failing >= 0.01 ? "bad" : ""],
      ["Latency, p99", duration(now.p99), ""],
      ...this.more(m),
    ];
    keyed(this.vitals, facts, (f) => f[0], (f) => {
      const value = h("dd");
      return { value, node: h("div", {}, h("dt", {}, f[0]), value) };
    }, (part, f) => {
      setText(part.value, f[1]);
      setClass(part.value, f[2]);
    });
    if (this.drawn !== m.slotCount || this.heard !== m.incidents.at(-1)?.n) {
      this.drawn = m.slotCount;
      this.heard = m.incidents.at(-1)?.n;
      this.lanes.update(m.recent(slots), m.slotMs, m.now(), m.incidents.filter((i) => inScope(i, this.scope)));
    }
  }

  more(m) {
    const { pool, address } = this.scope;
    if (this.scope.route) return [];
    const indices = pool === undefined ? m.endpoints.map((_, i) => i) : m.indices(m.pool(pool) ?? { first: 0, size: 0 });
    const chosen = indices.filter((i) => address === undefined || m.endpoints[i].address === address);
    const serving = chosen.filter((i) => !m.endpoints[i].draining);
    const eligible = serving.filter((i) => m.endpoints[i].eligible).length;
    const out = [["In flight", pool === undefined ? m.head.requestsInFlight : chosen.reduce((n, i) => n + m.inFlight[i], 0), ""]];
    if (pool === undefined) out.push(["Client connections", m.head.connections, ""]);
    if (address === undefined) out.push(["Endpoints eligible", `${eligible} of ${serving.length}`, eligible < serving.length ? "bad" : ""]);
    return out;
  }
}

// inScope says whether an incident belongs to what is looked at.
const inScope = (i, scope) => {
  if (scope.pools) return !i.pool || scope.pools.has(i.pool);
  if (scope.pool === undefined) return true;
  if (!i.pool) return i.kind === "policy" || i.kind === "sessions";
  return i.pool === scope.pool && (scope.address === undefined || !i.endpoint || i.endpoint === scope.address);
};

const heads = (...names) => h("thead", {}, h("tr", {}, ...names.map((n) => h("th", { scope: "col" }, n))));
const cell = (name, ...children) => h("td", { "data-name": name }, ...children);

// Sparks are the three small charts of a row.
class Sparks {
  constructor(what) {
    this.all = [new Spark("rate", `${what} a second`), new Spark("failing", "Share that failed"), new Spark("p99", "99th percentile of latency")];
    this.cells = [`${what.toLowerCase()}/s`, "failed", "p99"].map((n, i) => cell(n, this.all[i].node));
  }

  update(slots, m) {
    if (this.drawn === m.slotCount) return;
    this.drawn = m.slotCount;
    const now = sums(slots, RECENT, m.slotMs);
    const recent = m.recent(slots);
    this.all[0].update(recent, m.slotMs, rate(now.rate));
    this.all[1].update(recent, m.slotMs, share(now.failing));
    this.all[2].update(recent, m.slotMs, duration(now.p99));
    setClass(this.all[1].value, now.failing >= 0.01 ? "value bad" : "value");
  }
}

// Routes is the table of routes.
export class Routes {
  constructor() {
    this.body = h("tbody");
    this.node = h("section", {}, h("h2", {}, "Routes"),
      h("table", { class: "rows" }, heads("Route", "Requests/s", "Failed", "p99", "Pools"), this.body));
  }

  update(m) {
    keyed(this.body, m.routes.map((r, i) => ({ r, i })), ({ r }) => r.name, ({ r }) => {
      const part = { sparks: new Sparks("Requests"), pools: cell("pools"), where: h("div", { class: "quiet small" }) };
      part.node = h("tr", {}, h("th", { scope: "row" }, h("a", { href: to("route", r.name) }, r.name), part.where), ...part.sparks.cells, part.pools);
      return part;
    }, (part, { r, i }) => {
      part.sparks.update(m.routeSeries[i], m);
      setText(part.where, `${r.hostnames.join(", ") || "any host"} ${r.matches.join(" or ")}`);
      const total = r.backends.reduce((n, b) => n + b.weight, 0);
      const key = JSON.stringify([r.backends, r.mirror]);
      if (part.key !== key) {
        part.key = key;
        part.pools.replaceChildren(...r.backends.map((b) => h("div", {}, poolLink(b.pool), r.backends.length > 1 ? ` ${share(total ? b.weight / total : 0)}` : "")),
          ...(r.mirror ? [h("div", { class: "small" }, "copies to ", poolLink(r.mirror))] : []),
          ...(r.backends.length ? [] : ["redirects"]));
      }
    });
  }
}

// Pools is a card for each pool, with a cell for each endpoint.
export class Pools {
  constructor(only) {
    this.only = only;
    this.list = h("div", { class: "cards" });
    this.node = h("section", {}, h("h2", {}, "Pools"), this.list, legend());
  }

  update(m) {
    const pools = m.pools.map((p, i) => ({ p, i })).filter(({ p }) => !this.only || this.only(m).has(p.name));
    keyed(this.list, pools, ({ p }) => p.name, ({ p }) => this.make(p), (part, { p, i }) => {
      part.sparks.update(m.poolSeries[i], m);
      setClass(part.node, p.size > LARGE ? "card large" : "card");
      const indices = m.indices(p);
      const counts = {};
      for (const n of indices) counts[stateOf(m.endpoints[n])] = (counts[stateOf(m.endpoints[n])] ?? 0) + 1;
      const told = Object.keys(states).filter((s) => counts[s]).map((s) => `${counts[s]} ${states[s].word}`).join(", ") || "no endpoints";
      setText(part.told, told + (p.waiting ? `; ${p.waiting} waiting in its queue` : ""));
      show(part.panic, p.panic);
      setAttribute(part.strip, "aria-label", told);
      keyed(part.strip, indices, (n) => `${m.endpoints[n].id} ${m.endpoints[n].address}`, (n) => {
        const e = m.endpoints[n];
        return { node: h("a", { href: to("endpoint", p.name, e.address), tabindex: "-1" }) };
      }, (cellPart, n) => {
        const e = m.endpoints[n];
        const state = stateOf(e);
        setClass(cellPart.node, `cell ${state}`);
        setText(cellPart.node, states[state].letter);
        setAttribute(cellPart.node, "title", `${e.id} ${e.address}: ${states[state].word}`);
      });
      // A small pool is listed whole, of a large one the worst.
      const list = p.size <= LISTED ? indices : indices.filter((n) => stateOf(m.endpoints[n]) !== "fine").sort((a, b) => states[stateOf(m.endpoints[a])].rank - states[stateOf(m.endpoints[b])].rank || a - b);
      const whole = sums(m.poolSeries[i], MINUTE, m.slotMs).requests;
      keyed(part.listed, list.slice(0, LISTED), (n) => `${m.endpoints[n].id} ${m.endpoints[n].address}`, () => makeState(true), (s, n) => {
        updateState(s, m.endpoints[n], p.name);
        setText(s.share, whole ? share(sums(m.endpointSeries[n], MINUTE, m.slotMs).requests / whole) : "");
      });
      setText(part.more, list.length > LISTED ? `and ${list.length - LISTED} more` : "");
    });
  }

  make(p) {
    const part = {
      sparks: new Sparks("Attempts"), told: h("p", { class: "quiet small" }), panic: h("span", { class: "badge bad" }, "panic mode"),
      strip: h("div", { class: "strip", role: "group" }), listed: h("ul", { class: "listed" }), more: h("p", { class: "quiet small" }),
    };
    const names = ["Attempts/s", "Failed", "p99"];
    part.node = h("article", { class: "card" }, h("h3", {}, poolLink(p.name), " ", part.panic), part.told, part.strip, part.listed, part.more,
      h("dl", { class: "sparks" }, ...part.sparks.all.map((s, i) => h("div", {}, h("dt", {}, names[i]), h("dd", {}, s.node)))));
    return part;
  }
}

const legend = () => h("p", { class: "legend quiet small" }, ...Object.entries(states).flatMap(([name, s]) => [h("span", { class: `cell ${name}`, "aria-hidden": "true" }, s.letter), ` ${s.word}  `]));

// The state of one endpoint, in words and marks.
const makeState = (named) => {
  const part = {
    marker: marker("closed"), health: h("span", { class: "badge" }), other: h("span", { class: "badge warn" }), since: since(0), until: until(0),
    why: h("span", { class: "quiet small" }), link: h("a"), share: h("span", { class: "share", title: "its share of the pool's attempts, last minute" }),
  };
  part.node = h(named ? "li" : "div", { class: "state" }, named && part.share, named && part.link, named && " ", part.marker, " ", part.health, " ", part.other, " ", part.until, " ", part.since, " ", part.why);
  return part;
};

const updateState = (part, e, pool) => {
  setMarker(part.marker, e.breaker);
  const health = !e.healthy ? "unhealthy" : e.check === "none" || !e.check ? "not checked" : e.check === "pending" ? "not checked yet" : "healthy";
  setText(part.health, health);
  setClass(part.health, `badge ${!e.healthy ? "bad" : health !== "healthy" ? "neutral" : e.check === "failing" ? "warn" : "good"}`);
  show(part.other, e.draining);
  setText(part.other, "draining");
  setAttribute(part.since, "data-since", e.since ?? "");
  setAttribute(part.until, "data-until", e.openUntil || e.heldUntil || "");
  setAttribute(part.until, "data-words", e.openUntil ? "next probe in" : "held out for");
  const obvious = e.breaker !== "closed" && !e.checkError;
  setText(part.why, e.eligible || obvious ? e.checkError ?? "" : e.why ?? "");
  setText(part.link, `${e.id} ${e.address}`);
  setAttribute(part.link, "href", to("endpoint", pool, e.address));
};

const orders = {
  "worst first": (m, i) => [states[stateOf(m.endpoints[i])].rank, -sums(m.endpointSeries[i], RECENT, m.slotMs).failing, i],
  "as in the policy": (m, i) => [i],
  "most requests": (m, i) => [-sums(m.endpointSeries[i], MINUTE, m.slotMs).requests, i],
  "slowest": (m, i) => [-(sums(m.endpointSeries[i], RECENT, m.slotMs).p99 ?? 0), i],
};
const compare = (a, b) => {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return 0;
};

// Endpoints is the table of a pool's endpoints.
export class Endpoints {
  constructor(pool) {
    this.pool = pool;
    this.limit = 50;
    this.body = h("tbody");
    this.again = () => this.update(this.m);
    this.order = h("select", { onchange: this.again }, ...Object.keys(orders).map((o) => h("option", {}, o)));
    this.filter = h("input", { type: "search", class: "filter", placeholder: "address, name or state", oninput: this.again });
    this.told = h("p", { class: "quiet small", "aria-live": "polite" });
    this.all = h("button", { type: "button", onclick: () => { this.limit = Infinity; this.again(); } });
    this.node = h("section", {}, h("h2", {}, "Endpoints"),
      h("p", { class: "tools" }, h("label", {}, "Order ", this.order), h("label", {}, "Find ", this.filter), this.told),
      h("table", { class: "rows endpoints" }, heads("Endpoint", "State", "Share", "In flight", "Attempts/s", "Failed", "p99", "Weight"), this.body), this.all);
  }

  update(m) {
    this.m = m;
    const p = m.pool(this.pool);
    if (!p) return;
    const wanted = this.filter.value.trim().toLowerCase();
    const by = orders[this.order.value];
    const found = m.indices(p).filter((i) => {
      const e = m.endpoints[i];
      return !wanted || `${e.id} ${e.address} ${e.name ?? ""} ${states[stateOf(e)].word}`.toLowerCase().includes(wanted);
    }).map((i) => ({ i, key: by(m, i) })).sort((a, b) => compare(a.key, b.key)).map(({ i }) => i);
    const shown = found.slice(0, this.limit);
    setText(this.told, found.length === p.size && shown.length === p.size ? `${p.size} endpoints` : `${shown.length} of ${found.length} found, ${p.size} in all`);
    setText(this.all, `Show all ${found.length}`);
    show(this.all, shown.length < found.length);
    const whole = m.indices(p).reduce((n, i) => n + sums(m.endpointSeries[i], MINUTE, m.slotMs).requests, 0);
    keyed(this.body, shown, (i) => `${m.endpoints[i].id} ${m.endpoints[i].address}`, (i) => this.make(m.endpoints[i]), (part, i) => {
      const e = m.endpoints[i];
      updateState(part.state, e, this.pool);
      part.sparks.update(m.endpointSeries[i], m);
      const part1 = whole ? sums(m.endpointSeries[i], MINUTE, m.slotMs).requests / whole : 0;
      setText(part.share, share(part1));
      part.bar.style.width = `${100 * part1}%`;
      setText(part.inFlight, m.inFlight[i]);
      setText(part.weight, `${e.weight}${e.priority ? `, priority ${e.priority}` : ""}`);
    });
  }

  make(e) {
    const part = { state: makeState(false), sparks: new Sparks("Attempts"), share: h("span", { class: "value" }), bar: h("span", { class: "bar" }), inFlight: cell("in flight"), weight: cell("weight") };
    part.node = h("tr", {}, h("th", { scope: "row" }, h("a", { href: to("endpoint", this.pool, e.address) }, e.id), h("div", { class: "quiet small" }, e.address, e.name ? ` ${e.name}` : "")),
      h("td", { class: "wide" }, part.state.node), cell("share", h("span", { class: "sharing" }, part.share, h("span", { class: "rail" }, part.bar))), part.inFlight, ...part.sparks.cells, part.weight);
    return part;
  }
}

// Facts is a list of names and values; a value is text or a node.
const facts = (list, items) => keyed(list, items.filter((i) => i), (i) => i[0], (i) => {
  const value = h("dd");
  return { value, node: h("div", {}, h("dt", {}, i[0]), value) };
}, (part, i) => {
  if (i[1] instanceof Node) {
    if (part.value.firstChild !== i[1]) part.value.replaceChildren(i[1]);
  } else setText(part.value, i[1]);
});

// Endpoint is what is known of one.
export class Endpoint {
  constructor(pool, address) {
    Object.assign(this, { pool, address });
    this.state = makeState(false);
    this.list = h("dl", { class: "facts" });
    this.node = h("section", {}, h("h2", {}, "State"), this.list);
  }

  update(m) {
    const p = m.pool(this.pool);
    const e = p && m.indices(p).map((i) => m.endpoints[i]).find((e) => e.address === this.address);
    if (!e) {
      facts(this.list, [["Gone", "It is in the policy no more."]]);
      return;
    }
    updateState(this.state, e, this.pool);
    facts(this.list, [
      ["State", this.state.node], ["May be picked", e.eligible ? "yes" : `no: ${e.why}`],
      e.trips ? ["Breaker opened", `${e.trips} times since it was last closed`] : null,
      e.name ? ["Name", e.name] : null, ["Checks", e.check === "none" ? "none: no active check in the policy" : e.check],
      ["Weight", e.weight], ["Priority", e.priority],
    ]);
  }
}

// Route is what a route is made of.
export class Route {
  constructor(name) {
    this.name = name;
    this.list = h("dl", { class: "facts" });
    this.node = h("section", {}, h("h2", {}, "What it matches"), this.list);
  }

  update(m) {
    const r = m.routes.find((r) => r.name === this.name);
    if (!r) return facts(this.list, [["Gone", "It is in the policy no more."]]);
    facts(this.list, [["Hosts", r.hostnames.join(", ") || "any"], ["Requests", r.matches.join("  or  ")],
      ["Pools", r.backends.map((b) => `${b.pool}, weight ${b.weight}`).join("; ") || "none: it redirects"], r.mirror ? ["Copies", `to ${r.mirror}`] : null]);
  }
}

const kindNames = { breaker: "Breakers", health: "Health", policy: "Policy", sessions: "Sessions", network: "Network" };

const incident = (i) => {
  const at = Date.parse(i.at);
  const where = i.endpoint ? h("a", { href: to("endpoint", i.pool, i.endpoint) }, `${i.pool} ${i.endpoint}`) : i.pool ? poolLink(i.pool) : null;
  const [first, ...rest] = i.text.split("\n");
  return { node: h("li", { class: i.severity }, h("time", { datetime: i.at, title: utc(at) }, clock(at)),
    h("span", { class: "mark", title: words[i.severity], role: "img", "aria-label": words[i.severity].slice(2) }, words[i.severity].slice(0, 1)),
    h("span", { class: "text" }, where, where && " ", first, rest.length > 0 && h("details", {}, h("summary", {}, "all of it"), h("pre", { tabindex: "0" }, i.text)))) };
};

// Examples is a few of the requests that failed, the newest first.
export class Examples {
  constructor(scope) {
    this.scope = scope;
    this.list = h("ol", { class: "timeline" });
    this.node = h("section", {}, h("h2", {}, "Failed requests"), h("p", { class: "quiet small" }, "Examples, at most one a second; the access log has all that the policy wants there."), this.list);
  }

  update(m) {
    const found = m.incidents.filter((i) => i.kind === "request" && inScope(i, this.scope)).slice(-8).reverse();
    show(this.node, found.length > 0);
    keyed(this.list, found, (i) => i.n, incident);
  }
}

// Timeline is what happened, the newest first.
export class Timeline {
  constructor(scope) {
    this.scope = scope;
    this.limit = 25;
    this.off = new Set(JSON.parse(sessionStorage.getItem("off") ?? "[]"));
    this.again = () => this.update(this.m);
    this.list = h("ol", { class: "timeline" });
    this.none = h("p", { class: "quiet" }, "Nothing, as far as this balancer remembers.");
    this.find = h("input", { type: "search", placeholder: "find", "aria-label": "Find in the timeline", oninput: this.again });
    this.more = h("button", { type: "button", onclick: () => { this.limit *= 4; this.again(); } }, "Show more");
    this.filters = h("div", { class: "filters", role: "group", "aria-label": "What to show" }, ...Object.entries(kindNames).map(([kind, name]) =>
      h("button", { type: "button", "aria-pressed": String(!this.off.has(kind)), onclick: (e) => {
        if (!this.off.delete(kind)) this.off.add(kind);
        sessionStorage.setItem("off", JSON.stringify([...this.off]));
        setAttribute(e.currentTarget, "aria-pressed", String(!this.off.has(kind)));
        this.again();
      } }, name)), this.find);
    this.node = h("section", {}, h("h2", {}, "What happened"), this.filters, this.none, this.list, this.more);
  }

  update(m) {
    this.m = m;
    const wanted = this.find.value.trim().toLowerCase();
    const found = m.incidents.filter((i) => i.kind !== "request" && !this.off.has(i.kind) && inScope(i, this.scope) && (!wanted || `${i.pool} ${i.endpoint} ${i.text}`.toLowerCase().includes(wanted))).reverse();
    show(this.none, found.length === 0);
    show(this.more, found.length > this.limit);
    keyed(this.list, found.slice(0, this.limit), (i) => i.n, incident);
  }
}

// Policy is which policy serves, and what is wrong with the newest.
export class Policy {
  constructor() {
    this.list = h("dl", { class: "facts" });
    this.age = h("span", { "data-age": "" });
    this.hash = h("code");
    this.refused = h("div", { class: "refused" });
    this.message = h("pre", { tabindex: "0", role: "region", "aria-label": "Errors of the refused policy" });
    this.when = since(0);
    this.told = h("p");
    this.refused.append(h("h3", {}, "✕ The newest policy was refused"), h("p", {}, this.when), this.told, this.message);
    this.node = h("section", { id: "policy" }, h("h2", {}, "Policy"), this.list, this.refused);
  }

  update(m) {
    const p = m.policy;
    if (!p.hash) facts(this.list, [["Serving", "none"]]);
    else {
      const at = Date.parse(p.loadedAt);
      setAttribute(this.age, "data-age", at);
      setAttribute(this.age, "title", utc(at));
      setText(this.hash, p.hash.slice(0, 12));
      setAttribute(this.hash, "title", p.hash);
      const e = p.endpoints;
      facts(this.list, [["Name", p.name], ["Version", p.version], ["Hash", this.hash], p.revision ? ["Revision", p.revision.slice(0, 40)] : null,
        ["Age", this.age], ["Loaded", `${clock(at)}${p.lastGood ? ", the last good one, from the state directory" : ""}`],
        ["Endpoints then", `${e.kept} kept, ${e.added} added, ${e.removed} removed`]]);
    }
    show(this.refused, Boolean(p.lastError));
    if (p.lastError) {
      setAttribute(this.when, "data-since", Date.parse(p.lastError.at));
      setText(this.told, `${p.lastError.reason}${p.lastError.hash ? `, hash ${p.lastError.hash.slice(0, 12)}` : ""}. ${p.hash ? `Version ${p.version} serves on.` : ""}`);
      setText(this.message, p.lastError.message);
    }
  }
}

// Sessions is the session store and what became of sessions.
export class Sessions {
  constructor() {
    this.list = h("dl", { class: "facts" });
    this.state = h("span", { class: "badge" });
    this.store = h("span");
    this.reason = h("span");
    this.where = h("span", {}, this.store, " ", this.state, " ", this.reason);
    this.node = h("section", {}, h("h2", {}, "Sessions"), this.list);
  }

  update(m) {
    const s = m.sessions;
    show(this.node, Boolean(s.store) && s.store !== "none");
    const counts = (by) => Object.entries(by).filter(([, n]) => n).map(([why, n]) => `${n} ${why}`).join(", ") || "none";
    setText(this.store, s.store === "redis" ? "Redis" : s.store);
    setText(this.state, s.state);
    setClass(this.state, `badge ${s.state === "ok" ? "good" : "bad"}`);
    setText(this.reason, s.reason);
    facts(this.list, [["Store", this.where],
      ...(s.store === "redis" ? [["Latency", s.latencyMs.p99 ? `median ${duration(s.latencyMs.median)}, p99 ${duration(s.latencyMs.p99)}` : "not asked yet"], ["Hit rate", s.hitRate === null ? "no request yet" : share(s.hitRate)]] : []),
      ["Moved", counts(s.moved)], ["Tickets refused", counts(s.refused)]]);
  }
}
