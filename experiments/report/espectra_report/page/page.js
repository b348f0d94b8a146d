"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const CURVES = {
  cost: ["Cost", true], gradient_norm: ["Gradient norm", true], accuracy_train: ["Accuracy, training", false],
      accuracy_test: ["Accuracy, test", false],
  zero_residuals: ["Fraction of zero residuals", false], alpha: ["α, fraction of negative eigenvalues", false],
  gamma: ["γ, fraction of zero eigenvalues", false], gamma_dead: ["γ dead, fraction of zero rows", false],
};
const FONT = { family: getComputedStyle(document.body).fontFamily, size: 13, color: "#1a1f26" };
// Only these two buttons: the functions of others are available by dragging, or contact servers.
const CONFIG = { displaylogo: false, responsive: true, doubleClick: false,
  modeBarButtons: [["toImage", { name: "reset", title: "Whole range", icon: Plotly.Icons.home, click: (plot) => showAll(plot.id) }]] };
const TOLERANCES = Array.from({ length: 61 }, (_, i) => 10 ** (-16 + i / 4));
const state = { comparison: 0, replica: "median", wanted: "median", curve: "cost", against: "epoch", step: 0 };

// Numbers

const superscript = (n) => String(n).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
const minus = (text) => text.replace("-", "−");
function number(value, digits = 4) {
  if (value === undefined || value === null || !isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value === 0 || (size >= 1e-3 && size < 1e5)) return minus(String(Number(value.toPrecision(digits))));
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return minus(mantissa) + "·10" + superscript(Number(exponent));
}
function power(exponent, sign = 1) {
  return (sign < 0 ? "−" : "") + (exponent === 0 ? "1" : exponent === 1 ? "10" : "10" + superscript(exponent));
}
function escape(text) {
  return String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}
function decode(text, Type) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Type(bytes.buffer);
}

// Data of one network, decoded on first use

/** Row `index` of a curve as numbers over the epochs, null where there is no record. */
function line(network, name, index) {
  network.decoded ??= {};
  if (!network.curves[name]) return null;
  network.decoded[name] ??= decode(network.curves[name], Float32Array);
  const E = network.epoch.length;
  return Array.from(network.decoded[name].subarray(index * E, (index + 1) * E), (v) => (isNaN(v) ? null : v));
}
/** Curve of the chosen replica, or the median; null if the page does not have it. */
function curve(network, name) {
  if (state.replica === "median") return line(network, name, 0);
  return state.replica < network.rows ? line(network, name, network.lines + state.replica) : null;
}
function quartiles(network, name) {
  if (state.replica !== "median" || network.lines < 3 || !network.curves[name]) return null;
  return [line(network, name, 1), line(network, name, 2)];
}
/** The replica whose spectrum is shown; for the median, the first one in the page. */
function spectrumReplica(network) {
  return state.replica === "median" ? network.spectra.replicas[0] : state.replica;
}
/** Ascending eigenvalues and τ of one record, {values, tau}; null if it is not in the page. */
function eigenvalues(network, snapshot) {
  const spectra = network.spectra, place = spectra.replicas.indexOf(spectrumReplica(network));
  if (spectra.kind !== "values" || place < 0 || snapshot < 0) return null;
  if (spectra.last?.place === place && spectra.last.snapshot === snapshot) return spectra.last.found;
  spectra.values ??= decode(spectra.data, Float32Array);
  spectra.tolerances ??= decode(spectra.tau, Float32Array);
  const E = network.epoch.length, start = (place * E + snapshot) * network.P;
  const values = Float64Array.from(spectra.values.subarray(start, start + network.P), (v) => v * spectra.scale);
  const found = isNaN(values[0]) ? null : { values, tau: spectra.tolerances[place * E + snapshot] };
  spectra.last = { place, snapshot, found };
  return found;
}
/** Number of ascending values that are less than the bound, or equal to it if `orEqual`. */
function countBelow(values, bound, orEqual) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < bound || (orEqual && values[middle] === bound)) low = middle + 1; else high = middle;
  }
  return low;
}
const largest = (values) => Math.max(Math.abs(values[0]), Math.abs(values[values.length - 1]));

