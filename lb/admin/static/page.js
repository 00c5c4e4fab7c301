// The page: it listens to the stream, says when it hears nothing, and shows what the
// address asks for: everything, a route, a pool or an endpoint.
import { h, setText, setClass, setAttribute, show, runClocks, span } from "./dom.js";
import { Model } from "./model.js";
import { Problems, Traffic, Routes, Pools, Endpoints, Endpoint, Route, Timeline, Examples, Policy, Sessions } from "./view.js";

const STALE = 3500; // milliseconds without a message; one comes each second
const DEAD = 10000; // after which a silent connection is given up

const board = document.getElementById("board");
const plain = document.getElementById("plain");
const live = document.getElementById("live");
const banner = document.getElementById("stale");
const condition = document.getElementById("condition");
const icon = document.querySelector("link[rel=icon]");
const model = new Model();
let parts = [];

const everything = () => {
  const side = h("div", { class: "side" });
  const main = h("div", { class: "main" });
  const add = (to, part) => {
    to.append(part.node);
    return part;
  };
  const out = [];
  const columns = h("div", { class: "columns" }, main, side);
  const problems = new Problems();
  const traffic = new Traffic("All traffic", (m) => m.total, {});
  board.append(problems.node, traffic.node, columns);
  out.push(problems, traffic, add(main, new Pools()), add(main, new Routes()), add(main, new Timeline({})), add(side, new Policy()), add(side, new Sessions()), add(side, new Examples({})));
  return out;
};

const part = (title, crumbs, sections) => {
  board.append(h("nav", { "aria-label": "Where" }, h("ol", { class: "crumbs" }, h("li", {}, h("a", { href: "#/" }, "Everything")),
    ...crumbs.map(([name, href]) => h("li", {}, href ? h("a", { href }, name) : h("span", { "aria-current": "page" }, name))))),
    h("h2", { class: "title" }, title), ...sections.map((s) => s.node));
  return sections;
};

const pools = (name) => (m) => {
  const r = m.routes.find((r) => r.name === name);
  return new Set(r ? [...r.backends.map((b) => b.pool), r.mirror] : []);
};

// build makes the sections that the address asks for.
const build = () => {
  board.replaceChildren();
  let [, kind, name, address] = location.hash.split("/").map((s) => {
    try {
      return decodeURIComponent(s);
    } catch {
      return s;
    }
  });
  if (kind === "route") {
    return part(`Route ${name}`, [[`Route ${name}`]], [
      new Traffic("Traffic", (m) => m.routeSeries[m.routes.findIndex((r) => r.name === name)], { route: name, pools: pools(name)(model) }),
      new Route(name), new Pools(pools(name)), new Examples({ pools: pools(name)(model) }), new Timeline({ pools: pools(name)(model) }),
    ]);
  }
  if (kind === "pool") {
    const index = (m) => m.pools.findIndex((p) => p.name === name);
    return part(`Pool ${name}`, [[`Pool ${name}`]], [
      new Traffic("Traffic", (m) => m.poolSeries[index(m)], { pool: name }), new Endpoints(name), new Examples({ pool: name }), new Timeline({ pool: name }),
    ]);
  }
  if (kind === "endpoint") {
    const index = (m) => {
      const p = m.pool(name);
      return p ? m.indices(p).find((i) => m.endpoints[i].address === address) : undefined;
    };
    return part(`Endpoint ${address} of pool ${name}`, [[`Pool ${name}`, `#/pool/${encodeURIComponent(name)}`], [`Endpoint ${address}`]], [
      new Endpoint(name, address), new Traffic("Traffic", (m) => m.endpointSeries[index(m)], { pool: name, address }), new Examples({ pool: name, address }), new Timeline({ pool: name, address }),
    ]);
  }
  return everything();
};

const render = () => {
  if (!model.known) return;
  show(plain, false);
  show(board, true);
  for (const p of parts) p.update(model);
  const bad = model.problems.length;
  setText(condition, model.head.condition);
  setClass(condition, `condition ${{ ok: "good", degraded: "warn" }[model.head.condition] ?? "bad"}`);
  setText(document.getElementById("name"), model.policy.name ? `${model.policy.name} ${model.policy.version}` : "");
  runClocks(model.now());
  title(bad);
};

const title = (bad) => {
  const stale = model.silent() > STALE;
  setText(document.querySelector("title"), `${stale ? "stale: " : ""}${bad ? `${bad} wrong` : "ok"} · ${model.policy?.name ?? ""} load balancer`);
  setAttribute(icon, "href", bad || stale ? "/static/bad.svg" : "/static/ok.svg");
};

const navigate = (focus) => {
  if (!model.known) return;
  parts = build();
  render();
  if (focus) {
    scrollTo(0, 0);
    board.focus({ preventScroll: true });
  }
};

let source = null;
let again = 0; // when to connect again, if the browser will not

const connect = () => {
  source?.close();
  source = new EventSource("/api/v1/events");
  again = performance.now() + DEAD;
  source.addEventListener("state", (e) => {
    const first = !model.known;
    model.state(JSON.parse(e.data));
    heard();
    // The same sections go on, unless what they are of may be gone.
    if (first) navigate(false);
    else render();
  });
  source.addEventListener("tick", (e) => {
    model.tick(JSON.parse(e.data));
    heard();
    render();
  });
  // It connects again by itself after a connection that broke; after an answer that is
  // no stream, 503 say, it does not.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) again = performance.now() + 2000;
    watch();
  });
};

const heard = () => {
  again = performance.now() + DEAD;
  watch();
};

// watch says how old the data is.
const watch = () => {
  const silent = model.silent();
  const stale = model.known && silent > STALE;
  document.body.classList.toggle("stale", stale);
  show(banner, stale);
  if (stale) setText(banner, `Stale: this is how it was ${span(silent)} ago. The balancer is not heard; trying again.`);
  setText(live, !model.known ? "connecting" : stale ? "stale" : "live");
  setClass(live, `live ${stale ? "bad" : model.known ? "good" : "neutral"}`);
  if (performance.now() > again) connect();
};

addEventListener("hashchange", () => navigate(true));
addEventListener("keydown", (e) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName);
  if (e.key === "Escape" && typing) e.target.blur();
  if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/") {
    const find = document.querySelector("#board input[type=search]");
    if (find) {
      e.preventDefault();
      find.focus();
    }
  }
  if (e.key === "u" && location.hash.length > 2) {
    const up = [...document.querySelectorAll(".crumbs a")].at(-1);
    if (up) location.hash = up.getAttribute("href");
  }
});
setInterval(() => {
  watch();
  if (model.known) {
    runClocks(model.now());
    title(model.problems.length);
  }
}, 500);
connect();
