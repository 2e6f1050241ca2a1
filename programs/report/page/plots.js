/* The figures, drawn by plotly.js. */

/* A runtime and precision keeps its colour and its mark all over the page. The colours are in page.css, as the page's own: one
 * set for light, one for dark. */
const looks = {
  "torch fp32": ["--torch-fp32", "circle"],
  "onnxruntime fp32": ["--onnx-fp32", "square"],
  "onnxruntime int8": ["--onnx-int8", "diamond"],
  "openvino int8": ["--openvino-int8", "cross"],
  "senvec fp32": ["--senvec-fp32", "triangle-up"],
  "senvec bf16": ["--senvec-bf16", "star"],
  "senvec int8": ["--senvec-int8", "hexagon"],
  "batcher int8": ["--senvec-int8", "hexagon-open"],
};
const lookOf = (c) => looks[`${c.runtime} ${c.precision}`] ?? ["--other", "circle-open"];
const colourName = (c) => lookOf(c)[0];
const style = () => getComputedStyle(document.documentElement);
const colour = (name) => style().getPropertyValue(name).trim();
const colourOf = (c) => colour(colourName(c));
const symbolOf = (c) => lookOf(c)[1];
/* Batch rows are hatched and the one under load is crossed, so that rows of one colour can be told apart without it. */
const hatch = (c) => (isUnderLoad(c) ? "x" : c.batch > 1 ? "/" : "");
const hatches = (shape) => ({
  shape,
  fillmode: "overlay",
  solidity: 0.25,
  size: 7,
  fgcolor: colour("--paper"),
  fgopacity: 0.8,
});

const narrow = () => document.documentElement.clientWidth < 600;
/* A label in two lines where there is little room. */
const tick = (name) => (narrow() ? escaped(name).replace(" (", "<br>(") : escaped(name));

function layout(height, more) {
  const ink = colour("--ink"),
    line = colour("--line");
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true, fixedrange: true };
  const { xaxis, yaxis, ...rest } = more;
  return {
    height,
    margin: { l: 8, r: 24, t: 8, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style().fontFamily, size: narrow() ? 11 : 13, color: ink },
    showlegend: false,
    bargap: 0.28,
    hovermode: "closest",
    hoverlabel: { align: "left" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, traceorder: "normal" },
    xaxis: { ...axis, ...xaxis },
    yaxis: { ...axis, ...yaxis },
    ...rest,
  };
}
const title = (text) => ({ text, standoff: 10, font: { size: narrow() ? 11 : 13 } });
const names = (rows) => ({
  type: "category",
  autorange: "reversed",
  showgrid: false,
  ticks: "",
  ticklabelstandoff: 6,
  tickmode: "array",
  tickvals: rows.map((c) => c.name),
  ticktext: rows.map((c) => tick(c.name)),
});
/* The same where a row is drawn in numbers around its place. */
const places = (rows) => ({
  autorange: false,
  range: [rows.length - 0.4, -0.6],
  zeroline: false,
  ticks: "",
  ticklabelstandoff: 6,
  tickmode: "array",
  tickvals: rows.map((_, i) => i),
  ticktext: rows.map((c) => tick(c.name)),
});
/* Heights for so many rows: a bit more each where labels take two lines, a bit less on paper; and for so many lines. */
const onPaper = () => document.documentElement.classList.contains("paper");
const barHeight = (rows, more = 0) => 64 + ((narrow() ? 34 : onPaper() ? 22 : 27) + more) * rows.length;
const lineHeight = (lines) => (narrow() ? 320 + 20 * lines : onPaper() ? 290 : 340);

/* Labels of a logarithmic axis: 1, 2 and 5 of each decade; more where those are few, the decades alone where many. */
function logAxis(values, text) {
  const positive = values.filter((x) => x > 0),
    low = Math.min(...positive),
    high = Math.max(...positive);
  const decades = Math.log10(high / low),
    marks = [];
  const room = narrow() ? 0.5 : 1,
    steps = decades < 0.9 * room ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 3.2 * room ? [1, 2, 5] : [1];
  for (let d = Math.floor(Math.log10(low)); d <= Math.ceil(Math.log10(high)); d++)
    for (const m of steps) marks.push(m * 10 ** d);
  return {
    type: "log",
    title: title(text),
    tickmode: "array",
    tickvals: marks,
    ticktext: marks.map((x) =>
      x >= 0.001
        ? String(Number(x.toPrecision(2))).replace(/\B(?=(\d{3})+$)/g, ",")
        : `10<sup>${Math.round(Math.log10(x))}</sup>`,
    ),
  };
}

