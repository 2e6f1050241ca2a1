#!/usr/bin/env python3
"""onnx_parity --senvec PROGRAM --tiny DIR: exported models against PyTorch, in ONNX Runtime and OpenVINO.

Runs on the tiny model and, where it is there, on the real one (SENVEC_TEST_MODEL, else the cache). Prints the figures that it
checks. `--bench` also times the int8 models beside the file of onnxruntime's quantize_dynamic.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel, AutoTokenizer
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

SEED = 7
WORDS = """python data design team cloud budget sales customer project training report server kernel garden music safety
    nursing welding law tax planning history river novel protein market analysis support quality energy logistics language
    teaching recipes repair network security testing statistics vision speech robotics finance contract ethics""".split()

# Short descriptions of skills, as they stand in a listing.
SKILLS = [
    "Designing relational databases and writing fast SQL queries for reporting",
    "Leading small software teams through planning, review and delivery",
    "Teaching beginners to play the guitar with simple songs",
    "Building mobile applications for Android with Kotlin and clean architecture",
    "Preparing yearly tax returns for freelancers and small companies",
    "Training neural networks for image recognition on medical scans",
    "Writing clear technical documentation for programming interfaces",
    "Repairing bicycles, from brakes and gears to wheel building",
    "Planning search engine marketing campaigns with a limited budget",
    "Automating cloud infrastructure with containers and continuous deployment",
    "Translating legal contracts between German and English",
    "Coaching sales staff in negotiation and customer conversations",
    "Analysing survey data with statistics and readable charts",
    "Cooking vegetarian meals for large groups with seasonal vegetables",
    "Testing web applications for security holes and fixing them",
    "Editing short films with colour correction and sound mixing",
    "Installing and maintaining electrical systems in private homes",
    "Forecasting energy demand with time series models in Python",
    "Managing warehouse logistics and stock for an online shop",
    "Growing herbs and vegetables on a small city balcony",
]


def mixed_texts(count):
    """Texts of 1 to 300 words, so of 1 to 256 tokens after truncation; some with nothing in them."""
    chance = random.Random(SEED)
    lengths = [0, 1, 2, 3, 300] + [min(300, int(chance.expovariate(1 / 40)) + 1) for _ in range(count - 5)]
    return [" ".join(chance.choices(WORDS, k=length)) for length in lengths]


class Model:
    """The PyTorch reference, its tokenizer, and the texts' padded batches."""

    def __init__(self, directory, maximum):
        self.directory = directory
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.network = AutoModel.from_pretrained(directory).eval()
        self.maximum = maximum

    def batches(self, texts, size, tokenizer=None):
        for start in range(0, len(texts), size):
            encoded = (tokenizer or self.tokenizer)(texts[start:start + size], padding=True, truncation=True,
                                                    max_length=self.maximum, return_tensors="np")
            feed = {name: value.astype(np.int64) for name, value in encoded.items()}
            feed.setdefault("token_type_ids", np.zeros_like(feed["input_ids"]))
            yield feed

    def hidden(self, feed):
        with torch.inference_mode():
            return self.network(**{name: torch.from_numpy(value) for name, value in feed.items()}).last_hidden_state.numpy()


