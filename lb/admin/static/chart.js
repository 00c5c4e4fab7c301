// Charts of the last fifteen minutes: small ones in tables, and lanes under one another
// with a cursor across them.
import { h, svg, setText, setAttribute, keyed, clock, span, rate, share, duration } from "./dom.js";

// What a chart can show of a slot; null: a gap. least is the least height of its scale.
const failing = (s) => (s[0] ? s[1] / s[0] : 0);
const kinds = {
  rate: { of: (s, ms) => (1000 * s[0]) / ms, least: 1, text: rate },
  failedRate: { of: (s, ms) => (1000 * s[1]) / ms, least: 1, text: rate },
  failing: { of: failing, least: 0.05, text: share },
  p99: { of: (s) => (s[0] ? s[3] : null), least: 1, text: duration },
  mean: { of: (s) => (s[0] ? s[2] : null), least: 1, text: duration },
};

const values = (slots, kind, ms) => slots.map((s) => (s ? kinds[kind].of(s, ms) : null));
const top = (lists, least) => lists.flat().reduce((a, v) => Math.max(a, v ?? 0), least);

// path draws values into a box of one unit a slot and the given height.
const path = (list, max, height, filled) => {
  let d = "", from = -1;
  const y = (v) => (height - (v / max) * height).toFixed(1);
  for (let i = 0; i <= list.length; i++) {
    const v = i < list.length ? list[i] : null;
    if (v === null) {
      if (from >= 0 && filled) d += `L${i} ${y(list[i - 1])}L${i} ${height}Z`;
      else if (from >= 0) d += `L${i} ${y(list[i - 1])}`;
      from = -1;
    } else if (from < 0) {
      d += filled ? `M${i} ${height}L${i} ${y(v)}` : `M${i} ${y(v)}`;
      from = i;
    } else d += `L${i} ${y(v)}`;
  }
  return d;
};

const fit = (node, slots, height) => setAttribute(node, "viewBox", `0 0 ${slots} ${height}`);
const box = (...children) =>
  svg("svg", { preserveAspectRatio: "none", width: "100%", height: "100%", "aria-hidden": "true" }, ...children);

// Spark is a small chart of one kind, with the last value beside it.
export class Spark {
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.line = svg("path", { class: kind === "p99" ? "line p99" : kind === "failing" ? "area failed" : "area rate" });
    this.value = h("span", { class: "value" });
    this.plot = h("span", { class: "spark" });
    this.node = h("span", { class: "sparked" }, this.value, this.plot);
  }

  update(slots, ms, now) {
    const kind = kinds[this.kind];
    setText(this.value, now);
    const list = values(slots, this.kind, ms);
    const max = top([list], kind.least);
    if (!this.box) this.plot.append((this.box = box(this.line)));
    fit(this.box, slots.length, 20);
    setAttribute(this.line, "d", path(list, max, 20, this.kind !== "p99"));
    setAttribute(this.plot, "title", `${this.name}, last ${span(slots.length * ms)}; at most ${kind.text(max)}`);
  }
}

const lanes = (what) => [
  { name: what[0].toUpperCase() + what.slice(1), unit: "a second", height: 56, parts: [{ kind: "rate", class: "area rate", word: "all" }, { kind: "failedRate", class: "area failed", word: "failed" }] },
  { name: "Failed", unit: `share of ${what}`, height: 40, parts: [{ kind: "failing", class: "area failed", word: "failed" }] },
  { name: "Latency", unit: "", height: 56, parts: [{ kind: "p99", class: "line p99", word: "p99" }, { kind: "mean", class: "line mean", word: "mean" }] },
];

const glyphs = { bad: "✕", warn: "▲", good: "✓", note: "•" };