/* Bars with their values behind them, or behind their intervals. */
function bars(rows, value, hover, axis, range, shown = number) {
  const bounds = range && rows.map(range),
    ends = rows.map((c, i) => (bounds ? Math.max(value(c), bounds[i].high) : value(c)));
  const ink = colour("--ink");
  return {
    data: [
      {
        type: "bar",
        orientation: "h",
        y: rows.map((c) => c.name),
        x: rows.map(value),
        marker: { color: rows.map(colourOf), pattern: hatches(rows.map(hatch)) },
        error_x: bounds
          ? {
              type: "data",
              symmetric: false,
              array: rows.map((c, i) => bounds[i].high - value(c)),
              arrayminus: rows.map((c, i) => value(c) - bounds[i].low),
              thickness: 1.4,
              width: 4,
              color: ink,
            }
          : undefined,
        hovertemplate: "%{customdata}<extra></extra>",
        customdata: rows.map(hover),
      },
      {
        type: "scatter",
        mode: "text",
        y: rows.map((c) => c.name),
        x: ends,
        text: rows.map((c) => ` ${shown(value(c))}`),
        textposition: "middle right",
        cliponaxis: false,
        hoverinfo: "skip",
      },
    ],
    layout: layout(barHeight(rows), { xaxis: { range: [0, 1.12 * Math.max(...ends)], ...axis }, yaxis: names(rows) }),
  };
}

/* A line for each row: `points` are {row, x, y, hover}, in their order. */
function lines(points, more) {
  const rows = [...new Set(points.map((p) => p.row))];
  return {
    data: rows.map((c) => {
      const own = points.filter((p) => p.row === c);
      return {
        type: "scatter",
        mode: "lines+markers",
        name: escaped(family(c)),
        x: own.map((p) => p.x),
        y: own.map((p) => p.y),
        line: { color: colourOf(c), width: 2 },
        marker: { color: colourOf(c), size: 8, symbol: symbolOf(c) },
        customdata: own.map((p) => `${escaped(family(c))}<br>${p.hover}`),
        hovertemplate: "%{customdata}<extra></extra>",
      };
    }),
    layout: layout(lineHeight(rows.length), { showlegend: true, ...more }),
  };
}

/* The texts of a row by their distance from the reference, as a histogram that stands on the row's place. */
function cosines(study, key) {
  const rows = comparedIn(study, key),
    floor = 1e-8,
    per = 6,
    off = (x) => Math.log10(Math.max(floor, 1 - x));
  const all = rows.flatMap((c) => c[key].cosines.map(off)),
    low = Math.floor(Math.min(...all)),
    high = Math.max(low + 1, Math.ceil(Math.max(...all)));
  const bins = (high - low) * per,
    width = 1 / per;
  const heights = rows.map((c) => {
    const row = new Array(bins).fill(0);
    for (const x of c[key].cosines) row[Math.min(bins - 1, Math.floor((off(x) - low) * per + 1e-9))]++;
    return row;
  });
  const tallest = (i) => Math.max(...heights[i]),
    foot = 0.4;
  const edge = (i) => 1 - 10 ** (low + i * width),
    same = (i) => i === 0 && low === Math.log10(floor);
  const data = rows.map((c, i) => {
    const used = heights[i].map((_, b) => b).filter((b) => heights[i][b]);
    return {
      type: "bar",
      x: used.map((b) => low + (b + 0.5) * width),
      y: used.map((b) => (-0.8 * heights[i][b]) / tallest(i)),
      base: i + foot,
      width: width * 0.92,
      marker: { color: colourOf(c), pattern: hatches(hatch(c)) },
      customdata: used.map(
        (b) =>
          `${plural(heights[i][b], "text")} of ${count(c[key].cosines.length)}, cosine ${
            same(b) ? `above ${cosine(edge(b + 1))}` : `${cosine(edge(b + 1))} to ${cosine(edge(b))}`
          }`,
      ),
      hovertemplate: `${escaped(c.name)}<br>%{customdata}<extra></extra>`,
    };
  });
  const decades = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return {
    data,
    layout: layout(barHeight(rows, 5), {
      barmode: "overlay",
      yaxis: { ...places(rows), showgrid: false },
      xaxis: {
        title: title("1 − cosine to the reference"),
        tickmode: "array",
        tickvals: decades,
        zeroline: false,
        range: [low - 0.15, high + 0.1],
        ticktext: decades.map((d) =>
          same(d - low) ? "same" : d >= -2 ? String(Number((10 ** d).toFixed(2))) : `10<sup>−${-d}</sup>`,
        ),
      },
    }),
  };
}

