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
