#!/usr/bin/env python3
"""families_parity --senvec PROGRAM --families DIR: the exported tiny model of each architecture against transformers.

Each is exported twice: as the embedder that its modules.json makes of it, and without that file as the classifier or masked
language model that its checkpoint is. ONNX Runtime runs them on padded batches; the int8 files have to open and stay near.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    import transformers
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

EMBEDDER = ("modules.json", "1_Pooling")


def open_session(folder):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


class Family:
    def __init__(self, senvec, directory, scratch):
        self.senvec, self.directory, self.scratch = senvec, directory, scratch
        config = json.loads((directory / "config.json").read_text())
        self.network = getattr(transformers, config["architectures"][0]).from_pretrained(directory, dtype="float32").eval()
        self.golden = json.loads((directory / "golden.json").read_text())
        self.types = getattr(self.network.config, "type_vocab_size", 0) > 1
        self.worst = {}

    def export(self, command, *options):
        out = self.scratch / f"{self.directory.name}-{command}{''.join(options)}"
        shutil.rmtree(out, ignore_errors=True)
        subprocess.run([self.senvec, command, "-q", "-m", str(self.directory), *options, str(out)], check=True)
        return out

    def feed(self, texts, tokenizer):
        """A padded batch: what the model takes, and what its graph takes."""
        batch = tokenizer(*texts, padding=True, truncation=True, max_length=48, return_token_type_ids=True,
                          return_tensors="pt")
        batch = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")
                 if name in batch and (name != "token_type_ids" or self.types)}
        return batch, {name: value.numpy() for name, value in batch.items()}

    def see(self, name, got, want):
        """Keeps the largest difference, against the largest value where that is over 1."""
        worst = np.abs(got - want).max() / max(1, np.abs(want).max())
        self.worst[name] = max(self.worst.get(name, 0), float(worst))

    def check_embedder(self):
        folder = self.export("export", "--with-pooling")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, pad_token="[PAD]")
        session, int8 = open_session(folder), open_session(self.export("quantize"))
        batch, feed = self.feed([self.golden["texts"]], tokenizer)
        assert {item.name for item in session.get_inputs()} == set(feed), [item.name for item in session.get_inputs()]
        hidden, vectors = session.run(["last_hidden_state", "sentence_embedding"], feed)
        with torch.inference_mode():
            want = self.network(**batch, output_hidden_states=True).hidden_states[-1].numpy()
        kept = feed["attention_mask"] == 1
        self.see("hidden states", hidden[kept], want[kept])
        self.see("vectors", vectors, np.array(self.golden["mean"], dtype=np.float32))
        self.see("int8, 1 - cosine", cosines(int8.run(["last_hidden_state"], feed)[0][kept], want[kept]), 1)

    def check_head(self):
        """The same checkpoint without the files of an embedder."""
        whole, self.directory = self.directory, self.scratch / self.directory.name
        shutil.copytree(whole, self.directory, ignore=shutil.ignore_patterns(*EMBEDDER))
        folder = self.export("export")
        assert not (folder / "modules.json").exists()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, pad_token="[PAD]")
        session, int8 = open_session(folder), open_session(self.export("quantize"))
        pairs = self.golden.get("pairs")
        batch, feed = self.feed([list(side) for side in zip(*pairs)] if pairs else [self.golden["texts"]], tokenizer)
        with torch.inference_mode():
            want = self.network(**batch).logits.numpy()
        got, near = session.run(["logits"], feed)[0], int8.run(["logits"], feed)[0]
        if pairs:
            self.see("logits", got, np.array(self.golden["logits"], dtype=np.float32))
        else:
            kept = feed["attention_mask"] == 1
            got, want, near = got[kept], want[kept], near[kept]
            self.see("int8 logits, 1 - cosine", cosines(near, want), 1)
        self.see("logits", got, want)
        refused = subprocess.run([self.senvec, "export", "-q", "--with-pooling", "-m", str(self.directory),
                                  str(self.scratch / "never")], capture_output=True, text=True)
        assert refused.returncode == 1 and "no embedder" in refused.stderr, refused
        assert not (self.scratch / "never").exists()


def cosines(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--senvec", required=True)
    parser.add_argument("--families", required=True, type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    failed = 0
    for directory in sorted(path for path in arguments.families.iterdir() if path.is_dir()):
        with tempfile.TemporaryDirectory() as scratch:
            family = Family(arguments.senvec, directory, Path(scratch))
            family.check_embedder()
            family.check_head()
        holds = all(worst <= (0.05 if "cosine" in name else 1e-5) for name, worst in family.worst.items())
        failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {directory.name}: " +
              ", ".join(f"{name} {worst:.1e}" for name, worst in family.worst.items()), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