/* The measured peaks as roofs over the native rows. */
function roofline({ study }) {
  const points = rooflineOf(study),
    tops = peaksOf(study),
    bandwidth = study.peak.read_gb_per_s,
    xs = points.map((p) => p.intensity);
  const low = Math.min(...xs) / 1.6,
    high = Math.max(...xs) * 1.6,
    steps = Array.from({ length: 61 }, (_, i) => low * (high / low) ** (i / 60));
  const roofs = tops.map(([precision, peak]) => {
    const c = { runtime: "senvec", precision },
      roof = (x) => (bandwidth > 0 ? Math.min(peak, bandwidth * x) : peak);
    return {
      type: "scatter",
      mode: "lines",
      name: `peak in ${precision}`,
      x: steps,
      y: steps.map(roof),
      line: { color: colourOf(c), width: 2, dash: "dash" },
      customdata: steps.map(
        (x) => `${precision}: at most ${number(roof(x))} GMAC/s${roof(x) < peak ? ", as memory can't deliver more" : ""}`,
      ),
      hovertemplate: "%{customdata}<extra></extra>",
    };
  });
  const rows = [...new Map(points.map((p) => [family(p.row), p.row])).values()];
  const marks = rows.map((c) => {
    const own = points.filter((p) => family(p.row) === family(c)).sort((a, b) => a.own - b.own);
    return {
      type: "scatter",
      mode: "markers",
      name: escaped(family(c)),
      x: own.map((p) => p.intensity),
      y: own.map((p) => p.gmacs),
      marker: {
        color: colourOf(c),
        symbol: symbolOf(c),
        size: own.map((p) => (p.own ? 13 : 8)),
        opacity: own.map((p) => (p.own ? 1 : 0.7)),
        line: { width: 1, color: colour("--paper") },
      },
      customdata: own.map(
        (p) =>
          `${escaped(family(p.row))}: ${escaped(p.what)}<br>${number(p.gmacs)} GMAC/s, ${percent(
            (100 * p.gmacs) / study.peak[`${p.row.precision}_gmacs_per_s`],
          )} of the peak`,
      ),
      hovertemplate: "%{customdata}<extra></extra>",
    };
  });
  return {
    data: [...roofs, ...marks],
    layout: layout(lineHeight(rows.length + roofs.length) + 40, {
      showlegend: true,
      xaxis: {
        ...logAxis(xs, "multiplications for each byte of weights (MAC/byte)"),
        range: [Math.log10(low), Math.log10(high)],
      },
      yaxis: logAxis([...points.map((p) => p.gmacs), ...tops.map(([, x]) => x)], "GMAC/s"),
    }),
  };
}