/** Numbers of eigenvalues in the bins of the comparison's axis, then of zeros; null if there is no record. */
function counts(network, snapshot, axis) {
  const bins = axis.negative + axis.positive, spectra = network.spectra;
  if (spectra.kind === "histogram") {
    if (spectrumReplica(network) !== spectra.replicas[0] || snapshot < 0) return null;
    spectra.values ??= decode(spectra.data, network.P < 256 ? Uint8Array : Uint16Array);
    const row = Array.from(spectra.values.subarray(snapshot * (bins + 1), (snapshot + 1) * (bins + 1)));
    return row.some((n) => n > 0) ? row : null;
  }
  const found = eigenvalues(network, snapshot);
  if (!found) return null;
  const row = new Array(bins + 1).fill(0), threshold = found.tau * largest(found.values);
  for (const value of found.values) {
    const step = Math.floor(Math.log10(1 + Math.abs(value) / axis.unit) / axis.width);
    if (Math.abs(value) <= threshold) row[bins]++;
    else if (value < 0) row[axis.negative - 1 - Math.min(step, axis.negative - 1)]++;
    else row[axis.negative + Math.min(step, axis.positive - 1)]++;
  }
  return row;
}
function ends(network, snapshot) {
  const found = eigenvalues(network, snapshot), spectra = network.spectra;
  if (found) return [found.values[0], found.values[network.P - 1]];
  if (spectra.kind !== "histogram" || snapshot < 0 || spectrumReplica(network) !== spectra.replicas[0]) return [NaN, NaN];
  spectra.extremes ??= decode(spectra.ends, Float32Array);
  return [spectra.extremes[2 * snapshot], spectra.extremes[2 * snapshot + 1]];
}

// The signed log axis

const place = (axis, value) => (value === 0 ? 0 : Math.sign(value) * (axis.gap + Math.log10(1 + Math.abs(value) / axis.unit)));
const valueAt = (axis, x) => Math.sign(x) * axis.unit * (10 ** Math.max(0, Math.abs(x) - axis.gap) - 1);
const extent = (axis) => [-(axis.gap + axis.negative * axis.width), axis.gap + axis.positive * axis.width];
/** Left (more negative) end of a bin. */
const leftEnd = (axis, bin) => (bin < axis.negative ? -(axis.gap + (axis.negative - bin) * axis.width)
    : axis.gap + (bin - axis.negative) * axis.width);

/** {tickvals, ticktext} of whole powers of ten at least `apart` pixels from each other, as many as fit. */
function signedTicks(axis, range, pixels, apart) {
  const perPixel = Math.abs(range[1] - range[0]) / pixels, lowest = Math.round(Math.log10(axis.unit));
  const candidates = [];
  for (let exponent = lowest; exponent <= 308; exponent++) {
    const x = place(axis, 10 ** exponent);
    if (x > Math.max(Math.abs(range[0]), Math.abs(range[1]))) break;
    candidates.push([exponent, x]);
  }
  for (let every = 1; ; every++) {
    const kept = candidates.filter(([exponent, x], i) => exponent % every === 0 && x >= apart * perPixel);
    const close = kept.some(([, x], i) => i > 0 && x - kept[i - 1][1] < apart * perPixel);
    if (close) continue;
    return { tickvals: [...kept.map(([, x]) => -x), 0, ...kept.map(([, x]) => x)],
             ticktext: [...kept.map(([n]) => power(n, -1)), "0", ...kept.map(([n]) => power(n))] };
  }
}
/** The same for an ordinary log axis; `range` in powers of ten. */
function logTicks(range, pixels, apart) {
  const low = Math.min(...range), high = Math.max(...range), perPixel = (high - low) / pixels, tickvals = [], ticktext = [];
  const inside = (v) => Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9;
  const decades = Math.floor(high + 1e-9) - Math.ceil(low - 1e-9) + 1;
  const halves = []; // 1, 2 and 5 of each decade
  for (let n = Math.floor(low); n <= high; n++) halves.push(...[1, 2, 5].map((m) => Number(`${m}e${n}`)).filter(inside));
  if (decades <= 3 && halves.length >= 3 && 0.3 / perPixel >= apart) {
    for (const v of halves) { tickvals.push(v); ticktext.push(number(v, 3)); }
  } else if (decades >= 2) {
    const every = Math.max(1, Math.ceil(apart * perPixel));
    for (let n = Math.ceil(low - 1e-9); n <= high + 1e-9; n++) if (n % every === 0) { tickvals.push(10 ** n); ticktext.push(power(n)); }
  } else {
    const rough = (10 ** high - 10 ** low) / Math.max(2, Math.floor(pixels / apart)), unit = 10 ** Math.floor(Math.log10(rough));
    const steps = [1, 2, 5, 10].map((m) => m * unit), step = steps.find((s) => s >= rough);
    for (let v = Math.ceil(10 ** low / step) * step; inside(v) && tickvals.length < 50; v += step) {
      const last = tickvals[tickvals.length - 1];
      if (last && Math.log10(v / last) < apart * perPixel) continue;
      tickvals.push(v); ticktext.push(number(v, 3));
    }
  }
  return { tickvals, ticktext };
}

