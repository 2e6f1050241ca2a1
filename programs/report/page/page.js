/* The report's words and tables. Everything that is a number comes from the data; a section whose data are missing says so or
 * isn't there. Figures are in plots.js. */

const nameColumn = { title: "Configuration", cell: (c) => escaped(c.name) };

function conclusions(study) {
  const rows = measured(study),
    fast = best(rows, speed),
    advice = advices(study);
  const columns = [
    nameColumn,
    {
      title: "p50, a call",
      cell: (c) =>
        ms(p50(c)) +
        small(isUnderLoad(c) ? "under load" : interval(p50Range(c))) +
        small(c.batch > 1 && known(p50(c)) ? `${number(c.latency.p50_ms_per_text)} ms a text` : ""),
    },
    { title: "p95", cell: (c) => ms(c.latency.p95_ms) },
    { title: "p99", cell: (c) => ms(c.latency.p99_ms) },
    { title: "Texts/s", cell: (c) => number(speed(c)) + small(interval(c.throughput.texts_per_s)) },
    { title: "× baseline", cell: (c) => times(c.throughput.speedup) + small(interval(c.throughput.speedup)) },
    {
      title: "Cosine, mean",
      cell: (c) =>
        isReference(study, c)
          ? "reference"
          : isUnderLoad(c)
            ? "as int8"
            : cosine(accuracy(c)) + small(known(c.validation.cosine_min) ? `min ${cosine(c.validation.cosine_min)}` : ""),
    },
    { title: "USD per 1 M texts", cell: (c) => usd(c.cost.usd_per_1m_texts) + small(saving(c)) },
    {
      title: "Peak memory",
      cell: (c) => megabytes(c.peak_rss_bytes) + small(c.model_bytes ? `model ${megabytes(c.model_bytes)}` : ""),
    },
  ];
  return `<h2 id="conclusions">Conclusions</h2>
    ${
      advice.length
        ? table(
            [
              { title: "If you want", cell: (a) => escaped(a[0]) },
              { title: "Take", text: true, cell: (a) => escaped(a[1]) },
              { title: "It gives", text: true, cell: (a) => escaped(a[2]) },
            ],
            advice,
          )
        : ""
    }
    ${table(columns, study.configurations, (c) => (c === fast ? "best" : ""))}
    <p class="note">Small print below a value is its 95 % interval. A call of a batch row embeds the whole batch.${
      rows.some(isUnderLoad)
        ? ` The last row is of requests under load, at the highest rate with p99 within
      ${exactly(study.batching?.bound_ms)}; its memory is that of the study's own process, which also holds the results.`
        : ""
    } The baseline is
      ${escaped(study.baseline || "not there")}; vectors are compared with those of
      ${escaped(study.reference || "nobody, as the reference was not measured")},
    here over the corpus. MB are 2<sup>20</sup> bytes.</p>`;
}

function saving(c) {
  const part = c.cost?.saving;
  if (!known(part) || Math.abs(part) < 5e-4) return "";
  return part > 0 ? `${percent(100 * part)} less` : `${percent(-100 * part)} more`;
}

/* ------------------------------------------------------------------- speed */

const underLoadNote = (rows) =>
  rows.some(isUnderLoad)
    ? ` The row with adaptive batching is of requests under load, from the moment at which each was due.`
    : "";

function speeds(study) {
  const rows = measured(study),
    timed = rows.filter((c) => c.latency.samples_ms?.length),
    paced = rows.filter((c) => known(speed(c))),
    turns = inRounds(study);
  let html = '<h2 id="speed">Speed</h2>';
  if (timed.length)
    html += figure(
      "latency",
      "Latency",
      `Time of one call, every sample, on a logarithmic axis: the box spans the middle half,
      the line in it is the median. A call of a batch row embeds the whole batch.${underLoadNote(timed)}`,
      [
        nameColumn,
        { title: "Calls", cell: (c) => count(c.latency.calls) },
        { title: "Min", cell: (c) => ms(c.latency.min_ms) },
        { title: "p50", cell: (c) => ms(p50(c)) },
        { title: "95 % interval of p50, ms", cell: (c) => interval(p50Range(c)) },
        { title: "p95", cell: (c) => ms(c.latency.p95_ms) },
        { title: "p99", cell: (c) => ms(c.latency.p99_ms) },
        { title: "p99.9", cell: (c) => ms(c.latency.p99_9_ms) },
        { title: "Max", cell: (c) => ms(c.latency.max_ms) },
      ],
      timed,
    );
  if (paced.length)
    html += figure(
      "throughput",
      "Throughput",
      "Texts a second, sustained, with 95 % intervals from a bootstrap over the rounds. Batch rows are hatched." +
        (paced.some(isUnderLoad)
          ? ` The crossed row is the highest rate at which p99 stays within ${exactly(study.batching?.bound_ms)}.`
          : ""),
      [
        nameColumn,
        { title: "Texts/s", cell: (c) => number(speed(c), 4) },
        { title: "95 % interval", cell: (c) => interval(c.throughput.texts_per_s, 4) },
        { title: "Tokens/s", cell: (c) => count(c.throughput.tokens_per_s) },
        { title: "Spread of blocks", cell: (c) => (known(c.throughput.spread) ? percent(100 * c.throughput.spread, 2) : dash) },
      ],
      paced,
    );
  if (turns.length)
    html += figure(
      "rounds",
      "Steadiness",
      `Each configuration's texts a second in every round, around its own mean. All rows have
        the same scale: a point halfway to the neighbouring row is ${plain(roundsScale(turns))} % from the mean. All take turns in every round, in a shuffled order, so a slow minute of
        the machine hits all of them and shows as a common dip.`,
      [
        nameColumn,
        ...roundsOf(turns).map((r) => ({
          title: `Round ${r + 1}`,
          cell: (c) => {
            const block = c.throughput.blocks.find((b) => b.round === r);
            return block ? number(block.texts / block.seconds) : dash;
          },
        })),
      ],
      turns,
    );
  return html;
}
/* Those that took turns in rounds. */
const inRounds = (study) => measured(study).filter((c) => known(speed(c)) && !isUnderLoad(c));
const roundsOf = (rows) => [...new Set(rows.flatMap((c) => c.throughput.blocks.map((b) => b.round)))].sort((a, b) => a - b);
/* How far a block is from the mean of its row, in percent; and the largest of that, rounded up. */
const offMean = (c, b) => 100 * (b.texts / b.seconds / speed(c) - 1);
const roundsScale = (rows) =>
  5 * Math.max(1, Math.ceil(Math.max(...rows.flatMap((c) => c.throughput.blocks.map((b) => Math.abs(offMean(c, b))))) / 5));

const sweepOf = (study) => series(study, "sweep").filter((s) => known(s.throughput?.texts_per_s?.value));
function sweep(study) {
  const rows = sweepOf(study);
  if (!rows.length)
    return `<h3 id="figure-sweep">Batch sizes</h3><p class="note">This study has no batch sweep. <code>senvec study sweep</code> adds
      it.</p>`;
  const gains = [...new Set(rows.map((s) => s.row))]
    .map((c) => {
      const own = rows.filter((s) => s.row === c),
        top = best(own, speed),
        one = own.find((s) => s.batch === 1);
      return quotable(study) && one && top && top !== one
        ? `${escaped(family(c))} is ${number(speed(top) / speed(one))}× as fast in batches of
      ${count(top.batch)} as one at a time`
        : "";
    })
    .filter(Boolean);
  return figure(
    "sweep",
    "Batch sizes",
    `Texts a second by batch size, both axes logarithmic. Where the line flattens, a larger
    batch buys nothing more.${gains.length ? ` ${gains.join("; ")}.` : ""}`,
    [
      { title: "Configuration", cell: (s) => escaped(family(s.row)) },
      { title: "Batch", cell: (s) => count(s.batch) },
      { title: "Texts/s", cell: (s) => number(speed(s)) },
      { title: "95 % interval", cell: (s) => interval(s.throughput.texts_per_s) },
    ],
    rows,
  );
}

/* For each row what one text of a length takes, or texts a second in batches; the corpus comes from the row's own benchmark. */
function lengthsOf(study, single) {
  const corpus = tokensOfCorpus(study);
  const own = !corpus
    ? []
    : measured(study).map((c) => ({
        row: c,
        texts: "corpus",
        tokens: corpus,
        ms: p50(c),
        wait: p50Range(c),
        p95: c.latency.p95_ms,
        calls: c.latency.calls,
        rate: speed(c),
        tokenRate: c.throughput.tokens_per_s,
        range: c.throughput.texts_per_s,
      }));
  const others = series(study, "length").map((s) => ({
    row: s.row,
    texts: s.texts,
    tokens: s.tokens_per_text,
    ms: p50(s),
    wait: p50Range(s),
    p95: s.latency?.p95_ms,
    calls: s.latency?.calls,
    rate: speed(s),
    tokenRate: s.throughput?.tokens_per_s,
    range: s.throughput?.texts_per_s,
  }));
  const usable = others.filter((p) => (p.row.batch === 1) === single && known(single ? p.ms : p.rate));
  const rows = new Set(usable.map((p) => p.row));
  return [...own.filter((p) => rows.has(p.row)), ...usable].sort((a, b) => a.tokens - b.tokens);
}

const setNames = {
  query: "search queries",
  corpus: "the corpus",
  "80 tokens": "paragraphs",
  "256 tokens": "texts that are cut at 256 tokens",
};

function lengths(study) {
  const single = lengthsOf(study, true),
    batch = lengthsOf(study, false);
  let html = '<h2 id="lengths">Short and long texts</h2>';
  if (!single.length && !batch.length)
    return html + `<p class="note">Texts of other lengths were not measured. <code>senvec study bench</code> does that.</p>`;
  const all = [...single, ...batch],
    sets = [...new Map(all.map((p) => [p.texts, p.tokens]))].sort((a, b) => a[1] - b[1]);
  html += `<p>A configuration that is fast with short texts need not be with long ones. Measured, with their tokens on average:
    ${sets.map(([name, tokens]) => `${escaped(setNames[name] ?? name)} (${number(tokens)})`).join(", ")}.</p>`;
  const columns = (points, cell) => [
    nameColumn,
    ...sets.map(([name, tokens]) => ({
      title: `${/token/.test(name) ? "" : `${name}, `}${number(tokens)} tokens`,
      cell: (c) => {
        const p = points.find((p) => p.row === c && p.texts === name);
        return p ? cell(p) : dash;
      },
    })),
  ];
  const rowsOf = (points) => measured(study).filter((c) => points.some((p) => p.row === c));
  if (single.length)
    html += figure(
      "lengths",
      "One text at a time",
      "Median time of one text by its length in tokens; both axes logarithmic, lower is better.",
      columns(single, (p) => ms(p.ms) + small(interval(p.wait)) + small(known(p.p95) ? `p95 ${ms(p.p95)}` : "")),
      rowsOf(single),
    );
  html += batch.length
    ? figure(
        "lengths-batch",
        "In batches",
        `Tokens a second by the length of the texts, in batches of
      ${count(batch[0].row.batch)}: higher is better. It falls with the length
      where attention, which grows with its square, or padding takes over.`,
        columns(batch, (p) => `${number(p.rate)} texts/s` + small(interval(p.range))),
        rowsOf(batch),
      )
    : '<p class="note">Longer texts in batches were not measured: a quick study leaves them out.</p>';
  return html + absent(study.configurations);
}

/* -------------------------------------------------------------- uses, cost */

/* A use in which somebody waits for one text. */
function waiting(study, title, words, set, key) {
  const rows = measured(study).filter((c) => known(c.use_cases?.[`${key}_ms`])),
    wait = (c) => c.use_cases[`${key}_ms`];
  if (!rows.length) return `<h3>${title}</h3><p class="note">Not measured: <code>senvec study bench</code> does that.</p>`;
  const base = baselineOf(study),
    top = best(rows, wait, -1),
    sample = series(study, "length").find((s) => s.texts === set);
  const price = (c) => (study.options.usd_per_hour * wait(c) * 1e6) / 3.6e6;
  return (
    `<h3>${title}</h3><p>${words} (${number(sample?.tokens_per_text, 3)} tokens on average,
    ${plural(sample?.latency.calls, "timed call")}
    each). ${escaped(top.name)} answers soonest, typically in ${ms(wait(top))}${
      rows.includes(base) && top !== base ? `; ${escaped(base.name)} takes ${ms(wait(base))}` : ""
    }.</p>` +
    table(
      [
        nameColumn,
        { title: "Typical wait (p50)", cell: (c) => ms(wait(c)) },
        { title: "1 in 20 waits longer than (p95)", cell: (c) => ms(c.use_cases[`${key}_p95_ms`]) },
        {
          title: "Against the baseline",
          cell: (c) =>
            quotable(study) && rows.includes(base) && c !== base ? `${number(wait(base) / wait(c))}× as quick` : dash,
        },
        { title: "A million, one after another", cell: (c) => duration(wait(c) * 1000) },
        { title: "USD for them", cell: (c) => usd(price(c)) },
      ],
      rows,
      (c) => (c === top ? "best" : ""),
    )
  );
}

function reindex(study) {
  const rows = measured(study)
    .filter((c) => known(c.use_cases?.reindex_1m_hours))
    .sort((a, b) => a.use_cases.reindex_1m_hours - b.use_cases.reindex_1m_hours);
  if (!rows.length) return "";
  const hours = (c) => 3600 * c.use_cases.reindex_1m_hours,
    base = baselineOf(study),
    rate = (c) => c.throughput.texts_per_s,
    tokens = tokensOfCorpus(study);
  return (
    `<h3>A re-index of a million texts</h3><p>Texts like the corpus${
      tokens ? ` (${number(tokens, 3)} tokens on average)` : ""
    }, each configuration at its own batch
    size. ${escaped(rows[0].name)} is done in ${duration(hours(rows[0]))} for ${usd(rows[0].use_cases.reindex_1m_usd)}${
      rows[0] !== base
        ? `; ${escaped(base.name)} takes ${duration(hours(base))} and ${usd(base.use_cases?.reindex_1m_usd)}`
        : ""
    }.</p>` +
    table(
      [
        nameColumn,
        {
          title: "Time",
          cell: (c) =>
            duration(hours(c)) +
            small(rate(c).low < rate(c).high ? `${duration(1e6 / rate(c).high)} to ${duration(1e6 / rate(c).low)}` : ""),
        },
        { title: "Texts an hour", cell: (c) => count(1e6 / c.use_cases.reindex_1m_hours) },
        { title: "USD", cell: (c) => usd(c.use_cases.reindex_1m_usd) },
        { title: "Against the baseline", cell: (c) => saving(c) || dash },
      ],
      rows,
      (c) => (c === rows[0] ? "best" : ""),
    )
  );
}

function uses(study) {
  return (
    `<h2 id="use">Three uses, in time and money</h2><p>What waits for a vector decides what matters: a person waits for
    one query, a million
    texts wait for the last one. The machine costs $${plain(study.options.usd_per_hour)} an hour and does nothing else; no
      network is in these times.</p>` +
    waiting(study, "One search query", "Somebody typed a few words and waits", "query", "query") +
    waiting(
      study,
      "One new listing",
      "A text of a paragraph is added to the index and should be found at once",
      "80 tokens",
      "listing",
    ) +
    reindex(study) +
    absent(study.configurations)
  );
}

function cost(study) {
  const rows = measured(study).filter((c) => known(c.cost?.usd_per_1m_texts));
  if (!rows.length) return "";
  return (
    '<h2 id="cost">Cost</h2>' +
    figure(
      "cost",
      "A million texts",
      `USD to embed a million texts like the corpus on a machine at $${plain(study.options.usd_per_hour)} an hour that does
      nothing else: the price of an hour over the texts of an hour. Texts of other lengths cost by their tokens, which
      <code>senvec.batch --estimate</code> counts. <code>senvec study cost --price</code> works it out for another
    price.`,
      [
        nameColumn,
        { title: "USD per 1 K texts", cell: (c) => usd(c.cost.usd_per_1k_texts) },
        { title: "USD per 1 M texts", cell: (c) => usd(c.cost.usd_per_1m_texts) },
        { title: "USD per 1 M tokens", cell: (c) => usd(c.cost.usd_per_1m_tokens) },
        { title: "Against the baseline", cell: (c) => saving(c) || dash },
        { title: "Texts an hour", cell: (c) => count(3600 * speed(c)) },
      ],
      rows,
    ) +
    instancesTable(study)
  );
}
/* What the engine would cost on machines that can be rented. */
function instancesTable(study) {
  const all = study.instances;
  if (!all?.here) return all ? '<p class="note">On a busy machine nothing is predicted for others.</p>' : "";
  const types = [{ ...all.here, here: true, usd_per_hour: study.options.usd_per_hour }, ...all.types];
  const best = [...types].filter((t) => known(t.usd_per_month)).sort((a, b) => a.usd_per_month - b.usd_per_month)[0];
  const columns = [
    { title: "Machine", cell: (t) => (t.here ? "this one, measured" : escaped(t.name) + small(`${t.processor}, ${t.isa}`)) },
    { title: "USD an hour", cell: (t) => `$${plain(t.usd_per_hour)}` + small(t.date) },
    { title: "Texts/s", cell: (t) => number(t.texts_per_s) + small(t.here ? "" : `predicted, ${t.precision}`) },
    { title: "USD per 1 M texts", cell: (t) => usd(t.usd_per_1m_texts) },
    { title: "Single texts/s held", cell: (t) => number(t.held_per_s) },
    { title: "Replicas", cell: (t) => count(t.replicas) },
    { title: "USD a month", cell: (t) => (known(t.usd_per_month) ? `$${count(t.usd_per_month)}` : dash) },
  ];
  return `<h3>On other machines</h3><p>What senvec would do on machines that can be rented, and what ${plain(all.load_per_s)} single
    texts a second with a p99 of ${exactly(all.p99_ms)} would cost a month. <b>Figures of other machines are predicted, not
    measured</b>: the processor's cores, clock and products a cycle, times the part of such a peak that was reached here, or on a
    processor with those instructions. Between machines that were measured, that part was off by 9 % (median) and 30 % at most.
    Prices are those of the day in small print; <code>senvec study cost --load N --p99 MS --instances FILE</code> takes
    others.</p>${table(columns, types, (t) => (t === best ? "best" : ""))}`;
}

/* One study, whole: the first screen, and the rest folded under it. */
function full(study) {
  const parts = [
    ["Conclusions", conclusions],
    ["Pipeline", story],
    ["Speed", speeds],
    ["Batch sizes", sweep],
    ["Short and long texts", lengths],
    ["Many callers", batchingSection],
    ["Services over HTTP", servicesSection],
    ["Three uses", uses],
    ["Cost", cost],
    ["Accuracy", accuracySection],
    ["Your labels", labelsSection],
    ["Machine", machine],
    ["Method", method],
  ]
    .map(([title, make]) => [title, make(study)])
    .filter(([, html]) => html);
  const idOf = (html) => html.match(/id="([^"]+)"/)[1];
  return (
    `<section class="first">${firstScreen(study)}</section><nav>${parts
      .map(([title, html]) => `<a href="#${idOf(html)}">${title}</a>`)
      .join("")}<button type="button" id="unfold">Open all</button></nav>` +
    parts.map(([title, html]) => `<details class="part"><summary>${title}</summary>${html}</details>`).join("")
  );
}
