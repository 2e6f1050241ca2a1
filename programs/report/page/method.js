/* How far the vectors are from the reference, how much of the machine is used, and how all of it was measured. */

/* ---------------------------------------------------------------- accuracy */

/* The sets of texts whose vectors were compared, those of them that the study has. */
const validationSets = [
  { key: "validation", texts: "validation_texts", figure: "cosine", title: "Corpus" },
  { key: "validation_wide", texts: "validation_texts_wide", figure: "cosine-wide", title: "Wide set" },
];
const comparedIn = (study, key) => measured(study).filter((c) => c[key]?.cosines?.length && !isReference(study, c));

function accuracySection(study) {
  const sets = validationSets.filter((set) => comparedIn(study, set.key).length);
  if (!sets.length)
    return `<h2 id="accuracy">Accuracy</h2><p class="note">No vectors were compared. <code>senvec study validate</code> does
      that.</p>`;
  const any = [...new Set(sets.flatMap((set) => comparedIn(study, set.key)))].sort(
    (a, b) => study.configurations.indexOf(a) - study.configurations.indexOf(b),
  );
  const columns = sets.flatMap(({ key, title }) => [
    {
      title: `${title}: cosine, mean`,
      cell: (c) => cosine(c[key]?.cosine_mean) + small(known(c[key]?.cosine_min) ? `min ${cosine(c[key].cosine_min)}` : ""),
    },
    {
      title: `${title}: error of a pair's similarity`,
      cell: (c) =>
        tiny(c[key]?.pairwise_error_mean) +
        small(known(c[key]?.pairwise_error_max) ? `max ${tiny(c[key].pairwise_error_max)}` : ""),
    },
    { title: `${title}: ten nearest neighbours kept`, cell: (c) => kept(c[key]?.neighbours) },
  ]);
  let html =
    `<h2 id="accuracy">Accuracy</h2><p>Each text's vector is compared with the one of ${escaped(study.reference)}. A
    cosine of 1 is the same
    direction. What a search feels is whether two texts stay as similar as they were, and whether the same ten neighbours come
      out.
    ${
      sets.length > 1
        ? `The corpus is what this study embeds (${plural(any[0].validation?.texts, "distinct text")}); the wide
      set is ${plural(any[0].validation_wide?.texts, "text")} of 1 to 256 tokens on
    many subjects, where it is harder to stay close.`
        : ""
    }</p>` +
    table([nameColumn, ...columns], any) +
    recallTable(study);
  for (const set of sets)
    html += figure(
      set.figure,
      `${set.title}: how far from the reference`,
      `How many texts are how far from the reference, as 1 − cosine on a logarithmic axis: further left is closer. The
      leftmost bar holds what differs by less than 10<sup>−8</sup>, which is nothing.`,
      [
        nameColumn,
        { title: "Texts", cell: (c) => count(c[set.key].texts) },
        { title: "Cosine, mean", cell: (c) => cosine(c[set.key].cosine_mean) },
        { title: "1st percentile", cell: (c) => cosine(c[set.key].cosine_p1) },
        { title: "Min", cell: (c) => cosine(c[set.key].cosine_min) },
      ],
      comparedIn(study, set.key),
    );
  return html + worst(study, sets) + absent(study.configurations);
}

/* What an index that keeps the vectors in fewer bytes still finds on the corpus. */
const recallForms = [
  ["float16", "float16"],
  ["int8", "int8"],
  ["binary", "binary, ubinary"],
  ["half", "the first half"],
  ["quarter", "the first quarter"],
];
function recallTable(study) {
  const rows = measured(study).filter((c) => known(c.validation?.recall_at_10?.int8));
  if (!rows.length) return "";
  return `<h3>Vectors in fewer bytes</h3><p>Recall@10 on the corpus: of each text's ten nearest by a configuration's own
    float32 vectors, the part that the same vectors find again when an index keeps them in another form
    (<code>senvec embed --output-type</code>, <code>--dimensions</code>).</p>${table(
      [nameColumn, ...recallForms.map(([key, title]) => ({ title, cell: (c) => kept(c.validation.recall_at_10[key]) }))],
      rows,
    )}`;
}

/* The texts that lost most, each once, with the configuration that it lost most in. */
function worst(study, sets) {
  const found = sets
    .flatMap((set) =>
      comparedIn(study, set.key).flatMap((c) =>
        c[set.key].cosines.map((value, i) => ({ name: c.name, value, text: study[set.texts]?.[i] })),
      ),
    )
    .filter((w) => w.text !== undefined && w.value < 0.9999)
    .sort((a, b) => a.value - b.value);
  const texts = new Set(),
    rows = found.filter((w) => !texts.has(w.text) && texts.add(w.text)).slice(0, 5);
  return rows.length
    ? "<h3>The texts that lost most</h3>" +
        table(
          [
            { title: "Text", cell: (w) => escaped(w.text.length > 160 ? w.text.slice(0, 157) + "…" : w.text) },
            { title: "Configuration", text: true, cell: (w) => escaped(w.name) },
            { title: "Cosine", cell: (w) => cosine(w.value) },
          ],
          rows,
        )
    : "";
}