// Drawing

const comparison = () => data.comparisons[state.comparison];
const epochs = () => comparison().epochs ??= [...new Set(comparison().networks.flatMap((network) => network.epoch))].sort((a, b) => a - b);
const snapshotOf = (network) => network.epoch.indexOf(epochs()[state.step]);
const alone = (network) => comparison().networks.filter((other) => other.name === network.name).length === 1;
const nameOf = (network) => escape(alone(network) ? network.name : network.label);

const resets = { curves: 0, spectrum: 0, ranks: 0, tolerance: 0 };
/** Resets the zoom of a plot. */
function showAll(id) {
  resets[id]++;
  redraw();
}
/** Identifies what a plot shows; a zoomed range is kept while this stays the same. */
const revisionOf = (id, ...choices) => [resets[id], state.comparison, ...choices].join();
/** The range that a user has zoomed to, or the given one. */
function rangeOf(id, axis, given, revision) {
  const layout = at(id).layout;
  return layout && layout.uirevision === revision && layout[axis]?.range ? layout[axis].range : given;
}
function inner(id) {
  const width = at(id).clientWidth, height = at(id).clientHeight;
  return [Math.max(100, width - 82), Math.max(100, height - 80 - 22 * legendLines(width))];
}
const AXIS = { linecolor: "#1a1f26", ticks: "outside", tickcolor: "#1a1f26", gridcolor: "#e4e8ec", zeroline: false, showline: true,
    fixedrange: false,
               automargin: false, title: { standoff: 8 } };
function axisOf(title, range, more = {}) {
  return { ...AXIS, title: { text: title, standoff: 8, font: { size: 13 } }, range, ...more };
}
function legendLines(width) {
  const entries = comparison().networks.map((network) => 60 + 9 * nameOf(network).length);
  return Math.max(1, Math.ceil(comparison().networks.length / Math.max(1, Math.floor((width - 80) / Math.max(...entries)))));
}
function layoutOf(id, revision, more) {
  const narrow = at(id).clientWidth < 500;  // where touch scrolls the page
  return { font: FONT, margin: { l: 68, r: 14, t: 28, b: 52 + 22 * legendLines(at(id).clientWidth) }, paper_bgcolor: "#fff",
      plot_bgcolor: "#fff", uirevision: revision, hovermode: "closest",
           legend: { orientation: "h", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom", font: { size: 13 }, itemwidth: 30,
               tracegroupgap: 0 },
           hoverlabel: { font: { size: 13 }, align: "left", namelength: 0 }, dragmode: narrow ? false : "zoom", bargap: 0, ...more };
}
const stroke = (network, width = 2) => ({ color: network.colour, dash: network.dash, width });
const faint = (colour, opacity) => colour + Math.round(opacity * 255).toString(16).padStart(2, "0");
function react(id, traces, layout) {
  const first = !at(id).on;
  Plotly.react(id, traces, layout, CONFIG);
  if (!first) return;
  at(id).on("plotly_relayout", (change) => { if (Object.keys(change).some((key) => key.includes("range"))) redraw(); });
  at(id).on("plotly_doubleclick", () => showAll(id));
}

