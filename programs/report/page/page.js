/* The report's words and tables. Everything that is a number comes from the data; a section whose data are missing says so or
 * isn't there. Figures are in plots.js. */

const nameColumn = { title: "Configuration", cell: (c) => escape(c.name) };

/* What a step of the pipeline is and why, by runtime and precision; `from` is the step that it goes on from. */
const steps = [
  { runtime: "torch", title: "PyTorch: the baseline",
    what: "sentence-transformers as most teams run it, in fp32, on the CPU.",
    why: "Everything else is judged against it: its speed is the yardstick, and its vectors are the ones to reproduce." },
  { runtime: "onnxruntime", precision: "fp32", title: "Export to ONNX", from: ["torch", "fp32"],
    what: "The encoder as an ONNX graph by senvec export, run by ONNX Runtime; tokenizer, pooling and normalisation stay.",
    why: "A fixed graph needs no Python between its operators, and the runtime fuses them." },
  { runtime: "onnxruntime", precision: "int8", title: "INT8 quantization of the ONNX file", from: ["onnxruntime", "fp32"],
    what: "Weights stored as 8-bit integers, activations quantized while running (dynamic quantization), by senvec quantize.",
    why: "A quarter of the bytes to read, and integer arithmetic where the CPU has instructions for it." },
  { runtime: "openvino", title: "OpenVINO: the strongest rival", from: ["onnxruntime", "int8"],
    what: "The ONNX file through OpenVINO; in int8 calibrated by NNCF on sample texts.",
    why: "It is the runtime that a team on x86 CPUs would try next." },
  { runtime: "senvec", precision: "fp32", title: "senvec in fp32: own kernels", from: ["onnxruntime", "fp32"],
    what: "The encoder in C with kernels for this CPU. Texts of a batch are laid end to end, so padding is never computed.",
    why: "The arithmetic is PyTorch's, so accuracy costs nothing; what is gained comes from doing less around it." },
  { runtime: "senvec", precision: "bf16", title: "senvec in bf16", from: ["senvec", "fp32"],
    what: "Weights and activations in 16 bits, sums in 32.",
    why: "Half of the bytes in memory, and twice the arithmetic where the CPU has bf16 instructions." },
  { runtime: "senvec", precision: "int8", title: "senvec in int8", from: ["senvec", "fp32"],
    what: "8-bit weights for each output channel, 8-bit activations with a scale of each token, exact 32-bit sums.",
    why: "The most arithmetic that the CPU offers. A scale for each token keeps a text's vector the same in any batch." },
];
const stepOf = (c) => (isUnderLoad(c)
  ? { title: "Adaptive batching", what: "Requests that arrive one by one are gathered into batches while others are computed.",
      why: "Under load a batch is cheaper for each text; without load nobody should wait for one." }
  : steps.find((s) => s.runtime === c.runtime && (!s.precision || s.precision === c.precision)) ??
    { title: c.step || c.runtime, what: c.step || "", why: "" });

