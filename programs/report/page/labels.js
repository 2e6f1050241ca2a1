/* The reader's own labels: how good each configuration is at the reader's tasks, against what it costs. */

const labelTasks = [
  { task: "pairs", metric: "Spearman", title: "Your pairs", what: "Spearman's correlation of the cosines with your numbers" },
  {
    task: "search",
    metric: "nDCG@10",
    title: "Your search",
    what: "nDCG of the first ten documents, as trec_eval defines it",
  },
  {
    task: "classes",
    metric: "probe accuracy",
    title: "Your classes",
    what: "Accuracy of a logistic regression on every fifth text of each class, trained on the others",
  },
];
const labelScores = (study) => study.labels?.scores ?? [];
const taskOf = (study, name) => study.labels?.tasks?.find((t) => t.task === name);
const labelMetrics = (study) => [...new Set(labelScores(study).map((s) => s.metric))];
const scoreOf = (study, c, form, metric) =>
  labelScores(study).find((s) => s.configuration === c.name && s.form === form && s.metric === metric);
const formTitles = { float32: "float32", int8: "int8", binary: "binary", half: "first half" };

/* "0.8672", and how far below or above the baseline it may be. */
function scoreCell(s) {
  if (!s) return dash;
  const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(4);
  const range = s.low === 0 && s.high === 0 ? "" : `${signed(s.low)} to ${signed(s.high)}`;
  return number(s.value, 4) + small(range);
}

/* The points of a task's picture: every measured configuration with its vectors in every form. */
function labelPoints(study, task) {
  return measured(study)
    .filter((c) => known(c.cost?.usd_per_1m_texts))
    .flatMap((c) =>
      Object.keys(formTitles)
        .map((form) => ({ row: c, form, score: scoreOf(study, c, form, task.metric) }))
        .filter((p) => p.score)
        .map((p) => ({ ...p, cost: c.cost.usd_per_1m_texts, value: p.score.value })),
    );
}
/* Those that nothing cheaper is as good as, the cheapest first. */
function frontierOf(points) {
  let best = -Infinity;
  return [...points]
    .sort((a, b) => a.cost - b.cost || b.value - a.value)
    .filter((p) => {
      if (p.value <= best) return false;
      best = p.value;
      return true;
    });
}

function labelsSection(study) {
  const title = '<h2 id="labels">Your labels</h2>',
    labels = study.labels;
  if (!labels)
    return `${title}<p class="note">No labels were given. <code>senvec study validate --pairs FILE</code>,
      <code>--queries, --documents, --qrels</code> and <code>--classes FILE</code> say what each configuration is worth at your
      own task.</p>`;
  const rows = measured(study).filter((c) => labelScores(study).some((s) => s.configuration === c.name)),
    metrics = labelMetrics(study);
  const columns = metrics.map((metric) => ({ title: metric, cell: (c) => scoreCell(scoreOf(study, c, "float32", metric)) }));
  const cost = { title: "USD per 1 M texts", cell: (c) => usd(c.cost?.usd_per_1m_texts) };
  const formsTable = rows.flatMap((c) => Object.keys(formTitles).map((form) => ({ c, form })));
  const bytes = (p) => labelScores(study).find((s) => s.configuration === p.c.name && s.form === p.form)?.bytes;
  return `${title}<p><b>${labels.recommendation?.configuration ? "Take " : ""}${escaped(
    labels.recommendation?.configuration ?? "",
  )}</b> ${escaped(labels.recommendation?.reason ?? "")}</p>
    <p>The rule: the cheapest configuration whose 95 % interval excludes a loss of more than ${plain(labels.tolerance)} at every
    task. Intervals are of a bootstrap over your items, paired with those of ${escaped(labels.baseline)}; small print is the
    difference to its float32 vectors.</p>
    ${table([nameColumn, ...columns, cost], rows, (c) => (c.name === labels.recommendation?.configuration ? "best" : ""))}${labelTasks
      .filter((t) => taskOf(study, t.task))
      .map((t) =>
        figure(
          `labels-${t.task}`,
          `${t.title}: quality against cost`,
          `${t.what}, over ${plural(taskOf(study, t.task).items, "item")} of
          ${taskOf(study, t.task)
            .files.map((file) => escaped(file.split("/").pop()))
            .join(", ")}, against the cost of a million
          texts. Up and to the left is better; the line joins what nothing cheaper is as good as. Hollow marks keep their vectors
          as int8, as bits or as their first half, which costs nothing to compute and makes an index smaller.`,
          [
            { title: "Configuration", cell: (p) => escaped(p.row.name) },
            { title: "Vectors as", text: true, cell: (p) => formTitles[p.form] },
            { title: t.metric, cell: (p) => scoreCell(p.score) },
            { title: "USD per 1 M texts", cell: (p) => usd(p.cost) },
          ],
          labelPoints(study, t),
        ),
      )
      .join("")}
    <details><summary>All forms of the vectors</summary>${table(
      [
        { title: "Configuration", cell: (p) => escaped(p.c.name) },
        { title: "Vectors as", text: true, cell: (p) => formTitles[p.form] },
        { title: "Bytes", cell: (p) => count(bytes(p)) },
        ...metrics.map((metric) => ({ title: metric, cell: (p) => scoreCell(scoreOf(study, p.c, p.form, metric)) })),
      ],
      formsTable,
    )}</details>`;
}

/* The line that joins what nothing cheaper is as good as. */
function frontierLine(points) {
  const frontier = frontierOf(points);
  return {
    type: "scatter",
    mode: "lines",
    name: "frontier",
    x: frontier.map((p) => p.cost),
    y: frontier.map((p) => p.value),
    line: { color: colour("--soft"), width: 1.5, dash: "dot", shape: "hv" },
    hoverinfo: "skip",
  };
}
const labelHover = (p, task) =>
  `${escaped(p.row.name)}, ${formTitles[p.form]}<br>${task.metric} ${number(p.value, 4)}<br>${usd(p.cost)} per 1 M texts`;
const labelAxes = (points, task) => ({
  xaxis: logAxis(
    points.map((p) => p.cost),
    "USD per 1 M texts",
  ),
  yaxis: { title: title(task.metric) },
});

function drawLabels(study, task) {
  const points = labelPoints(study, task),
    rows = [...new Set(points.map((p) => p.row))];
  const data = [
    frontierLine(points),
    ...rows.map((c) => {
      const own = points.filter((p) => p.row === c);
      return {
        type: "scatter",
        mode: "markers",
        name: escaped(c.name),
        x: own.map((p) => p.cost),
        y: own.map((p) => p.value),
        marker: {
          color: colourOf(c),
          size: own.map((p) => (p.form === "float32" ? 12 : 8)),
          symbol: own.map((p) => symbolOf(c).replace("-open", "") + (p.form === "float32" ? "" : "-open")),
        },
        error_y: {
          type: "data",
          symmetric: false,
          array: own.map((p) => (p.form === "float32" ? p.score.high - p.score.difference : 0)),
          arrayminus: own.map((p) => (p.form === "float32" ? p.score.difference - p.score.low : 0)),
          thickness: 1.2,
          width: 3,
          color: colourOf(c),
        },
        customdata: own.map((p) => labelHover(p, task)),
        hovertemplate: "%{customdata}<extra></extra>",
      };
    }),
  ];
  return {
    data,
    layout: layout(lineHeight(rows.length) + 60, {
      showlegend: !narrow(),
      ...labelAxes(points, task),
    }),
  };
}

for (const task of labelTasks) drawings[`labels-${task.task}`] = ({ study }) => drawLabels(study, task);