function drawCurves() {
  const { curve: name, against } = state, log = CURVES[name][1], traces = [], marks = [];
  const revision = revisionOf("curves", state.replica, name, against);
  comparison().networks.forEach((network) => {
    const y = curve(network, name), x = against === "epoch" ? network.epoch : curve(network, "cost");
    if (!y || !x) return;
    const text = network.epoch.map((epoch, e) => `<b>${nameOf(network)}</b>, epoch ${epoch}<br>${CURVES[name][0].split(",")[0]} ${number(y[e], 7)}`
      + (against === "cost" ? `<br>cost ${number(x[e], 7)}` : ""));
    const band = against === "epoch" && quartiles(network, name);
    if (band) {
      const low = [], high = [], where = [];
      network.epoch.forEach((epoch, e) => {
        if (band[0][e] === null || (log && !(band[0][e] > 0))) return;
        where.push(epoch); low.push(band[0][e]); high.push(band[1][e]);
      });
      traces.push({ x: [...where, ...where.slice().reverse()], y: [...high, ...low.reverse()], mode: "lines", line: { width: 0 },
          fill: "toself",
                    fillcolor: faint(network.colour, 0.15), hoverinfo: "skip", showlegend: false, meta: "band" });
    }
    traces.push({ x, y, text, hoverinfo: "text", mode: "lines+markers", name: nameOf(network), line: stroke(network), connectgaps: false,
                  marker: { symbol: network.symbol, size: 6, color: network.colour }, customdata: network.epoch, meta: "curve" });
    const e = snapshotOf(network);
    marks.push({ x: e < 0 ? [] : [x[e]], y: e < 0 ? [] : [y[e]], mode: "markers", hoverinfo: "skip", showlegend: false, meta: "mark",
                 marker: { symbol: network.symbol, size: 13, color: "#ffffff", line: { color: network.colour, width: 3 } } });
  });
  const values = traces.filter((trace) => trace.meta !== "mark").flatMap((trace) => trace.y).filter((v) => v !== null && (!log || v > 0));
  const xs = traces.filter((trace) => trace.meta === "curve").flatMap((trace) => trace.x)
    .filter((v) => v !== null && (against === "epoch" || v > 0));
  const span = (numbers, isLog, margin) => {
    if (!numbers.length) return isLog ? [-1, 0] : [0, 1];
    const low = numbers.reduce((a, b) => Math.min(a, b)), high = numbers.reduce((a, b) => Math.max(a, b));
    const [a, b] = isLog ? [Math.log10(low), Math.log10(high)] : [low, high];
    const more = margin * (b - a || (isLog ? 1 : Math.abs(a) || 1));
    return [a - more, b + more];
  };
  const [width, height] = inner("curves"), xLog = against === "cost";
  const xRange = rangeOf("curves", "xaxis", span(xs, xLog, 0.03), revision), yRange = rangeOf("curves", "yaxis", span(values, log, 0.05),
      revision);
  const logAxis = (range, pixels, apart) => ({ type: "log", tickmode: "array", ...logTicks(range, pixels, apart) });
  react("curves", [...traces, ...marks], layoutOf("curves", revision, {
    xaxis: axisOf(xLog ? "cost" : "epoch", xRange, xLog ? logAxis(xRange, width, 60) : { nticks: Math.max(3, Math.floor(width / 70)) }),
    yaxis: axisOf(CURVES[name][0], yRange, log ? logAxis(yRange, height, 28) : { nticks: 7 }),
    shapes: xLog || epochs().length < 2 ? [] : [{ type: "line", x0: epochs()[state.step], x1: epochs()[state.step], yref: "paper", y0: 0,
        y1: 1,
                                line: { color: "#4d5763", width: 1.5, dash: "dot" }, layer: "below" }],
  }));
  at("curve-title").textContent = CURVES[name][0] + (xLog ? " against cost" : " against epoch")
    + (state.replica === "median" ? (traces.some((t) => t.meta === "band") ? ": median and quartiles of the replicas"
        : ": median of the replicas") : "");
}