def open_session(path, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def pool(hidden, mask):
    mask = mask[..., None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def embed(model, run, texts, size=1):
    return np.concatenate([pool(run(feed), feed["attention_mask"]) for feed in model.batches(texts, size)])


def export(arguments, command, directory, out, *options):
    begin = time.monotonic()
    subprocess.run([arguments.senvec, command, "-q", "-m", directory, *options, str(out)], check=True)
    return time.monotonic() - begin


class Check:
    def __init__(self):
        self.failed = 0

    def __call__(self, holds, text):
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {text}", flush=True)


def check_fp32(check, arguments, model, folder):
    seconds = export(arguments, "export", model.directory, folder, "--with-pooling")
    path = folder / "model.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    check(seconds < 3, f"export: {seconds:.2f} s (at most 3), {path.stat().st_size:,} bytes, onnx.checker full_check passes")
    session = open_session(path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    worst = worst_vector = 0.0
    for feed in model.batches(mixed_texts(200), 16, tokenizer):
        hidden, vectors = session.run(["last_hidden_state", "sentence_embedding"], feed)
        expected = model.hidden(feed)
        kept = feed["attention_mask"] == 1
        worst = max(worst, float(np.abs(hidden - expected)[kept].max()))
        worst_vector = max(worst_vector, float(np.abs(vectors - pool(expected, feed["attention_mask"])).max()))
    check(worst <= 1e-5, f"last_hidden_state: {worst:.2e} from PyTorch at most (1e-5); 200 texts of 1 to 256 tokens, "
          "batches of 16")
    check(worst_vector <= 1e-6, f"sentence_embedding: {worst_vector:.2e} from PyTorch and mean pooling at most (1e-6)")
    fused = optimized_ops(path)
    check(fused.get("SkipLayerNormalization", 0) >= 2 and fused.get("BiasGelu", 0) >= 2,
          f"ONNX Runtime fuses {fused.get('SkipLayerNormalization')} SkipLayerNormalization, {fused.get('BiasGelu')} BiasGelu")


def check_sentence_transformers(check, model, folder):
    """The folder in sentence-transformers: its modules as they are, or, where optimum is here, all of it by backend="onnx"."""
    import sentence_transformers
    from sentence_transformers.models import Normalize, Pooling
    texts = [*SKILLS, "", "THE END", "word " * 400]
    expected = sentence_transformers.SentenceTransformer(model.directory, device="cpu").encode(texts)
    version = sentence_transformers.__version__
    listed = json.loads((folder / "modules.json").read_text())
    classes = {item["type"].rsplit(".", 1)[1]: folder / item["path"] for item in listed}
    check([*classes][:2] == ["Transformer", "Pooling"], f"modules.json: {', '.join(classes)}")
    options = json.loads((folder / "sentence_bert_config.json").read_text())
    session = open_session(folder / "model.onnx")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    feed = tokenizer(texts, padding=True, truncation=True, max_length=options["max_seq_length"], return_tensors="np")
    feed = {name: feed[name].astype(np.int64) if name in feed else np.zeros_like(feed["input_ids"], dtype=np.int64)
            for name in ("input_ids", "attention_mask", "token_type_ids")}
    features = {"token_embeddings": torch.from_numpy(session.run(["last_hidden_state"], feed)[0]),
                "attention_mask": torch.from_numpy(feed["attention_mask"])}
    features = Pooling.load(str(classes["Pooling"]))(features)
    if "Normalize" in classes:
        features = Normalize()(features)
    worst = float(np.abs(features["sentence_embedding"].numpy() - expected).max())
    check(worst <= 1e-5, f"the modules of the folder in sentence-transformers {version}: {worst:.2e} at most (1e-5)")
    try:
        import optimum.onnxruntime  # noqa: F401
    except Exception as error:  # it wants an older transformers than the one that is here
        print(f'     backend="onnx" not tried: {str(error).splitlines()[0]}')
        return
    opened = sentence_transformers.SentenceTransformer(str(folder), backend="onnx", device="cpu")
    worst = float(np.abs(opened.encode(texts) - expected).max())
    check(worst <= 1e-5 and opened.max_seq_length == options["max_seq_length"],
          f'SentenceTransformer(DIR, backend="onnx") {version}: {worst:.2e} at most (1e-5), {opened.max_seq_length} tokens')


def optimized_ops(path):
    """How often each operator stands in the graph that ONNX Runtime makes of a file."""
    with tempfile.TemporaryDirectory() as scratch:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(scratch) / "optimized.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        counts = {}
        for node in onnx.load(options.optimized_model_filepath).graph.node:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
        return counts


def check_int8(check, arguments, model, scratch, real):
    reference = embed(model, model.hidden, SKILLS)
    wide = [text for text in mixed_texts(40) if text]
    wide_reference = embed(model, model.hidden, wide)
    quantize_dynamic(str(scratch / "fp32/model.onnx"), str(scratch / "dynamic.onnx"), weight_type=QuantType.QInt8)
    cosines = {}
    paths = {"quantize_dynamic": scratch / "dynamic.onnx"}
    for name, options in (("default", []), ("no smoothing", ["--no-smoothing"]), ("per tensor", ["--per-tensor"])):
        folder = scratch / name.replace(" ", "-")
        seconds = export(arguments, "quantize", model.directory, folder, *options)
        paths[name] = folder / "model.onnx"
        onnx.checker.check_model(str(paths[name]), full_check=True)
        size = paths[name].stat().st_size
        check(seconds < 3 and size <= 23_000_000, f"quantize, {name}: {seconds:.2f} s (3), {size:,} bytes (23,000,000)")
    for name, path in paths.items():
        session = open_session(path)
        run = lambda feed: session.run(["last_hidden_state"], feed)[0]
        short = (embed(model, run, SKILLS) * reference).sum(1)
        long = (embed(model, run, wide) * wide_reference).sum(1)
        cosines[name] = short
        print(f"     {name}: cosine mean {short.mean():.5f} min {short.min():.5f}; word lists of 1 to 256 tokens, mean "
              f"{long.mean():.5f} min {long.min():.5f}")
        ops = optimized_ops(path)
        fused = ops.get("DynamicQuantizeMatMul", 0) + ops.get("MatMulIntegerToFloat", 0)
        check(fused > 0 and "MatMulInteger" not in ops, f"{name}: ONNX Runtime fuses all {fused} integer products")
    check(abs(cosines["per tensor"].mean() - cosines["quantize_dynamic"].mean()) <= 0.01,
          "per tensor: mean within 0.01 of quantize_dynamic")
    if real:
        check(cosines["default"].mean() >= 0.993 and cosines["default"].min() >= 0.985,
              f"default: mean {cosines['default'].mean():.5f} (0.993), min {cosines['default'].min():.5f} (0.985)")
    return paths


def check_openvino(check, model, scratch, paths):
    try:
        import openvino
    except ImportError:
        print("     OpenVINO isn't installed: not tried")
        return
    feed = next(model.batches(SKILLS[:4], 4))
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(str(scratch / "fp32/model.onnx")), "CPU",
                                  {"INFERENCE_PRECISION_HINT": "f32"})
    difference = float(np.abs(pool(compiled(feed)["last_hidden_state"], feed["attention_mask"])
                              - pool(model.hidden(feed), feed["attention_mask"])).max())
    version = openvino.__version__.split("-")[0]
    check(difference < 1e-4, f"OpenVINO {version} opens fp32: vectors {difference:.2e} from PyTorch at most")
    core.compile_model(core.read_model(str(paths["default"])), "CPU")
    check(True, "OpenVINO opens int8")


def bench(check, model, paths):
    for label, feed in (("one text", next(model.batches(SKILLS[:1], 1))), ("20 texts", next(model.batches(SKILLS, 20)))):
        sessions = {name: open_session(path) for name, path in paths.items()}
        times = {name: [] for name in sessions}
        order, chance = list(sessions), random.Random(SEED)
        for _ in range(60):
            chance.shuffle(order)
            for name in order:
                sessions[name].run(["last_hidden_state"], feed)
                begin = time.perf_counter()
                sessions[name].run(["last_hidden_state"], feed)
                times[name].append(time.perf_counter() - begin)
        ratios = {name: statistics.median(base / own for base, own in zip(times["quantize_dynamic"], samples))
                  for name, samples in times.items()}
        for name, samples in times.items():
            print(f"     {label}, one thread, {name}: {statistics.median(samples) * 1e3:.3f} ms, "
                  f"{ratios[name]:.3f} x quantize_dynamic")
        check(ratios["default"] >= 0.95, f"{label}: default at {ratios['default']:.3f} x the speed of quantize_dynamic (0.95)")


def find_real_model():
    given = os.environ.get("SENVEC_TEST_MODEL")
    if given:
        return given
    cache = os.environ.get("SENVEC_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "senvec"
    folder = Path(cache) / "models" / "sentence-transformers--all-MiniLM-L6-v2"
    return str(folder) if (folder / "config.json").is_file() else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--senvec", required=True)
    parser.add_argument("--tiny", required=True)
    parser.add_argument("--bench", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    check = Check()
    models = [("tiny", arguments.tiny, 64)]
    real = find_real_model()
    if real:
        models.append(("real", real, 256))
    for name, directory, maximum in models:
        print(f"{name} model")
        model = Model(directory, maximum)
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch)
            check_fp32(check, arguments, model, scratch / "fp32")
            check_sentence_transformers(check, model, scratch / "fp32")
            paths = check_int8(check, arguments, model, scratch, name == "real")
            check_openvino(check, model, scratch, paths)
            if arguments.bench and name == "real":
                bench(check, model, paths)
    if not real:
        print("the real model isn't there ('senvec pull all-MiniLM-L6-v2' fetches it): tiny model only")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
