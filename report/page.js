"use strict";
/* The report's words and tables. Everything that is a number comes from the data; a section whose data are missing says so or
 * isn't there. Figures are in plots.js. */
const data = JSON.parse(document.getElementById("data").textContent);
const hasPlots = typeof Plotly !== "undefined" && !data.no_plots;

/* ---------------------------------------------------------------- numbers */

const known = (x) => typeof x === "number" && isFinite(x);
const dash = "–";

/* About `digits` significant digits, with separators, and never in exponents. */
function number(x, digits = 3) {
  if (!known(x)) return dash;
  if (x === 0) return "0";
  const decimals = Math.min(12, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(x)))));
  return x.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
/* With the decimals that its companion `like` gets, so that a value and its interval line up. */
function fixed(x, like, digits = 3) {
  if (!known(x)) return dash;
  const decimals = like === 0 ? 0 : Math.min(12, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(like)))));
  return x.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
const count = (x) => (known(x) ? Math.round(x).toLocaleString("en-US") : dash);
const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;
const usd = (x) => (known(x) ? "$" + (x >= 100 ? number(x, 4) : number(x, 3)) : dash);
/* What somebody typed, as it was typed. */
const plain = (x) => (known(x) ? x.toLocaleString("en-US", { maximumFractionDigits: 6 }) : dash);
const unit = (text, name) => `${text}\u00a0${name}`;
const percent = (x, digits = 3) => (known(x) ? unit(x >= 99.995 && x <= 100 ? "100" : number(x, digits), "%") : dash);
const ms = (x) => (known(x) ? unit(number(x), "ms") : dash);
const megabytes = (bytes) => (!bytes ? dash : bytes < 4 * 2 ** 30 ? unit(number(bytes / 2 ** 20), "MB") : unit(number(bytes / 2 ** 30), "GB"));

/* A cosine, rounded down, so that 1 means 1: as many nines as there are, and two digits more. */
function cosine(x) {
  if (!known(x)) return dash;
  const off = 1 - x, decimals = off <= 0 ? 6 : Math.min(9, Math.max(4, Math.ceil(-Math.log10(off)) + 1));
  const unit = 10 ** decimals;
  return (Math.floor(x * unit + 1e-6) / unit).toFixed(decimals);
}

function duration(seconds) {
  if (!known(seconds)) return dash;
  if (seconds < 120) return unit(number(seconds), "s");
  if (seconds < 7200) return unit(number(seconds / 60), "min");
  if (seconds < 172800) return unit(number(seconds / 3600), "h");
  return unit(number(seconds / 86400), "days");
}
const interval = (e, digits = 3) => (e && known(e.low) && known(e.high) && e.low < e.high
  ? `${fixed(e.low, e.value, digits)} to ${fixed(e.high, e.value, digits)}` : "");
const times = (e) => (e && known(e.value) ? fixed(e.value, e.value) + "×" : dash);

/* ------------------------------------------------------------- the document */

const escape = (text) => String(text ?? "").replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));
const small = (text) => (text ? ` <small>${escape(text)}</small>` : "");

/* columns: {title, cell(row) -> HTML, text: left-aligned}. An unmeasured row shows its reason across the columns. */
function table(columns, rows, rowClass = () => "") {
  const head = columns.map((c) => `<th${c.text ? ' class="text"' : ""}>${escape(c.title)}</th>`).join("");
  const body = rows.map((row) => {
    if (row.state && row.state !== "measured")
      return `<tr class="lost"><td>${escape(row.name)}</td><td class="reason" data-label="${escape(row.state)}"
        colspan="${columns.length - 1}"><span><b class="bad">${escape(row.state)}</b>${row.reason ? ": " + escape(row.reason) : ""}</span></td></tr>`;
    return `<tr class="${rowClass(row)}">` + columns.map((c) =>
      `<td${c.text ? ' class="text"' : ""} data-label="${escape(c.title)}"><span>${c.cell(row)}</span></td>`).join("") + "</tr>";
  }).join("");
  return `<table><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`;
}