function drawSpectrum(axis) {
  const revision = revisionOf("spectrum"), shown = comparison().networks, traces = [],
      most = Math.max(...shown.map((network) => network.P));
  const floor = 0.1 / most, bins = axis.negative + axis.positive, end = extent(axis);
  shown.forEach((network, i) => {
    const row = counts(network, snapshotOf(network), axis);
    const x = [], y = [], text = [];
    if (row) {
      x.push(leftEnd(axis, 0) - axis.width / 2); y.push(floor); text.push("");
      for (let bin = 0; bin < bins; bin++) {
        if (bin === axis.negative) for (const side of [-1, 1]) { x.push(side * (axis.gap - axis.width / 2)); y.push(floor); text.push(""); }
        const left = leftEnd(axis, bin);
        x.push(left + axis.width / 2);
        y.push(row[bin] > 0 ? row[bin] / network.P : floor);
        const [from, to] = [left, left + axis.width].map((x) => number(valueAt(axis, x), 3));
        text.push(row[bin] > 0 ? `<b>${nameOf(network)}</b>: ${row[bin]} of ${network.P} eigenvalues<br>${from} to ${to}` : "");
      }
      x.push(end[1] + axis.width / 2); y.push(floor); text.push("");
    }
    traces.push({ x, y, text, hoverinfo: "text", mode: "lines", name: nameOf(network), line: { ...stroke(network), shape: "hvh" },
        fill: "tozeroy",
                  fillcolor: faint(network.colour, 0.12), legendgroup: i, meta: "bins", customdata: row ?? [] });
    const zeros = row ? row[bins] : 0, wide = (1.4 * axis.gap) / shown.length;
    traces.push({ type: "bar", x: [(i - (shown.length - 1) / 2) * wide], width: [wide], y: [zeros > 0 ? zeros / network.P : null],
        hoverinfo: "text", textposition: "none",
                  text: [`<b>${nameOf(network)}</b>: ${zeros} of ${network.P} eigenvalues are zero within τ<br>fraction ${number(zeros / network.P, 4)}`],
                  marker: { color: network.colour }, legendgroup: i, showlegend: false, meta: "zeros" });
  });
  const [width, height] = inner("spectrum");
  const xRange = rangeOf("spectrum", "xaxis", end, revision), yRange = rangeOf("spectrum", "yaxis", [Math.log10(0.5 / most), 0.05],
      revision);
  react("spectrum", traces, layoutOf("spectrum", revision, {
    barmode: "overlay",
    xaxis: axisOf("eigenvalue λ", xRange, { tickmode: "array", ...signedTicks(axis, xRange, width, 48) }),
    yaxis: axisOf("fraction of eigenvalues per bin", yRange, { type: "log", tickmode: "array", ...logTicks(yRange, height, 28) }),
    shapes: [{ type: "rect", x0: -axis.gap, x1: axis.gap, yref: "paper", y0: 0, y1: 1, fillcolor: "#eceff2", line: { width: 0 },
        layer: "below" }],
  }));
}

function drawRanks(axis) {
  const revision = revisionOf("ranks"), traces = [];
  comparison().networks.forEach((network) => {
    const found = eigenvalues(network, snapshotOf(network)), P = network.P;
    const values = found ? Array.from(found.values) : [], threshold = found ? found.tau * largest(found.values) : 0;
    traces.push({ x: values.map((_, i) => (i + 0.5) / P), y: values.map((v) => (Math.abs(v) <= threshold ? 0 : place(axis, v))),
                  text: values.map((v, i) => `<b>${nameOf(network)}</b>, eigenvalue ${i + 1} of ${P}<br>λ = ${number(v, 7)}`
                    + (Math.abs(v) <= threshold ? " (zero within τ)" : "")),
                  hoverinfo: "text", mode: P <= 100 ? "lines+markers" : "lines", name: nameOf(network),
                  line: stroke(network, P <= 100 ? 1.5 : 2.5),
                  marker: { symbol: network.symbol, size: 5, color: network.colour }, customdata: values, meta: "ranks" });
  });
  const [, height] = inner("ranks"), yRange = rangeOf("ranks", "yaxis", extent(axis), revision);
  react("ranks", traces, layoutOf("ranks", revision, {
    xaxis: axisOf("rank / P", rangeOf("ranks", "xaxis", [-0.02, 1.02], revision), { nticks: 7 }),
    yaxis: axisOf("eigenvalue λ", yRange, { tickmode: "array", ...signedTicks(axis, yRange, height, 26) }),
    shapes: [{ type: "rect", y0: -axis.gap, y1: axis.gap, xref: "paper", x0: 0, x1: 1, fillcolor: "#eceff2", line: { width: 0 },
        layer: "below" }],
  }));
}

