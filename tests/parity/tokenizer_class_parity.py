#!/usr/bin/env python3
"""Compares senvec with transformers' AutoTokenizer, which obeys tokenizer_config.json, text by text and pair by pair.

usage: tokenizer_class_parity.py --driver tokenizer_ids [--model DIR] [--random N]

Takes the real model's tokenizer (--model, $SENVEC_TEST_MODEL or the cache) and writes it again with each of many
tokenizer_config.json: classes, do_lower_case, strip_accents, tokenize_chinese_chars, truncation_side, special tokens, added
tokens. For each, random texts alone and in pairs, cut to several lengths; for some of them also cut on a side that the call
asks for. Exit: 0 no difference, 1 differences, 77 something
needed is missing.
"""

import argparse
import array
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from real_model import find_real_model  # noqa: E402
from tokenizer_parity import random_strings, skip  # noqa: E402

try:
    from transformers import AutoTokenizer
except ImportError:
    skip("the Python package transformers is not installed")

LENGTHS = [3, 4, 7, 16, 64]
SIDES = ["right", "left"]
BERT = {"tokenizer_class": "BertTokenizer"}
PLAIN = {"tokenizer_class": "PreTrainedTokenizerFast"}


def token(content, **options):
    plain = dict.fromkeys(["lstrip", "rstrip", "single_word", "normalized"], False)
    return {"content": content, **plain, "special": True, **options}


CONFIGS = [
    {}, BERT, {**BERT, "do_lower_case": False}, {"do_lower_case": False},
    {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False}, {"tokenizer_class": "ElectraTokenizerFast"},
    {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "strip_accents": True},
    {**BERT, "strip_accents": False}, {**BERT, "strip_accents": True, "do_lower_case": False},
    {**BERT, "tokenize_chinese_chars": False}, {**BERT, "truncation_side": "left"},
    {**PLAIN, "do_lower_case": False, "strip_accents": False}, {**PLAIN, "truncation_side": "left"},
    {"tokenizer_class": "TokenizersBackend", "tokenize_chinese_chars": False},
    {"tokenizer_class": "NoSuchTokenizer", "do_lower_case": False},
    {**BERT, "cls_token": "the", "sep_token": "[MASK]"}, {**BERT, "unk_token": "[PAD]"}, {**BERT, "mask_token": "hello"},
    {**BERT, "split_special_tokens": True}, {**PLAIN, "split_special_tokens": True},
    {**BERT, "added_tokens_decoder": {"101": token("[CLS]"), "102": token("[SEP]"), "100": token("[UNK]")}},
    {**BERT, "added_tokens_decoder": {"103": token("[MASK]"), "2088": token("world"), "102": token("[SEP]")}},
    {**PLAIN, "added_tokens_decoder": {"103": token("[MASK]"), "2088": token("world"), "102": token("[SEP]")}},
    {**BERT, "extra_special_tokens": ["world", "##ing"]}, {**BERT, "additional_special_tokens": ["world", "##ing"]},
    {**PLAIN, "extra_special_tokens": ["world", "##ing"]}, {**PLAIN, "mask_token": "hello"},
]  # fmt: skip
WITH_SIDES = [{}, {**BERT, "truncation_side": "left"}, {**PLAIN, "truncation_side": "left"}]


def same_folder(model, folder, config, model_type):
    with open(os.path.join(model, "tokenizer.json"), encoding="utf-8") as file:
        data = json.load(file)
    data["truncation"] = data["padding"] = None
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(data, file)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": model_type, "vocab_size": 30522}, file)


def run_driver(driver, folder, max_ids, texts, pairs, side):
    """ids, or (ids, types) of pairs."""
    parts = [part for text in texts for part in (text if pairs else [text])]
    data = b"".join(struct.pack("=I", len(part.encode())) + part.encode() for part in parts)
    command = [driver, folder, str(max_ids), "pairs" if pairs else "single", side]
    words = array.array("I", subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout)
    at = 0
    for _ in texts:
        count = words[at]
        ids = words[at + 2 : at + 2 + count].tolist()
        at += 2 + count
        if pairs:
            yield ids, words[at : at + count].tolist()
            at += count
        else:
            yield ids


def compare(driver, folder, tokenizer, texts, pairs, side="auto"):
    """`side`: "auto" cuts on the side of the tokenizer's own configuration."""
    differences, configured = 0, tokenizer.truncation_side
    tokenizer.truncation_side = configured if side == "auto" else side
    for length in LENGTHS:
        if pairs:
            wanted = tokenizer([a for a, _ in texts], [b for _, b in texts], truncation="longest_first", max_length=length,
                               return_token_type_ids=True)  # fmt: skip
            wanted = list(zip(wanted["input_ids"], wanted["token_type_ids"]))
        else:
            wanted = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        for text, want, got in zip(texts, wanted, run_driver(driver, folder, length, texts, pairs, side)):
            if want != got:
                differences += 1
                if differences <= 3:
                    print(f"    {text!r} cut to {length}\n      transformers {want}\n      senvec       {got}")
    tokenizer.truncation_side = configured
    return differences


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--model", default=find_real_model())
    parser.add_argument("--random", type=int, default=500)
    arguments = parser.parse_args()
    if not arguments.model or not os.path.isfile(os.path.join(arguments.model, "tokenizer.json")):
        skip("no model: run `senvec pull`, give --model or set SENVEC_TEST_MODEL")
    with open(os.path.join(arguments.model, "tokenizer.json"), encoding="utf-8") as file:
        words = list(json.load(file)["model"]["vocab"])
    rng, total = random.Random(1), 0
    for config in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            same_folder(arguments.model, folder, config, "bert")
            tokenizer = AutoTokenizer.from_pretrained(folder)
            texts = ["The END of the world", "Été à la 中文 naïve", "hello [MASK] world"]
            texts += random_strings(rng, words, arguments.random)
            pairs = list(zip(texts, random_strings(rng, words, len(texts))))
            differences = compare(arguments.driver, folder, tokenizer, texts, False)
            print(f"{config}: {type(tokenizer).__name__}, {len(texts)} texts, {differences} differences", flush=True)
            if tokenizer.backend_tokenizer.post_processor:
                more = compare(arguments.driver, folder, tokenizer, pairs, True)
                print(f"    pairs: {more} differences", flush=True)
                differences += more
            for side in SIDES if config in WITH_SIDES else ():
                more = compare(arguments.driver, folder, tokenizer, texts, False, side)
                more += compare(arguments.driver, folder, tokenizer, pairs, True, side)
                print(f"    cut on the {side}: {more} differences", flush=True)
                differences += more
            total += differences
    print(f"{total} differences")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
