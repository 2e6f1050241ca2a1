#!/usr/bin/env python3
"""Makes tests/golden/families: a tiny random model of each architecture, and what transformers computes with it.

Run with the Python environment of the full tests (peers/requirements.txt):

    .venv/bin/python tools/make_tiny_families.py tests/golden/families

The same versions give the same bytes, so a run that leaves `git diff` empty proves the committed files.

Each folder is a checkpoint as transformers saves it, with its head, as bfloat16 (every weight is one, so nothing is lost), a
tokenizer, modules.json for an embedder (mean, normalized), and golden.json:

    texts, ids        as the tokenizer of transformers gives them
    mean, first       the vectors of each text: mean of its tokens, of length 1; its first token as it is
    pairs, pair_ids, second, logits   of a classifier: pairs of texts, their ids, from where on the token type is 1, the logits
    sparse            of a masked language model: max over the tokens of log(1 + relu(logits)), the words that aren't 0

All is computed in float64 and rounded once, so it doesn't depend on the CPU; one text at a time, so there is no padding.
"""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HIDDEN, HEADS, INNER, LAYERS, POSITIONS, LENGTH = 32, 2, 64, 2, 64, 48
SPECIAL = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]  # RoBERTa's order: padding is 1
WORDS = """the a of and to in is it for on with light water stone river garden window music bread train north cloud
    paper winter summer quick brown fox jumps over lazy dog vector sentence""".split()
VOCABULARY = SPECIAL + list("abcdefghijklmnopqrstuvwxyz,.") + ["##" + c for c in "abcdefghijklmnopqrstuvwxyz"] + WORDS

TEXTS = [
    "",
    "the",
    "The quick brown fox jumps over the lazy dog.",
    "Light on the water, a stone in the river.",
    "garden window music bread",
    "a [PAD] in the [PAD] text",
    "unaffable quickness lightest",
    "water " * 60,
    "the river is north of the garden and the train is quick in summer, lazy in winter.",
]
PAIRS = [
    ("the river", "Light on the water, a stone in the river."),
    ("", "music"),
    ("a dog", ""),
    ("quick " * 40, "brown " * 40),
    ("the lazy dog " * 15, "fox"),
]

SIZES = dict(vocab_size=len(VOCABULARY), pad_token_id=1, bos_token_id=0, eos_token_id=2)
USUAL = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, intermediate_size=INNER, num_hidden_layers=LAYERS)
BERT = dict(**USUAL, max_position_embeddings=POSITIONS)
ROBERTA = dict(**USUAL, max_position_embeddings=POSITIONS + 2, layer_norm_eps=1e-5)
DISTILBERT = dict(dim=HIDDEN, n_heads=HEADS, hidden_dim=INNER, n_layers=LAYERS, max_position_embeddings=POSITIONS)

# folder: configuration, head, its sizes, whether </s></s> is between the texts of a pair
FAMILIES = {
    "bert": ("Bert", "SequenceClassification", dict(**BERT, num_labels=3), False),
    "roberta": ("Roberta", "SequenceClassification", dict(**ROBERTA, num_labels=1, type_vocab_size=1), True),
    "xlm-roberta": ("XLMRoberta", "SequenceClassification", dict(**ROBERTA, num_labels=1, type_vocab_size=1), True),
    "camembert": ("Camembert", "SequenceClassification", dict(**ROBERTA, num_labels=2, type_vocab_size=1), True),
    "mpnet": ("MPNet", "SequenceClassification", dict(**ROBERTA, num_labels=1), True),
    "distilbert": ("DistilBert", "SequenceClassification", dict(**DISTILBERT, num_labels=1), False),
    "electra": ("Electra", "SequenceClassification", dict(**BERT, num_labels=1, embedding_size=20), False),
    "bert-tanh": ("Bert", "MaskedLM", dict(**BERT, hidden_act="gelu_new"), False),
    "bert-relu": ("Bert", "MaskedLM", dict(**BERT, hidden_act="relu"), False),
    "distilbert-masked": ("DistilBert", "MaskedLM", DISTILBERT, False),
}


def representable(tensor):
    """The nearest bfloat16, as float32."""
    return tensor.to(torch.bfloat16).to(torch.float32)