/* -------------------------------------------------------------- the machine */

const bytesOf = { fp32: 4, bf16: 2, int8: 1 };
const isNative = (c) => c.runtime === "senvec";
/* The measured peaks: [precision, GMAC/s]. */
const peaksOf = (study) =>
  Object.keys(bytesOf)
    .map((p) => [p, study.peak?.[`${p}_gmacs_per_s`]])
    .filter(([, x]) => known(x) && x > 0);

/* Native rows at all batch sizes and lengths that were measured: GMAC/s over multiplications for each byte of weights. */
function rooflineOf(study) {
  const macs = study.peak?.linear_macs_per_token;
  if (!macs) return [];
  const point = (row, what, tokens, tokenRate, own) => ({
    row,
    what,
    own,
    intensity: tokens / bytesOf[row.precision],
    gmacs: (tokenRate * macs) / 1e9,
  });
  const corpus = tokensOfCorpus(study);
  return [
    ...measured(study)
      .filter((c) => isNative(c) && corpus)
      .map((c) => point(c, `the corpus, batch ${c.batch}`, corpus * c.batch, c.throughput.tokens_per_s, true)),
    ...[...series(study, "sweep"), ...series(study, "length")]
      .filter((s) => isNative(s.row))
      .map((s) =>
        point(
          s.row,
          `${setNames[s.texts] ?? s.texts}, batch ${s.batch}`,
          s.tokens_per_text * s.batch,
          s.throughput?.tokens_per_s,
          false,
        ),
      ),
  ].filter((p) => known(p.intensity) && known(p.gmacs) && p.gmacs > 0);
}

function machine(study) {
  const rows = measured(study).filter((c) => known(c.throughput?.peak_percent)),
    p = study.peak ?? {},
    tops = peaksOf(study),
    points = rooflineOf(study);
  if (!rows.length && !points.length) return "";
  const missing = Object.keys(bytesOf).filter((precision) => !tops.some(([name]) => name === precision));
  const l3 = study.environment.machine?.l3_bytes,
    bandwidth = known(p.read_gb_per_s) && p.read_gb_per_s > 0;
  let html = `<h2 id="peak">How much of the machine is used</h2><p>A loop of nothing but multiplications, measured in the same
    run, shows what
    this CPU can do at most with ${plural(study.options.threads, "thread")}:
      ${tops.map(([n, x]) => `${number(x)} GMAC/s in ${n}`).join(", ")}${
        bandwidth ? `; memory is read at ${number(p.read_gb_per_s)} GB/s` : ""
      }. ${missing.length ? `No instructions for ${missing.join(", ")} were found.` : ""} The
    linear layers of the model take ${number(p.linear_macs_per_token / 1e6)} million multiplications a token.</p>`;
  if (rows.length)
    html += figure(
      "peak",
      "Percent of the peak",
      `Percent of that peak, in the row's own precision, which the linear layers
      reach, counting the whole time of a call: tokenizing, attention and everything else included.`,
      [
        nameColumn,
        { title: "GMAC/s", cell: (c) => number(c.throughput.gmacs_per_s) },
        { title: "Peak", cell: (c) => number(p[`${c.precision}_gmacs_per_s`]) },
        { title: "Of the peak", cell: (c) => percent(c.throughput.peak_percent) },
      ],
      rows,
    );
  if (points.length)
    html += figure(
      "roofline",
      "Roofline of senvec",
      `Each point is senvec at a batch size or a length of texts: to the right, more is computed for each byte of weights that
        a call reads; up, more is
      computed a second. The flat lines are the measured peaks${
        bandwidth ? ", the slope is what memory can deliver" : ""
      }. The nearer a point to the line above it, the less is left to gain. ${
        known(l3) && l3 > p.linear_macs_per_token
          ? `Weights that fit into the L3 cache (${megabytes(l3)}) need not come from
        memory, so points may lie above the slope.`
          : ""
      }`,
      [
        { title: "Configuration", cell: (q) => escaped(q.own ? q.row.name : family(q.row)) },
        { title: "What", text: true, cell: (q) => escaped(q.what) },
        { title: "MAC a byte", cell: (q) => number(q.intensity) },
        { title: "GMAC/s", cell: (q) => number(q.gmacs) },
        { title: "Of the peak", cell: (q) => percent((100 * q.gmacs) / p[`${q.row.precision}_gmacs_per_s`]) },
      ],
      points,
    );
  return html + absent(study.configurations.filter(isNative));
}

/* ---------------------------------------------------------------- the method */

