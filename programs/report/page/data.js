"use strict";
/* What every part of the page uses: the data, numbers as text, tables, and what a study says about itself. */
const data = JSON.parse(document.getElementById("data").textContent);
const hasPlots = typeof Plotly !== "undefined" && !data.no_plots;

/* ---------------------------------------------------------------- numbers */

const known = (x) => typeof x === "number" && Number.isFinite(x);
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
/* As somebody chose it. */
const exactly = (x) => (known(x) ? unit(plain(x), "ms") : dash);
const megabytes = (bytes) =>
  !bytes ? dash : bytes < 4 * 2 ** 30 ? unit(number(bytes / 2 ** 20), "MB") : unit(number(bytes / 2 ** 30), "GB");

/* An error: what is below a millionth doesn't matter to anybody. */
const tiny = (x) => (known(x) && x < 1e-6 ? "below 0.000001" : number(x, 2));

/* A part that is kept, rounded down, so that 100 % means all. */
const kept = (part) => (known(part) ? unit(part >= 1 ? "100" : (Math.floor(1000 * part) / 10).toFixed(1), "%") : dash);

/* A cosine, rounded down, so that 1 means 1: as many nines as there are, and two digits more. */
function cosine(x) {
  if (!known(x)) return dash;
  const off = 1 - x,
    decimals = off <= 0 ? 6 : Math.min(9, Math.max(4, Math.ceil(-Math.log10(off)) + 1));
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
const interval = (e, digits = 3) =>
  e && known(e.low) && known(e.high) && e.low < e.high
    ? `${fixed(e.low, e.value, digits)} to ${fixed(e.high, e.value, digits)}`
    : "";
const times = (e) => (e && known(e.value) ? fixed(e.value, e.value) + "×" : dash);

/* ------------------------------------------------------------- the document */

const escaped = (text) =>
  String(text ?? "").replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const small = (text) => (text ? ` <small>${escaped(text)}</small>` : "");

/* columns: {title, cell(row) -> HTML, text: left-aligned}. An unmeasured row shows its reason across the columns. */
function table(columns, rows, rowClass = () => "") {
  const head = columns.map((c) => `<th${c.text ? ' class="text"' : ""}>${escaped(c.title)}</th>`).join("");
  const body = rows
    .map((row) => {
      if (row.state && row.state !== "measured")
        return `<tr class="lost"><td>${escaped(row.name)}</td><td class="reason" data-label="${escaped(row.state)}"
        colspan="${columns.length - 1}"><span><b class="bad">${escaped(row.state)}</b>${
          row.reason ? ": " + escaped(row.reason) : ""
        }</span></td></tr>`;
      return (
        `<tr class="${rowClass(row)}">` +
        columns
          .map((c) => `<td${c.text ? ' class="text"' : ""} data-label="${escaped(c.title)}"><span>${c.cell(row)}</span></td>`)
          .join("") +
        "</tr>"
      );
    })
    .join("");
  return `<table${rows.length <= 8 ? ' class="short"' : ""}><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`;
}

/* A heading and a place for a plot, with its data as a table below, which stands open where plots can't be drawn. */
function figure(name, title, caption, columns, rows) {
  const body = table(columns, rows);
  return `<figure id="figure-${name}" data-figure="${name}"><h3>${escaped(title)}</h3>${
    hasPlots ? `<div class="plot" id="plot-${name}"></div>` : body
  }
    <figcaption>${caption}</figcaption></figure>${
      hasPlots ? `<details><summary>The figure's data as a table</summary>${body}</details>` : ""
    }`;
}
const facts = (pairs) =>
  `<dl class="facts">${pairs
    .filter(([, value]) => value !== undefined && value !== null && value !== "")
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${value}</dd>`)
    .join("")}</dl>`;

/* ---------------------------------------------------------------- the study */

const measured = (study) => study.configurations.filter((c) => c.state === "measured");
const speed = (c) => c?.throughput?.texts_per_s?.value;
const p50 = (c) => c?.latency?.p50_ms;
/* The median with its interval, which a row under load and older studies don't have. */
const p50Range = (c) => ({ value: p50(c), low: c?.latency?.p50_low_ms, high: c?.latency?.p50_high_ms });
const best = (rows, value, sign = 1) => rows.filter((c) => known(value(c))).sort((a, b) => sign * (value(b) - value(a)))[0];
const find = (study, name) => study.configurations.find((c) => c.name === name);
const baselineOf = (study) => find(study, study.baseline);
/* The engine behind the batcher: requests of many callers, at the highest rate within a bound of latency. */
const isUnderLoad = (c) => c.runtime === "batcher";
const isReference = (study, c) => c.name === study.reference;
/* The same measure of accuracy for everyone; the reference's own vectors have none to be compared with. */
const accuracy = (c) => c.validation?.cosine_mean;

/* "PyTorch" of "PyTorch (batch=32)": what keeps one colour all over the page. */
const family = (c) => c.name.replace(/ \([^()]*\)$/, "");
const tokensOfCorpus = (study) => {
  const row = measured(study).find((c) => c.corpus_tokens > 0),
    used = study.environment.texts?.used;
  return row && used ? row.corpus_tokens / used : undefined;
};

/* Measured beside the rows' own benchmark: batch sizes ("sweep"), texts of other lengths ("length"); with their row. */
const series = (study, kind) =>
  (study.series ?? [])
    .filter((s) => s.kind === kind)
    .map((s) => ({ ...s, row: find(study, s.configuration) }))
    .filter((s) => s.row);

/* Configurations that weren't measured, those with the same reason together: "A, B (missing): why". */
function lost(rows) {
  const groups = new Map();
  for (const c of rows.filter((c) => c.state !== "measured")) {
    const why = `(${c.state})${c.reason ? ": " + c.reason : ""}`;
    groups.set(why, [...(groups.get(why) ?? []), c.name]);
  }
  return [...groups].map(([why, names]) => `${names.join(", ")} ${why}`);
}
/* The same below a figure or table that they belong into. */
const absent = (rows) => {
  const list = lost(rows);
  return list.length ? `<p class="note">Not in it: ${list.map(escaped).join("; ")}.</p>` : "";
};