function conclusions(study) {
  const rows = measured(study), fast = best(rows, speed), advice = advices(study);
  const columns = [
    nameColumn,
    { title: "p50, a call", cell: (c) => ms(p50(c)) + small(isUnderLoad(c) ? "under load" : interval(p50Range(c)))
      + small(c.batch > 1 && known(p50(c)) ? `${number(c.latency.p50_ms_per_text)} ms a text` : "") },
    { title: "p95", cell: (c) => ms(c.latency.p95_ms) },
    { title: "p99", cell: (c) => ms(c.latency.p99_ms) },
    { title: "Texts/s", cell: (c) => number(speed(c)) + small(interval(c.throughput.texts_per_s)) },
    { title: "× baseline", cell: (c) => times(c.throughput.speedup) + small(interval(c.throughput.speedup)) },
    { title: "Cosine, mean", cell: (c) => (isReference(study, c) ? "reference" : isUnderLoad(c) ? "as int8"
      : cosine(accuracy(c)) + small(known(c.validation.cosine_min) ? `min ${cosine(c.validation.cosine_min)}` : "")) },
    { title: "USD per 1 M texts", cell: (c) => usd(c.cost.usd_per_1m_texts) + small(saving(c)) },
    { title: "Peak memory", cell: (c) => megabytes(c.peak_rss_bytes)
      + small(c.model_bytes ? `model ${megabytes(c.model_bytes)}` : "") },
  ];
  return `<h2 id="conclusions">Conclusions</h2>
    ${advice.length ? table([{ title: "If you want", cell: (a) => escape(a[0]) },
      { title: "Take", text: true, cell: (a) => escape(a[1]) },
      { title: "It gives", text: true, cell: (a) => escape(a[2]) }], advice) : ""}
    ${table(columns, study.configurations, (c) => (c === fast ? "best" : ""))}
    <p class="note">Small print below a value is its 95 % interval. A call of a batch row embeds the whole batch.${
      rows.some(isUnderLoad) ? ` The last row is of requests under load, at the highest rate with p99 within
      ${exactly(study.batching?.bound_ms)}; its memory is that of the study's own process, which also holds the results.` : ""} The baseline is
      ${escape(study.baseline || "not there")}; vectors are compared with those of
      ${escape(study.reference || "nobody, as the reference was not measured")},
    here over the corpus. MB are 2<sup>20</sup> bytes.</p>`;
}

function saving(c) {
  const part = c.cost?.saving;
  if (!known(part) || Math.abs(part) < 5e-4) return "";
  return part > 0 ? `${percent(100 * part)} less` : `${percent(-100 * part)} more`;
}

/* ------------------------------------------------------------- the pipeline */

const manner = (c) => (isUnderLoad(c) ? "Single texts of many callers" : c.batch > 1
  ? `In batches of ${count(c.batch)}` : "One text at a time");

/* What a row bought, against the baseline and, where that is PyTorch, against PyTorch with the same batch. */
function bought(c, base) {
  const like = c.throughput.speedup_same_batch, compared = base.runtime === "torch" && c.runtime !== "torch" && c.batch > 1;
  const same = compared && known(like?.value) ? `, ${times(like)} PyTorch in the same batches` : "";
  if (isUnderLoad(c)) return underLoad(c);
  const against = c === base || !known(c.throughput.speedup?.value) ? "" : `, ${times(c.throughput.speedup)} the baseline`;
  const before = c !== base && c.batch === 1 && base.batch === 1 && known(p50(base)) ? ` instead of ${ms(p50(base))}` : "";
  return `${manner(c)}: ${number(speed(c))} texts/s${same}${against}${
    known(p50(c)) ? `; a call takes ${ms(p50(c))} at the median${before}` : ""}.`;
}

const underLoad = (c) => `${manner(c)}, arriving at random: up to ${number(speed(c))} texts/s${
  known(c.throughput.speedup?.value) ? `, ${times(c.throughput.speedup)} the baseline,` : ""} while half of them are answered within ${ms(p50(c))} and 99 in 100 within ${
  ms(c.latency.p99_ms)}.`;

/* The gain over the step that this one goes on from. */
function gain(study, step, ran) {
  if (!step.from || step.from[0] === "torch" || !quotable(study)) return [];
  const before = measured(study).filter((c) => c.runtime === step.from[0] && c.precision === step.from[1]);
  const ratios = ran.map((c) => [c, before.find((b) => b.batch === c.batch)]).filter(([c, b]) => b
    && known(speed(c) / speed(b)));
  return ratios.length ? [`Against ${escape(family(ratios[0][1]))}: ${ratios.map(([c, b]) =>
    `${number(speed(c) / speed(b))}× ${c.batch > 1 ? "in batches" : "one at a time"}`).join(", ")} its texts/s.`] : [];
}

/* As close as fp32 arithmetic in another order comes. */
const isSame = (v) => v.cosine_min > 0.999999 && !(v.neighbours < 1);
const agreement = (v) => isSame(v) ? `the same vectors, cosine ${cosine(v.cosine_min)} at worst`
  : `cosine ${cosine(v.cosine_mean)} on average, ${cosine(v.cosine_min)} at worst` +
  (known(v.neighbours) ? `, ${kept(v.neighbours)} of the ten nearest neighbours kept` : "");

/* What a step cost in accuracy: one line where its rows agree, one for each where they don't. */
function lostAccuracy(study, ran) {
  if (ran.some((c) => isReference(study, c))) return ["Nothing: these are the vectors that the others are compared with."];
  if (ran.every(isUnderLoad)) return ["Nothing more: a text's vector has the same bits alone and in any batch."];
  const said = new Map();
  for (const c of ran.filter((c) => known(accuracy(c)))) {
    const wide = known(c.validation_wide?.cosine_mean);
    const text = `${wide ? "corpus: " : ""}${agreement(c.validation)}${wide ? `; wide set: ${agreement(c.validation_wide)}`
      : ""}.`;
    said.set(text, [...(said.get(text) ?? []), manner(c)]);
  }
  if (!said.size) return ["Not measured."];
  return [...said].map(([text, who]) => (said.size > 1 ? `${who.join(", ")}, ${text}` : text[0].toUpperCase() + text.slice(1)));
}

function size(ran, base) {
  const model = ran.find((c) => c.model_bytes), memory = best(ran.filter((c) => c.peak_rss_bytes), (c) => c.peak_rss_bytes, -1);
  if (!model || !memory) return "";
  if (ran.includes(base)) return `A model of ${megabytes(model.model_bytes)}; ${megabytes(base.peak_rss_bytes)} of memory at
    the peak.`;
  return `A model of ${megabytes(model.model_bytes)}${megabytes(model.model_bytes) === megabytes(base.model_bytes)
    ? ", as large as the baseline's"
    : ` instead of ${megabytes(base.model_bytes)}`}; ${megabytes(memory.peak_rss_bytes)} of
    memory at the peak instead of ${megabytes(base.peak_rss_bytes)}.`;
}

/* One entry for each step of the pipeline that the study has rows of. */
function story(study) {
  const groups = new Map(), base = baselineOf(study);
  for (const c of study.configurations) {
    const step = stepOf(c);
    if (!groups.has(step.title)) groups.set(step.title, { step, rows: [] });
    groups.get(step.title).rows.push(c);
  }
  const wide = measured(study).find((c) => c.validation_wide?.texts)?.validation_wide.texts;
  let html = `<h2 id="story">The pipeline, step by step</h2>
    <p>Every step is measured in the same run, with the same texts and threads. What it bought is stated against the baseline${
      base?.runtime === "torch" ? ", PyTorch in the same batches," : ""} and the step that it goes on from.${wide
      ? ` The wide set is ${plural(wide, "text")} of all lengths and many
    subjects, beside the corpus.` : ""}</p>`, place = 0;
  const part = (title, lines, css = "") => (lines.length ? `<dt>${title}</dt><dd${css}>${lines.join("<br>")}</dd>` : "");
  for (const { step, rows } of groups.values()) {
    const ran = rows.filter((c) => c.state === "measured");
    html += `<div class="step" style="--mark:var(${colourName(rows[0])})"><h3>${++place}. ${escape(step.title)}</h3><dl>
      ${part("What was done", [escape(step.what)])}${part("Why", step.why ? [escape(step.why)] : [])}
      ${part("What it bought", [...ran.map((c) => bought(c, base)), ...gain(study, step, ran)])}
      ${part("What it cost", ran.length ? [...lostAccuracy(study, ran), size(ran, base)].filter(Boolean) : [])}
      ${part("Not measured", lost(rows).map(escape), ' class="bad"')}</dl></div>`;
  }
  return html;
}

/* ------------------------------------------------------------------- speed */

const underLoadNote = (rows) => (rows.some(isUnderLoad)
  ? ` The row with adaptive batching is of requests under load, from the moment at which each was due.` : "");

function speeds(study) {
  const rows = measured(study), timed = rows.filter((c) => c.latency.samples_ms?.length),
    paced = rows.filter((c) => known(speed(c))), turns = inRounds(study);
  let html = "<h2 id=\"speed\">Speed</h2>";
  if (timed.length)
    html += figure("latency", "Latency", `Time of one call, every sample, on a logarithmic axis: the box spans the middle half,
      the line in it is the median. A call of a batch row embeds the whole batch.${underLoadNote(timed)}`,
      [nameColumn, { title: "Calls", cell: (c) => count(c.latency.calls) }, { title: "Min", cell: (c) => ms(c.latency.min_ms) },
       { title: "p50", cell: (c) => ms(p50(c)) }, { title: "95 % interval of p50, ms", cell: (c) => interval(p50Range(c)) },
       { title: "p95", cell: (c) => ms(c.latency.p95_ms) },
       { title: "p99", cell: (c) => ms(c.latency.p99_ms) }, { title: "p99.9", cell: (c) => ms(c.latency.p99_9_ms) },
       { title: "Max", cell: (c) => ms(c.latency.max_ms) }], timed);
  if (paced.length)
    html += figure("throughput", "Throughput",
      "Texts a second, sustained, with 95 % intervals from a bootstrap over the rounds. Batch rows are hatched."
        + (paced.some(isUnderLoad) ? ` The crossed row is the highest rate at which p99 stays within ${
          exactly(study.batching?.bound_ms)}.` : ""),
      [nameColumn, { title: "Texts/s", cell: (c) => number(speed(c), 4) },
        { title: "95 % interval", cell: (c) => interval(c.throughput.texts_per_s, 4) },
       { title: "Tokens/s", cell: (c) => count(c.throughput.tokens_per_s) },
         { title: "Spread of blocks", cell: (c) => (known(c.throughput.spread) ? percent(100 * c.throughput.spread, 2)
           : dash) }], paced);
  if (turns.length)
    html += figure("rounds", "Steadiness", `Each configuration's texts a second in every round, around its own mean. All rows have
        the same scale: a point halfway to the neighbouring row is ${plain(roundsScale(turns))} % from the mean. All take turns in every round, in a shuffled order, so a slow minute of
        the machine hits all of them and shows as a common dip.`,
      [nameColumn, ...roundsOf(turns).map((r) => ({ title: `Round ${r + 1}`, cell: (c) => {
        const block = c.throughput.blocks.find((b) => b.round === r);
        return block ? number(block.texts / block.seconds) : dash; } }))], turns);
  return html;
}
/* Those that took turns in rounds. */
const inRounds = (study) => measured(study).filter((c) => known(speed(c)) && !isUnderLoad(c));
const roundsOf = (rows) => [...new Set(rows.flatMap((c) => c.throughput.blocks.map((b) => b.round)))].sort((a, b) => a - b);
/* How far a block is from the mean of its row, in percent; and the largest of that, rounded up. */
const offMean = (c, b) => 100 * (b.texts / b.seconds / speed(c) - 1);
const roundsScale = (rows) => 5 * Math.max(1, Math.ceil(Math.max(...rows.flatMap((c) =>
  c.throughput.blocks.map((b) => Math.abs(offMean(c, b))))) / 5));

const sweepOf = (study) => series(study, "sweep").filter((s) => known(s.throughput?.texts_per_s?.value));
function sweep(study) {
  const rows = sweepOf(study);
  if (!rows.length)
    return `<h3 id="figure-sweep">Batch sizes</h3><p class="note">This study has no batch sweep. <code>senvec study sweep</code> adds
      it.</p>`;
  const gains = [...new Set(rows.map((s) => s.row))].map((c) => {
    const own = rows.filter((s) => s.row === c), top = best(own, speed), one = own.find((s) => s.batch === 1);
    return quotable(study) && one && top && top !== one ? `${escape(family(c))} is ${number(speed(top) / speed(one))}× as fast in batches of
      ${count(top.batch)} as one at a time` : "";
  }).filter(Boolean);
  return figure("sweep", "Batch sizes", `Texts a second by batch size, both axes logarithmic. Where the line flattens, a larger
    batch buys nothing more.${gains.length ? ` ${gains.join("; ")}.` : ""}`,
    [{ title: "Configuration", cell: (s) => escape(family(s.row)) }, { title: "Batch", cell: (s) => count(s.batch) },
     { title: "Texts/s", cell: (s) => number(speed(s)) },
       { title: "95 % interval", cell: (s) => interval(s.throughput.texts_per_s) }], rows);
}

/* For each row what one text of a length takes, or texts a second in batches; the corpus comes from the row's own benchmark. */
function lengthsOf(study, single) {
  const corpus = tokensOfCorpus(study);
  const own = !corpus ? [] : measured(study).map((c) =>
    ({ row: c, texts: "corpus", tokens: corpus, ms: p50(c), wait: p50Range(c), p95: c.latency.p95_ms, calls: c.latency.calls,
    rate: speed(c), tokenRate: c.throughput.tokens_per_s, range: c.throughput.texts_per_s }));
  const others = series(study, "length").map((s) =>
    ({ row: s.row, texts: s.texts, tokens: s.tokens_per_text, ms: p50(s), wait: p50Range(s), p95: s.latency?.p95_ms,
    calls: s.latency?.calls, rate: speed(s), tokenRate: s.throughput?.tokens_per_s, range: s.throughput?.texts_per_s }));
  const usable = others.filter((p) => (p.row.batch === 1) === single && known(single ? p.ms : p.rate));
  const rows = new Set(usable.map((p) => p.row));
  return [...own.filter((p) => rows.has(p.row)), ...usable].sort((a, b) => a.tokens - b.tokens);
}

const setNames = { query: "search queries", corpus: "the corpus", "80 tokens": "paragraphs",
  "256 tokens": "texts that are cut at 256 tokens" };

function lengths(study) {
  const single = lengthsOf(study, true), batch = lengthsOf(study, false);
  let html = "<h2 id=\"lengths\">Short and long texts</h2>";
  if (!single.length && !batch.length)
    return html + `<p class="note">Texts of other lengths were not measured. <code>senvec study bench</code> does that.</p>`;
  const all = [...single, ...batch], sets = [...new Map(all.map((p) => [p.texts, p.tokens]))].sort((a, b) => a[1] - b[1]);
  html += `<p>A configuration that is fast with short texts need not be with long ones. Measured, with their tokens on average:
    ${sets.map(([name, tokens]) => `${escape(setNames[name] ?? name)} (${number(tokens)})`).join(", ")}.</p>`;
  const columns = (points, cell) => [nameColumn, ...sets.map(([name, tokens]) =>
    ({ title: `${/token/.test(name) ? "" : `${name}, `}${number(tokens)} tokens`,
    cell: (c) => { const p = points.find((p) => p.row === c && p.texts === name); return p ? cell(p) : dash; } }))];
  const rowsOf = (points) => measured(study).filter((c) => points.some((p) => p.row === c));
  if (single.length)
    html += figure("lengths", "One text at a time",
      "Median time of one text by its length in tokens; both axes logarithmic, lower is better.",
      columns(single, (p) => ms(p.ms) + small(interval(p.wait)) + small(known(p.p95) ? `p95 ${ms(p.p95)}` : "")), rowsOf(single));
  html += batch.length
    ? figure("lengths-batch", "In batches", `Tokens a second by the length of the texts, in batches of
      ${count(batch[0].row.batch)}: higher is better. It falls with the length
      where attention, which grows with its square, or padding takes over.`,
      columns(batch, (p) => `${number(p.rate)} texts/s` + small(interval(p.range))), rowsOf(batch))
    : "<p class=\"note\">Longer texts in batches were not measured: a quick study leaves them out.</p>";
  return html + absent(study.configurations);
}

/* -------------------------------------------------------------- uses, cost */

/* A use in which somebody waits for one text. */
function waiting(study, title, words, set, key) {
  const rows = measured(study).filter((c) => known(c.use_cases?.[`${key}_ms`])), wait = (c) => c.use_cases[`${key}_ms`];
  if (!rows.length) return `<h3>${title}</h3><p class="note">Not measured: <code>senvec study bench</code> does that.</p>`;
  const base = baselineOf(study), top = best(rows, wait, -1), sample = series(study, "length").find((s) => s.texts === set);
  const price = (c) => (study.options.usd_per_hour * wait(c) * 1e6) / 3.6e6;
  return `<h3>${title}</h3><p>${words} (${number(sample?.tokens_per_text, 3)} tokens on average,
    ${plural(sample?.latency.calls, "timed call")}
    each). ${escape(top.name)} answers soonest, typically in ${ms(wait(top))}${rows.includes(base) && top !== base
      ? `; ${escape(base.name)} takes ${ms(wait(base))}` : ""}.</p>` +
    table([nameColumn, { title: "Typical wait (p50)", cell: (c) => ms(wait(c)) },
      { title: "1 in 20 waits longer than (p95)", cell: (c) => ms(c.use_cases[`${key}_p95_ms`]) },
      { title: "Against the baseline", cell: (c) =>
        (quotable(study) && rows.includes(base) && c !== base ? `${number(wait(base) / wait(c))}× as quick` : dash) },
      { title: "A million, one after another", cell: (c) => duration(wait(c) * 1000) },
      { title: "USD for them", cell: (c) => usd(price(c)) }], rows, (c) => (c === top ? "best" : ""));
}

function reindex(study) {
  const rows = measured(study).filter((c) => known(c.use_cases?.reindex_1m_hours)).sort((a, b) =>
    a.use_cases.reindex_1m_hours - b.use_cases.reindex_1m_hours);
  if (!rows.length) return "";
  const hours = (c) => 3600 * c.use_cases.reindex_1m_hours, base = baselineOf(study), rate = (c) => c.throughput.texts_per_s,
    tokens = tokensOfCorpus(study);
  return `<h3>A re-index of a million texts</h3><p>Texts like the corpus${tokens ? ` (${number(tokens, 3)} tokens on average)`
    : ""}, each configuration at its own batch
    size. ${escape(rows[0].name)} is done in ${duration(hours(rows[0]))} for ${usd(rows[0].use_cases.reindex_1m_usd)}${
    rows[0] !== base ? `; ${escape(base.name)} takes ${duration(hours(base))} and ${usd(base.use_cases?.reindex_1m_usd)}`
      : ""}.</p>` + table([
    nameColumn,
    { title: "Time", cell: (c) => duration(hours(c))
      + small(rate(c).low < rate(c).high ? `${duration(1e6 / rate(c).high)} to ${duration(1e6 / rate(c).low)}` : "") },
    { title: "Texts an hour", cell: (c) => count(1e6 / c.use_cases.reindex_1m_hours) },
    { title: "USD", cell: (c) => usd(c.use_cases.reindex_1m_usd) },
      { title: "Against the baseline", cell: (c) => saving(c) || dash },
  ], rows, (c) => (c === rows[0] ? "best" : ""));
}

function uses(study) {
  return `<h2 id="use">Three uses, in time and money</h2><p>What waits for a vector decides what matters: a person waits for
    one query, a million
    texts wait for the last one. The machine costs $${plain(study.options.usd_per_hour)} an hour and does nothing else; no
      network is in these times.</p>` +
    waiting(study, "One search query", "Somebody typed a few words and waits", "query", "query") +
    waiting(study, "One new listing", "A text of a paragraph is added to the index and should be found at once", "80 tokens",
      "listing") +
    reindex(study) + absent(study.configurations);
}

function cost(study) {
  const rows = measured(study).filter((c) => known(c.cost?.usd_per_1m_texts));
  if (!rows.length) return "";
  return "<h2 id=\"cost\">Cost</h2>" + figure("cost", "A million texts",
    `USD to embed a million texts like the corpus on a machine at $${plain(study.options.usd_per_hour)} an hour that does
      nothing else: the price of an hour over the texts of an hour. <code>senvec study cost --price</code> works it out for another
    price.`,
    [nameColumn, { title: "USD per 1 K texts", cell: (c) => usd(c.cost.usd_per_1k_texts) },
     { title: "USD per 1 M texts", cell: (c) => usd(c.cost.usd_per_1m_texts) },
       { title: "Against the baseline", cell: (c) => saving(c) || dash },
     { title: "Texts an hour", cell: (c) => count(3600 * speed(c)) }], rows);
}

/* ---------------------------------------------------------------- accuracy */

/* The sets of texts whose vectors were compared, those of them that the study has. */
const validationSets = [{ key: "validation", texts: "validation_texts", figure: "cosine", title: "Corpus" },
  { key: "validation_wide", texts: "validation_texts_wide", figure: "cosine-wide", title: "Wide set" }];
const comparedIn = (study, key) => measured(study).filter((c) => c[key]?.cosines?.length && !isReference(study, c));

function accuracySection(study) {
  const sets = validationSets.filter((set) => comparedIn(study, set.key).length);
  if (!sets.length)
    return `<h2 id="accuracy">Accuracy</h2><p class="note">No vectors were compared. <code>senvec study validate</code> does
      that.</p>`;
  const any = [...new Set(sets.flatMap((set) => comparedIn(study, set.key)))].sort((a, b) =>
    study.configurations.indexOf(a) - study.configurations.indexOf(b));
  const scored = measured(study).filter((c) => known(c.sts_spearman));
  const columns = sets.flatMap(({ key, title }) => [
    { title: `${title}: cosine, mean`, cell: (c) => cosine(c[key]?.cosine_mean)
      + small(known(c[key]?.cosine_min) ? `min ${cosine(c[key].cosine_min)}` : "") },
    { title: `${title}: error of a pair's similarity`, cell: (c) => tiny(c[key]?.pairwise_error_mean)
      + small(known(c[key]?.pairwise_error_max) ? `max ${tiny(c[key].pairwise_error_max)}` : "") },
    { title: `${title}: ten nearest neighbours kept`, cell: (c) => kept(c[key]?.neighbours) }]);
  let html = `<h2 id="accuracy">Accuracy</h2><p>Each text's vector is compared with the one of ${escape(study.reference)}. A
    cosine of 1 is the same
    direction. What a search feels is whether two texts stay as similar as they were, and whether the same ten neighbours come
      out.
    ${sets.length > 1 ? `The corpus is what this study embeds (${plural(any[0].validation?.texts, "distinct text")}); the wide
      set is ${plural(any[0].validation_wide?.texts, "text")} of 1 to 256 tokens on
    many subjects, where it is harder to stay close.` : ""}</p>` + table([nameColumn, ...columns], any);
  for (const set of sets)
    html += figure(set.figure, `${set.title}: how far from the reference`,
      `How many texts are how far from the reference, as 1 − cosine on a logarithmic axis: further left is closer. The
      leftmost bar holds what differs by less than 10<sup>−8</sup>, which is nothing.`,
      [nameColumn, { title: "Texts", cell: (c) => count(c[set.key].texts) },
        { title: "Cosine, mean", cell: (c) => cosine(c[set.key].cosine_mean) },
       { title: "1st percentile", cell: (c) => cosine(c[set.key].cosine_p1) },
         { title: "Min", cell: (c) => cosine(c[set.key].cosine_min) }], comparedIn(study, set.key));
  html += scored.length ? `<h3>People's judgement</h3><p>How well the similarity of ${plural(study.sts_pairs, "labelled pair")}
    follows the labels that people gave
    (Spearman's rank correlation; 1 is the same order).</p>`
      + table([nameColumn, { title: "Spearman", cell: (c) => number(c.sts_spearman, 4) },
      { title: "Against the reference", cell: (c) => { const r = find(study, study.reference)?.sts_spearman;
        const off = (c.sts_spearman - r).toFixed(4);
        return !known(r) || isReference(study, c) ? dash : Number(off) === 0 ? "the same" : Number(off) > 0 ? "+" + off
          : off.replace("-", "−"); } }], scored)
    : `<p class="note">No labelled pairs were given; <code>senvec study validate --sts FILE</code> adds their rank
      correlation.</p>`;
  return html + worst(study, sets) + absent(study.configurations);
}

