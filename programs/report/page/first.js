/* The first screen, which somebody forwards to those who decide: what to deploy, what it saves, what it costs in quality, how
 * sure that is; then the advice for other wishes. */

/* On a machine that was busy no ratio is given (programs/results/figures.h), and no advice. */
const quotable = (study) => study.steadiness?.quotable !== false;

/* Rows that take one text at a time, and no other waits. */
const alone = (rows) => rows.filter((c) => c.batch === 1 && !isUnderLoad(c));

/* The baseline's runtime with the batch of row `c`: what it is fair to compare with. */
const likeForLike = (study, c) =>
  measured(study).find((b) => b.runtime === baselineOf(study)?.runtime && b.batch === c.batch && !isUnderLoad(b));

/* "PyTorch in batches of 32" */
const inWords = (c) => `${escaped(family(c))} ${c.batch > 1 ? `in batches of ${count(c.batch)}` : "with one text at a time"}`;
/* By the rule of the reader's own labels where there are some, else the fastest. */
const recommended = (study) => find(study, study.labels?.recommendation?.configuration ?? "") ?? best(measured(study), speed);

/* What the reader's labels say of row `c`: each deciding metric, and how far it may be off. */
function atTasks(study, c) {
  const own = labelScores(study).filter((s) => s.configuration === c.name && s.form === "float32" && s.main);
  const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(4);
  return own.length
    ? `At your own tasks: ${own
        .map((s) => `${s.metric} ${number(s.value, 4)}${s.low === s.high ? "" : ` (${signed(s.low)} to ${signed(s.high)})`}`)
        .join(", ")}, against ${escaped(study.labels.baseline)}. `
    : "";
}

const within = (e, digits) => (interval(e, digits) ? ` (95 % interval ${interval(e, digits)})` : "");

function meta(study) {
  const machine = study.environment.machine ?? {},
    texts = study.environment.texts,
    tokens = tokensOfCorpus(study);
  const made = (study.created || "").replace("T", " ").replace("Z", " UTC");
  const source = (texts?.source ?? "").split("/").pop();
  return `<p class="meta">${escaped(study.environment.model?.name ?? "")} on ${escaped(machine.cpu ?? "an unknown CPU")},
    ${plural(study.options.threads, "thread")} for everyone; ${
      texts
        ? `${plural(texts.distinct, "distinct text")} (${escaped(
            source,
          )}${tokens ? `, ${number(tokens, 3)} tokens on average` : ""}); `
        : ""
    }measured ${escaped(made)}${study.options.quick ? " in a quick run" : ""}</p>`;
}

function busy(study) {
  const s = study.steadiness,
    part = Math.max(s.spread ?? 0, s.baseline_spread ?? 0);
  return `<div class="busy"><b>This machine was busy: don't quote these figures.</b> The same work was up to ${percent(
    100 * part,
    2,
  )} faster or slower from one round to the next (standard deviation), so that another run would give
    other results. Ratios and advice are left out. Measure again when nothing else runs on this machine.</div>`;
}

/* What is deployed, in the words of somebody who has not read the rest. */
function deploy(_study, c) {
  const step = stepOf(c);
  return `<b>${escaped(c.name)}</b>. ${escaped(step.what)} ${
    isUnderLoad(c)
      ? "Single texts of many callers under load."
      : c.batch > 1
        ? `It embeds ${count(c.batch)} texts a call.`
        : "It embeds one text a call."
  }`;
}

function saves(study, c) {
  const base = baselineOf(study),
    like = likeForLike(study, c),
    rate = study.options.usd_per_hour;
  if (c === base) return `Nothing: no other configuration was faster than ${inWords(base)}.`;
  const fair = like && like !== c && known(c.throughput.speedup_same_batch?.value);
  const other = fair ? like : base,
    ratio = fair ? c.throughput.speedup_same_batch : c.throughput.speedup;
  return `${times(ratio)} the texts a second of ${inWords(other)}${within(ratio)}: ${number(speed(c))} instead of ${number(
    speed(other),
  )}. A million texts cost ${usd(c.cost?.usd_per_1m_texts)} instead of ${usd(
    other.cost?.usd_per_1m_texts,
  )}, at $${plain(rate)} an hour.${
    fair && other !== base
      ? ` Against ${inWords(base)} it is ${times(c.throughput.speedup)}${within(c.throughput.speedup)}, of which the batches
      alone are part.`
      : ""
  }`;
}

const closeness = (v, where) => `a mean cosine of ${cosine(v.cosine_mean)}, ${cosine(v.cosine_min)} at worst, over
  ${plural(v.texts, "text")} ${where}`;

function costsQuality(study, c) {
  const tasks = atTasks(study, c);
  if (isReference(study, c)) return "Nothing: its vectors are those that the others are compared with.";
  if (isUnderLoad(c)) return "What its precision costs; batching itself changes no vector.";
  if (!known(accuracy(c))) return tasks || "Not measured: no vectors were compared.";
  const wide = c.validation_wide;
  return `${tasks}${isSame(c.validation) ? "Nothing that matters: the vectors are" : "Vectors against"} those of ${escaped(
    study.reference,
  )}: ${closeness(c.validation, "of the corpus")}${
    known(wide?.cosine_min) ? `, and ${closeness(wide, "of all lengths and many subjects")}` : ""
  }${known(c.validation.neighbours) ? `. ${kept(c.validation.neighbours)} of the ten nearest neighbours stay the same` : ""}.`;
}