/** Sorts the tolerances and drops those too close to the first to be seen as separate lines. */
const distinct = (taus) => taus.sort((a, b) => a - b).filter((tau, i) => i === 0 || tau > 2 * taus[0]);

function drawTolerance() {
  const revision = revisionOf("tolerance"), traces = [], taus = [];
  comparison().networks.forEach((network, i) => {
    const found = eigenvalues(network, snapshotOf(network)), P = network.P, alpha = [], gamma = [];
    if (found) {
      const top = largest(found.values);
      taus.push(found.tau);
      for (const tau of TOLERANCES) {
        const negative = countBelow(found.values, -tau * top, false);
        alpha.push(negative / P); gamma.push((countBelow(found.values, tau * top, true) - negative) / P);
      }
    }
    const one = (y, name, yaxis, first) => ({
      x: y.length ? TOLERANCES : [], y, yaxis, mode: "lines", name: nameOf(network), legendgroup: i, showlegend: first,
          line: stroke(network), meta: name, hoverinfo: "text",
      text: y.map((v, t) => `<b>${nameOf(network)}</b><br>${name}(τ) = ${number(v, 4)}<br>τ = ${number(TOLERANCES[t], 3)}`) });
    traces.push(one(gamma, "γ", "y", true), one(alpha, "α", "y2", false));
  });
  const [width] = inner("tolerance"), xRange = rangeOf("tolerance", "xaxis", [-16, -1], revision);
  react("tolerance", traces, layoutOf("tolerance", revision, {
    xaxis: axisOf("τ, relative to |λ|max (grey line: as used)", xRange, { type: "log", tickmode: "array", ...logTicks(xRange, width, 54),
        anchor: "y2" }),
    yaxis: axisOf("γ(τ)", rangeOf("tolerance", "yaxis", [-0.03, 1.03], revision), { domain: [0.54, 1], nticks: 4 }),
    yaxis2: axisOf("α(τ)", rangeOf("tolerance", "yaxis2", [-0.03, 1.03], revision), { domain: [0, 0.46], nticks: 4 }),
    shapes: distinct(taus).map((tau) => ({ type: "line", x0: tau, x1: tau, yref: "paper", y0: 0, y1: 1, layer: "below",
                                             line: { color: "#6b7580", width: 1 } })),
  }));
}

const replicasShown = () => [...new Set(comparison().networks.map(spectrumReplica).filter((replica) => replica !== undefined))].join(", ");