function method(study) {
  const e = study.environment,
    m = e.machine ?? {},
    o = study.options,
    files = e.model?.files ?? {};
  const missing = [
    ...lost(study.configurations),
    ...(sweepOf(study).length ? [] : ["The batch sweep: not measured in this study"]),
  ];
  const versions = new Map(); /* what a worker said -> the configurations that said the same */
  for (const [name, worker] of Object.entries(e.runtimes ?? {}))
    if (worker) versions.set(describe(worker), [...(versions.get(describe(worker)) ?? []), name]);
  return `<h2 id="method">Method, and how to repeat it</h2>
    <ul><li>Configurations run in ${plural(o.rounds, "interleaved round")}, each in a process of its own, in an order shuffled
      by the seed.${
        e.settings?.budget_s > 0
          ? ` Further rounds then visited the baseline and the rows that were known least, until the
      ${duration(e.settings.budget_s)} of the budget were spent.`
          : ""
      }</li>
    <li>Latency: ${plural(o.warmups, "warm-up")}, then ${plural(o.latency_calls, "timed call")} over all rounds, each round's
      after ${known(o.rewarm_s) ? unit(plain(1000 * o.rewarm_s), "ms") : "some"} of calls that aren't timed; all samples are kept.
      Percentiles are samples, not interpolations.</li>
    <li>Throughput: ${unit(plain(o.duration_s), "s")} for each configuration over all rounds; it counts texts, not calls.</li>
    <li>Ratios compare blocks of the same round.</li>
    <li>Intervals are 95 % bootstrap intervals over rounds, as wide as so few rounds demand${
      study.drift > 0
        ? `. In this run neighbouring rounds were alike: the machine drifted, which alone leaves all but ratios uncertain by
        ${percent(100 * study.drift, 2)} (standard error)`
        : ""
    }. They hold what happened between rounds that were
      spread over the run, not what differs between machines or days.</li>
    <li>Memory is the peak resident size of the process that ran the configuration, in its first round on the corpus, before
      larger batches and longer texts.</li></ul>
    <pre>${escaped(e.repeat ?? "senvec study")}</pre>
    ${facts([
      ["Machine", escaped(m.cpu)],
      [
        "CPUs",
        known(m.online_cpus)
          ? `${count(m.online_cpus)} online, ${count(m.physical_cores)} physical ${
              m.physical_cores === 1 ? "core" : "cores"
            }, ${
              known(m.quota_cpus) && m.quota_cpus > 0 ? `a quota of ${plain(m.quota_cpus)}` : "no quota"
            }; ${plural(o.threads, "thread")} used`
          : "",
      ],
      ["Instruction sets", escaped((m.isa_tiers ?? []).join(", "))],
      [
        "Caches",
        m.l2_bytes
          ? `L1 ${plain(m.l1d_bytes / 1024)} KB, L2 ${plain(m.l2_bytes / 1024)} KB, L3
          ${megabytes(m.l3_bytes)}`
          : "",
      ],
      ["Memory", megabytes(m.memory_bytes)],
      [
        "System",
        escaped(
          [m.kernel, m.hypervisor && `under ${m.hypervisor}`, m.governor && `governor ${m.governor}`]
            .filter(Boolean)
            .join(", "),
        ),
      ],
      [
        "senvec",
        escaped(
          `${e.senvec?.version ?? study.senvec_version}, ${e.senvec?.build ?? ""}, compiled by ${
            e.senvec?.compiler ?? "an unknown compiler"
          }`,
        ),
      ],
      [
        "Texts",
        e.texts
          ? escaped(`${e.texts.source}: ${plural(e.texts.used, "text")} used of ${count(e.texts.in_file)},
        ${count(e.texts.distinct)} distinct, ${plural(e.texts.bytes, "byte")}`)
          : "",
      ],
      ["Seed", String(o.seed)],
      ["Price", `$${plain(o.usd_per_hour)} an hour`],
      ...Object.entries(files).map(([name, f]) => [name, `${count(f.bytes)} bytes, SHA-256 <code>${escaped(f.sha256)}</code>`]),
    ])}
    ${versions.size ? `<h3>Runtimes</h3>${facts([...versions].map(([said, names]) => [names.join(", "), escaped(said)]))}` : ""}
    <h3>What is missing</h3>${
      missing.length
        ? `<ul>${missing.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`
        : "<p>Nothing: every configuration was measured.</p>"
    }`;
}
/* What a worker said about itself, flattened. */
const describe = (value) =>
  value && typeof value === "object"
    ? Object.entries(value)
        .filter(([, v]) => v !== null && v !== "")
        .map(
          ([k, v]) =>
            `${k.replaceAll("_", " ")} ${Array.isArray(v) ? v.join(" ") : typeof v === "object" ? `(${describe(v)})` : v}`,
        )
        .join(", ")
    : String(value);