function howSure(study) {
  const spread = study.steadiness?.spread,
    o = study.options;
  const quiet = !known(spread)
    ? ""
    : spread < 0.03
      ? `The machine was quiet: its rounds differ by ${percent(100 * spread, 2)}.`
      : `The machine was not quite quiet: rounds differ by ${percent(100 * spread, 2)} (standard deviation), which the
      intervals contain.`;
  return `${
    o.quick
      ? `A first idea: a quick run of ${plural(o.rounds, "round")}.`
      : `${plural(o.rounds, "round")}, in which all took turns.`
  } ${quiet} It holds for this machine, this model and texts like
    these; another processor or other texts give other figures.`;
}

function firstScreen(study) {
  const base = baselineOf(study),
    top = recommended(study);
  const head = `<h1>Sentence embeddings on a CPU: what each step buys</h1>`;
  if (!base)
    return `${head}${meta(study)}<p class="lede">No configuration was measured, so there is nothing to compare yet.</p>
    ${warnings(study)}`;
  if (!quotable(study)) return head + busy(study) + meta(study) + warnings(study);
  const like = likeForLike(study, top),
    fair = like && like !== top && known(top.throughput.speedup_same_batch?.value);
  const quick = best(alone(measured(study)), p50, -1);
  const boxes = [
    fair && [times(top.throughput.speedup_same_batch), `the texts a second of ${inWords(like)}`],
    !(fair && like === base) && [times(top.throughput.speedup), `the texts a second of ${inWords(base)}`],
    [number(speed(top)) + "/s", `texts, ${inWords(top)}`],
    quick && [ms(p50(quick)), `median for one text, ${inWords(quick)}`],
    [
      usd(top.cost?.usd_per_1m_texts),
      `for 1 M texts, ${usd((fair ? like : base).cost?.usd_per_1m_texts)} with ${inWords(fair ? like : base)}`,
    ],
    known(accuracy(top)) && !isReference(study, top) && [cosine(accuracy(top)), "mean cosine to the reference's vectors"],
  ].filter(Boolean);
  const answers = [
    ["What to deploy", deploy],
    ["What it saves", saves],
    ["What it costs in quality", costsQuality],
    ["How sure that is", howSure],
  ];
  return `${head}${meta(study)}<dl class="answers">${answers
    .map(([title, say]) => `<dt>${title}</dt><dd>${say(study, top)}</dd>`)
    .join("")}</dl><div class="stats">${boxes
    .map(([value, what]) => `<div><b>${value}</b><span>${what}</span></div>`)
    .join("")}</div>${warnings(study)}`;
}

function warnings(study) {
  const list = [...(study.warnings ?? [])];
  if (data.no_plots) list.push(`This page has no plots: ${data.no_plots}`);
  return list.length
    ? `<div class="warn"><b>Read the figures with this in mind</b><ul>${list
        .map((w) => `<li>${escaped(w)}</li>`)
        .join("")}</ul></div>`
    : "";
}

/* ------------------------------------------------------------- other wishes */

/* Those whose interval reaches into that of the fastest: nobody can say that they are slower. */
function asFast(rows, top) {
  const others = rows.filter((c) => c !== top && c.throughput.texts_per_s.high >= top.throughput.texts_per_s.low);
  return others.length ? `; not clearly faster than ${others.map((c) => c.name).join(", ")}, whose intervals overlap` : "";
}

/* [wish, what to take, what it gives]: nothing is advised that another row of the page beats at the same. */
function advices(study) {
  const rows = measured(study),
    advice = [];
  if (!quotable(study)) return advice;
  const exact = rows.filter((c) => known(accuracy(c)) && accuracy(c) > 0.99999);
  const say = (what, name, detail) => name && advice.push([what, name, detail]);
  const quick = best(alone(rows), p50, -1),
    fast = best(rows, speed),
    same = best(exact, speed);
  const batch = best(sweepOf(study), speed),
    price = (rate) => usd((study.options.usd_per_hour / 3600 / rate) * 1e6);
  if (fast && batch && speed(batch) > speed(fast))
    say(
      "The most texts a second, and the cheapest",
      `${family(batch.row)} in batches of ${count(batch.batch)}`,
      `${number(speed(batch))} texts/s, ${price(speed(batch))} for 1 M texts; in the main table: ${fast.name}, ${number(
        speed(fast),
      )} texts/s${asFast(rows, fast)}`,
    );
  else
    say(
      "The most texts a second, and the cheapest",
      fast?.name,
      fast && `${number(speed(fast))} texts/s, ${usd(fast.cost?.usd_per_1m_texts)} for 1 M texts${asFast(rows, fast)}`,
    );
  say("The quickest answer to one text", quick?.name, quick && `median ${ms(p50(quick))}, p99 ${ms(quick.latency.p99_ms)}`);
  if (same && same !== fast)
    say("The fastest with the reference's vectors (mean cosine above 0.99999)", same.name, `${number(speed(same))} texts/s`);
  const many = best(bestRuns(study), heldRate),
    light = best(
      rows.filter((c) => c.peak_rss_bytes),
      (c) => c.peak_rss_bytes,
      -1,
    );
  say(
    `Many callers with single texts, 99 in 100 answered within ${exactly(study.batching?.bound_ms)}`,
    many && `${family(study.batching)}, policy ${many.policy}`,
    many && `up to ${number(heldRate(many))} texts/s, p50 ${ms(many.latency_ms.p50)}, ${price(heldRate(many))} for 1 M texts`,
  );
  say("The least memory", light?.name, light && `${megabytes(light.peak_rss_bytes)} at its peak`);
  return advice;
}
