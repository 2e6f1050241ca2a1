"""One process that runs one peer of senvec: PyTorch, behind the study's line protocol (src/study/worker.h has its definition).

A request is one JSON object a line on standard input, a reply one on standard output. No logic of the study lives here: the
study says what to run and how often, this program runs it and times it. A backend is a class with

    packages       modules without which it can't run
    __init__(request)   loads the model
    about()        what it says of itself: versions, settings, model_bytes, dimensions, max_seq_length
    encode(texts)  list of str -> float32 array [len(texts), dimensions]
    tokens(text)   number of tokens that encode computes for one text, [CLS] and [SEP] included
"""

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
        self.weights = os.path.join(request["model"], "model.safetensors")

    def about(self):
        import numpy
        import sentence_transformers
        import tokenizers
        import transformers

        return {
            "versions": {
                "torch": self.torch.__version__,
                "sentence-transformers": sentence_transformers.__version__,
                "transformers": transformers.__version__,
                "tokenizers": tokenizers.__version__,
                "numpy": numpy.__version__,
            },
            "settings": {
                "call": "SentenceTransformer.encode, its defaults",
                "torch threads": self.torch.get_num_threads(),
                "torch interop threads": self.torch.get_num_interop_threads(),
                "torch cpu capability": self.torch.backends.cpu.get_cpu_capability(),
                "attention": getattr(self.model[0].auto_model.config, "_attn_implementation", None),
            },
            "model_bytes": os.path.getsize(self.weights),
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


BACKENDS = {"torch": Torch}


class Missing(Exception):
    """Something that would have to be installed."""


class Worker:
    def __init__(self):
        self.backend = None
        self.texts = []
        self.counts = []

    def load(self, request):
        name = request["backend"]
        backend = BACKENDS.get(name)
        if backend is None:
            raise Missing(f"no backend of that name: {name}")
        absent = [package for package in backend.packages if importlib.util.find_spec(package) is None]
        if absent:
            raise Missing(f"Python package {', '.join(absent)} is not installed for {sys.executable}; "
                          "install peers/requirements.txt")
        self.backend = backend(request)
        about = self.backend.about()
        about["versions"] = {"python": platform.python_version(), **about["versions"]}
        return about

    def set_texts(self, request):
        with open(request["path"], encoding="utf-8") as file:
            self.texts = json.load(file)
        known = {text: self.backend.tokens(text) for text in set(self.texts)}
        self.counts = [known[text] for text in self.texts]
        return {"count": len(self.texts), "tokens": sum(self.counts)}

    def batch(self, first, size):
        """The `size` texts that begin at text `first`, cyclically, and the number of their tokens."""
        picks = [(first + i) % len(self.texts) for i in range(size)]
        return [self.texts[i] for i in picks], sum(self.counts[i] for i in picks)

    def latency(self, request):
        size, first = request["batch"], request["first"]
        encode, clock = self.backend.encode, time.perf_counter_ns
        for i in range(request["warmups"]):
            encode(self.batch(first + i * size, size)[0])
        samples = []
        for i in range(request["calls"]):
            texts = self.batch(first + i * size, size)[0]
            start = clock()
            encode(texts)
            samples.append(clock() - start)
        return {"samples_ns": samples}

    def throughput(self, request):
        size, first = request["batch"], request["first"]
        encode, clock = self.backend.encode, time.perf_counter_ns
        calls = tokens = 0
        start = now = clock()
        end = start + round(request["seconds"] * 1e9)
        while now < end:
            texts, count = self.batch(first + calls * size, size)
            encode(texts)
            calls += 1
            tokens += count
            now = clock()
        return {"calls": calls, "texts": calls * size, "tokens": tokens, "seconds": (now - start) / 1e9}

    def embed(self, request):
        size, width = request["batch"], 0
        with open(request["path"], "wb") as file:
            for first in range(0, len(self.texts), size):
                vectors = self.backend.encode(self.texts[first : first + size])
                width = vectors.shape[1]
                file.write(vectors.astype("float32", copy=False).tobytes())
        return {"count": len(self.texts), "dimensions": width}

    def quit(self, request):
        return {}


def answer(worker, request):
    operations = {
        "load": worker.load,
        "texts": worker.set_texts,
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
