/* The figures, drawn by plotly.js, and the page put together. */

/* Okabe and Ito's colours, which people who see fewer colours tell apart; a runtime and precision keeps its own everywhere. */
const colours = { "torch fp32": "#E69F00", "onnxruntime fp32": "#56B4E9", "onnxruntime int8": "#0072B2", "openvino": "#CC79A7",
  "senvec fp32": "#009E73", "senvec bf16": "#8A8A00", "senvec int8": "#D55E00", other: "#7F7F7F" };
const series = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F"];
function colourOf(c) {
  return colours[`${c.runtime} ${c.precision}`] ?? colours[c.runtime] ?? colours.other;
}
/* Batch rows are hatched, so that the pair of one colour can be told apart without it. */
const hatch = (c) => (c.batch > 1 ? "/" : "");
const hatches = (shape) => ({ shape, fillmode: "overlay", solidity: 0.2, size: 7, fgcolor: "#ffffff", fgopacity: 0.7 });

const style = () => getComputedStyle(document.documentElement);
const narrow = () => document.documentElement.clientWidth < 600;
/* A label in two lines where there is little room. */
const tick = (name) => (narrow() ? escape(name).replace(" (", "<br>(") : escape(name));

function layout(height, more) {
  const ink = style().getPropertyValue("--ink").trim(), line = style().getPropertyValue("--line").trim();
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, fixedrange: true };
  const { xaxis, yaxis, ...rest } = more;
  return { height, margin: { l: 8, r: 24, t: 8, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style().fontFamily, size: narrow() ? 11 : 13, color: ink }, showlegend: false, bargap: 0.28, hovermode: "closest",
    hoverlabel: { align: "left" }, legend: { orientation: "h", y: -0.2, yanchor: "top" },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest };
}
const title = (text) => ({ text, standoff: 10, font: { size: narrow() ? 11 : 13 } });
const names = (rows) => ({ type: "category", autorange: "reversed", showgrid: false, ticks: "", ticklabelstandoff: 6,
  tickmode: "array", tickvals: rows.map((c) => c.name), ticktext: rows.map((c) => tick(c.name)) });
const barHeight = (rows, each = 34) => 78 + each * rows.length;

/* Labels of a logarithmic axis: 1, 2 and 5 of each decade, or the decades alone where those would crowd. */
function logAxis(values, text) {
  const positive = values.filter((x) => x > 0), low = Math.min(...positive), high = Math.max(...positive);
  const decades = Math.log10(high / low), marks = [];
  for (let d = Math.floor(Math.log10(low)); d <= Math.ceil(Math.log10(high)); d++)
    for (const m of decades < (narrow() ? 1.6 : 3.2) ? [1, 2, 5] : [1]) marks.push(m * 10 ** d);
  return { type: "log", title: title(text), tickmode: "array", tickvals: marks,
    ticktext: marks.map((x) => (x >= 0.001 ? String(Number(x.toPrecision(1))).replace(/\B(?=(\d{3})+$)/g, ",") : `10<sup>${Math.round(Math.log10(x))}</sup>`)) };
}

function bars(rows, value, hover, axis, range) {
  const bounds = range && rows.map(range);
  return { data: [{ type: "bar", orientation: "h", y: rows.map((c) => c.name), x: rows.map(value),
    marker: { color: rows.map(colourOf), pattern: hatches(rows.map(hatch)) },
    text: rows.map((c) => number(value(c))), textposition: bounds ? "none" : "outside", cliponaxis: false,
    error_x: bounds ? { type: "data", symmetric: false, array: rows.map((c, i) => bounds[i].high - value(c)),
      arrayminus: rows.map((c, i) => value(c) - bounds[i].low), thickness: 1.4, width: 4, color: style().getPropertyValue("--ink").trim() } : undefined,
    hovertemplate: "%{customdata}<extra></extra>", customdata: rows.map(hover) }],
    layout: layout(barHeight(rows), { xaxis: { rangemode: "tozero", ...axis }, yaxis: names(rows) }) };
}

