/* The pipeline, step by step: what was done, why, what it bought and what it cost. */

/* What a step of the pipeline is and why, by runtime and precision; `from` is the step that it goes on from. */
const steps = [
  {
    runtime: "torch",
    title: "PyTorch: the baseline",
    what: "sentence-transformers as most teams run it, in fp32, on the CPU.",
    why: "Everything else is judged against it: its speed is the yardstick, and its vectors are the ones to reproduce.",
  },
  {
    runtime: "onnxruntime",
    precision: "fp32",
    title: "Export to ONNX",
    from: ["torch", "fp32"],
    what: "The encoder as an ONNX graph by senvec export, run by ONNX Runtime; tokenizer, pooling and normalisation stay.",
    why: "A fixed graph needs no Python between its operators, and the runtime fuses them.",
  },
  {
    runtime: "onnxruntime",
    precision: "int8",
    title: "INT8 quantization of the ONNX file",
    from: ["onnxruntime", "fp32"],
    what: "Weights stored as 8-bit integers, activations quantized while running (dynamic quantization), by senvec quantize.",
    why: "A quarter of the bytes to read, and integer arithmetic where the CPU has instructions for it.",
  },
  {
    runtime: "openvino",
    title: "OpenVINO: the strongest rival",
    from: ["onnxruntime", "int8"],
    what: "The ONNX file through OpenVINO; in int8 calibrated by NNCF on sample texts.",
    why: "It is the runtime that a team on x86 CPUs would try next.",
  },
  {
    runtime: "senvec",
    precision: "fp32",
    title: "senvec in fp32: own kernels",
    from: ["onnxruntime", "fp32"],
    what: "The encoder in C with kernels for this CPU. Texts of a batch are laid end to end, so padding is never computed.",
    why: "The arithmetic is PyTorch's, so accuracy costs nothing; what is gained comes from doing less around it.",
  },
  {
    runtime: "senvec",
    precision: "bf16",
    title: "senvec in bf16",
    from: ["senvec", "fp32"],
    what: "Weights and activations in 16 bits, sums in 32.",
    why: "Half of the bytes in memory, and twice the arithmetic where the CPU has bf16 instructions.",
  },
  {
    runtime: "senvec",
    precision: "int8",
    title: "senvec in int8",
    from: ["senvec", "fp32"],
    what: "8-bit weights for each output channel, 8-bit activations with a scale of each token, exact 32-bit sums.",
    why: "The most arithmetic that the CPU offers. A scale for each token keeps a text's vector the same in any batch.",
  },
];
const stepOf = (c) =>
  isUnderLoad(c)
    ? {
        title: "Adaptive batching",
        what: "Requests that arrive one by one are gathered into batches while others are computed.",
        why: "Under load a batch is cheaper for each text; without load nobody should wait for one.",
      }
    : (steps.find((s) => s.runtime === c.runtime && (!s.precision || s.precision === c.precision)) ?? {
        title: c.step || c.runtime,
        what: c.step || "",
        why: "",
      });

const manner = (c) =>
  isUnderLoad(c) ? "Single texts of many callers" : c.batch > 1 ? `In batches of ${count(c.batch)}` : "One text at a time";

/* What a row bought, against the baseline and, where that is PyTorch, against PyTorch with the same batch. */
function bought(c, base) {
  const like = c.throughput.speedup_same_batch,
    compared = base.runtime === "torch" && c.runtime !== "torch" && c.batch > 1;
  const same = compared && known(like?.value) ? `, ${times(like)} PyTorch in the same batches` : "";
  if (isUnderLoad(c)) return underLoad(c);
  const against = c === base || !known(c.throughput.speedup?.value) ? "" : `, ${times(c.throughput.speedup)} the baseline`;
  const before = c !== base && c.batch === 1 && base.batch === 1 && known(p50(base)) ? ` instead of ${ms(p50(base))}` : "";
  return `${manner(c)}: ${number(speed(c))} texts/s${same}${against}${
    known(p50(c)) ? `; a call takes ${ms(p50(c))} at the median${before}` : ""
  }.`;
}

const underLoad = (c) =>
  `${manner(c)}, arriving at random: up to ${number(speed(c))} texts/s${
    known(c.throughput.speedup?.value) ? `, ${times(c.throughput.speedup)} the baseline,` : ""
  } while half of them are answered within ${ms(p50(c))} and 99 in 100 within ${ms(c.latency.p99_ms)}.`;

