"""One process that runs one peer of senvec: PyTorch, ONNX Runtime or OpenVINO, behind the study's line protocol
(programs/study/worker.h has its definition).

A request is one JSON object a line on standard input, a reply one on standard output. No logic of the study lives here: the
study says what to run and how often, this program runs it and times it. A backend is a class with

    packages            modules without which it can't run
    __init__(request)   loads the model
    about()             what it says of itself: versions, settings, model_bytes, dimensions, max_seq_length
    encode(texts)       list of str -> float32 array [len(texts), dimensions]
    tokens(text)        number of tokens that encode computes for one text, [CLS] and [SEP] included
    prepare(request)    makes the files that it loads, where the study didn't; a static method
"""

import hashlib
import importlib.util
import json
import os
import platform
import sys
import time


class Torch:
    """sentence-transformers as its documentation shows it: SentenceTransformer(...).encode(texts)."""

    packages = ["torch", "sentence_transformers"]

    def __init__(self, request):
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(request["threads"])
        self.torch = torch
        self.model = SentenceTransformer(request["model"], device="cpu", local_files_only=True)
        self.model.eval()
        self.folder = request["model"]

    def about(self):
        return {
            "versions": versions("torch", "sentence-transformers", "transformers", "tokenizers", "numpy"),
            "settings": {
                "call": "SentenceTransformer.encode, its defaults",
                "torch threads": self.torch.get_num_threads(),
                "torch interop threads": self.torch.get_num_interop_threads(),
                "torch cpu capability": self.torch.backends.cpu.get_cpu_capability(),
                "attention": getattr(self.model[0].auto_model.config, "_attn_implementation", None),
            },
            "model_bytes": weights_bytes(self.folder),
            "dimensions": dimensions(self.model),
            "max_seq_length": self.model.max_seq_length,
        }

    def encode(self, texts):
        return self.model.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True)

    def tokens(self, text):
        ids = self.model.tokenizer(text, truncation=True, max_length=self.model.max_seq_length)["input_ids"]
        return len(ids)


def dimensions(model):
    """The vectors' length; the method was renamed in sentence-transformers 5.4."""
    name = "get_embedding_dimension"
    return getattr(model, name if hasattr(model, name) else "get_sentence_embedding_dimension")()


def weights_bytes(folder):
    """The weights that transformers loads: one file or several, in the first module's folder."""
    modules = read_json(folder, "modules.json") or [{"path": ""}]
    folder = os.path.join(folder, modules[0]["path"])
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        names = set(read_json(folder, index).get("weight_map", {}).values())
        if names:
            break
    names = names or {name for name in ("model.safetensors", "pytorch_model.bin") if os.path.exists(os.path.join(folder, name))}
    return sum(os.path.getsize(os.path.join(folder, name)) for name in names)


class Encoder:
    """What a runtime of ONNX files needs around it: the model's tokenizer by its own rules, its default prompt, pooling and
    normalisation. Texts of a batch are padded to the longest. What of the modules can't be done here is named as missing.
    All of it is read from the exported folder, where each file has one place. A subclass brings run(inputs) ->
    last_hidden_state [texts, tokens, dimensions] for the inputs that its model takes."""

    def __init__(self, request):
        import numpy
        from tokenizers import Tokenizer

        self.numpy = numpy
        folder = request["source"]
        config = read_json(folder, "config.json")
        self.max_seq_length = read_json(folder, "sentence_bert_config.json")["max_seq_length"]
        self.tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        # The file's own truncation and padding are not what sentence-transformers does with this model.
        self.tokenizer.enable_truncation(self.max_seq_length)
        self.tokenizer.enable_padding(pad_id=config.get("pad_token_id") or 0)
        options = read_json(folder, "config_sentence_transformers.json")
        self.prompt = options.get("prompts", {}).get(options.get("default_prompt_name")) or ""
        self.dimensions = config["dim" if config["model_type"] == "distilbert" else "hidden_size"]
        self.read_modules(folder, options)

    def read_modules(self, folder, options):
        modules = [(module["type"].rsplit(".", 1)[-1], module["path"]) for module in read_json(folder, "modules.json")]
        others = sorted({name for name, _ in modules[2:]} - {"Normalize"})
        if others:
            raise Missing(f"the model has {', '.join(others)}; of modules this runtime has Pooling and Normalize here")
        pooling = read_json(folder, os.path.join(modules[1][1], "config.json"))
        known = {"mean": self.pool_mean, "cls": self.pool_cls, "max": self.pool_max}
        mode = pooling.get("pooling_mode")
        chosen = [mode] if isinstance(mode, str) else mode or [
            key.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
            for key, value in pooling.items() if key.startswith("pooling_mode_") and value]
        if len(chosen) != 1 or chosen[0] not in known:
            raise Missing(f"the model pools by {' and '.join(chosen)}; this runtime has mean, cls and max here, each alone")
        if self.prompt and not pooling.get("include_prompt", True):
            raise Missing("the model leaves its default prompt out of pooling, which isn't done for this runtime here")
        self.pool = known[chosen[0]]
        self.normalize = len(modules) > 2
        self.keep = options.get("truncate_dim") or self.dimensions

    def about_files(self):
        return {"dimensions": self.keep, "max_seq_length": self.max_seq_length}

    def pool_mean(self, hidden, mask):
        weights = mask.astype("float32")
        return (weights[:, None, :] @ hidden)[:, 0, :] / weights.sum(axis=1, keepdims=True)

    def pool_cls(self, hidden, mask):
        return hidden[:, 0, :]

    def pool_max(self, hidden, mask):
        return self.numpy.where(mask[:, :, None] > 0, hidden, -self.numpy.inf).max(axis=1)

    def inputs(self, texts):
        """Of the names that an exported model has; not every one takes token_type_ids."""
        encodings = self.tokenizer.encode_batch([self.prompt + text for text in texts])
        ids = self.numpy.array([encoding.ids for encoding in encodings], dtype="int64")
        mask = self.numpy.array([encoding.attention_mask for encoding in encodings], dtype="int64")
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": self.numpy.zeros_like(ids)}

    def encode(self, texts):
        inputs = self.inputs(texts)
        mask = inputs["attention_mask"]
        vectors = self.pool(self.run({name: inputs[name] for name in self.names}), mask)
        if self.normalize:
            vectors = vectors / self.numpy.linalg.norm(vectors, axis=1, keepdims=True)
        return self.numpy.ascontiguousarray(vectors[:, : self.keep])

    def tokens(self, text):
        return len(self.tokenizer.encode(text).ids)