const drawings = {
  latency({ study }) {
    const rows = measured(study).filter((c) => c.latency.samples_ms?.length);
    return { data: rows.map((c) => ({ type: "box", orientation: "h", name: escape(c.name), y0: c.name, x: c.latency.samples_ms,
      boxpoints: "outliers", marker: { color: colourOf(c), size: 3, opacity: 0.6 }, line: { width: 1.5 }, fillcolor: colourOf(c) + "55",
      hoverinfo: "x+name" })),
      layout: layout(barHeight(rows, 40), { xaxis: { ...logAxis(rows.flatMap((c) => c.latency.samples_ms), "ms a call (logarithmic)"), hoverformat: ".3~f" },
        yaxis: names(rows), boxgap: 0.35 }) };
  },
  throughput({ study }) {
    const rows = measured(study).filter((c) => known(speed(c)));
    return bars(rows, speed, (c) => `${escape(c.name)}<br>${number(speed(c), 4)} texts/s<br>${interval(c.throughput.texts_per_s, 4)}<br>${times(c.throughput.speedup)} baseline`,
      { title: title("texts/s") }, (c) => c.throughput.texts_per_s);
  },
  rounds({ study }) {
    const rows = measured(study).filter((c) => known(speed(c)));
    return { data: rows.map((c) => ({ type: "scatter", mode: "lines+markers", name: escape(c.name), x: c.throughput.blocks.map((b) => b.round + 1),
      y: c.throughput.blocks.map((b) => (100 * b.texts) / b.seconds / speed(c)), line: { color: colourOf(c), width: 1.5, dash: c.batch > 1 ? "dot" : "solid" },
      marker: { size: 5, symbol: c.batch > 1 ? "square" : "circle" }, hovertemplate: `${escape(c.name)}<br>round %{x}: %{y:.1f} %<extra></extra>` })),
      layout: layout(340 + 14 * rows.length, { showlegend: true, xaxis: { title: title("round"), dtick: roundsOf(rows).length > 20 ? undefined : 1 }, yaxis: { title: title("% of its own mean") } }) };
  },
  sweep(entry) {
    const rows = sweepOf(entry), lines = [...new Set(rows.map((r) => r.series))], batches = [...new Set(rows.map((r) => r.batch))].sort((a, b) => a - b);
    return { data: lines.map((name, i) => {
      const own = rows.filter((r) => r.series === name).sort((a, b) => a.batch - b.batch);
      return { type: "scatter", mode: "lines+markers", name: escape(name), x: own.map((r) => r.batch), y: own.map((r) => r.rate),
        line: { color: series[i % series.length], dash: ["solid", "dot", "dash"][Math.floor(i / series.length) % 3] }, marker: { size: 7, symbol: i % 8 },
        hovertemplate: `${escape(name)}<br>batch %{x}: %{y:,.3~r} texts/s<extra></extra>` };
    }), layout: layout(360 + 16 * lines.length, { showlegend: true, yaxis: logAxis(rows.map((r) => r.rate), "texts/s"),
      xaxis: { type: "log", title: title("batch size"), tickmode: "array", tickvals: batches, ticktext: batches.map(String) } }) };
  },
  cost({ study }) {
    const rows = measured(study).filter((c) => known(c.cost?.usd_per_1m_texts)), value = (c) => c.cost.usd_per_1m_texts;
    return bars(rows, value, (c) => `${escape(c.name)}<br>${usd(value(c))} per 1 M texts<br>${usd(c.cost.usd_per_1k_texts)} per 1 K texts<br>${saving(c)}`,
      { title: title("USD per 1 M texts"), tickprefix: "$" });
  },
  cosine({ study }) {
    const rows = measured(study).filter((c) => c.validation?.cosines?.length && !isReference(study, c));
    const floor = 1e-8, off = (x) => Math.log10(Math.max(floor, 1 - x));
    const all = rows.flatMap((c) => c.validation.cosines.map(off)), low = Math.floor(Math.min(...all)), high = Math.max(low + 1, Math.ceil(Math.max(...all)));
    const per = 8, width = 1 / per, bins = (high - low) * per;
    return { data: rows.map((c) => {
      const heights = new Array(bins).fill(0);
      for (const x of c.validation.cosines) heights[Math.min(bins - 1, Math.floor((off(x) - low) * per))]++;
      const used = heights.map((h, i) => i).filter((i) => heights[i]);
      return { type: "bar", name: escape(c.name), x: used.map((i) => low + (i + 0.5) * width), y: used.map((i) => (100 * heights[i]) / c.validation.cosines.length), width,
        marker: { color: colourOf(c), opacity: 0.75, pattern: hatches(hatch(c)) },
        customdata: used.map((i) => `${plural(heights[i], "text")} with a cosine of ${i === 0 && low === Math.log10(floor) ? "1" : cosine(1 - 10 ** (low + (i + 1) * width))} to ${cosine(1 - 10 ** (low + i * width))}`),
        hovertemplate: `${escape(c.name)}<br>%{customdata}<extra></extra>` };
    }), layout: layout(330 + 16 * rows.length, { barmode: "overlay", showlegend: true, yaxis: { title: title("% of the texts") },
      xaxis: { title: title("1 − cosine to the reference"), tickmode: "array", tickvals: Array.from({ length: high - low + 1 }, (_, i) => low + i),
        ticktext: Array.from({ length: high - low + 1 }, (_, i) => (low + i >= -2 ? String(10 ** (low + i)) : `10<sup>−${-(low + i)}</sup>`)), range: [low - 0.1, high + 0.1] } }) };
  },
  peak({ study }) {
    const rows = measured(study).filter((c) => known(c.throughput?.peak_percent)), value = (c) => c.throughput.peak_percent;
    return bars(rows, value, (c) => `${escape(c.name)}<br>${percent(value(c))} of the peak in ${escape(c.precision)}<br>${number(c.throughput.gmacs_per_s)} GMAC/s`,
      { title: title("% of the measured peak"), range: [0, Math.max(100, ...rows.map(value))] });
  },
};