/* The texts that lost most, each once, with the configuration that it lost most in. */
function worst(study, sets) {
  const found = sets.flatMap((set) => comparedIn(study,
    set.key).flatMap((c) => c[set.key].cosines.map((value, i) => ({ name: c.name, value, text: study[set.texts]?.[i] }))))
    .filter((w) => w.text !== undefined && w.value < 0.9999).sort((a, b) => a.value - b.value);
  const texts = new Set(), rows = found.filter((w) => !texts.has(w.text) && texts.add(w.text)).slice(0, 5);
  return rows.length ? "<h3>The texts that lost most</h3>"
    + table([{ title: "Text", cell: (w) => escape(w.text.length > 160 ? w.text.slice(0, 157) + "…" : w.text) },
    { title: "Configuration", text: true, cell: (w) => escape(w.name) }, { title: "Cosine", cell: (w) => cosine(w.value) }],
      rows) : "";
}

/* -------------------------------------------------------------- the machine */

const bytesOf = { fp32: 4, bf16: 2, int8: 1 };
const isNative = (c) => c.runtime === "senvec";
/* The measured peaks: [precision, GMAC/s]. */
const peaksOf = (study) => Object.keys(bytesOf).map((p) => [p, study.peak?.[`${p}_gmacs_per_s`]]).filter(([, x]) => known(x)
  && x > 0);