const PATHS = {
  circle: "M8,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
  square: "M8.5,-3.5h7v7h-7z",
  diamond: "M12,-5l5,5l-5,5l-5,-5z",
  "triangle-up": "M12,-4.5l4.5,8h-9z",
  "triangle-down": "M12,4.5l4.5,-8h-9z",
  "triangle-left": "M7.5,0l8,-4.5v9z",
  "triangle-right": "M16.5,0l-8,-4.5v9z",
  pentagon: "M12,-4.5l4.3,3.1l-1.6,5h-5.4l-1.6,-5z",
  hexagon: "M12,-4.5l3.9,2.25v4.5l-3.9,2.25l-3.9,-2.25v-4.5z",
  star: "M12,-5l1.3,3.2l3.5,0.3l-2.7,2.2l0.9,3.4l-3,-1.9l-3,1.9l0.9,-3.4l-2.7,-2.2l3.5,-0.3z",
  cross: "M10.5,-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
  x: "M9,-4l3,3l3,-3l1,1l-3,3l3,3l-1,1l-3,-3l-3,3l-1,-1l3,-3l-3,-3z",
};
function swatch(network) {
  const dash = network.dash === "solid" ? "" : ` stroke-dasharray="${network.dash.replaceAll("px", "")}"`;
  return `<svg width="24" height="12" viewBox="0 -6 24 12" aria-hidden="true"><path d="M0,0H24" stroke="${network.colour}" stroke-width="2"${dash}/>`
    + `<path d="${PATHS[network.symbol]}" fill="${network.colour}"/></svg>`;
}
function drawReadout() {
  const spectra = comparison().axis !== null;
  const of = state.replica === "median" ? `, replica ${replicasShown()}` : "";
  const heads = ["", "cost", "α", "γ", "γ dead", ...(spectra ? [`λ min${of}`, `λ max${of}`] : [])];
  const rows = comparison().networks.map((network) => {
    const e = snapshotOf(network), value = (name) => (e < 0 ? null : curve(network, name)?.[e]), edge = spectra ? ends(network, e) : [];
    const numbers = [value("cost"), value("alpha"), value("gamma"), value("gamma_dead"), ...edge];
    return `<tr><th scope="row">${swatch(network)}${nameOf(network)}</th>${numbers.map((v) => `<td class="n">${number(v)}</td>`).join("")}</tr>`;
  });
  const head = heads.map((name, i) => `<th${i ? ' class="n"' : ""}>${name}</th>`).join("");
  at("readout").innerHTML = `<thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody>`;
}

function drawAll() {
  const several = epochs().length > 1, axis = comparison().axis;
  at("time").hidden = !several;
  at("help").hidden = !several;
  at("slider").value = state.step;
  at("epoch").textContent = `epoch ${epochs()[state.step]}`;
  at("slider").setAttribute("aria-valuetext", at("epoch").textContent);
  at("explorer").classList.toggle("without-spectra", axis === null);
  drawReadout();
  drawCurves();
  if (axis === null) return;
  drawSpectrum(axis);
  drawRanks(axis);
  drawTolerance();
  const of = Math.max(...comparison().networks.map((network) => network.replicas)) > 1 ? `, replica ${replicasShown()}` : "";
  at("spectrum-title").textContent = `Spectrum${of}`;
  at("ranks-title").textContent = `Sorted eigenvalues${of}`;
  at("tolerance-title").textContent = `Dependence on the tolerance τ${of}`;
  const missing = comparison().networks.filter((network) => !network.spectra.replicas.includes(spectrumReplica(network)));
  const histograms = comparison().networks.filter((network) => network.spectra.kind === "histogram");
  const unrecorded = comparison().networks.filter((network) => !network.recordedTau);
  const names = (list) => list.map(nameOf).join(", ");
  const formula = (text) => `<span class="formula">${text}</span>`;
  at("spectra-note").innerHTML = [
    missing.length ? `The page has no spectra of this replica of ${names(missing)}; the results have them.` : "",
    histograms.length ? `The page has only the histograms of ${names(histograms)}.` : "",
    unrecorded.length ? `The files have no τ of ${names(unrecorded)}: spectra are counted with `
      + `${formula("4 · P · ε")}. `
      + "Recorded α and γ may have been counted with another τ." : "",
    `The grey band holds the eigenvalues that are zero within τ ${formula("(|λ| ≤ τ |λ|max)")}, with one bar for each network. `
      + `Outside of it the axis is ${formula(`sign(λ) · log₁₀(1 + |λ| / ${power(Math.round(Math.log10(axis.unit)))})`)}.`,
  ].filter(Boolean).join(" ");
}

let pending = 0;
function redraw() {
  if (!pending) pending = requestAnimationFrame(() => { pending = 0; drawAll(); });
}
function moveTo(step) {
  state.step = Math.max(0, Math.min(epochs().length - 1, step));
  redraw();
}

// Menus

