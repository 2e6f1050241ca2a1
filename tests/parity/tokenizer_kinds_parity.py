#!/usr/bin/env python3
"""Compares senvec's ids with those of Hugging Face `tokenizers`, for tokenizers of every kind: Unigram, BPE, WordPiece, with
any normalizer, pre-tokenizer and template.

usage: tokenizer_kinds_parity.py --driver tokenizer_ids [--step N] [--random N] DIR...

Of each DIR with a tokenizer.json, or of each folder in it: every code point alone, inside a word and twice in a row; random
strings of many scripts; invalid UTF-8; truncation. --step N takes every Nth code point beyond U+33FF; 1 is the whole proof.
Exit: 0 no difference, 1 differences, 77 something needed is missing.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from tokenizer_parity import Pair, Report, invalid_strings, random_strings, three_forms, tokenizers

WORDS = """the quick brown fox jumps over a lazy dog don't international 12345 3.14 naïve Straße überall été señor año
    привет мир это вода γειά κόσμε שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก こんにちは世界 カタカナ 안녕하세요 세계
    你好世界 中文分词 ქართული հայերեն አማርኛ বাংলা தமிழ் తెలుగు 👩‍👩‍👧‍👦 🇩🇪 e\u0301 ﬁne ① ㎏ Ⅷ ½""".split()


def words_of(directory):
    """Pieces of the vocabulary as text, some of those of a large one, and words of many languages."""
    vocabulary = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    pieces = [piece for piece, _ in vocabulary] if isinstance(vocabulary, list) else list(vocabulary)
    pieces = random.Random(2).sample(pieces, min(len(pieces), 20_000))
    return WORDS * 50 + [piece.replace("\u2581", " ").replace("\u0120", " ") for piece in pieces]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--random", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("directories", nargs="+", type=Path)
    arguments = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, seed {arguments.seed}, code point step {arguments.step}")
    report = Report()
    for given in arguments.directories:
        for directory in [given] if (given / "tokenizer.json").is_file() else sorted(given.iterdir()):
            rng, words = random.Random(arguments.seed), words_of(directory)
            pair = Pair(arguments.driver, str(directory))
            print(directory.name)
            report.compare("  code points alone, in a word, twice", pair, three_forms(arguments.step))
            report.compare("  random strings", pair, random_strings(rng, words, arguments.random))
            report.compare("  invalid UTF-8", pair, invalid_strings(rng, words, arguments.random // 4))
            for side in ("right", "left"):
                for max_ids in (6, 17):
                    pair.max_ids, pair.side = max_ids, side
                    name = f"  truncated on the {side} to {max_ids}"
                    report.compare(name, pair, random_strings(rng, words, arguments.random // 20))
    print(f"{report.differences} differences")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