/* Native rows at all batch sizes and lengths that were measured: GMAC/s over multiplications for each byte of weights. */
function rooflineOf(study) {
  const macs = study.peak?.linear_macs_per_token;
  if (!macs) return [];
  const point = (row, what, tokens, tokenRate, own) =>
    ({ row, what, own, intensity: tokens / bytesOf[row.precision], gmacs: (tokenRate * macs) / 1e9 });
  const corpus = tokensOfCorpus(study);
  return [
    ...measured(study).filter((c) => isNative(c) && corpus).map((c) =>
      point(c, `the corpus, batch ${c.batch}`, corpus * c.batch, c.throughput.tokens_per_s, true)),
    ...[...series(study, "sweep"), ...series(study, "length")].filter((s) => isNative(s.row))
      .map((s) => point(s.row, `${setNames[s.texts] ?? s.texts}, batch ${s.batch}`, s.tokens_per_text * s.batch,
        s.throughput?.tokens_per_s, false)),
  ].filter((p) => known(p.intensity) && known(p.gmacs) && p.gmacs > 0);
}

function machine(study) {
  const rows = measured(study).filter((c) => known(c.throughput?.peak_percent)), p = study.peak ?? {}, tops = peaksOf(study),
    points = rooflineOf(study);
  if (!rows.length && !points.length) return "";
  const missing = Object.keys(bytesOf).filter((precision) => !tops.some(([name]) => name === precision));
  const l3 = study.environment.machine?.l3_bytes, bandwidth = known(p.read_gb_per_s) && p.read_gb_per_s > 0;
  let html = `<h2 id="peak">How much of the machine is used</h2><p>A loop of nothing but multiplications, measured in the same
    run, shows what
    this CPU can do at most with ${plural(study.options.threads, "thread")}:
      ${tops.map(([n, x]) => `${number(x)} GMAC/s in ${n}`).join(", ")}${
    bandwidth ? `; memory is read at ${number(p.read_gb_per_s)} GB/s` : ""}. ${missing.length
      ? `No instructions for ${missing.join(", ")} were found.` : ""} The
    linear layers of the model take ${number(p.linear_macs_per_token / 1e6)} million multiplications a token.</p>`;
  if (rows.length)
    html += figure("peak", "Percent of the peak", `Percent of that peak, in the row's own precision, which the linear layers
      reach, counting the whole time of a call: tokenizing, attention and everything else included.`,
      [nameColumn, { title: "GMAC/s", cell: (c) => number(c.throughput.gmacs_per_s) },
        { title: "Peak", cell: (c) => number(p[`${c.precision}_gmacs_per_s`]) },
       { title: "Of the peak", cell: (c) => percent(c.throughput.peak_percent) }], rows);
  if (points.length)
    html += figure("roofline", "Roofline of senvec",
      `Each point is senvec at a batch size or a length of texts: to the right, more is computed for each byte of weights that
        a call reads; up, more is
      computed a second. The flat lines are the measured peaks${bandwidth ? ", the slope is what memory can deliver"
        : ""}. The nearer a point to the line above it, the less is left to gain. ${
      known(l3) && l3 > p.linear_macs_per_token ? `Weights that fit into the L3 cache (${megabytes(l3)}) need not come from
        memory, so points may lie above the slope.` : ""}`,
      [{ title: "Configuration", cell: (q) => escape(q.own ? q.row.name : family(q.row)) },
        { title: "What", text: true, cell: (q) => escape(q.what) },
       { title: "MAC a byte", cell: (q) => number(q.intensity) }, { title: "GMAC/s", cell: (q) => number(q.gmacs) },
       { title: "Of the peak", cell: (q) => percent((100 * q.gmacs) / p[`${q.row.precision}_gmacs_per_s`]) }], points);
  return html + absent(study.configurations.filter(isNative));
}