/* A place for a plot, with its data as a table below, which stands open where plots can't be drawn. */
function figure(name, caption, columns, rows) {
  const body = table(columns, rows);
  return hasPlots
    ? `<figure id="figure-${name}" data-figure="${name}"><div class="plot" id="plot-${name}"></div><figcaption>${caption}</figcaption></figure>
       <details><summary>The figure's data as a table</summary>${body}</details>`
    : `<figure id="figure-${name}" data-figure="${name}">${body}<figcaption>${caption}</figcaption></figure>`;
}
const facts = (pairs) => `<dl class="facts">${pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
  .map(([name, value]) => `<dt>${escape(name)}</dt><dd>${value}</dd>`).join("")}</dl>`;

/* ---------------------------------------------------------------- the study */

const measured = (study) => study.configurations.filter((c) => c.state === "measured");
const speed = (c) => c?.throughput?.texts_per_s?.value;
const p50 = (c) => c?.latency?.p50_ms;
const best = (rows, value, sign = 1) => rows.filter((c) => known(value(c))).sort((a, b) => sign * (value(b) - value(a)))[0];
const find = (study, name) => study.configurations.find((c) => c.name === name);
const baselineOf = (study) => find(study, study.baseline);
const isReference = (study, c) => c.name === study.reference;
/* The same measure of accuracy for everyone; the reference's own vectors have none to be compared with. */
const accuracy = (c) => c.validation?.cosine_mean;

/* Lines of a CSV file as objects, by the names in its first line. */
function readTable(text) {
  if (!text) return [];
  const lines = [];
  let field = "", line = [], quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') { field += '"'; i++; } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ",") { line.push(field); field = ""; }
    else if (c === "\n") { line.push(field); lines.push(line); line = []; field = ""; }
    else if (c !== "\r") field += c;
  }
  if (field || line.length) { line.push(field); lines.push(line); }
  const names = lines.shift() ?? [];
  return lines.map((values) => Object.fromEntries(names.map((name, i) => [name, values[i] ?? ""])));
}

/* What a step of the pipeline is and why; by runtime and precision. */
const steps = [
  { runtime: "torch", title: "PyTorch: the baseline",
    what: "sentence-transformers as most teams run it, in fp32, on the CPU.",
    why: "Everything else is judged against it: its speed is the yardstick, and its vectors are the ones to reproduce." },
  { runtime: "onnxruntime", precision: "fp32", title: "Export to ONNX",
    what: "The encoder written as an ONNX graph by senvec export, run by ONNX Runtime; the same tokenizer, pooling and normalisation.",
    why: "A fixed graph needs no Python between its operators, and the runtime fuses them." },
  { runtime: "onnxruntime", precision: "int8", title: "INT8 quantization of the ONNX file",
    what: "Weights stored as 8-bit integers, activations quantized while running (dynamic quantization), by senvec quantize.",
    why: "A quarter of the bytes to read, and integer arithmetic where the CPU has instructions for it." },
  { runtime: "openvino", title: "OpenVINO: the strongest rival",
    what: "The ONNX file through OpenVINO; in int8 calibrated by NNCF on sample texts.",
    why: "It is the runtime that a team on x86 CPUs would try next." },
  { runtime: "senvec", precision: "fp32", title: "senvec in fp32: own kernels",
    what: "The encoder in C with kernels for this CPU. Texts of a batch are laid end to end, so padding is never computed.",
    why: "The arithmetic is PyTorch's, so accuracy costs nothing; what is gained comes from doing less around it." },
  { runtime: "senvec", precision: "bf16", title: "senvec in bf16",
    what: "Weights and activations in 16 bits, sums in 32.",
    why: "Half of the bytes, and twice the arithmetic where the CPU has bf16 instructions." },
  { runtime: "senvec", precision: "int8", title: "senvec in int8",
    what: "8-bit weights for each output channel, 8-bit activations with a scale of each token, exact 32-bit sums.",
    why: "The most arithmetic that the CPU offers. A scale for each token keeps a text's vector the same in any batch." },
];
const stepOf = (c) => (/adaptive|load/i.test(c.name)
  ? { title: "Adaptive batching", what: "Requests that arrive one by one are gathered into batches while others are computed.",
      why: "Under load a batch is cheaper for each text; without load nobody should wait for one." }
  : steps.find((s) => s.runtime === c.runtime && (!s.precision || s.precision === c.precision)) ??
    { title: c.step || c.runtime, what: c.step || "", why: "" });

/* ----------------------------------------------------------------- sections */