const drawings = {
  latency({ study }) {
    const rows = measured(study).filter((c) => c.latency.samples_ms?.length);
    return {
      data: rows.map((c) => ({
        type: "box",
        orientation: "h",
        name: escaped(c.name),
        y0: c.name,
        x: c.latency.samples_ms,
        boxpoints: "outliers",
        marker: { color: colourOf(c), size: 3, opacity: 0.6 },
        line: { width: 1.5 },
        fillcolor: colourOf(c) + "55",
        hoverinfo: "x+name",
      })),
      layout: layout(barHeight(rows), {
        xaxis: {
          ...logAxis(
            rows.flatMap((c) => c.latency.samples_ms),
            "ms a call (logarithmic)",
          ),
          hoverformat: ".3~f",
        },
        yaxis: names(rows),
        boxgap: 0.35,
      }),
    };
  },
  throughput({ study }) {
    const rows = measured(study).filter((c) => known(speed(c)));
    return bars(
      rows,
      speed,
      (c) =>
        `${escaped(c.name)}<br>${number(
          speed(c),
          4,
        )} texts/s<br>${interval(c.throughput.texts_per_s, 4)}<br>${times(c.throughput.speedup)} baseline`,
      { title: title("texts/s") },
      (c) => c.throughput.texts_per_s,
    );
  },
  rounds({ study }) {
    const rows = inRounds(study),
      scale = roundsScale(rows);
    return {
      data: rows.map((c, i) => ({
        type: "scatter",
        mode: "lines+markers",
        x: c.throughput.blocks.map((b) => b.round + 1),
        y: c.throughput.blocks.map((b) => i - (0.5 * offMean(c, b)) / scale),
        line: { color: colourOf(c), width: 1.5 },
        marker: { color: colourOf(c), size: 5, symbol: c.batch > 1 ? "square" : "circle" },
        customdata: c.throughput.blocks.map(
          (b) => `round ${b.round + 1}: ${number(b.texts / b.seconds)} texts/s, ${number(100 + offMean(c, b))} % of its mean`,
        ),
        hovertemplate: `${escaped(c.name)}<br>%{customdata}<extra></extra>`,
      })),
      layout: layout(barHeight(rows, 5), {
        yaxis: places(rows),
        xaxis: { title: title("round"), showgrid: false, zeroline: false, dtick: roundsOf(rows).length > 20 ? undefined : 1 },
      }),
    };
  },
  sweep({ study }) {
    const rows = sweepOf(study),
      batches = [...new Set(rows.map((s) => s.batch))].sort((a, b) => a - b);
    const points = rows.map((s) => ({
      row: s.row,
      x: s.batch,
      y: speed(s),
      hover: `batch ${s.batch}: ${number(speed(s))} texts/s<br>${interval(s.throughput.texts_per_s)}`,
    }));
    return lines(
      points.sort((a, b) => a.x - b.x),
      {
        yaxis: logAxis(
          points.map((p) => p.y),
          "texts/s",
        ),
        xaxis: { type: "log", title: title("batch size"), tickmode: "array", tickvals: batches, ticktext: batches.map(String) },
      },
    );
  },
  lengths: ({ study }) =>
    byLength(
      lengthsOf(study, true),
      (p) => p.ms,
      (p) => ms(p.ms),
      "ms, median",
    ),
  "lengths-batch": ({ study }) =>
    byLength(
      lengthsOf(study, false),
      (p) => p.tokenRate,
      (p) => `${number(p.rate)} texts/s, ${count(p.tokenRate)} tokens/s`,
      "tokens/s",
    ),
  cost({ study }) {
    const rows = measured(study).filter((c) => known(c.cost?.usd_per_1m_texts)),
      value = (c) => c.cost.usd_per_1m_texts;
    const hover = (c) => `${usd(value(c))} per 1 M texts<br>${usd(c.cost.usd_per_1k_texts)} per 1 K texts<br>${saving(c)}`;
    return bars(
      rows,
      value,
      (c) => `${escaped(c.name)}<br>${hover(c)}`,
      { title: title("USD per 1 M texts"), tickprefix: "$" },
      undefined,
      usd,
    );
  },
  cosine: ({ study }) => cosines(study, "validation"),
  "cosine-wide": ({ study }) => cosines(study, "validation_wide"),
  peak({ study }) {
    const rows = measured(study).filter((c) => known(c.throughput?.peak_percent)),
      value = (c) => c.throughput.peak_percent;
    const hover = (c) =>
      `${percent(value(c))} of the peak in ${escaped(c.precision)}<br>${number(c.throughput.gmacs_per_s)} GMAC/s`;
    return bars(rows, value, (c) => `${escaped(c.name)}<br>${hover(c)}`, {
      title: title("% of the measured peak"),
      range: [0, Math.max(104, ...rows.map((c) => 1.08 * value(c)))],
    });
  },
  roofline,
};

function byLength(points, value, hover, text) {
  const tokens = [...new Set(points.map((p) => Math.round(p.tokens)))];
  return lines(
    points.map((p) => ({
      row: p.row,
      x: p.tokens,
      y: value(p),
      hover: `${escaped(p.texts)}, ${number(p.tokens)} tokens: ${hover(p)}`,
    })),
    {
      yaxis: logAxis(points.map(value), text),
      xaxis: { type: "log", title: title("tokens a text"), tickmode: "array", tickvals: tokens, ticktext: tokens.map(String) },
    },
  );
}

/* Draws every figure that the page has an open place for, at the width it has now. */
function draw() {
  if (!hasPlots) return Promise.resolve();
  const places = [...document.querySelectorAll("[data-figure]")].filter((place) => !place.closest("details:not([open])"));
  return Promise.all(
    places.map((place) => {
      const name = place.dataset.figure,
        drawing = name in comparisons ? comparisons[name](data.studies) : drawings[name](shown);
      return Plotly.react(place.querySelector(".plot"), drawing.data, drawing.layout, {
        displayModeBar: false,
        responsive: true,
      });
    }),
  );
}