def randomize(model):
    torch.manual_seed(20240229)
    for name, parameter in model.named_parameters():
        if "norm" in name.lower() and name.endswith("weight"):
            values = 1 + 0.2 * torch.randn(parameter.shape)
        elif name.endswith("bias"):
            values = 0.1 * torch.randn(parameter.shape)
        elif "relative_attention_bias" in name:
            values = torch.randn(parameter.shape)
        elif "classifier" in name or "out_proj" in name:
            values = 0.5 * torch.randn(parameter.shape)
        else:
            values = 0.25 * torch.randn(parameter.shape)
        parameter.data = representable(values)


def make_tokenizer(doubled):
    tok = Tokenizer(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    between = "[SEP] [SEP]" if doubled else "[SEP]"
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=f"[CLS] $A {between} $B:1 [SEP]:1", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    tok.decoder = decoders.WordPiece()
    tok.add_special_tokens(SPECIAL)
    return tok


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def shortest(values):
    """As the shortest decimals that read back as the same float32."""
    return [float(str(value)) for value in numpy.asarray(values, dtype=numpy.float32)]


def run(model, ids, second=0, types=False):
    """Last hidden states and logits, in float64."""
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if types:
        inputs["token_type_ids"] = torch.tensor([[int(bool(second) and i >= second) for i in range(len(ids))]])
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    return out.hidden_states[-1][0], out.logits[0]


def golden(model, tok, kind, masked):
    tok = Tokenizer.from_str(tok.to_str())
    tok.enable_truncation(LENGTH, strategy="longest_first")
    out = {"texts": TEXTS, "ids": [], "mean": [], "first": []}
    types = kind in ("Bert", "Electra")
    sparse = []
    for text in TEXTS:
        ids = tok.encode(text).ids
        hidden, logits = run(model, ids)
        mean = hidden.mean(0)
        out["ids"].append(ids)
        out["mean"].append(shortest(mean / mean.norm()))
        out["first"].append(shortest(hidden[0]))
        if masked:
            weights = torch.log1p(torch.relu(logits)).max(0).values
            sparse.append([[i, shortest([w])[0]] for i, w in enumerate(weights.tolist()) if w > 0])
    if masked:
        return out | {"sparse": sparse}
    out |= {"pairs": PAIRS, "pair_ids": [], "second": [], "logits": []}
    for a, b in PAIRS:
        encoded = tok.encode(a, b)
        second = encoded.type_ids.index(1)
        out["pair_ids"].append(encoded.ids)
        out["second"].append(second)
        out["logits"].append(shortest(run(model, encoded.ids, second, types)[1]))
    return out


def write_family(directory, kind, head, sizes, doubled):
    config = getattr(transformers, kind + "Config")(**SIZES, **sizes)
    model = getattr(transformers, f"{kind}For{head}")(config).eval()
    randomize(model)
    model.tie_weights()
    model.save_pretrained(directory)
    config = json.loads((directory / "config.json").read_text())
    for key in ("transformers_version", "dtype", "torch_dtype"):
        config.pop(key, None)
    write_json(directory / "config.json", config)
    from safetensors.torch import load_file

    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(directory / "model.safetensors").items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    tok = make_tokenizer(doubled)
    tok.save(str(directory / "tokenizer.json"))
    write_json(directory / "tokenizer_config.json", {"model_max_length": LENGTH, "tokenizer_class": "PreTrainedTokenizerFast"})
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    write_json(
        directory / "modules.json",
        [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
            for i, (path, name) in enumerate(modules)
        ],
    )
    write_json(directory / "1_Pooling/config.json", {"embedding_dimension": HIDDEN, "pooling_mode": "mean"})
    exact = golden(model.double(), tok, kind, head == "MaskedLM")
    single = golden(model.float(), tok, kind, head == "MaskedLM")
    for key in ("mean", "first", "logits"):
        if key in exact:
            worst = max(abs(a - b) for x, y in zip(exact[key], single[key]) for a, b in zip(x, y))
            print(f"{directory.name} {key}: largest difference of PyTorch's float32 to its float64: {worst:.2g}")
            assert worst < 4e-6 and all(math.isfinite(v) for row in exact[key] for v in row)
    text = json.dumps(exact, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[")
    (directory / "golden.json").write_text(text + "\n", encoding="utf-8")


def main():
    root = Path(sys.argv[1])
    shutil.rmtree(root, ignore_errors=True)
    for name, family in FAMILIES.items():
        write_family(root / name, *family)


main()
