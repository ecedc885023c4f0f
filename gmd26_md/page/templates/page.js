"use strict";
// Draws the figures when they come into view, the molecules when they are opened, and lets numbers be chosen.
(() => {
const DASH = { solid: "none", dash: "6 3", dot: "2 2.5", dashdot: "6 2.5 1.5 2.5", longdash: "10 3", longdashdot: "10 2.5 1.5 2.5" };
const FONT = { family: '"Helvetica Neue", "Segoe UI", Arial, "Liberation Sans", sans-serif', size: 12, color: "#1c1c1c" };
const PRINT_AT_MOST = 60; // sections whose figures are drawn for print
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// ---- packed data
async function unpackedText(id) {
  const raw = atob(document.getElementById(id).textContent);
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0));
  const stream = new DecompressionStream("gzip"), writer = stream.writable.getWriter();
  writer.write(bytes);
  writer.close();
  return new Response(stream.readable).text();
}
const kept = new Map();
function unpacked(id) {
  if (!kept.has(id)) kept.set(id, unpackedText(id).then(JSON.parse));
  return kept.get(id);
}
let loading = null;
function plotly() {
  loading ??= unpackedText("plotly").then((source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    document.getElementById("plotly").remove();
    return window.Plotly;
  });
  return loading;
}

// ---- figures
const markerOf = (look) => look.marker + (look.open ? "-open" : "");
function traceOf(series, k, wide) {
  const look = series.look, form = series.form;
  const mode = { lines: "lines", steps: "lines+markers", points: "markers", both: "lines+markers" }[form];
  const n = series.x.length;
  const every = form === "lines" ? 0 : n > 60 && form !== "points" ? Math.ceil(n / 25) : 0;
  const trace = {
    type: "scatter", mode, name: safe(series.name), x: series.x, y: series.y, xaxis: "x" + k, yaxis: "y" + k, showlegend: false,
    line: { color: look.colour, width: look.width, dash: look.dash, shape: form === "steps" ? "hv" : "linear" },
    marker: { symbol: markerOf(look), color: look.colour, size: series.faint ? 4.5 : form === "points" ? 7.5 : 6, line: { width: look.open ? 1.4 : 0.6, color: look.open ? look.colour : "#fff" }, maxdisplayed: every ? 25 : 0 },
    opacity: series.faint ? 0.6 : 1, hoverinfo: "text", hovertext: (series.texts || []).map(safe), text: [], customdata: series.links || [], meta: series.name,
  };
  if (series.faint) trace.marker.line.width = look.open ? 1 : 0;
  if (!series.texts) trace.hoverinfo = "x+y";
  const out = [];
  if (series.high && series.band) {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(look.colour.slice(i, i + 2), 16));
    const edge = { type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, xaxis: "x" + k, yaxis: "y" + k, x: series.x, meta: series.name };
    out.push({ ...edge, y: series.low }, { ...edge, y: series.high, fill: "tonexty", fillcolor: `rgba(${r},${g},${b},0.13)` });
  } else if (series.high) {
    const at = (limit, sign) => limit.map((v, i) => (v === null || series.y[i] === null ? 0 : Math.max(sign * (v - series.y[i]), 0)));
    trace.error_y = { type: "data", symmetric: false, array: at(series.high, 1), arrayminus: at(series.low, -1), color: look.colour, thickness: 1.1, width: 3 };
  }
  out.push(trace);
  return out;
}
function ticksOf(low, high) {
  // 1, 2, 5 within two decades and a half, else the decades; a decade more on either side, for zooming
  const decades = Math.log10(high / low), from = Math.floor(Math.log10(low)) - 1, to = Math.ceil(Math.log10(high)) + 1, out = [];
  const steps = decades < 0.75 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 2.6 ? [1, 2, 5] : [1];
  for (let d = from; d <= to; d++) for (const s of steps) out.push(Number(`${s}e${d}`));
  const words = (v) => (v >= 1e-3 && v < 1e4 ? String(v) : `${v.toExponential()[0] === "1" ? "" : v.toExponential()[0] + "·"}10<sup>${Math.floor(Math.log10(v * 1.0000001))}</sup>`);
  return { tickvals: out, ticktext: out.map(words), tickmode: "array", dtick: undefined };
}
function axisOf(axis, range) {
  const out = {
    title: { text: safe(axis.title || ""), standoff: 8, font: { size: 12 } }, automargin: true, showline: true, linecolor: "#333", linewidth: 1, ticks: "outside", ticklen: 4,
    tickcolor: "#333", gridcolor: "#ecebe6", zeroline: false, exponentformat: "power", hoverformat: ".4g",
  };
  if (axis.log) Object.assign(out, { type: "log", ...ticksOf(Math.max(range[0], 1e-200), Math.max(range[1], 1e-200)) });
  if (axis.low !== undefined || axis.high !== undefined) Object.assign(out, { range: [axis.low ?? null, axis.high ?? null] });
  if (axis.ticks) Object.assign(out, { tickvals: axis.ticks.map((t) => t[0]), ticktext: axis.ticks.map((t) => safe(t[1])), gridcolor: "rgba(0,0,0,0)" });
  return out;
}
function extent(panel, which) {
  const axis = panel[which], values = [];
  for (const s of panel.series) for (const v of s[which]) if (v !== null && (!axis.log || v > 0)) values.push(v);
  return values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
}
function laidOut(figure, width) {
  const n = figure.panels.length;
  const columns = figure.stacked ? 1 : width < 620 ? 1 : n > 4 ? 3 : Math.min(n, Math.max(1, Math.floor(width / 240)));
  const rows = Math.ceil(n / columns);
  const each = figure.stacked ? 134 : n === 1 ? 330 : 270;
  const gap = figure.stacked ? 16 : 74, side = 76, titled = figure.panels.some((p) => p.title);
  const height = rows * each + (rows - 1) * gap + 62 + (titled ? 22 : 8);
  const inner = { w: width - 66 - 12, h: height - 62 - (titled ? 22 : 8) };
  const w = (inner.w - (columns - 1) * side) / columns, h = (inner.h - (rows - 1) * gap) / rows;
  const data = [], layout = {
    width, height, margin: { l: 66, r: 12, t: titled ? 22 : 8, b: 54, pad: 0 }, font: FONT, paper_bgcolor: "#fff", plot_bgcolor: "#fff", showlegend: false,
    hovermode: "closest", hoverlabel: { font: { ...FONT, size: 12 }, bgcolor: "#fff", bordercolor: "#333", align: "left" }, shapes: [], annotations: [], dragmode: width < 620 ? false : "zoom",
  };
  figure.panels.forEach((panel, i) => {
    const k = i + 1, column = i % columns, row = Math.floor(i / columns);
    const x0 = (column * (w + side)) / inner.w, y1 = 1 - (row * (h + gap)) / inner.h;
    const xs = extent(panel, "x"), ys = extent(panel, "y");
    const x = axisOf(panel.x, xs), y = axisOf(panel.y, ys);
    Object.assign(x, { domain: [x0, x0 + w / inner.w], anchor: "y" + k });
    Object.assign(y, { domain: [Math.max(y1 - h / inner.h, 0), y1], anchor: "x" + k });
    if (figure.stacked) y.title.text = y.title.text.replace(", ", ",<br>");
    if (figure.stacked && i < n - 1) Object.assign(x, { title: { text: "" }, showticklabels: false });
    if (figure.stacked && i > 0) x.matches = "x";
    layout["xaxis" + (k > 1 ? k : "")] = x;
    layout["yaxis" + (k > 1 ? k : "")] = y;
    const ref = (a) => a + (k > 1 ? k : "");
    if (panel.title) layout.annotations.push({ text: `<b>${safe(panel.title)}</b>`, xref: "paper", yref: "paper", x: x0, y: y1, xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 12.5 } });
    for (const [value, words] of panel.limits || []) {
      layout.shapes.push({ type: "line", xref: ref("x") + " domain", yref: ref("y"), x0: 0, x1: 1, y0: value, y1: value, line: { color: "#444", width: 1, dash: "dot" }, layer: "below" });
      layout.annotations.push({ text: safe(words), xref: ref("x") + " domain", yref: ref("y"), x: 1, y: panel.y.log ? Math.log10(value) : value, xanchor: "right", yanchor: "bottom", showarrow: false, font: { size: 11, color: "#444" }, bgcolor: "rgba(255,255,255,.75)", borderpad: 1 });
    }
    if (panel.diagonal) {
      const low = Math.max(Math.min(xs[0], ys[0]), panel.x.log ? 1e-300 : -Infinity), high = Math.max(xs[1], ys[1]);
      data.push({ type: "scatter", mode: "lines", x: [low, high], y: [low, high], xaxis: "x" + k, yaxis: "y" + k, line: { color: "#888", width: 1, dash: "dot" }, hoverinfo: "skip", showlegend: false });
    }
    for (const series of panel.series) data.push(...traceOf(series, k, width > 620));
  });
  return { data, layout };
}
const SYMBOL = {
  circle: "M17 2a4 4 0 1 0 .01 0z", square: "M13.3 2.3h7.4v7.4h-7.4z", diamond: "M17 1l5 5-5 5-5-5z", "triangle-up": "M17 1l5 9h-10z", "triangle-down": "M17 11l5-9h-10z",
  star: "M17 0l1.6 4.2 4.4.2-3.5 2.8 1.2 4.3-3.7-2.5-3.7 2.5 1.2-4.3-3.5-2.8 4.4-.2z", hexagon: "M17 1l4.3 2.5v5l-4.3 2.5-4.3-2.5v-5z", x: "M13 2l8 8M21 2l-8 8",
};
function legendOf(figure, box, div) {
  const entries = new Map();
  const all = figure.panels.flatMap((panel) => panel.series);
  for (const s of all) if (!entries.has(s.name)) entries.set(s.name, s);
  const split = all.some((s) => s.look.open);
  const legend = document.createElement("div");
  legend.className = "legend";
  for (const [name, s] of entries) {
    const button = document.createElement("button"), look = s.look;
    const line = s.form === "points" ? "" : `<path d="M1 6h32" stroke="${look.colour}" stroke-width="1.8" stroke-dasharray="${DASH[look.dash]}"/>`;
    const mark = s.form === "lines" ? "" : `<path d="${SYMBOL[look.marker]}" fill="${look.colour}" stroke="${look.colour}" stroke-width="1.3"/>`;
    button.innerHTML = `<svg width="${line ? 34 : 16}" height="12" viewBox="${line ? "0 0 34 12" : "9 0 16 12"}">${split && line ? line.replace(/stroke-dasharray="[^"]*"/, "") : line}${mark}</svg>`;
    button.append(name);
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.title = "hide or show";
    button.onclick = () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      const which = div.data.map((t, i) => [t.meta, i]).filter(([m]) => m === name).map(([, i]) => i);
      window.Plotly.restyle(div, { visible: shown }, which);
    };
    legend.append(button);
  }
  if (split) {
    const line = all.some((s) => s.form !== "points"), path = (dash) => (line ? `<path d="M1 6h32" stroke="#555" stroke-width="1.6" stroke-dasharray="${dash}"/>` : "");
    const key = document.createElement("span");
    key.className = "splits";
    for (const [name, fill, dash] of [["ID", "#555", "none"], ["OOD", "#fff", "6 3"]]) key.insertAdjacentHTML("beforeend", `<svg width="${line ? 34 : 16}" height="12" viewBox="${line ? "0 0 34 12" : "9 0 16 12"}">${path(dash)}<path d="${SYMBOL.circle}" fill="${fill}" stroke="#555" stroke-width="1.3"/></svg><span>${name}</span>`);
    legend.append(key);
  }
  box.before(legend);
}
function save(figure, div) {
  const { data, layout } = laidOut(figure, Math.max(div.clientWidth, 640));
  const named = new Set();
  for (const t of data) if (t.meta && t.name && !named.has(t.meta)) { named.add(t.meta); t.showlegend = true; }
  if (data.some((t) => t.marker?.symbol?.endsWith("-open"))) for (const [name, symbol] of [["ID", "circle"], ["OOD", "circle-open"]]) data.push({ type: "scatter", mode: "markers", name, x: [null], y: [null], marker: { symbol, color: "#555" }, showlegend: true });
  layout.showlegend = true;
  layout.legend = { orientation: "h", y: 1.06, yanchor: "bottom", x: 0 };
  layout.margin.t += 40; layout.height += 40;
  window.Plotly.downloadImage({ data, layout }, { format: "svg", filename: figure.name, width: layout.width, height: layout.height });
}
async function draw(box, figure) {
  if (box.dataset.drawn) return;
  box.dataset.drawn = "1";
  const Plotly = await plotly();
  drawNow(box, figure, Plotly);
}
function drawNow(box, figure, Plotly) {
  const div = document.createElement("div");
  div.className = "drawn";
  box.replaceChildren(div);
  const { data, layout } = laidOut(figure, box.clientWidth || 500);
  const icon = Plotly.Icons.camera;
  Plotly.newPlot(div, data, layout, {
    displaylogo: false, responsive: false, doubleClick: "reset",
    modeBarButtons: [[{ name: "Save as SVG", icon, click: () => save(figure, div) }, "zoom2d", "pan2d", "resetScale2d"]],
  });
  box.style.minHeight = "0";
  legendOf(figure, box, div);
  div.on("plotly_click", (event) => { const to = event.points[0]?.customdata; if (typeof to === "string" && to) location.hash = to; });
  box.redraw = () => { const again = laidOut(figure, box.clientWidth || 500); Plotly.react(div, again.data, again.layout); $$(".legend button", box.parentElement).forEach((b) => b.setAttribute("aria-pressed", "true")); };
}
let pause = 0, lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === lastWidth) return;
  lastWidth = innerWidth;
  clearTimeout(pause);
  pause = setTimeout(() => $$(".plot").forEach((box) => box.redraw && box.clientWidth && box.redraw()), 200);
});
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) {
    seen.unobserve(target);
    unpacked(target.dataset.pack).then((all) => draw(target, all[target.dataset.index]));
  }
}, { rootMargin: "600px" });
const overall = $$(".figures .plot");
overall.forEach((box) => seen.observe(box));