function choose(comparisonIndex) {
  const epoch = epochs()[state.step];
  state.comparison = comparisonIndex;
  const networks = comparison().networks, rows = Math.max(...networks.map((network) => network.rows)),
      replicas = Math.max(...networks.map((network) => network.replicas));
  at("slider").max = epochs().length - 1;
  const same = epochs().indexOf(epoch);
  state.step = same >= 0 ? same : epochs().length - 1;
  const options = [];
  if (replicas > 1) options.push(["median", `median of ${replicas}`]);
  for (let r = 0; r < rows; r++) options.push([r, `${r}${typeof networks[0].seed === "number" ? ` (seed ${networks[0].seed + r})` : ""}`]);
  fill("replica", options);
  state.replica = options.some(([value]) => value === state.wanted) ? state.wanted : options[0][0];
  at("replica").value = state.replica;
  at("replica-label").style.display = options.length < 2 ? "none" : "";
  const present = Object.keys(CURVES).filter((name) => networks.some((network) => network.curves[name]));
  fill("curve", present.map((name) => [name, CURVES[name][0]]));
  chooseCurve(present.includes(state.curve) ? state.curve : present[0] ?? "cost", state.against, { against: "epoch" });
}
function fill(id, options) {
  at(id).replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}
fill("comparison", data.comparisons.map((one, i) => [i, one.title]));
at("comparison").addEventListener("change", (event) => choose(Number(event.target.value)));
at("replica").addEventListener("change", (event) => {
  state.replica = state.wanted = event.target.value === "median" ? "median" : Number(event.target.value);
  redraw();
});
/** Shows a curve against the epoch or the cost. `other` changes the other menu if both would be the cost. */
function chooseCurve(curve, against, other) {
  Object.assign(state, { curve, against }, curve === "cost" && against === "cost" ? other : {});
  at("curve").value = state.curve;
  at("against").value = state.against;
  redraw();
}
at("curve").addEventListener("change", (event) => chooseCurve(event.target.value, state.against, { against: "epoch" }));
at("against").addEventListener("change", (event) => chooseCurve(state.curve, event.target.value, { curve: "alpha" }));
at("slider").addEventListener("input", (event) => { stop(); moveTo(Number(event.target.value)); });

let timer = 0;
function stop() {
  clearInterval(timer);
  timer = 0;
  at("play").textContent = "▶";
  at("play").setAttribute("aria-label", "Play");
}
at("play").addEventListener("click", () => {
  if (timer) { stop(); return; }
  if (state.step === epochs().length - 1) moveTo(0);
  at("play").textContent = "❚❚";
  at("play").setAttribute("aria-label", "Pause");
  timer = setInterval(() => { if (state.step === epochs().length - 1) stop(); else moveTo(state.step + 1); }, 200);
});
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, video, .scroll") || event.ctrlKey || event.altKey || event.metaKey) return;
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by) { stop(); moveTo(state.step + by); event.preventDefault(); }
});

// Table

const table = at("summary"), body = table.tBodies[0], rows = Array.from(body.rows);
Array.from(table.tHead.rows[0].cells).forEach((head, column) => head.addEventListener("click", () => {
  const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  const key = (row) => {
    const cell = row.cells[column], value = cell.dataset.v;
    return value === undefined ? cell.textContent : value === "" ? NaN : Number(value);
  };
  const order = (a, b) => (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) * direction
                           : isNaN(a) || isNaN(b) ? isNaN(a) - isNaN(b) : (a - b) * direction);
  body.append(...rows.map((row) => [key(row), row]).sort((a, b) => order(a[0], b[0])).map(([, row]) => row));
}));
at("filter")?.addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  at("filtered").textContent = `${count} of ${rows.length} networks`;
});

for (const link of document.querySelectorAll("a.film")) link.href = link.closest("figure").querySelector("video").getAttribute("src");

choose(0);
state.step = epochs().length - 1;
drawAll();
at("curves").on("plotly_click", (event) => {
  const epoch = event.points[0]?.customdata;
  if (epoch !== undefined) { stop(); moveTo(epochs().indexOf(epoch)); }
});
window.addEventListener("resize", redraw);
})();