function head(study) {
  const machine = study.environment.machine ?? {}, base = baselineOf(study), rows = measured(study);
  const top = best(rows, speed), quick = best(rows.filter((c) => c.batch === 1), p50, -1);
  const made = (study.created || "").replace("T", " ").replace("Z", " UTC");
  let html = `<h1>Sentence embeddings on a CPU: what each step buys</h1>
    <p class="meta">${escape(study.environment.model?.name ?? "")} on ${escape(machine.cpu ?? "an unknown CPU")},
    ${plural(study.options.threads, "thread")} for everyone; measured ${escape(made)}${study.options.quick ? " in a quick run" : ""}</p>`;
  if (!base) return html + "<p class=\"lede\">No configuration was measured, so there is nothing to compare yet.</p>";
  const own = top === base;
  html += `<p class="lede">${own
    ? `Only the baseline's kind was measured: ${escape(base.name)} embeds ${number(speed(base))} texts a second.`
    : `${escape(top.name)} embeds ${number(speed(top))} texts a second on this machine; the baseline, ${escape(base.name)},
       ${number(speed(base))}. That is ${times(top.throughput.speedup)} as many${interval(top.throughput.speedup)
         ? ` (95 % interval ${interval(top.throughput.speedup)})` : ""}. A million texts then cost
       ${usd(top.cost?.usd_per_1m_texts)} instead of ${usd(base.cost?.usd_per_1m_texts)} at $${plain(study.options.usd_per_hour)} an hour.`}
    ${!own && known(accuracy(top)) && !isReference(study, top)
      ? `Its vectors have a mean cosine of ${cosine(accuracy(top))} to those of ${escape(study.reference)}, and
         ${cosine(top.validation.cosine_min)} at worst over ${plural(top.validation.texts, "text")}.` : ""}</p>`;
  const boxes = [
    [number(speed(top)) + "/s", `texts, ${top.name}`],
    [times(top.throughput.speedup), `the texts a second of ${base.name}`],
    quick && [ms(p50(quick)), `median for one text, ${quick.name}`],
    [usd(top.cost?.usd_per_1m_texts), `for 1 M texts, ${usd(base.cost?.usd_per_1m_texts)} with the baseline`],
    known(accuracy(top)) && !isReference(study, top) && [cosine(accuracy(top)), "mean cosine to the reference's vectors"],
  ].filter(Boolean);
  html += `<div class="stats">${boxes.map(([value, what]) => `<div><b>${value}</b><span>${escape(what)}</span></div>`).join("")}</div>`;
  return html;
}

function warnings(study) {
  const list = study.warnings ?? [];
  if (data.no_plots) list.push(`This page has no plots: ${data.no_plots}`);
  return list.length ? `<div class="warn"><b>Read the figures with this in mind</b><ul>${
    list.map((w) => `<li>${escape(w)}</li>`).join("")}</ul></div>` : "";
}

function conclusions(study) {
  const rows = measured(study), singles = rows.filter((c) => c.batch === 1);
  const exact = rows.filter((c) => known(accuracy(c)) && accuracy(c) > 0.99999);
  const advice = [];
  const say = (what, c, detail) => c && advice.push([what, c.name, detail]);
  const quick = best(singles, p50, -1), fast = best(rows, speed), same = best(exact, speed);
  say("The most texts a second, and the cheapest", fast, `${number(speed(fast))} texts/s, ${usd(fast?.cost?.usd_per_1m_texts)} for 1 M texts`);
  say("The quickest answer to one text", quick, `median ${ms(p50(quick))}, p99 ${ms(quick?.latency.p99_ms)}`);
  if (same && same !== fast)
    say("The fastest with the reference's vectors (mean cosine above 0.99999)", same, `${number(speed(same))} texts/s`);
  const light = best(rows.filter((c) => c.peak_rss_bytes), (c) => c.peak_rss_bytes, -1);
  say("The least memory", light, `${megabytes(light?.peak_rss_bytes)} at its peak`);
  const columns = [
    { title: "Configuration", cell: (c) => escape(c.name) },
    { title: "p50, a call", cell: (c) => ms(p50(c)) + small(c.batch > 1 ? `${number(c.latency.p50_ms_per_text)} ms a text` : "") },
    { title: "p95", cell: (c) => ms(c.latency.p95_ms) },
    { title: "p99", cell: (c) => ms(c.latency.p99_ms) },
    { title: "Texts/s", cell: (c) => number(speed(c)) + small(interval(c.throughput.texts_per_s)) },
    { title: "× baseline", cell: (c) => times(c.throughput.speedup) + small(interval(c.throughput.speedup)) },
    { title: "Cosine, mean", cell: (c) => (isReference(study, c) ? "reference"
      : cosine(accuracy(c)) + small(known(c.validation.cosine_min) ? `min ${cosine(c.validation.cosine_min)}` : "")) },
    { title: "USD per 1 M texts", cell: (c) => usd(c.cost.usd_per_1m_texts) + small(saving(c)) },
    { title: "Peak memory", cell: (c) => megabytes(c.peak_rss_bytes) + small(c.model_bytes ? `model ${megabytes(c.model_bytes)}` : "") },
  ];
  return `<h2 id="conclusions">Conclusions</h2>
    ${advice.length ? table([{ title: "If you want", cell: (a) => escape(a[0]) }, { title: "Take", text: true, cell: (a) => escape(a[1]) },
      { title: "It gives", text: true, cell: (a) => escape(a[2]) }], advice) : ""}
    ${table(columns, study.configurations, (c) => (c === fast ? "best" : ""))}
    <p class="note">Small print below a value is its 95 % interval. A call of a batch row embeds the whole batch. The baseline is
    ${escape(study.baseline || "not there")}; vectors are compared with those of ${escape(study.reference || "nobody, as the reference was not measured")}.
    MB are 2<sup>20</sup> bytes.</p>`;
}

function saving(c) {
  const part = c.cost?.saving;
  if (!known(part) || Math.abs(part) < 5e-4) return "";
  return part > 0 ? `${percent(100 * part)} less` : `${percent(-100 * part)} more`;
}

/* One entry for each step of the pipeline that the study has rows of. */
function story(study) {
  const groups = new Map();
  for (const c of study.configurations) {
    const step = stepOf(c);
    if (!groups.has(step.title)) groups.set(step.title, { step, rows: [] });
    groups.get(step.title).rows.push(c);
  }
  let html = `<h2 id="story">The pipeline, step by step</h2>
    <p>Every step is measured in the same run, with the same texts and threads. What it bought is stated against the baseline and,
    row by row, against PyTorch with the same batch.</p>`, place = 0;
  for (const { step, rows } of groups.values()) {
    const ran = rows.filter((c) => c.state === "measured");
    const bought = ran.map((c) => {
      const like = c.throughput.speedup_same_batch;
      return `${escape(c.name)}: ${number(speed(c))} texts/s, ${times(c.throughput.speedup)} the baseline` +
        (c.runtime !== "torch" && c.batch > 1 && known(like?.value) ? ` and ${times(like)} PyTorch with the same batch` : "") +
        `; a call takes ${ms(p50(c))} at the median`;
    });
    const cost = ran.filter((c) => !isReference(study, c) && known(accuracy(c))).map((c) =>
      `${escape(c.name)}: cosine ${cosine(accuracy(c))} on average, ${cosine(c.validation.cosine_min)} at worst` +
      (known(c.validation.neighbours) ? `; ${percent(100 * c.validation.neighbours, 4)} of the ten nearest neighbours stay` : ""));
    const lost = rows.filter((c) => c.state !== "measured").map((c) => `${escape(c.name)} (${c.state}): ${escape(c.reason || "not measured")}`);
    const lines = (list) => list.join("<br>");
    html += `<div class="step" style="--mark:${colourOf(rows[0])}"><h3>${++place}. ${escape(step.title)}</h3><dl>
      <dt>What was done</dt><dd>${escape(step.what)}</dd>${step.why ? `<dt>Why</dt><dd>${escape(step.why)}</dd>` : ""}
      ${bought.length ? `<dt>What it bought</dt><dd>${lines(bought)}</dd>` : ""}
      ${ran.length ? `<dt>What it cost in accuracy</dt><dd>${cost.length ? lines(cost)
        : ran.some((c) => isReference(study, c)) ? "Nothing: these are the vectors that the others are compared with." : "Not measured."}</dd>` : ""}
      ${lost.length ? `<dt>Not measured</dt><dd class="bad">${lines(lost)}</dd>` : ""}</dl></div>`;
  }
  return html;
}

function speeds(study) {
  const rows = measured(study), name = { title: "Configuration", cell: (c) => escape(c.name) };
  const timed = rows.filter((c) => c.latency.samples_ms?.length);
  let html = "<h2 id=\"speed\">Speed</h2>";
  if (timed.length)
    html += "<h3>Latency</h3>" + figure("latency", `Time of one call, every sample, on a logarithmic axis: the box spans the middle
      half, the line in it is the median. A call of a batch row embeds the whole batch.`,
      [name, { title: "Calls", cell: (c) => count(c.latency.calls) }, { title: "Min", cell: (c) => ms(c.latency.min_ms) },
       { title: "p50", cell: (c) => ms(p50(c)) }, { title: "p95", cell: (c) => ms(c.latency.p95_ms) },
       { title: "p99", cell: (c) => ms(c.latency.p99_ms) }, { title: "p99.9", cell: (c) => ms(c.latency.p99_9_ms) },
       { title: "Max", cell: (c) => ms(c.latency.max_ms) }], timed);
  const paced = rows.filter((c) => known(speed(c)));
  if (paced.length)
    html += "<h3>Throughput</h3>" + figure("throughput", `Texts a second, sustained, with 95 % intervals from a bootstrap over the blocks.`,
      [name, { title: "Texts/s", cell: (c) => number(speed(c), 4) }, { title: "95 % interval", cell: (c) => interval(c.throughput.texts_per_s, 4) },
       { title: "Tokens/s", cell: (c) => count(c.throughput.tokens_per_s) }, { title: "Spread of blocks", cell: (c) => percent(100 * c.throughput.spread, 2) }], paced) +
      "<h3>Steadiness</h3>" + figure("rounds", `Texts a second in each round, relative to the configuration's own mean. All configurations
      take turns in every round, in a shuffled order, so a slow minute of the machine hits all of them and shows as a common dip.`,
      [name, ...roundsOf(paced).map((r) => ({ title: `Round ${r + 1}`, cell: (c) => {
        const block = c.throughput.blocks.find((b) => b.round === r);
        return block ? number(block.texts / block.seconds) : dash; } }))], paced);
  return html;
}
const roundsOf = (rows) => [...new Set(rows.flatMap((c) => c.throughput.blocks.map((b) => b.round)))].sort((a, b) => a - b);

function sweep(entry) {
  const rows = sweepOf(entry);
  if (!rows.length)
    return `<h3 id="sweep">Batch sizes</h3><p class="note">This study has no batch sweep: batch_throughput.csv isn't in
      ${escape(entry.directory)}. <code>senvec sweep</code> adds it.</p>`;
  return "<h3 id=\"sweep\">Batch sizes</h3>" + figure("sweep", "Texts a second by batch size, both axes logarithmic. Where the line flattens, a larger batch buys nothing more.",
    [{ title: "Configuration", cell: (r) => escape(r.series) }, { title: "Batch", cell: (r) => count(r.batch) },
     { title: "Texts/s", cell: (r) => number(r.rate) }, { title: "Time", cell: (r) => duration(r.seconds) }], rows);
}
/* The sweep's rows whatever columns say which configuration they belong to. */
function sweepOf(entry) {
  return readTable(entry.batch_throughput).map((r) => ({
    series: [r.Configuration ?? r.Runtime ?? r.runtime ?? "senvec", r.Precision ?? r.precision, r.Texts ?? r["Text Length"] ?? r.length]
      .filter((part, i, all) => part && !String(all[0]).includes(part)  || i === 0 && part).join(", "),
    runtime: (r.Runtime ?? r.runtime ?? r.Configuration ?? "").toLowerCase(), precision: r.Precision ?? r.precision ?? "",
    batch: Number(r.batch_size), seconds: Number(r.total_time_s), rate: Number(r.throughput_rps),
  })).filter((r) => r.batch > 0 && r.rate > 0);
}

function cost(study) {
  const rows = measured(study).filter((c) => known(c.cost?.usd_per_1m_texts));
  if (!rows.length) return "";
  return "<h2 id=\"cost\">Cost</h2>" + figure("cost", `USD to embed a million texts like these on a machine at $${plain(study.options.usd_per_hour)} an hour that does nothing
    else: the price of an hour over the texts of an hour. <code>senvec cost --price</code> works it out for another price.`,
    [{ title: "Configuration", cell: (c) => escape(c.name) }, { title: "USD per 1 K texts", cell: (c) => usd(c.cost.usd_per_1k_texts) },
     { title: "USD per 1 M texts", cell: (c) => usd(c.cost.usd_per_1m_texts) }, { title: "Against the baseline", cell: (c) => saving(c) || dash },
     { title: "Texts an hour", cell: (c) => count(3600 * speed(c)) }], rows) + useCases(study, rows);
}

function useCases(study, rows) {
  const texts = study.environment.texts ?? {}, tokens = rows.map((c) => c.corpus_tokens).find((n) => n > 0);
  const length = tokens && texts.used ? `${number(tokens / texts.used, 3)} tokens on average` : "";
  const single = rows.filter((c) => c.batch === 1), many = 1e6;
  const bulk = (c) => many / speed(c);
  let html = `<h3 id="use">Three uses, in time and money</h3>
    <p>The texts of this study${length ? ` (${length})` : ""} stand in for a listing, a query and the texts of an index.</p>`;
  if (single.length)
    html += "<h3>One new listing, one search query</h3>" + table([
      { title: "Configuration", cell: (c) => escape(c.name) },
      { title: "Typical wait (p50)", cell: (c) => ms(p50(c)) }, { title: "1 in 20 waits longer than (p95)", cell: (c) => ms(c.latency.p95_ms) },
      { title: "1 in 100 (p99)", cell: (c) => ms(c.latency.p99_ms) },
      { title: "A thousand of them, one after another", cell: (c) => duration(1000 / speed(c)) },
      { title: "USD for these", cell: (c) => usd(c.cost.usd_per_1k_texts) }], single) +
      "<p class=\"note\">A listing and a query wait alike: one text, nothing else running, no network.</p>";
  html += "<h3>A re-index of a million texts</h3>" + table([
    { title: "Configuration", cell: (c) => escape(c.name) },
    { title: "Time", cell: (c) => duration(bulk(c)) + small(c.throughput.texts_per_s.low < c.throughput.texts_per_s.high
      ? `${duration(many / c.throughput.texts_per_s.high)} to ${duration(many / c.throughput.texts_per_s.low)}` : "") },
    { title: "USD", cell: (c) => usd(c.cost.usd_per_1m_texts) }, { title: "Against the baseline", cell: (c) => saving(c) || dash },
  ], rows.slice().sort((a, b) => bulk(a) - bulk(b)));
  return html;
}

function accuracySection(study) {
  const rows = measured(study).filter((c) => c.validation?.cosines?.length && !isReference(study, c));
  if (!rows.length)
    return `<h2 id="accuracy">Accuracy</h2><p class="note">No vectors were compared. <code>senvec validate</code> does that.</p>`;
  const v = (f) => (c) => f(c.validation);
  let html = `<h2 id="accuracy">Accuracy</h2><p>Each text's vector is compared with the one of ${escape(study.reference)}.
    A cosine of 1 is the same direction. What matters to a search is whether the same neighbours come out.</p>` +
    figure("cosine", `How far each text's vector is from the reference's, as 1 − cosine on a logarithmic axis: further left is closer.`,
      [{ title: "Configuration", cell: (c) => escape(c.name) }, { title: "Texts", cell: v((x) => count(x.texts)) },
       { title: "Cosine, mean", cell: v((x) => cosine(x.cosine_mean)) }, { title: "1st percentile", cell: v((x) => cosine(x.cosine_p1)) },
       { title: "Min", cell: v((x) => cosine(x.cosine_min)) }], rows) +
    table([{ title: "Configuration", cell: (c) => escape(c.name) }, { title: "Cosine, mean", cell: v((x) => cosine(x.cosine_mean)) },
      { title: "1st percentile", cell: v((x) => cosine(x.cosine_p1)) }, { title: "Min", cell: v((x) => cosine(x.cosine_min)) },
      { title: "Error of a pair's cosine, mean", cell: v((x) => number(x.pairwise_error_mean, 2)) }, { title: "Max", cell: v((x) => number(x.pairwise_error_max, 2)) },
      { title: "Ten nearest neighbours found", cell: v((x) => percent(100 * x.neighbours, 4)) }], rows);
  const worst = rows.flatMap((c) => c.validation.cosines.map((value, i) => ({ name: c.name, value, text: study.validation_texts?.[i] })))
    .filter((w) => w.text !== undefined && w.value < 0.9999).sort((a, b) => a.value - b.value).slice(0, 5);
  if (worst.length)
    html += "<h3>The texts that lost most</h3>" + table([{ title: "Text", cell: (w) => escape(w.text.length > 160 ? w.text.slice(0, 157) + "…" : w.text) },
      { title: "Configuration", text: true, cell: (w) => escape(w.name) }, { title: "Cosine", cell: (w) => cosine(w.value) }], worst);
  return html;
}

function peak(study) {
  const rows = measured(study).filter((c) => known(c.throughput?.peak_percent)), p = study.peak ?? {};
  const tops = [["fp32", p.fp32_gmacs_per_s], ["bf16", p.bf16_gmacs_per_s], ["int8", p.int8_gmacs_per_s]].filter(([, x]) => known(x) && x > 0);
  if (!rows.length) return "";
  return `<h2 id="peak">How much of the machine is used</h2><p>A loop of nothing but multiplications, measured in the same run, shows what
    this CPU can do at most with ${plural(study.options.threads, "thread")}: ${tops.map(([n, x]) => `${number(x)} GMAC/s in ${n}`).join(", ")}${
    known(p.read_gb_per_s) && p.read_gb_per_s > 0 ? `; memory is read at ${number(p.read_gb_per_s)} GB/s` : ""}. The linear layers of the model
    take ${number(p.linear_macs_per_token / 1e6)} million multiplications a token.</p>` +
    figure("peak", "Percent of that peak which the linear layers reach, counting the whole time of a call: tokenizing, attention and everything else included.",
      [{ title: "Configuration", cell: (c) => escape(c.name) }, { title: "GMAC/s", cell: (c) => number(c.throughput.gmacs_per_s) },
       { title: "Of the peak", cell: (c) => percent(c.throughput.peak_percent) }], rows);
}

function method(study, entry) {
  const e = study.environment, m = e.machine ?? {}, o = study.options, files = e.model?.files ?? {};
  const lost = study.configurations.filter((c) => c.state !== "measured");
  const versions = new Map(); /* what a worker said -> the configurations that said the same */
  for (const [name, worker] of Object.entries(e.runtimes ?? {}))
    if (worker) versions.set(describe(worker), [...(versions.get(describe(worker)) ?? []), name]);
  return `<h2 id="method">Method, and how to repeat it</h2>
    <ul><li>Configurations run in ${plural(o.rounds, "interleaved round")}, each in a process of its own, in an order shuffled by the seed.</li>
    <li>Latency: ${plural(o.warmups, "warm-up")}, then ${plural(o.latency_calls, "timed call")}; all samples are kept. Percentiles are samples, not interpolations.</li>
    <li>Throughput: ${unit(plain(o.duration_s), "s")} for each configuration over all rounds; it counts texts, not calls.</li>
    <li>Ratios compare blocks of the same round; intervals are 95 % bootstrap intervals over rounds.</li>
    <li>Memory is the peak resident size of the process that ran the configuration.</li></ul>
    <pre>${escape(e.repeat ?? "senvec study")}</pre>
    ${facts([["Machine", escape(m.cpu)], ["CPUs", known(m.online_cpus) ? `${count(m.online_cpus)} online, ${count(m.physical_cores)} physical ${m.physical_cores === 1 ? "core" : "cores"}, ${known(m.quota_cpus) && m.quota_cpus > 0 ? `a quota of ${plain(m.quota_cpus)}` : "no quota"}; ${plural(o.threads, "thread")} used` : ""],
      ["Instruction sets", escape((m.isa_tiers ?? []).join(", "))], ["Caches", m.l2_bytes ? `L1 ${plain(m.l1d_bytes / 1024)} KB, L2 ${plain(m.l2_bytes / 1024)} KB, L3 ${megabytes(m.l3_bytes)}` : ""],
      ["Memory", megabytes(m.memory_bytes)], ["System", escape([m.kernel, m.hypervisor && `under ${m.hypervisor}`, m.governor && `governor ${m.governor}`].filter(Boolean).join(", "))],
      ["senvec", escape(`${e.senvec?.version ?? study.senvec_version}, ${e.senvec?.compiler ?? ""}, ${e.senvec?.build ?? ""}`)],
      ["Texts", e.texts ? escape(`${e.texts.source}: ${plural(e.texts.used, "text")} used of ${count(e.texts.in_file)}, ${count(e.texts.distinct)} distinct, ${plural(e.texts.bytes, "byte")}`) : ""],
      ["Seed", String(o.seed)], ["Price", `$${plain(o.usd_per_hour)} an hour`],
      ...Object.entries(files).map(([name, f]) => [name, `${count(f.bytes)} bytes, SHA-256 <code>${escape(f.sha256)}</code>`])])}
    ${versions.size ? `<h3>Runtimes</h3>${facts([...versions].map(([said, names]) => [names.join(", "), escape(said)]))}` : ""}
    <h3>What is missing</h3>${lost.length || !sweepOf(entry).length ? `<ul>${lost.map((c) => `<li>${escape(c.name)}: ${escape(c.state)}${c.reason ? `, ${escape(c.reason)}` : ""}</li>`).join("")}${
      sweepOf(entry).length ? "" : "<li>The batch sweep: not measured in this study.</li>"}</ul>` : "<p>Nothing: every configuration was measured.</p>"}`;
}
/* What a worker said about itself, flattened. */
const describe = (value) => (value && typeof value === "object"
  ? Object.entries(value).filter(([, v]) => v !== null && v !== "").map(([k, v]) => `${k.replaceAll("_", " ")} ${Array.isArray(v) ? v.join(" ") : typeof v === "object" ? `(${describe(v)})` : v}`).join(", ")
  : String(value));

/* --------------------------------------------------- several studies at once */

const label = (entry) => entry.directory.replace(/\/+$/, "").split("/").slice(-1)[0] || entry.directory;
function sideBySide(entries) {
  const names = [...new Set(entries.flatMap((e) => measured(e.study).map((c) => c.name)))];
  const rows = names.map((name) => ({ name, of: entries.map((e) => measured(e.study).find((c) => c.name === name)) }));
  const against = (c, first) => (known(speed(c)) && known(speed(first)) && c !== first ? `${number(speed(c) / speed(first))}× the first` : "");
  const column = (cell) => entries.map((e, i) => ({ title: label(e), cell: (r) => (r.of[i] ? cell(r.of[i], r.of[0]) : dash) }));
  const first = { title: "Configuration", cell: (r) => escape(r.name) };
  return `<h1>${plural(entries.length, "study", "studies")} side by side</h1>
    ${table([{ title: "Study", cell: (e) => escape(label(e)) }, { title: "Machine", text: true, cell: (e) => escape(e.study.environment.machine?.cpu ?? dash) },
      { title: "Threads", cell: (e) => count(e.study.options.threads) }, { title: "senvec", cell: (e) => escape(e.study.senvec_version) },
      { title: "Texts", cell: (e) => count(e.study.environment.texts?.used) }, { title: "USD an hour", cell: (e) => "$" + plain(e.study.options.usd_per_hour) },
      { title: "Measured", text: true, cell: (e) => escape((e.study.created ?? "").slice(0, 10)) }], entries)}
    <h3>Texts a second</h3>${figure("compare-throughput", "Texts a second with 95 % intervals; one colour a study.",
      [first, ...column((c, one) => number(speed(c)) + small(interval(c.throughput.texts_per_s)) + small(against(c, one)))], rows)}
    <h3>Latency</h3>${figure("compare-latency", "Median time of a call, on a logarithmic axis.", [first, ...column((c) => ms(p50(c)))], rows)}
    <h3>Cost</h3>${figure("compare-cost", "USD for a million texts, each study at its own price of an hour.", [first, ...column((c) => usd(c.cost.usd_per_1m_texts))], rows)}
    <p class="note">Ratios between studies are no paired measurement: other machines, other days, perhaps other texts.</p>
    <h2>One of them in full</h2><p class="screen"><select id="which" aria-label="Study">${
      entries.map((e, i) => `<option value="${i}">${escape(label(e))}</option>`).join("")}</select></p>`;
}