// ---- balls and sticks
const BALL = { H: [0.26, "#ededed", 0.31], C: [0.38, "#4a4a4a", 0.76], N: [0.38, "#2f5fb3", 0.71], O: [0.37, "#cf2f25", 0.66], S: [0.45, "#d9b310", 1.05], F: [0.34, "#4aa564", 0.57], Cl: [0.44, "#3f9b4a", 1.02] };
const ball = (symbol) => BALL[symbol] || [0.44, "#a3799b", 1.1];
const sphere = (() => {
  const points = [], faces = [], rings = 10, turns = 16;
  for (let i = 0; i <= rings; i++) for (let j = 0; j < turns; j++) {
    const a = (Math.PI * i) / rings, b = (2 * Math.PI * j) / turns;
    points.push([Math.sin(a) * Math.cos(b), Math.sin(a) * Math.sin(b), Math.cos(a)]);
  }
  for (let i = 0; i < rings; i++) for (let j = 0; j < turns; j++) {
    const a = i * turns + j, b = i * turns + ((j + 1) % turns);
    faces.push([a, a + turns, b], [b, a + turns, b + turns]);
  }
  return { points, faces };
})();
function meshOf() { return { type: "mesh3d", x: [], y: [], z: [], i: [], j: [], k: [], vertexcolor: [], hoverinfo: "skip", flatshading: false, lighting: { ambient: 0.55, diffuse: 0.75, specular: 0.25, roughness: 0.5, fresnel: 0.1 }, lightposition: { x: 400, y: 600, z: 1200 } }; }
function addPoints(mesh, points, faces, colour) {
  const start = mesh.x.length;
  for (const p of points) { mesh.x.push(p[0]); mesh.y.push(p[1]); mesh.z.push(p[2]); mesh.vertexcolor.push(colour); }
  for (const f of faces) { mesh.i.push(start + f[0]); mesh.j.push(start + f[1]); mesh.k.push(start + f[2]); }
}
function addBall(mesh, at, radius, colour) { addPoints(mesh, sphere.points.map((p) => p.map((v, d) => at[d] + radius * v)), sphere.faces, colour); }
function addStick(mesh, from, to, radius, colour) {
  const d = to.map((v, i) => v - from[i]), length = Math.hypot(...d) || 1e-9, u = d.map((v) => v / length);
  const side = Math.abs(u[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
  let a = [u[1] * side[2] - u[2] * side[1], u[2] * side[0] - u[0] * side[2], u[0] * side[1] - u[1] * side[0]];
  const na = Math.hypot(...a); a = a.map((v) => v / na);
  const b = [u[1] * a[2] - u[2] * a[1], u[2] * a[0] - u[0] * a[2], u[0] * a[1] - u[1] * a[0]];
  const points = [], faces = [], turns = 10;
  for (let t = 0; t < turns; t++) for (const end of [from, to]) {
    const c = Math.cos((2 * Math.PI * t) / turns), s = Math.sin((2 * Math.PI * t) / turns);
    points.push(end.map((v, i) => v + radius * (c * a[i] + s * b[i])));
  }
  for (let t = 0; t < turns; t++) { const p = 2 * t, q = (2 * t + 2) % (2 * turns); faces.push([p, p + 1, q], [q, p + 1, q + 1]); }
  addPoints(mesh, points, faces, colour);
}
function sceneOf(frame) {
  const n = frame.symbols.length, at = (i) => frame.positions.slice(3 * i, 3 * i + 3);
  const solid = meshOf(), halo = { ...meshOf(), opacity: 0.35 };
  const lost = { type: "scatter3d", mode: "lines", x: [], y: [], z: [], line: { color: "#b00020", width: 6, dash: "dash" }, hoverinfo: "skip" };
  const dots = { type: "scatter3d", mode: "markers", x: [], y: [], z: [], marker: { size: 9, opacity: 0, color: "#000" }, hoverinfo: "text", hovertext: [] };
  for (let i = 0; i < n; i++) {
    addBall(solid, at(i), ball(frame.symbols[i])[0], ball(frame.symbols[i])[1]);
    const [x, y, z] = at(i);
    dots.x.push(x); dots.y.push(y); dots.z.push(z); dots.hovertext.push(`${frame.symbols[i]}${i}`);
  }
  for (const [i, j] of frame.bonds) {
    const a = at(i), b = at(j), d = Math.hypot(...a.map((v, k) => v - b[k]));
    const marked = frame.marked.length === 2 && frame.marked.includes(i) && frame.marked.includes(j);
    if (marked || d > 1.5 * (ball(frame.symbols[i])[2] + ball(frame.symbols[j])[2])) {
      lost.x.push(a[0], b[0], null); lost.y.push(a[1], b[1], null); lost.z.push(a[2], b[2], null);
      continue;
    }
    const middle = a.map((v, k) => (v + b[k]) / 2);
    addStick(solid, a, middle, 0.12, ball(frame.symbols[i])[1]);
    addStick(solid, middle, b, 0.12, ball(frame.symbols[j])[1]);
  }
  for (const i of frame.marked) addBall(halo, at(i), ball(frame.symbols[i])[0] + 0.22, "#d55e00");
  const data = [solid, dots];
  let note = null;
  if (lost.x.length) data.push(lost);
  if (frame.marked.length) {
    data.push(halo);
    const where = frame.marked.slice(0, 2).map(at), middle = [0, 1, 2].map((k) => where.reduce((s, p) => s + p[k], 0) / where.length);
    const words = { bond_broken: "bond broken", bond_broken_by_radii: "bond broken", clash: "clash", new_bond: "new bond", transfer: "proton moved", inversion: "centre inverted", too_hot: "hottest", nonfinite: "lost" }[frame.event] || frame.event;
    const names = frame.marked.slice(0, 3).map((i) => frame.symbols[i] + i).join("–");
    note = { x: middle[0], y: middle[1], z: middle[2], text: `<b>${safe(words)} ${names}</b>`, ax: 0, ay: -62, arrowcolor: "#b00020", arrowwidth: 1.2, arrowhead: 0, font: { ...FONT, size: 13, color: "#b00020" }, bgcolor: "rgba(255,255,255,.85)", borderpad: 2 };
  }
  return { data, note };
}
function turnable(div, frame, Plotly) {
  const axis = { visible: false, showspikes: false }, { data, note } = sceneOf(frame);
  const layout = {
    width: div.clientWidth, height: div.clientHeight, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, paper_bgcolor: "#fff", font: FONT, hoverlabel: { bgcolor: "#fff", bordercolor: "#333", font: FONT },
    scene: { xaxis: axis, yaxis: axis, zaxis: axis, aspectmode: "data", dragmode: "orbit", camera: cameraOf(frame), annotations: note ? [note] : [] },
  };
  return Plotly.react(div, data, layout, { displaylogo: false, modeBarButtons: [["resetCameraDefault3d"]] });
}
function cameraOf(frame) {
  // look along the thinnest direction of the molecule, its longest to the right
  const n = frame.symbols.length, c = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) c[3 * a + b] += frame.positions[3 * i + a] * frame.positions[3 * i + b];
  const times = (v) => [0, 1, 2].map((a) => c[3 * a] * v[0] + c[3 * a + 1] * v[1] + c[3 * a + 2] * v[2]);
  const unit = (v) => { const s = Math.hypot(...v) || 1; return v.map((x) => x / s); };
  let long = [1, 0.7, 0.4], middle = [0.3, 1, 0.6];
  for (let t = 0; t < 60; t++) long = unit(times(long));
  for (let t = 0; t < 60; t++) { middle = times(middle); const o = middle.reduce((s, v, k) => s + v * long[k], 0); middle = unit(middle.map((v, k) => v - o * long[k])); }
  const eye = [long[1] * middle[2] - long[2] * middle[1], long[2] * middle[0] - long[0] * middle[2], long[0] * middle[1] - long[1] * middle[0]];
  return { eye: { x: 1.75 * eye[0] || 1.7, y: 1.75 * eye[1], z: 1.75 * eye[2] }, up: { x: middle[0], y: middle[1], z: middle[2] }, projection: { type: "perspective" } };
}

// ---- molecules
async function open(section) {
  if (section.dataset.opened) return;
  section.dataset.opened = "1";
  const [content, Plotly] = await Promise.all([unpacked(section.dataset.pack), plotly()]);
  if (section.open) fill(section, content, Plotly);
  else delete section.dataset.opened;
}
function fill(section, content, Plotly) {
  $$(".plot", section).forEach((box) => { if (!box.dataset.drawn) { box.dataset.drawn = "1"; drawNow(box, content.figures[box.dataset.index], Plotly); } });
  const view = $(".view", section);
  if (!view) return;
  const select = $("select.frame", view), div = $(".turn", view);
  const show = () => {
    const frame = content.frames[select.value];
    $(".caption", view).textContent = `${frame.title}: ${frame.words}. Drag to turn, scroll to zoom; point at an atom for its number.`;
    turnable(div, frame, Plotly).then(() => Plotly.toImage(div, { format: "png", width: 500, height: 380 })).then((url) => { $(".printed", view).src = url; }).catch(() => {});
  };
  select.onchange = show;
  show();
}
function close(section) {
  // a browser has few 3D contexts: a closed section gives its own back
  const div = $(".turn", section);
  if (div && window.Plotly) { window.Plotly.purge(div); div.replaceChildren(); }
  delete section.dataset.opened;
}
$$("details.molecule").forEach((section) => section.addEventListener("toggle", () => (section.open ? open(section) : close(section))));
function follow() {
  let target = null;
  try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
  if (!target) return;
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", follow);
follow();

// ---- the table of molecules
async function showMetric(select) {
  const table = document.getElementById(select.dataset.matrix), metric = select.value;
  const rows = $$("tbody tr[data-split]", table);
  rows.forEach((row) => $$("td", row).forEach((cell) => { cell.verdicts ??= cell.innerHTML; }));
  const all = metric === "verdict" ? null : (await unpacked(select.dataset.matrix + "-data"))[metric];
  if (select.value !== metric) return;
  const logs = all ? all.flat().filter((c) => c && c[0] > 0).map((c) => Math.log(c[0])) : [];
  const low = Math.min(...logs), high = Math.max(...logs);
  rows.forEach((row, r) => $$("td", row).forEach((cell, c) => {
    cell.classList.toggle("heat", Boolean(all));
    cell.style.background = "";
    if (!all) { cell.innerHTML = cell.verdicts; return; }
    const found = all[r][c];
    cell.textContent = found ? found[1] : "–";
    if (found && found[0] > 0 && high > low) {
      let share = (Math.log(found[0]) - low) / (high - low);
      if (metric.split("-")[0] === "life") share = 1 - share;
      cell.style.background = `rgba(236,112,20,${(0.42 * share).toFixed(3)})`;
    } else if (found && found[0] === null) cell.style.background = "rgba(236,112,20,.42)";
  }));
}
$$("select.metric").forEach((select) => select.addEventListener("change", () => showMetric(select)));
$$("a[data-metric]").forEach((link) => link.addEventListener("click", () => {
  const split = link.getAttribute("href").slice(1), number = split.split("-")[1];
  const select = $(`select[data-matrix="matrix-${number}"]`), table = document.getElementById(`matrix-${number}`);
  if ([...select.options].some((o) => o.value === link.dataset.metric)) { select.value = link.dataset.metric; showMetric(select); }
  $$(".chosen", table).forEach((cell) => cell.classList.remove("chosen"));
  const column = Number(link.dataset.model), name = split.split("-").slice(2).join("-");
  if (link.dataset.model !== undefined) $$(`tr[data-split="${name}"]`, table).forEach((row) => row.children[column + 1]?.classList.add("chosen"));
}));

// ---- commands, print
if (navigator.clipboard) $$(".copy").forEach((button) => {
  button.hidden = false;
  button.onclick = () => navigator.clipboard.writeText(button.parentElement.nextElementSibling.textContent).then(() => { button.textContent = "copied"; });
});
addEventListener("beforeprint", () => {
  $$("details").forEach((d) => { d.open ||= !d.matches(".more:not(.protocol), .run[data-verdict=faithful]"); });
  if (!window.Plotly) return;
  $$("details.molecule").slice(0, PRINT_AT_MOST).forEach((section) => {
    const content = section.content;
    if (content) $$(".plot", section).forEach((box) => { if (!box.dataset.drawn) { box.dataset.drawn = "1"; drawNow(box, content.figures[box.dataset.index], window.Plotly); } });
  });
});
// all overall figures are drawn soon after the page is there, and sections' data unpacked, so that a print has them
(window.requestIdleCallback || setTimeout)(async () => {
  for (const box of overall) { seen.unobserve(box); draw(box, (await unpacked(box.dataset.pack))[box.dataset.index]); await new Promise((r) => setTimeout(r, 30)); }
  for (const section of $$("details.molecule").slice(0, PRINT_AT_MOST)) { section.content = await unpacked(section.dataset.pack); await new Promise((r) => setTimeout(r, 5)); }
  document.documentElement.dataset.ready = "1";
});
})();
