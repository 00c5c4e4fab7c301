// Nodes, made and brought up to date without ever parsing markup: whatever a server or a
// client sent is text here.

const SVG = "http://www.w3.org/2000/svg";

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return node;
};

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// The setters touch the page only if something is other than it was.
export const setText = (node, text) => {
  if (node.textContent !== String(text)) node.textContent = text;
};
export const setClass = (node, name) => {
  if (node.getAttribute("class") !== name) node.setAttribute("class", name);
};
export const setAttribute = (node, name, value) => {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
};
export const show = (node, shown) => {
  if (node.hidden === shown) node.hidden = !shown;
};

// keyed makes the children of a node those of a list: a child stays the same node, and
// keeps the focus, as long as its key is in the list.
export const keyed = (parent, items, key, make, update) => {
  const old = (parent.keyed ??= new Map());
  const now = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const k = key(item);
    if (now.has(k)) continue;
    const part = old.get(k) ?? make(item);
    now.set(k, part);
    old.delete(k);
    update?.(part, item);
    if (part.node === place) place = place.nextSibling;
    else parent.insertBefore(part.node, place);
  }
  for (const gone of old.values()) gone.node.remove();
  parent.keyed = now;
};

// Times that go on by themselves: a node says since when, or until when, in milliseconds
// since 1970 by the balancer's clock, and which words belong to it.
export const since = (ms) => h("span", { class: "since", "data-since": ms || "" });
export const until = (ms, words = "next probe in") => h("span", { class: "until", "data-until": ms || "", "data-words": words });

export const runClocks = (now) => {
  for (const node of document.querySelectorAll("[data-since]")) {
    const at = Number(node.dataset.since);
    setText(node, at ? `since ${clock(at)}, ${span(now - at)}` : "");
    if (at) setAttribute(node, "title", utc(at));
  }
  for (const node of document.querySelectorAll("[data-until]")) {
    const at = Number(node.dataset.until);
    setText(node, at ? (at > now ? `${node.dataset.words} ${Math.ceil((at - now) / 1000)} s` : "probe due") : "");
  }
  for (const node of document.querySelectorAll("[data-age]")) {
    const at = Number(node.dataset.age);
    setText(node, at ? span(now - at) : "");
  }
};

const two = (n) => String(n).padStart(2, "0");
export const clock = (ms) => {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
};
export const utc = (ms) => new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");

// span is a length of time in words.
export const span = (ms) => {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s < 600 ? `${s % 60} s` : ""}`.trim();
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
};

export const rate = (n) => (n === 0 ? "0" : n < 10 ? n.toFixed(1) : Math.round(n).toLocaleString("en"));
export const share = (x) => (x === 0 ? "0 %" : x < 0.001 ? "<0.1 %" : x < 0.1 ? `${(100 * x).toFixed(1)} %` : `${Math.round(100 * x)} %`);
export const duration = (ms) => (ms === null ? "–" : ms < 1 ? `${ms.toFixed(2)} ms` : ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`);
