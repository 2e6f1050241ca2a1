/* Running services over HTTP, asked in turn under the same load: words, table, figure. */

const servicesOf = (study) => study.services?.rows ?? [];
const measuredServices = (study) => servicesOf(study).filter((s) => s.state === "measured");
/* A service's colour and mark, by its place among the measured ones; senvec's own is always the same. */
const serviceLooks = [
  ["--onnx-int8", "diamond"],
  ["--torch-fp32", "circle"],
  ["--openvino-int8", "cross"],
  ["--other", "square"],
  ["--onnx-fp32", "triangle-up"],
];
function serviceLook(study, service) {
  if (service.kind === "senvec") return ["--senvec-int8", "hexagon"];
  const others = measuredServices(study).filter((s) => s.kind !== "senvec");
  return serviceLooks[others.findIndex((s) => s.name === service.name) % serviceLooks.length];
}
const curveOf = (study, service) =>
  (study.services?.runs ?? [])
    .filter((run) => run.load === "curve" && run.service === service.name && known(p99(run)))
    .sort((a, b) => a.rate - b.rate);
const servicePoints = (study) =>
  measuredServices(study).flatMap((service) => curveOf(study, service).map((run) => ({ service, run })));
const whyInvalid = (run) => escaped(run.reasons?.[0] ?? "");

function servicesSection(study) {
  const title = '<h2 id="services">Services over HTTP</h2>',
    facts = study.services,
    rows = servicesOf(study);
  if (!rows.length)
    return `${title}<p class="note">Not measured. <code>senvec study services --service NAME=URL</code> asks a running service
      beside <code>senvec serve</code>, on this machine and under the same load.</p>`;
  const points = servicePoints(study),
    bound = exactly(facts.bound_ms);
  /* An interval that spans more than a factor of four says only that the rate isn't known. */
  const rate = (load) => (s) => {
    const texts = s.loads?.[load]?.texts_per_s;
    return known(texts?.value)
      ? number(texts.value) + small(texts.high > 4 * texts.low ? "interval too wide" : interval(texts))
      : dash;
  };
  const columns = [
    { title: "Service", cell: (s) => escaped(s.name) },
    { title: "One client: p50", cell: (s) => ms(s.loads?.single?.p50_ms ?? undefined) },
    { title: `${plural(facts.clients, "client")}: texts/s`, cell: rate("together") },
    { title: `${count(facts.bulk_texts)} texts a request: texts/s`, cell: rate("bulk") },
    {
      title: `Requests/s with p99 within ${bound}`,
      cell: (s) => (s.best?.rate > 0 ? number(heldRate(s.best)) : s.best ? "none" : dash),
    },
    { title: "Cosine: mean, least", cell: (s) => cosine(s.cosine_mean) + small(cosine(s.cosine_min)) },
    { title: "First answer after", cell: (s) => duration(s.cold_start_s) },
    { title: "Memory: one, two", cell: (s) => megabytes(s.pss_bytes) + small(megabytes(s.pss_2_bytes)) },
  ];
  return (
    `${title}<p>Each service is asked over HTTP on this machine, one at a time and in turn, by the same clients and at the same
    rates. The load generator runs beside it on the same CPUs. Cosines compare the vectors of
    ${plural(measuredServices(study)[0]?.texts ?? 0, "text")} with ${escaped(facts.reference || "no reference")}. The time to the
    first answer and the memory of one and of two processes are those of services that the study started itself.</p>` +
    table(columns, rows) +
    (points.length
      ? figure(
          "services",
          "Latency of services under load",
          `The 99th percentile of latency against the rate of single texts that come at random, on a logarithmic axis; the line
      across is the bound of ${bound}. A service that doesn't hold a rate isn't asked for higher ones. A hollow mark is a run
      that isn't valid.`,
          [
            { title: "Service", cell: (p) => escaped(p.service.name) },
            { title: "Rate", cell: (p) => `${number(p.run.rate)}/s` },
            { title: "p50", cell: (p) => ms(p.run.latency_ms.p50) },
            { title: "p95", cell: (p) => ms(p.run.latency_ms.p95 ?? undefined) },
            { title: "p99", cell: (p) => ms(p99(p.run)) },
            { title: "Refused", cell: (p) => percent(100 * refusedPart(p.run), 2) },
            { title: "Valid", cell: (p) => (p.run.valid ? "yes" : `no: ${whyInvalid(p.run)}`) },
          ],
          points,
        )
      : "")
  );
}

drawings.services = ({ study }) =>
  curvesUnderLoad(
    measuredServices(study).map((service) => {
      const [name, symbol] = serviceLook(study, service);
      return {
        title: service.name,
        colour: name,
        symbol,
        dash: "solid",
        hover: (run) =>
          `${escaped(service.name)}, ${number(run.rate)} requests/s<br>p99 ${ms(p99(run))}, p50 ${ms(run.latency_ms.p50)}${
            run.valid ? "" : `<br>not valid: ${whyInvalid(run)}`
          }`,
        runs: curveOf(study, service),
      };
    }),
    study.services.bound_ms,
  );