/* One bar for each study and configuration; on a logarithmic axis, where a bar has no beginning, one dot. */
function compare(entries, value, axis, hover) {
  const all = [...new Set(entries.flatMap((e) => measured(e.study).map((c) => c.name)))];
  return { data: entries.map((e, i) => {
    const rows = all.map((name) => measured(e.study).find((c) => c.name === name)).filter(Boolean);
    const color = series[i % series.length];
    return { ...(axis.type === "log" ? { type: "scatter", mode: "markers", marker: { color, size: 11, symbol: i % 8 } }
      : { type: "bar", orientation: "h", marker: { color, pattern: hatches(["", "/", "x", "."][i % 4]) } }),
      name: escape(label(e)), y: rows.map((c) => c.name), x: rows.map(value),
      customdata: rows.map((c) => `${escape(label(e))}<br>${escape(c.name)}<br>${hover(c)}`), hovertemplate: "%{customdata}<extra></extra>" };
  }), layout: layout(110 + (14 + 18 * entries.length) * all.length, { showlegend: true, xaxis: axis, yaxis: names(all.map((name) => ({ name }))), legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" } }) };
}
const everyone = (value) => data.studies.flatMap((e) => measured(e.study).map(value)).filter(known);
const comparisons = {
  "compare-throughput": () => compare(data.studies, speed, { title: title("texts/s"), rangemode: "tozero" }, (c) => `${number(speed(c), 4)} texts/s`),
  "compare-latency": () => compare(data.studies, p50, logAxis(everyone(p50), "ms a call, median (logarithmic)"), (c) => ms(p50(c))),
  "compare-cost": () => compare(data.studies, (c) => c.cost.usd_per_1m_texts, { title: title("USD per 1 M texts"), tickprefix: "$" }, (c) => `${usd(c.cost.usd_per_1m_texts)} per 1 M texts`),
};

/* ----------------------------------------------------------------- the page */

let shown = data.studies[0];

/* Draws every figure that the page has a place for, at the width it has now. */
function draw() {
  if (!hasPlots) return Promise.resolve();
  return Promise.all([...document.querySelectorAll("[data-figure]")].map((place) => {
    const name = place.dataset.figure, drawing = name in comparisons ? comparisons[name]() : drawings[name](shown);
    return Plotly.react(place.querySelector(".plot"), drawing.data, drawing.layout, { displayModeBar: false, responsive: true });
  }));
}

function full(entry) {
  const study = entry.study;
  study.environment ??= {};
  return head(study) + warnings(study) + `<nav><a href="#conclusions">Conclusions</a><a href="#story">Pipeline</a><a href="#speed">Speed</a>
    <a href="#sweep">Batch sizes</a><a href="#cost">Cost and uses</a><a href="#accuracy">Accuracy</a><a href="#method">Method</a></nav>` +
    conclusions(study) + story(study) + speeds(study) + sweep(entry) + cost(study) + accuracySection(study) + peak(study) + method(study, entry);
}

function render() {
  const page = document.getElementById("page");
  for (const entry of data.studies) entry.study.environment ??= {};
  page.innerHTML = (data.studies.length > 1 ? sideBySide(data.studies) : "") + `<div id="full">${full(shown)}</div>
    <p class="note">Made by senvec ${escape(data.senvec_version)}${hasPlots ? `; plots by plotly.js ${escape(Plotly.version)}` : ""}.</p>`;
  document.getElementById("which")?.addEventListener("change", (event) => {
    shown = data.studies[Number(event.target.value)];
    document.getElementById("full").innerHTML = full(shown);
    draw();
  });
  return draw();
}

/* For those who take pictures of the page. */
const report = {
  ready: render().then(() => document.fonts.ready).then(() => true),
  figures: () => [...document.querySelectorAll("[data-figure]")].map((place) => {
    const box = place.getBoundingClientRect();
    return { name: place.dataset.figure, x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height };
  }),
  page: () => [{ x: 0, y: 0, width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight }],
};

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
/* Labels break differently on a narrow page; paper has its own width. */
let wasNarrow = narrow();
addEventListener("resize", () => { if (wasNarrow !== narrow()) { wasNarrow = narrow(); draw(); } });