/* The gain over the step that this one goes on from. */
function gain(study, step, ran) {
  if (!step.from || step.from[0] === "torch" || !quotable(study)) return [];
  const before = measured(study).filter((c) => c.runtime === step.from[0] && c.precision === step.from[1]);
  const ratios = ran
    .map((c) => [c, before.find((b) => b.batch === c.batch)])
    .filter(([c, b]) => b && known(speed(c) / speed(b)));
  return ratios.length
    ? [
        `Against ${escaped(family(ratios[0][1]))}: ${ratios
          .map(([c, b]) => `${number(speed(c) / speed(b))}× ${c.batch > 1 ? "in batches" : "one at a time"}`)
          .join(", ")} its texts/s.`,
      ]
    : [];
}

/* As close as fp32 arithmetic in another order comes. */
const isSame = (v) => v.cosine_min > 0.999999 && !(v.neighbours < 1);
const agreement = (v) =>
  isSame(v)
    ? `the same vectors, cosine ${cosine(v.cosine_min)} at worst`
    : `cosine ${cosine(v.cosine_mean)} on average, ${cosine(v.cosine_min)} at worst` +
      (known(v.neighbours) ? `, ${kept(v.neighbours)} of the ten nearest neighbours kept` : "");

/* What a step cost in accuracy: one line where its rows agree, one for each where they don't. */
function lostAccuracy(study, ran) {
  if (ran.some((c) => isReference(study, c))) return ["Nothing: these are the vectors that the others are compared with."];
  if (ran.every(isUnderLoad)) return ["Nothing more: a text's vector has the same bits alone and in any batch."];
  const said = new Map();
  for (const c of ran.filter((c) => known(accuracy(c)))) {
    const wide = known(c.validation_wide?.cosine_mean);
    const text = `${wide ? "corpus: " : ""}${agreement(c.validation)}${
      wide ? `; wide set: ${agreement(c.validation_wide)}` : ""
    }.`;
    said.set(text, [...(said.get(text) ?? []), manner(c)]);
  }
  if (!said.size) return ["Not measured."];
  return [...said].map(([text, who]) => (said.size > 1 ? `${who.join(", ")}, ${text}` : text[0].toUpperCase() + text.slice(1)));
}

function size(ran, base) {
  const model = ran.find((c) => c.model_bytes),
    memory = best(
      ran.filter((c) => c.peak_rss_bytes),
      (c) => c.peak_rss_bytes,
      -1,
    );
  if (!model || !memory) return "";
  if (ran.includes(base))
    return `A model of ${megabytes(model.model_bytes)}; ${megabytes(base.peak_rss_bytes)} of memory at
    the peak.`;
  return `A model of ${megabytes(model.model_bytes)}${
    megabytes(model.model_bytes) === megabytes(base.model_bytes)
      ? ", as large as the baseline's"
      : ` instead of ${megabytes(base.model_bytes)}`
  }; ${megabytes(memory.peak_rss_bytes)} of
    memory at the peak instead of ${megabytes(base.peak_rss_bytes)}.`;
}

/* One entry for each step of the pipeline that the study has rows of. */
function story(study) {
  const groups = new Map(),
    base = baselineOf(study);
  for (const c of study.configurations) {
    const step = stepOf(c);
    if (!groups.has(step.title)) groups.set(step.title, { step, rows: [] });
    groups.get(step.title).rows.push(c);
  }
  const wide = measured(study).find((c) => c.validation_wide?.texts)?.validation_wide.texts;
  let html = `<h2 id="story">The pipeline, step by step</h2>
    <p>Every step is measured in the same run, with the same texts and threads. What it bought is stated against the baseline${
      base?.runtime === "torch" ? ", PyTorch in the same batches," : ""
    } and the step that it goes on from.${
      wide
        ? ` The wide set is ${plural(wide, "text")} of all lengths and many
    subjects, beside the corpus.`
        : ""
    }</p>`,
    place = 0;
  const part = (title, lines, css = "") => (lines.length ? `<dt>${title}</dt><dd${css}>${lines.join("<br>")}</dd>` : "");
  for (const { step, rows } of groups.values()) {
    const ran = rows.filter((c) => c.state === "measured");
    html += `<div class="step" style="--mark:var(${colourName(rows[0])})"><h3>${++place}. ${escaped(step.title)}</h3><dl>
      ${part("What was done", [escaped(step.what)])}${part("Why", step.why ? [escaped(step.why)] : [])}
      ${part("What it bought", [...ran.map((c) => bought(c, base)), ...gain(study, step, ran)])}
      ${part("What it cost", ran.length ? [...lostAccuracy(study, ran), size(ran, base)].filter(Boolean) : [])}
      ${part("Not measured", lost(rows).map(escaped), ' class="bad"')}</dl></div>`;
  }
  return html;
}
