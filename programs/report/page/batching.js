/* Adaptive batching: single texts of many callers under load, by policy. Words, tables, figures. */

/* What each policy does, in the order in which they are shown; `colour` is a name in page.css. */
const policies = [
  {
    name: "slo",
    title: "adaptive (slo)",
    colour: "--senvec-int8",
    symbol: "hexagon",
    dash: "solid",
    what: "takes as much as the latency bound allows, the earliest due first, and refuses what would come too late",
  },
  {
    name: "greedy",
    title: "greedy",
    colour: "--policy-greedy",
    symbol: "square",
    dash: "dash",
    what: "takes all that waits as soon as it can, and refuses nothing",
  },
  {
    name: "fixed",
    title: "fixed",
    colour: "--policy-fixed",
    symbol: "circle",
    dash: "dot",
    what: "is the classic rule: a full batch, or a time over",
  },
];
const policyOf = (run) => policies.find((p) => p.name === run.policy) ?? { ...policies[2], title: run.policy };
const byPolicy = (runs) => policies.flatMap((p) => runs.filter((run) => run.policy === p.name));
const runsOf = (study, set) => byPolicy((study.batching?.runs ?? []).filter((run) => run.set === set));
const p99 = (run) => run.latency_ms?.p99;
const refusedPart = (run) => (run.requests ? (run.outcomes?.refused ?? 0) / run.requests : undefined);
/* At the highest rate within the bound; none where no rate was. */
const bestRuns = (study) => byPolicy((study.batching?.best ?? []).filter((run) => run.rate > 0));
/* Requests a second that were answered, as the tables have them; a run is planned for a rate that random arrivals don't quite give. */
const heldRate = (run) => run.answered_per_s ?? run.rate;
const usdAt = (study, rate) => (study.options.usd_per_hour / 3600 / rate) * 1e6;
const policyColumn = { title: "Policy", cell: (run) => escaped(policyOf(run).title) };

function batchingSection(study) {
  const title = '<h2 id="batching">Many callers, single texts: adaptive batching</h2>',
    b = study.batching;
  const curves = runsOf(study, "corpus"),
    best = bestRuns(study),
    mixed = runsOf(study, "mixed");
  if (!curves.length) return `${title}<p class="note">Not measured. <code>senvec study batching</code> does that.</p>`;
  const bound = exactly(b.bound_ms),
    top = best.find((run) => run.policy === "slo");
  const within = curves.filter((run) => known(p99(run)));
  return (
    `${title}<p>In production requests come one by one, when they like. ${escaped(family(b))} brings those together that
    wait at the same time. Arrivals are random (Poisson) and don't wait for answers; a request's latency counts from the moment
    at which it was due, so that a stall shows in all that came in it. With ${plural(b.callers, "caller")} who each ask again
    as soon as they have their answer, the engine does ${number(b.capacity_per_s)} requests a second; rates are parts of that.${
      top
        ? ` At ${number(heldRate(top))} requests a second 99 in 100 are answered within ${ms(p99(top))}, half of them within
    ${ms(top.latency_ms.p50)}.`
        : ` No rate was found at which the default policy keeps 99 in 100 within ${bound}.`
    }</p>
    <p>The policies: ${policies.map((p) => `<b>${escaped(p.title)}</b> ${escaped(p.what)}`).join("; ")} (${count(
      b.fixed_texts,
    )} texts, ${exactly(b.fixed_wait_ms)}${
      b.fixed_wait_ms >= b.bound_ms ? ", which alone is the bound: it can keep it only where batches fill up sooner" : ""
    }).</p>` +
    (within.length
      ? figure(
          "load",
          "Latency under load",
          `The 99th percentile of latency against the rate of arrivals, for each
      policy, on a logarithmic axis; the line across is the bound of ${bound}. Refused requests have no latency: their part
      stands in the hover and in the table. A hollow mark is a run that isn't valid (hover says why).`,
          [
            policyColumn,
            { title: "Rate", cell: (run) => `${number(run.rate)}/s` },
            { title: "Of the capacity", cell: (run) => percent(100 * run.part, 2) },
            { title: "p50", cell: (run) => ms(run.latency_ms.p50) },
            { title: "p95", cell: (run) => ms(run.latency_ms.p95) },
            { title: "p99", cell: (run) => ms(p99(run)) },
            { title: "Refused", cell: (run) => percent(100 * refusedPart(run), 2) },
            { title: "Valid", cell: (run) => (run.valid ? "yes" : `no: ${escaped(run.reasons?.[0] ?? "")}`) },
          ],
          curves,
        )
      : "") +
    (best.length
      ? figure(
          "load-rate",
          `The highest rate within ${bound}`,
          `Requests of one text a second at which p99 stays
      within ${bound}, found by search and confirmed by a run with other arrivals.${
        best.length < policies.length
          ? ` Not there: ${policies
              .filter((p) => !best.some((run) => run.policy === p.name))
              .map((p) => escaped(p.title))
              .join(", ")},
      for which no rate was found.`
          : ""
      }`,
          [
            policyColumn,
            { title: "Requests/s", cell: (run) => number(heldRate(run)) },
            { title: "Of the capacity", cell: (run) => percent(100 * run.part, 2) },
            { title: "p50", cell: (run) => ms(run.latency_ms.p50) },
            { title: "p95", cell: (run) => ms(run.latency_ms.p95) },
            { title: "p99", cell: (run) => ms(p99(run)) },
            { title: "Requests measured", cell: (run) => count(run.requests) },
          ],
          best,
        ) +
        figure(
          "load-cost",
          "Cost at that rate",
          `USD for a million texts that come one by one, at $${plain(
            study.options.usd_per_hour,
          )} an hour, at the highest rate within ${bound}.`,
          [
            policyColumn,
            { title: "USD per 1 M texts", cell: (run) => usd(usdAt(study, heldRate(run))) },
            { title: "Texts an hour", cell: (run) => count(3600 * heldRate(run)) },
          ],
          best,
        )
      : "") +
    (mixed.length
      ? `<h3>Short and long texts together</h3><p>Texts of ${mixed[0].kinds
          .map((kind) => count(kind.words))
          .join(", ")} words, at ${percent(100 * mixed[0].part, 2)} of what the engine does of them
      (${number(b.mixed_capacity_per_s)} requests a second): does a short one wait for long ones?</p>` +
        table(
          [
            policyColumn,
            ...mixed[0].kinds.map((kind, i) => ({
              title: `${count(kind.words)} words: p99`,
              cell: (run) => ms(run.kinds[i]?.latency_ms.p99 ?? undefined) + small(`p50 ${ms(run.kinds[i]?.latency_ms.p50)}`),
            })),
            { title: "Refused", cell: (run) => percent(100 * refusedPart(run), 2) },
            { title: "Valid", cell: (run) => (run.valid ? "yes" : `no: ${escaped(run.reasons?.[0] ?? "")}`) },
          ],
          mixed,
        )
      : "")
  );
}

