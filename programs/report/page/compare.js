/* Several studies at once: words, tables, figures. A configuration keeps its colour; a study has its pattern and its mark. */

const label = (entry) => entry.directory.replace(/\/+$/, "").split("/").slice(-1)[0] || entry.directory;
const patterns = ["", "/", "x", ".", "-", "|", "+", "\\"];
const marks = ["circle", "square-open", "diamond", "x", "triangle-up-open", "cross", "star-open", "hexagon"];
/* What any of them has measured, in the order of the pipeline. */
const compared = (entries) =>
  [...new Set(entries.flatMap((e) => e.study.configurations.map((c) => c.name)))].filter((name) =>
    entries.some((e) => find(e.study, name)?.state === "measured"),
  );

function sideBySide(entries) {
  const rows = compared(entries).map((name) => ({
    name,
    of: entries.map((e) => measured(e.study).find((c) => c.name === name)),
  }));
  const against = (x, first) => (known(x) && known(first) && x !== first ? `${number(x / first)}× the first` : "");
  const column = (cell) =>
    entries.map((e, i) => ({ title: label(e), cell: (r) => (r.of[i] ? cell(r.of[i], r.of[0] ?? {}) : dash) }));
  const worth = (value, shown) => column((c, first) => shown(value(c)) + small(against(value(c), value(first))));
  const price = (c) => c.cost?.usd_per_1m_texts;
  const tops = entries.map((e) => [e, best(measured(e.study), speed)]).filter(([, c]) => c);
  const gaps = entries.flatMap((e) => lost(e.study.configurations).map((line) => `${label(e)}: ${line}`));
  return `<h1>${plural(entries.length, "study", "studies")} side by side</h1>
    <p class="lede">${tops
      .map(
        ([e, c]) => `In ${escaped(label(e))} the most texts a second come from ${escaped(c.name)}:
      ${number(speed(c))}${
        baselineOf(e.study) !== c && quotable(e.study) ? `, ${times(c.throughput.speedup)} its baseline` : ""
      }, at ${usd(price(c))} for a million texts.`,
      )
      .join(" ")}</p>
    ${table(
      [
        { title: "Study", cell: (e) => escaped(label(e)) },
        { title: "Model", text: true, cell: (e) => escaped(e.study.environment.model?.name ?? dash) },
        { title: "Machine", text: true, cell: (e) => escaped(e.study.environment.machine?.cpu ?? dash) },
        { title: "Threads", cell: (e) => count(e.study.options.threads) },
        { title: "senvec", cell: (e) => escaped(e.study.senvec_version) },
        { title: "Texts", cell: (e) => count(e.study.environment.texts?.used) },
        { title: "USD an hour", cell: (e) => "$" + plain(e.study.options.usd_per_hour) },
        {
          title: "Measured",
          text: true,
          cell: (e) => escaped((e.study.created ?? "").slice(0, 10)) + (e.study.options.quick ? small("a quick run") : ""),
        },
      ],
      entries,
    )}
    <p class="note">Ratios between studies are no paired measurement: other machines, other days, perhaps other texts. Colour
      is the configuration,
      as everywhere; pattern and mark are the study.</p>
    ${figure(
      "compare-throughput",
      "Texts a second",
      "Texts a second with 95 % intervals.",
      [
        nameColumn,
        ...column(
          (c, first) => number(speed(c)) + small(interval(c.throughput.texts_per_s)) + small(against(speed(c), speed(first))),
        ),
      ],
      rows,
    )}
    ${figure(
      "compare-latency",
      "Latency",
      "Median time of a call, on a logarithmic axis.",
      [nameColumn, ...worth(p50, ms)],
      rows,
    )}
    ${figure(
      "compare-cost",
      "Cost",
      "USD for a million texts, each study at its own price of an hour.",
      [nameColumn, ...worth(price, usd)],
      rows,
    )}
    ${sharedTasks(entries)
      .map((t) => modelsFigure(entries, t))
      .join("")}
    <h3>Accuracy</h3>${table(
      [
        nameColumn,
        ...column((c) => (known(accuracy(c)) ? cosine(accuracy(c)) + small(`min ${cosine(c.validation.cosine_min)}`) : dash)),
      ],
      rows,
    )}
    ${gaps.length ? `<h3>What is missing</h3><ul>${gaps.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>` : ""}
    <h2>One of them in full</h2><p class="screen"><select id="which" aria-label="Study">${entries
      .map((e, i) => `<option value="${i}">${escaped(label(e))}</option>`)
      .join("")}</select></p>`;
}

/* The reader's tasks that all of them were scored at, on as many items. */
const sharedTasks = (entries) =>
  labelTasks.filter((t) => {
    const items = entries.map((e) => taskOf(e.study, t.task)?.items);
    return known(items[0]) && items.every((n) => n === items[0]);
  });
const modelPoints = (entries, task) =>
  entries.flatMap((e, place) => labelPoints(e.study, task).map((p) => ({ ...p, entry: e, place })));
function modelsFigure(entries, task) {
  return figure(
    `models-${task.task}`,
    `${task.title}: quality against cost in all studies`,
    `${task.what}, over ${plural(taskOf(entries[0].study, task.task).items, "item")}, against the cost of a million texts. Up
    and to the left is better; the line joins what nothing cheaper is as good as, in whichever study. Small marks keep their
    vectors as int8, as bits or as their first half.`,
    [
      { title: "Study", text: true, cell: (p) => escaped(label(p.entry)) },
      { title: "Configuration", text: true, cell: (p) => escaped(p.row.name) },
      { title: "Vectors as", text: true, cell: (p) => formTitles[p.form] },
      { title: task.metric, cell: (p) => number(p.value, 4) },
      { title: "USD per 1 M texts", cell: (p) => usd(p.cost) },
    ],
    modelPoints(entries, task),
  );
}
function drawModels(entries, task) {
  const points = modelPoints(entries, task);
  const traces = entries.map((e, i) => {
    const own = points.filter((p) => p.entry === e);
    return {
      type: "scatter",
      mode: "markers",
      name: escaped(label(e)),
      x: own.map((p) => p.cost),
      y: own.map((p) => p.value),
      marker: {
        color: own.map((p) => colourOf(p.row)),
        size: own.map((p) => (p.form === "float32" ? 12 : 7)),
        symbol: marks[i % marks.length],
        line: { width: 1.5, color: own.map((p) => colourOf(p.row)) },
      },
      customdata: own.map((p) => `${escaped(label(e))}<br>${labelHover(p, task)}`),
      hovertemplate: "%{customdata}<extra></extra>",
    };
  });
  return {
    data: [frontierLine(points), ...traces],
    layout: layout(lineHeight(entries.length) + 60, { showlegend: true, ...labelAxes(points, task) }),
  };
}

/* One bar for each study and configuration; on a logarithmic axis, where a bar has no beginning, one mark. */
function compare(entries, value, axis, hover, range) {
  const all = compared(entries),
    dots = axis.type === "log",
    ink = colour("--ink"),
    soft = colour("--soft");
  const data = entries.flatMap((e, i) => {
    const rows = all.map((name) => measured(e.study).find((c) => c.name === name)).filter(Boolean),
      pattern = patterns[i % patterns.length];
    const look = (color) =>
      dots
        ? {
            type: "scatter",
            mode: "markers",
            marker: { color, size: 11, symbol: marks[i % marks.length], line: { width: 2, color } },
          }
        : { type: "bar", orientation: "h", marker: { color, pattern: hatches(pattern) } };
    const key = { ...look(soft), name: escaped(label(e)), x: [null], y: [all[0]], hoverinfo: "skip" };
    /* the legend, in no configuration's colour */
    const bounds = range && rows.map(range);
    return [
      key,
      {
        ...look(rows.map(colourOf)),
        showlegend: false,
        offsetgroup: String(i),
        y: rows.map((c) => c.name),
        x: rows.map(value),
        error_x: bounds
          ? {
              type: "data",
              symmetric: false,
              array: rows.map((c, r) => bounds[r].high - value(c)),
              arrayminus: rows.map((c, r) => value(c) - bounds[r].low),
              thickness: 1.2,
              width: 3,
              color: ink,
            }
          : undefined,
        customdata: rows.map((c) => `${escaped(label(e))}<br>${escaped(c.name)}<br>${hover(c)}`),
        hovertemplate: "%{customdata}<extra></extra>",
      },
    ].map((trace) => ({ offsetgroup: String(i), ...trace }));
  });
  const each = dots ? (narrow() ? 34 : 27) : 12 + 15 * entries.length;
  return {
    data,
    layout: layout(100 + Math.max(each, narrow() ? 34 : 0) * all.length, {
      showlegend: true,
      barmode: "group",
      bargap: 0.22,
      xaxis: axis,
      yaxis: names(all.map((name) => ({ name }))),
    }),
  };
}
const everyone = (entries, value) => entries.flatMap((e) => measured(e.study).map(value)).filter(known);
const comparisons = {
  "compare-throughput": (entries) =>
    compare(
      entries,
      speed,
      { title: title("texts/s"), rangemode: "tozero" },
      (c) => `${number(speed(c), 4)} texts/s`,
      (c) => c.throughput.texts_per_s,
    ),
  "compare-latency": (entries) =>
    compare(entries, p50, logAxis(everyone(entries, p50), "ms a call, median (logarithmic)"), (c) => ms(p50(c))),
  "compare-cost": (entries) =>
    compare(
      entries,
      (c) => c.cost.usd_per_1m_texts,
      { title: title("USD per 1 M texts"), tickprefix: "$" },
      (c) => `${usd(c.cost.usd_per_1m_texts)} per 1 M texts`,
    ),
};
for (const task of labelTasks) comparisons[`models-${task.task}`] = (entries) => drawModels(entries, task);