class OnnxRuntime(Encoder):
    """ONNX Runtime's CPU provider on an ONNX file that senvec wrote."""

    packages = ["onnxruntime", "tokenizers"]

    def __init__(self, request):
        import onnxruntime

        super().__init__(request)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = request["threads"]
        self.options.inter_op_num_threads = 1
        self.options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        self.options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.options.log_severity_level = 3
        self.file = os.path.join(request["files"], "model.onnx")
        self.session = onnxruntime.InferenceSession(self.file, self.options, providers=["CPUExecutionProvider"])
        self.names = [item.name for item in self.session.get_inputs()]

    def about(self):
        return {
            "versions": versions("onnxruntime", "tokenizers", "numpy"),
            "settings": {
                "intra-op threads": self.options.intra_op_num_threads,
                "inter-op threads": self.options.inter_op_num_threads,
                "graph optimization": "all",
                "execution": "sequential, one call at a time",
                "padding": "to the longest text of a call",
            },
            "model_bytes": os.path.getsize(self.file),
            **self.about_files(),
        }

    def run(self, inputs):
        return self.session.run(["last_hidden_state"], inputs)[0]


class OpenVino(Encoder):
    """OpenVINO's CPU device on a model that NNCF calibrates from the fp32 ONNX file that senvec wrote: static int8, the
    transformer preset, which is also what sentence-transformers' export_static_quantized_openvino_model does."""

    packages = ["openvino", "nncf", "tokenizers"]
    name = "openvino_model.xml"

    def __init__(self, request):
        import openvino

        super().__init__(request)
        self.hints = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(request["threads"]),
                      "INFERENCE_PRECISION_HINT": "f32"}
        self.file = os.path.join(request["files"], self.name)
        self.compiled = openvino.Core().compile_model(self.file, "CPU", self.hints)
        self.names = [item.any_name for item in self.compiled.inputs]
        self.request = self.compiled.create_infer_request()

    def about(self):
        weights = os.path.splitext(self.file)[0] + ".bin"
        return {
            "versions": versions("openvino", "nncf", "tokenizers", "numpy"),
            "settings": {
                **self.hints,
                **read_json(os.path.dirname(self.file), "calibration.json"),
                "padding": "to the longest text of a call",
            },
            "model_bytes": os.path.getsize(self.file) + os.path.getsize(weights),
            **self.about_files(),
        }

    def run(self, inputs):
        self.request.infer(inputs, share_inputs=True)
        return self.request.get_output_tensor(0).data

    @staticmethod
    def prepare(request):
        import nncf
        import openvino

        encoder = Encoder(request)
        encoder.tokenizer.no_padding()
        with open(request["texts"], encoding="utf-8") as file:
            texts = json.load(file)
        source = os.path.join(request["source"], "model.onnx")
        with open(source, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        stamp = {"calibration texts": len(texts), "calibrated from": digest, "nncf preset": "transformer, mixed"}
        folder = request["files"]
        target = os.path.join(folder, OpenVino.name)
        if os.path.exists(target) and read_json(folder, "calibration.json") == stamp:
            return

        model = openvino.Core().read_model(source)
        names = [item.any_name for item in model.inputs]

        def inputs(text):
            return {name: value for name, value in encoder.inputs([text]).items() if name in names}

        quantized = nncf.quantize(model, nncf.Dataset(texts, inputs),
                                  model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.MIXED,
                                  subset_size=len(texts))
        os.makedirs(folder, exist_ok=True)
        # The stamp goes last: without it the files are made again.
        if os.path.exists(os.path.join(folder, "calibration.json")):
            os.remove(os.path.join(folder, "calibration.json"))
        openvino.save_model(quantized, target, compress_to_fp16=False)
        with open(os.path.join(folder, "calibration.json"), "w", encoding="utf-8") as file:
            json.dump(stamp, file, indent=2)


BACKENDS = {"torch": Torch, "onnxruntime": OnnxRuntime, "openvino": OpenVino}


def read_json(folder, name):
    """A JSON file's content, {} if there is no such file."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def versions(*packages):
    from importlib.metadata import version

    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


class Missing(Exception):
    """Something that would have to be installed."""


def find_backend(request):
    backend = BACKENDS.get(request["backend"])
    if backend is None:
        raise Missing(f"no backend of that name: {request['backend']}")
    absent = [package for package in backend.packages if importlib.util.find_spec(package) is None]
    if absent:
        raise Missing(f"Python package {', '.join(absent)} is not installed for {sys.executable}; "
                      "install peers/requirements.txt")
    return backend


class Texts:
    """Texts in their order, and the tokens of each."""

    def __init__(self, texts, tokens):
        known = {text: tokens(text) for text in set(texts)}
        self.texts = texts
        self.counts = [known[text] for text in texts]

    def batch(self, first, size):
        """The `size` texts that begin at text `first`, cyclically, and the number of their tokens."""
        picks = [(first + i) % len(self.texts) for i in range(size)]
        return [self.texts[i] for i in picks], sum(self.counts[i] for i in picks)


class Worker:
    def __init__(self):
        self.backend = None
        self.sets = {}

    def prepare(self, request):
        find_backend(request).prepare(request)
        return {}

    def load(self, request):
        self.backend = find_backend(request)(request)
        return self.backend.about()

    def add_texts(self, request):
        with open(request["path"], encoding="utf-8") as file:
            texts = Texts(json.load(file), self.backend.tokens)
        self.sets[request["set"]] = texts
        return {"count": len(texts.texts), "tokens": sum(texts.counts)}

    def latency(self, request):
        texts, size, first = self.sets[request["set"]], request["batch"], request["first"]
        encode, clock = self.backend.encode, time.perf_counter_ns
        i, warm = 0, clock() + round(request["warmup_s"] * 1e9)
        while i < request["warmups"] or clock() < warm:
            encode(texts.batch(first + i * size, size)[0])
            i += 1
        samples = []
        for i in range(request["calls"]):
            batch = texts.batch(first + i * size, size)[0]
            start = clock()
            encode(batch)
            samples.append(clock() - start)
        return {"samples_ns": samples}

    def throughput(self, request):
        texts, size, first = self.sets[request["set"]], request["batch"], request["first"]
        encode, clock = self.backend.encode, time.perf_counter_ns
        calls = tokens = 0
        start = now = clock()
        end = start + round(request["seconds"] * 1e9)
        while now < end:
            batch, count = texts.batch(first + calls * size, size)
            encode(batch)
            calls += 1
            tokens += count
            now = clock()
        return {"calls": calls, "texts": calls * size, "tokens": tokens, "seconds": (now - start) / 1e9}

    def embed(self, request):
        texts, size, width = self.sets[request["set"]].texts, request["batch"], 0
        with open(request["path"], "wb") as file:
            for first in range(0, len(texts), size):
                vectors = self.backend.encode(texts[first : first + size])
                width = vectors.shape[1]
                file.write(vectors.astype("float32", copy=False).tobytes())
        return {"count": len(texts), "dimensions": width}

    def quit(self, request):
        return {}


def answer(worker, request):
    operations = {
        "prepare": worker.prepare,
        "load": worker.load,
        "texts": worker.add_texts,
        "latency": worker.latency,
        "throughput": worker.throughput,
        "embed": worker.embed,
        "quit": worker.quit,
    }
    try:
        return {"ok": True, **operations[request["op"]](request)}
    except (Missing, ModuleNotFoundError) as error:
        return {"ok": False, "missing": True, "error": str(error)}
    except Exception as error:  # whatever a runtime raises is that configuration's failure, not the study's
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def main():
    # Replies go to a private copy of standard output; what libraries print goes to standard error.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        reply = answer(worker, request)
        reply["id"] = request["id"]
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
        if request["op"] == "quit":
            break


if __name__ == "__main__":
    main()
