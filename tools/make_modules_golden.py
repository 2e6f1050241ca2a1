#!/usr/bin/env python3
"""Makes tests/golden/modules: what stands after the transformer, and what sentence-transformers computes with it.

Run with the Python environment of the full tests (peers/requirements.txt), after make_tiny_model.py:

    .venv/bin/python tools/make_modules_golden.py tests/golden/tiny tests/golden/modules

Each folder holds the files that make of the tiny model a variant of it: modules.json, Pooling, Dense and LayerNorm with random
weights, prompts. golden.json has the vectors of each, computed in float64 and rounded once. The same versions give the same
bytes, so a run that leaves `git diff` empty proves the committed files.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

HIDDEN = 32
TEXTS = ["", "the", "The quick brown fox jumps over the lazy dog.", "water " * 60, "She reads; he writes -- it tests vectors!"]
PROMPTS = {"query": "the river: ", "document": "a stone of the garden, ", "empty": ""}


def dense(inputs, outputs, **more):
    module = Dense(inputs, outputs, **more)
    for parameter in module.parameters():
        parameter.data = (0.4 * torch.randn(parameter.shape)).to(torch.bfloat16).to(torch.float32)
    return module


def layernorm(width):
    module = LayerNorm(width)
    module.norm.weight.data = 1 + 0.3 * torch.randn(width)
    module.norm.bias.data = 0.3 * torch.randn(width)
    return module


def variants():
    """name -> (modules after the transformer, options of the model, calls of encode)"""
    torch.manual_seed(20240301)
    gelu, silu = torch.nn.GELU(), torch.nn.SiLU()
    plain = [{}]
    return {
        "mean_sqrt": ([Pooling(HIDDEN, "mean_sqrt_len_tokens")], {}, plain),
        "weighted": ([Pooling(HIDDEN, "weightedmean"), Normalize()], {}, plain),
        "last": ([Pooling(HIDDEN, "lasttoken"), Normalize()], {}, plain),
        "joined": ([Pooling(HIDDEN, ("cls", "mean", "max"))], {}, plain),
        "dense": ([Pooling(HIDDEN, "cls"), dense(HIDDEN, 24), Normalize()], {}, plain),
        "chain": (
            [
                Pooling(HIDDEN, ("mean", "lasttoken")), dense(2 * HIDDEN, 48, bias=False, activation_function=gelu,
                use_residual=True), layernorm(48), Normalize(), dense(48, 48, activation_function=silu, use_residual=True),
                dense(48, 40, activation_function=torch.nn.Sigmoid()), dense(40, 36, activation_function=torch.nn.ReLU()),
                dense(36, 36, activation_function=None), Normalize(),
            ],
            {"truncate_dim": 20}, plain + [{"truncate_dim": 7}, {"truncate_dim": 36}, {"normalize_embeddings": True}],
        ),
        "prompts": (
            [Pooling(HIDDEN, "mean"), Normalize()],
            {"prompts": PROMPTS, "default_prompt_name": "query"},
            plain + [{"prompt_name": "document"}, {"prompt_name": "empty"}, {"prompt": "light "}, {"prompt": ""}],
        ),
        "without_prompt": (
            [Pooling(HIDDEN, Pooling.POOLING_MODES, include_prompt=False)],
            {"prompts": PROMPTS}, plain + [{"prompt_name": "query"}, {"prompt": "the light on the water, a stone in " * 5}],
        ),
    }  # fmt: skip


def write_variant(tiny, folder, modules, options):
    with tempfile.TemporaryDirectory() as whole:
        SentenceTransformer(modules=[Transformer(str(tiny)), *modules], device="cpu", **options).save(whole)
        for path in sorted(Path(whole).rglob("*")):
            name = path.relative_to(whole)
            own = len(name.parts) > 1 or name.name in ("modules.json", "config_sentence_transformers.json")
            if path.is_file() and own:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / name)
    settings = folder / "config_sentence_transformers.json"
    kept = {k: v for k, v in json.loads(settings.read_text()).items() if k != "__version__"}
    settings.write_text(json.dumps(kept, indent=1) + "\n")


def encode(tiny, folder, calls):
    with tempfile.TemporaryDirectory() as whole:
        shutil.copytree(tiny, whole, dirs_exist_ok=True)
        shutil.rmtree(Path(whole) / "1_Pooling")
        shutil.copytree(folder, whole, dirs_exist_ok=True)
        model = SentenceTransformer(whole, device="cpu").to(torch.float64)
        rows = []
        for call in calls:
            vectors = [model.encode([text], batch_size=1, show_progress_bar=False, **call)[0] for text in TEXTS]
            rows.append([[float(str(value)) for value in vector.astype(numpy.float32)] for vector in vectors])
        return rows


def main():
    tiny, directory = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(directory, ignore_errors=True)
    golden = {"texts": TEXTS, "variants": {}}
    for name, (modules, options, calls) in variants().items():
        write_variant(tiny, directory / name, modules, options)
        golden["variants"][name] = [
            {"call": call, "vectors": vectors} for call, vectors in zip(calls, encode(tiny, directory / name, calls))
        ]
    lists = json.dumps(golden, separators=(",", ":")).replace("],[", "],\n[")
    (directory / "golden.json").write_text(lists + "\n", encoding="utf-8")


main()