// Lanes is the large chart. Its marks are incidents.
export class Lanes {
  constructor(label, what) {
    this.what = what;
    this.readout = h("p", { class: "readout", "aria-live": "off" });
    this.cursor = svg("line", { class: "cursor", y1: "0", y2: "100%" });
    this.unknown = svg("g");
    this.marks = svg("g");
    this.over = svg("svg", { class: "over", "aria-hidden": "true" }, this.unknown, this.marks, this.cursor);
    this.lanes = lanes(what).map((l) => ({
      ...l,
      paths: l.parts.map((p) => svg("path", { class: p.class })),
      scale: h("span", { class: "scale" }),
      plot: h("div", { class: "plot" }),
    }));
    this.ticks = h("div", { class: "ticks", "aria-hidden": "true" });
    this.node = h("figure", { class: "time", tabindex: "0", "aria-label": label },
      this.readout,
      h("div", { class: "lanes" }, this.over,
        ...this.lanes.map((l) => {
          l.plot.style.height = `${l.height}px`;
          return h("div", { class: "lane" },
            h("div", { class: "name" }, h("strong", {}, l.name), " ", h("span", { class: "quiet" }, l.unit),
              h("ul", { class: "keys" }, ...l.parts.map((p) => h("li", {}, h("span", { class: `key ${p.class}` }), p.word)))),
            h("div", { class: "plotted" }, l.scale, l.plot));
        }),
        h("div", { class: "lane axis" }, h("div", { class: "name" }), this.ticks)));
    this.at = -1;
    this.node.addEventListener("pointermove", (e) => {
      const b = this.over.getBoundingClientRect();
      const x = (e.clientX - b.left) / b.width;
      if (x >= 0 && x < 1) this.point(Math.floor(x * this.slots.length));
    });
    this.node.addEventListener("pointerleave", () => this.point(-1));
    this.node.addEventListener("blur", () => this.point(-1));
    this.node.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[e.key];
      if (e.key === "Escape") this.point(-1);
      if (by === undefined) return;
      e.preventDefault();
      const n = this.slots.length;
      this.point(this.at < 0 ? n - 1 : Math.min(n - 1, Math.max(0, this.at + by)));
    });
  }

  update(slots, ms, now, incidents) {
    Object.assign(this, { slots, ms, now });
    for (const l of this.lanes) {
      const lists = l.parts.map((p) => values(slots, p.kind, ms));
      const max = top(lists, kinds[l.parts[0].kind].least);
      if (!l.box) l.plot.append((l.box = box(...l.paths)));
      fit(l.box, slots.length, l.height);
      l.parts.forEach((p, i) => setAttribute(l.paths[i], "d", path(lists[i], max, l.height, p.class.startsWith("area"))));
      setText(l.scale, kinds[l.parts[0].kind].text(max));
    }
    const gaps = [];
    slots.forEach((s, i) => {
      if (s) return;
      if (gaps.at(-1)?.end === i) gaps.at(-1).end++;
      else gaps.push({ from: i, end: i + 1 });
    });
    const part = (i) => `${((100 * i) / slots.length).toFixed(2)}%`;
    keyed(this.unknown, gaps, (g) => g.from, () => ({ node: svg("rect", { class: "unknown", y: "0", height: "100%" }) }), ({ node }, g) => {
      setAttribute(node, "x", part(g.from));
      setAttribute(node, "width", part(g.end - g.from));
    });
    const width = slots.length * ms;
    const marks = incidents.filter((i) => i.kind !== "request" && i.severity !== "note" && now - Date.parse(i.at) < width).slice(-60);
    keyed(this.marks, marks, (i) => i.n, (i) => {
      const node = svg("g", { class: `mark ${i.severity}` }, svg("line", { y1: "14", y2: "100%" }), svg("text", { y: "11", "text-anchor": "middle" }, glyphs[i.severity]));
      return { node };
    }, (part, i) => {
      const x = `${(100 * (1 - (now - Date.parse(i.at)) / width)).toFixed(2)}%`;
      setAttribute(part.node.firstChild, "x1", x);
      setAttribute(part.node.firstChild, "x2", x);
      setAttribute(part.node.lastChild, "x", x);
    });
    const ticks = [0, 1, 2, 3];
    keyed(this.ticks, ticks, (i) => i, () => ({ node: h("span") }), ({ node }, i) => setText(node, i === 3 ? "now" : clock(now - ((3 - i) / 3) * width)));
    this.incidents = incidents;
    this.point(this.at);
  }

  point(at) {
    this.at = at;
    const n = this.slots?.length ?? 1;
    const x = `${(100 * (at + 0.5)) / n}%`;
    setAttribute(this.cursor, "class", at < 0 ? "no cursor" : "cursor");
    setAttribute(this.cursor, "x1", x);
    setAttribute(this.cursor, "x2", x);
    if (at < 0) {
      setText(this.readout, "Point at the charts, or press ← and →, to read their numbers.");
      return;
    }
    const from = this.now - (n - at) * this.ms;
    const s = this.slots[at];
    const near = this.incidents.filter((i) => i.kind !== "request" && Date.parse(i.at) >= from && Date.parse(i.at) < from + this.ms).slice(-2)
      .map((i) => ` · ${glyphs[i.severity]} ${i.endpoint ?? i.pool ?? ""} ${i.text}`).join("");
    setText(this.readout, `${clock(from)}, ${span(this.now - from)} ago: ` + (s
      ? `${rate((1000 * s[0]) / this.ms)} ${this.what} a second, ${s[1]} failed (${share(failing(s))}), mean ${duration(s[0] ? s[2] : null)}, p99 ${duration(s[0] ? s[3] : null)}`
      : "not known") + near);
  }
}
