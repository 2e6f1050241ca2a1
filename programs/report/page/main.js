/* Puts the page together and keeps it right: another study, dark or light, narrow or wide, paper. */

let shown = data.studies[0];

function render() {
  for (const entry of data.studies) entry.study.environment ??= {};
  document.getElementById("page").innerHTML =
    (data.studies.length > 1 ? sideBySide(data.studies) : "") +
    `<div id="full">${full(shown.study)}</div>
    <p class="note">Made by senvec ${escaped(data.senvec_version)}${
      hasPlots ? `; plots by plotly.js ${escaped(Plotly.version)}` : ""
    }.</p>`;
  document.getElementById("which")?.addEventListener("change", (event) => {
    shown = data.studies[Number(event.target.value)];
    document.getElementById("full").innerHTML = full(shown.study);
    draw();
  });
  return draw();
}

/* A part opens when a link leads into it; "Open all" opens the rest. What is drawn while folded has no size yet. */
function unfold(parts = document.querySelectorAll("details.part")) {
  for (const part of parts) part.open = true;
  return draw();
}
function openTarget() {
  const target = document.getElementById(location.hash.slice(1)),
    part = target?.closest("details.part");
  if (part && !part.open) unfold([part]).then(() => target.scrollIntoView());
}
addEventListener("hashchange", openTarget);
document.addEventListener("click", (event) => {
  if (event.target.id === "unfold") unfold();
  if (event.target.closest?.("nav a")) setTimeout(openTarget);
});
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.open) draw();
  },
  true,
);

/* Where a picture comes from, for a slide that the page isn't beside. */
function sourceLine() {
  const entries = data.studies,
    { study } = entries[0],
    e = study.environment;
  const what =
    entries.length > 1
      ? `studies ${entries.map(label).join(", ")}`
      : [e.model?.name, e.machine?.cpu, plural(study.options.threads, "thread"), (study.created ?? "").slice(0, 10)]
          .filter(Boolean)
          .join(", ");
  return `Source: senvec study ${data.senvec_version}; ${what}${
    entries.every((entry) => quotable(entry.study)) ? "" : "; the machine was busy: don't quote"
  }`;
}
/* A figure as SVG, with its title and where it comes from; "" where nothing is drawn. */
function pictureOf(name) {
  const place = document.getElementById(`figure-${name}`),
    plot = place?.querySelector(".plot.js-plotly-plot");
  if (!plot) return "";
  const { layout: own } = plot,
    width = plot.clientWidth,
    height = own.height + 96,
    legend = own.showlegend ? (plot.querySelector(".legend .bg")?.getBBox().height ?? 0) : 0,
    above = 56 + own.margin.t + legend,
    below = own.margin.b + 40;
  const words = (text, size, ink, place) => ({
    xref: "paper",
    yref: "paper",
    xanchor: "left",
    x: 0,
    showarrow: false,
    text: escaped(text),
    font: { size, color: colour(ink) },
    ...place,
  });
  return Plotly.toImage(
    {
      data: plot.data,
      layout: {
        ...own,
        width,
        height,
        paper_bgcolor: colour("--paper"),
        margin: { ...own.margin, t: above, b: below },
        annotations: [
          ...(own.annotations ?? []),
          words(place.querySelector("h3").textContent, 18, "--ink", { y: 1, yanchor: "top", yshift: above - 12 }),
          words(sourceLine(), 11, "--soft", { y: 0, yanchor: "bottom", yshift: 4 - below }),
        ],
      },
    },
    { format: "svg", width, height, imageDataOnly: true },
  );
}

/* For those who take pictures of the page. */
// biome-ignore lint/correctness/noUnusedVariables: browser.c calls it
const report = {
  ready: render()
    .then(openTarget)
    .then(() => document.fonts.ready)
    .then(() => true),
  unfold: () => unfold().then(() => true),
  figures: () =>
    [...document.querySelectorAll("[data-figure]")].map((place) => {
      const box = place.getBoundingClientRect();
      return { name: place.dataset.figure, x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height };
    }),
  /* A line below each figure says where it comes from. */
  name: () => {
    for (const figure of document.querySelectorAll("figure")) figure.dataset.source = sourceLine();
    return true;
  },
  picture: pictureOf,
  page: () => [{ x: 0, y: 0, width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight }],
};

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
/* Labels break differently on a narrow page. */
let wasNarrow = narrow();
addEventListener("resize", () => {
  if (wasNarrow !== narrow()) {
    wasNarrow = narrow();
    draw();
  }
});
/* Paper is white, and as wide as paper is. */
for (const [event, onPaper] of [
  ["beforeprint", true],
  ["afterprint", false],
])
  addEventListener(event, () => {
    document.documentElement.classList.toggle("paper", onPaper);
    if (onPaper) unfold();
    else draw();
  });
