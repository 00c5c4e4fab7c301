"use strict";
// A cursor across the lanes of a figure: the pointer moves it, and the arrow keys do.
for (const figure of document.querySelectorAll("figure.time")) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const over = figure.querySelector("svg.over");
  const cursor = figure.querySelector("line.cursor");
  const readout = figure.querySelector("p.readout");
  const hint = "Point at the charts, or press ← and →, to read their numbers.";
  readout.textContent = hint;
  let bin = -1;
  const ms = (v) => v < 0 ? "none" : v < 1000 ? Number(v.toPrecision(3)) + " ms" : Number((v / 1000).toPrecision(3)) + " s";
  const show = (to) => {
    bin = Math.min(Math.max(to, 0), data.n.length - 1);
    const at = Math.min((bin + 0.5) * data.width / data.end, 1) * 100 + "%";
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    const from = Number((bin * data.width).toFixed(3));
    readout.textContent = `${from} s: ${data.n[bin]} requests, ${data.errors[bin]} errors, ${data.sheds[bin]} shed, p50 ${ms(data.p50[bin])}, p99 ${ms(data.p99[bin])}`;
  };
  const hide = () => {
    bin = -1;
    cursor.setAttribute("x1", "-1");
    cursor.setAttribute("x2", "-1");
    readout.textContent = hint;
  };
  figure.addEventListener("pointermove", (e) => {
    const box = over.getBoundingClientRect();
    const at = (e.clientX - box.left) / box.width;
    if (at >= 0 && at <= 1) show(Math.floor(at * data.end / data.width));
  });
  figure.addEventListener("pointerleave", hide);
  figure.addEventListener("keydown", (e) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (e.key === "Escape") hide();
    if (by === undefined) return;
    e.preventDefault();
    show(bin < 0 ? 0 : bin + by);
  });
}
// A link to a run opens it.
const open = () => {
  const run = document.getElementById(location.hash.slice(1));
  if (run && run.tagName === "DETAILS") {
    run.open = true;
    run.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();