/* ----------------------------------------------------------------- figures */

const loadHover = (run) =>
  `${escaped(policyOf(run).title)}, ${number(run.rate)} requests/s<br>p99 ${ms(p99(run))}, p50 ${ms(
    run.latency_ms.p50,
  )}${refusedPart(run) > 0 ? `<br>${percent(100 * refusedPart(run), 2)} refused` : ""}${
    run.valid ? "" : `<br>not valid: ${escaped(run.reasons?.[0] ?? "")}`
  }`;

function policyBars(runs, value, hover, axis, shown) {
  return {
    data: [
      {
        type: "bar",
        orientation: "h",
        y: runs.map((run) => policyOf(run).title),
        x: runs.map(value),
        marker: { color: runs.map((run) => colour(policyOf(run).colour)) },
        hovertemplate: "%{customdata}<extra></extra>",
        customdata: runs.map(hover),
      },
      {
        type: "scatter",
        mode: "text",
        y: runs.map((run) => policyOf(run).title),
        x: runs.map(value),
        text: runs.map((run) => ` ${shown(value(run))}`),
        textposition: "middle right",
        cliponaxis: false,
        hoverinfo: "skip",
      },
    ],
    layout: layout(barHeight(runs), {
      xaxis: { range: [0, 1.12 * Math.max(...runs.map(value))], ...axis },
      yaxis: names(runs.map((run) => ({ name: policyOf(run).title }))),
    }),
  };
}

/* p99 against the rate of arrivals, a curve each {title, colour (a name in page.css), symbol, dash, hover (of a run), runs}, and
 * the bound across. */
function curvesUnderLoad(curves, bound) {
  const known99 = curves
    .map((curve) => ({ ...curve, runs: curve.runs.filter((run) => known(p99(run))).sort((a, b) => a.rate - b.rate) }))
    .filter((curve) => curve.runs.length);
  const runs = known99.flatMap((curve) => curve.runs),
    span = [0, 1.05 * Math.max(...runs.map((run) => run.rate))];
  const data = known99.map((curve) => ({
    type: "scatter",
    mode: "lines+markers",
    name: escaped(curve.title),
    x: curve.runs.map((run) => run.rate),
    y: curve.runs.map(p99),
    line: { color: colour(curve.colour), width: 2, dash: curve.dash },
    marker: {
      color: colour(curve.colour),
      size: 9,
      symbol: curve.runs.map((run) => curve.symbol + (run.valid ? "" : "-open")),
    },
    customdata: curve.runs.map(curve.hover),
    hovertemplate: "%{customdata}<extra></extra>",
  }));
  data.push({
    type: "scatter",
    mode: "lines",
    name: `bound of ${exactly(bound)}`,
    x: span,
    y: [bound, bound],
    line: { color: colour("--soft"), width: 1.5, dash: "dash" },
    hoverinfo: "skip",
  });
  return {
    data,
    layout: layout(lineHeight(data.length), {
      showlegend: true,
      yaxis: logAxis([...runs.map(p99), bound], "ms, p99"),
      xaxis: { title: title("requests/s"), rangemode: "tozero" },
    }),
  };
}

Object.assign(drawings, {
  load: ({ study }) =>
    curvesUnderLoad(
      policies.map((p) => ({
        title: p.title,
        colour: p.colour,
        symbol: p.symbol,
        dash: p.dash,
        hover: loadHover,
        runs: runsOf(study, "corpus").filter((run) => run.policy === p.name),
      })),
      study.batching.bound_ms,
    ),
  "load-rate": ({ study }) => policyBars(bestRuns(study), heldRate, loadHover, { title: title("requests/s") }, number),
  "load-cost": ({ study }) =>
    policyBars(
      bestRuns(study),
      (run) => usdAt(study, heldRate(run)),
      (run) => `${escaped(policyOf(run).title)}<br>${usd(usdAt(study, heldRate(run)))} per 1 M texts`,
      { title: title("USD per 1 M texts"), tickprefix: "$" },
      usd,
    ),
});