/* ---------------------------------------------------------------- the method */

function method(study) {
  const e = study.environment, m = e.machine ?? {}, o = study.options, files = e.model?.files ?? {};
  const missing = [...lost(study.configurations), ...(sweepOf(study).length ? []
    : ["The batch sweep: not measured in this study"])];
  const versions = new Map(); /* what a worker said -> the configurations that said the same */
  for (const [name, worker] of Object.entries(e.runtimes ?? {}))
    if (worker) versions.set(describe(worker), [...(versions.get(describe(worker)) ?? []), name]);
  return `<h2 id="method">Method, and how to repeat it</h2>
    <ul><li>Configurations run in ${plural(o.rounds, "interleaved round")}, each in a process of its own, in an order shuffled
      by the seed.</li>
    <li>Latency: ${plural(o.warmups, "warm-up")}, then ${plural(o.latency_calls, "timed call")} over all rounds, each round's
      after 25 ms of calls that aren't timed; all samples are kept.
      Percentiles are samples, not interpolations.</li>
    <li>Throughput: ${unit(plain(o.duration_s), "s")} for each configuration over all rounds; it counts texts, not calls.</li>
    <li>Ratios compare blocks of the same round.</li>
    <li>Intervals are 95 % bootstrap intervals over rounds, as wide as so few rounds demand${study.drift > 0
      ? `. In this run neighbouring rounds were alike: the machine drifted, which alone leaves all but ratios uncertain by
        ${percent(100 * study.drift, 2)} (standard error)` : ""}. They hold what happened between rounds that were
      spread over the run, not what differs between machines or days.</li>
    <li>Memory is the peak resident size of the process that ran the configuration, in its first round on the corpus, before
      larger batches and longer texts.</li></ul>
    <pre>${escape(e.repeat ?? "senvec study")}</pre>
    ${facts([["Machine", escape(m.cpu)], ["CPUs", known(m.online_cpus)
      ? `${count(m.online_cpus)} online, ${count(m.physical_cores)} physical ${m.physical_cores === 1 ? "core"
        : "cores"}, ${known(m.quota_cpus) && m.quota_cpus > 0 ? `a quota of ${plain(m.quota_cpus)}`
          : "no quota"}; ${plural(o.threads, "thread")} used` : ""],
      ["Instruction sets", escape((m.isa_tiers ?? []).join(", "))],
        ["Caches", m.l2_bytes ? `L1 ${plain(m.l1d_bytes / 1024)} KB, L2 ${plain(m.l2_bytes / 1024)} KB, L3
          ${megabytes(m.l3_bytes)}` : ""],
      ["Memory", megabytes(m.memory_bytes)], ["System",
        escape([m.kernel, m.hypervisor && `under ${m.hypervisor}`,
          m.governor && `governor ${m.governor}`].filter(Boolean).join(", "))],
      ["senvec", escape(`${e.senvec?.version ?? study.senvec_version}, ${e.senvec?.build ?? ""}, compiled by ${
        e.senvec?.compiler ?? "an unknown compiler"}`)],
      ["Texts", e.texts ? escape(`${e.texts.source}: ${plural(e.texts.used, "text")} used of ${count(e.texts.in_file)},
        ${count(e.texts.distinct)} distinct, ${plural(e.texts.bytes, "byte")}`) : ""],
      ["Seed", String(o.seed)], ["Price", `$${plain(o.usd_per_hour)} an hour`],
      ...Object.entries(files).map(([name, f]) => [name,
        `${count(f.bytes)} bytes, SHA-256 <code>${escape(f.sha256)}</code>`])])}
    ${versions.size ? `<h3>Runtimes</h3>${facts([...versions].map(([said, names]) => [names.join(", "), escape(said)]))}` : ""}
    <h3>What is missing</h3>${missing.length ? `<ul>${missing.map((line) => `<li>${escape(line)}</li>`).join("")}</ul>`
      : "<p>Nothing: every configuration was measured.</p>"}`;
}
/* What a worker said about itself, flattened. */
const describe = (value) => (value && typeof value === "object"
  ? Object.entries(value).filter(([, v]) => v !== null
    && v !== "").map(([k, v]) => `${k.replaceAll("_", " ")} ${Array.isArray(v) ? v.join(" ") : typeof v === "object"
      ? `(${describe(v)})` : v}`).join(", ")
  : String(value));

/* One study, whole: the first screen, and the rest folded under it. */
function full(study) {
  const parts = [["Conclusions", conclusions], ["Pipeline", story], ["Speed", speeds], ["Batch sizes", sweep],
    ["Short and long texts", lengths], ["Many callers", batchingSection], ["Three uses", uses], ["Cost", cost],
    ["Accuracy", accuracySection], ["Machine", machine], ["Method", method]]
    .map(([title, make]) => [title, make(study)]).filter(([, html]) => html);
  const idOf = (html) => html.match(/id="([^"]+)"/)[1];
  return `<section class="first">${firstScreen(study)}</section><nav>${parts.map(([title, html]) =>
    `<a href="#${idOf(html)}">${title}</a>`).join("")}<button type="button" id="unfold">Open all</button></nav>` +
    parts.map(([title, html]) => `<details class="part"><summary>${title}</summary>${html}</details>`).join("");
}
