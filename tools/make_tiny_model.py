#!/usr/bin/env python3
"""Makes tests/golden/tiny: a sentence-transformers model with a tiny random BERT, and what PyTorch computes with it.

Run with the Python environment of the full tests (peers/requirements.txt):

    .venv/bin/python tools/make_tiny_model.py tests/golden/tiny

The same versions give the same bytes, so a run that leaves `git diff` empty proves the committed files.

Two choices make one committed model serve for many tests:
- Every weight is a bfloat16 that is also a normal binary16 (or 0). So the F16 and BF16 forms of this model, which the test
  makes itself, have the very same values, and their vectors must have the same bits.
- golden.json holds the vectors for three Pooling modules, of which the committed directory has the first (mean, normalized);
  the test writes the other two configurations. They are computed in float64 and rounded once, so they don't depend on the CPU.

Like all-MiniLM-L6-v2's, this tokenizer.json asks for a truncation and a padding that must be ignored.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

HIDDEN, HEADS, INNER, LAYERS, POSITIONS, MAX_SEQ_LENGTH = 32, 2, 64, 2, 64, 48
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789")
WORDS = """the a of and to in is it for on with as by at from light water stone river garden window music bread train
    north cloud paper winter summer quick brown fox jumps over lazy dog reads writes builds tests vector sentence""".split()
PIECES = """##s ##ed ##ing ##er ##est ##ly ##ness ##tion ##al ##able""".split()
OTHERS = list("!\"#%&'()*+,-./:;<=>?@[]_{}|~") + list("東京大学水日本語") + list("αβγδяжщ") + ["🙂", "é"]

TEXTS = [
    "",
    "the",
    "The quick brown fox jumps over the lazy dog.",
    "the quick brown fox jumps over the lazy dog",
    "Light on the water, a stone in the river.",
    "garden window music bread",
    "She reads; he writes -- it tests (and builds) vectors!",
    "Café über naïve Ångström",
    "東京大学 is in 日本",
    "水の音",
    "αβγ ΔЯЖ",
    "🙂🙂 quick",
    "   \t\n  ",
    "[CLS] the [SEP] dog [MASK]",
    "unaffable quickness lightest",
    "0123456789 3.14159 -2e10",
    "zero\u200bwidth\u00adsoft\u0000nul",
    "x" * 101,
    "water " * 60,
    "The river is north of the garden, and the train to it is quick in summer but lazy in winter; "
    "from the window a cloud looks as light as paper, as bread, as music. " * 2,
    "a",
]

# name -> Pooling's configuration, normalized
VARIANTS = {"mean": ("mean", True), "cls": ("cls", True), "max": ("max", False)}


def representable(tensor):
    """The nearest bfloat16 whose exponent binary16 has as well, as float32."""
    rounded = tensor.to(torch.bfloat16).to(torch.float32)
    return torch.where(rounded.abs() < 2.0**-14, torch.zeros_like(rounded), rounded)


def weights(config):
    torch.manual_seed(20240229)
    tensors = {}
    for name, parameter in BertModel(config).state_dict().items():
        if name.endswith("LayerNorm.weight"):
            values = 1 + 0.2 * torch.randn(parameter.shape)
        elif name.endswith("bias"):
            values = 0.1 * torch.randn(parameter.shape)
        else:
            values = 0.25 * torch.randn(parameter.shape)
        tensors[name] = representable(values).contiguous()
    tensors["embeddings.position_ids"] = torch.arange(POSITIONS).reshape(1, -1)  # as in many checkpoints: to be passed over
    return tensors


def tokenizer(vocabulary):
    tok = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cls, sep = vocabulary["[CLS]"], vocabulary["[SEP]"]
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    tok.decoder = decoders.WordPiece()
    tok.add_special_tokens(SPECIAL)
    tok.enable_truncation(16)
    tok.enable_padding(length=16)
    return tok


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_model(directory):
    words = SPECIAL + LETTERS + ["##" + letter for letter in LETTERS] + WORDS + PIECES + OTHERS
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=HIDDEN, num_attention_heads=HEADS, intermediate_size=INNER,
        num_hidden_layers=LAYERS, max_position_embeddings=POSITIONS,
    )  # fmt: skip
    keys = """vocab_size hidden_size num_attention_heads intermediate_size num_hidden_layers max_position_embeddings
        type_vocab_size hidden_act layer_norm_eps model_type pad_token_id""".split()
    write_json(directory / "config.json", {"architectures": ["BertModel"]} | {key: getattr(config, key) for key in keys})
    save_file(weights(config), directory / "model.safetensors", metadata={"format": "pt"})
    tokenizer(vocabulary).save(str(directory / "tokenizer.json"))
    (directory / "vocab.txt").write_text("".join(word + "\n" for word in vocabulary), encoding="utf-8")
    write_json(
        directory / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS}
        | {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")},
    )
    write_json(directory / "sentence_bert_config.json", {"max_seq_length": MAX_SEQ_LENGTH, "do_lower_case": False})


def write_modules(directory, pooling, normalized):
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")][: 3 if normalized else 2]
    write_json(
        directory / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(modules)
        ],
    )
    switches = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}
    write_json(
        directory / "1_Pooling/config.json",
        {"word_embedding_dimension": HIDDEN}
        | {f"pooling_mode_{name}": mode == pooling for mode, name in switches.items()},
    )


def embed(directory, dtype):
    model = SentenceTransformer(str(directory), device="cpu", model_kwargs={"dtype": dtype})
    # One text at a time: no padding, so nothing depends on the neighbours.
    vectors = [model.encode([text], batch_size=1, show_progress_bar=False)[0] for text in TEXTS]
    ids = [model.preprocess([text])["input_ids"][0].tolist() for text in TEXTS]
    return ids, vectors


def main():
    directory = Path(sys.argv[1])
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_model(directory)
    golden = {"texts": TEXTS, "ids": None, "vectors": {}}
    for variant, (pooling, normalized) in reversed(VARIANTS.items()):
        write_modules(directory, pooling, normalized)
        golden["ids"], exact = embed(directory, torch.float64)
        _, single = embed(directory, torch.float32)
        difference = max(numpy.abs(a - b).max() for a, b in zip(exact, single))
        print(f"{variant}: largest difference of PyTorch's float32 to its float64: {difference:.2g}")
        assert difference < 2e-6
        # The shortest decimals that read back as the same float32.
        golden["vectors"][variant] = [[float(str(value)) for value in vector.astype(numpy.float32)] for vector in exact]
    lists = json.dumps(golden, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[")
    (directory / "golden.json").write_text(lists + "\n", encoding="utf-8")


main()
