#!/usr/bin/env python3
"""Compares senvec's ids with those of Hugging Face `tokenizers`, text by text.

usage: tokenizer_parity.py --driver tokenizer_ids [--model DIR] [--step N] [--random N] [FILE...]

1. The real model's tokenizer (--model, $SENVEC_TEST_MODEL or the cache): every code point alone, inside a word and twice in a
   row; random strings; invalid UTF-8 (against Python's errors="replace"); truncation.
2. The same with a made-up vocabulary that has every code point as a token, at the start of a word and inside: its ids show
   exactly what became of each code point, where the real vocabulary would say [UNK] to most. Once for each set of options.
3. Each line of the FILEs.

--step N takes every Nth code point beyond U+33FF (all below); 1 is the whole proof. Prints a line for each part, and for the
first differences the text and both answers. Exit: 0 no difference, 1 differences, 77 something needed is missing.
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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from real_model import find_real_model  # noqa: E402

BATCH = 400_000
LAST = 0x10FFFF
ALL_BELOW = 0x3400


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


try:
    import tokenizers
except ImportError:
    skip("the Python package tokenizers is not installed")


class Pair:
    """One tokenizer, in both implementations."""

    def __init__(self, driver, directory, max_ids=256):
        self.driver, self.directory, self.max_ids, self.side = driver, directory, max_ids, "right"
        self.reference = tokenizers.Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
        self.reference.no_truncation()
        self.reference.no_padding()
        alone, around = self.reference.encode("").ids, self.reference.encode("a").ids
        self.tail = next((i for i in range(len(alone)) if alone[-1 - i] != around[-1 - i]), len(alone))
        while self.tail and around[: len(alone) - self.tail] != alone[: len(alone) - self.tail]:
            self.tail -= 1

    def expected(self, texts):
        """(ids, truncated) of each text: all ids, cut as the engine cuts them on the right; on the left as the reference does,
        which takes a length that has room for the template."""
        if self.side == "left":
            self.reference.enable_truncation(self.max_ids, direction="left")
        for encoding in self.reference.encode_batch_fast(texts):
            ids = encoding.ids
            if self.side == "left":
                yield ids, bool(encoding.overflowing)
            elif len(ids) > self.max_ids:
                yield ids[: self.max_ids - self.tail] + ids[len(ids) - self.tail :], True
            else:
                yield ids, False
        self.reference.no_truncation()

    def actual(self, texts):
        """(ids, truncated, invalid UTF-8) of each text, given as bytes."""
        data = b"".join(struct.pack("=I", len(text)) + text for text in texts)
        command = [self.driver, self.directory, str(self.max_ids), "single", self.side]
        words = array.array("I", subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout)
        at = 0
        for _ in texts:
            count, flags = words[at], words[at + 1]
            yield words[at + 2 : at + 2 + count].tolist(), bool(flags & 1), bool(flags & 2)
            at += 2 + count


class Report:
    """Counts comparisons and shows the first differences."""

    def __init__(self):
        self.differences = 0

    def compare(self, name, pair, texts):
        """`texts`: an iterable of str or bytes."""
        start, count, before = time.monotonic(), 0, self.differences
        for batch in batches(texts):
            raw = [text if isinstance(text, bytes) else text.encode() for text in batch]
            plain = [text.decode(errors="replace") if isinstance(text, bytes) else text for text in batch]
            for text, string, want, got in zip(raw, plain, pair.expected(plain), pair.actual(raw)):
                count += 1
                if got != (*want, string.encode() != text):
                    self.show(text, want, got)
        seconds = time.monotonic() - start
        print(f"{name}: {count} texts, {self.differences - before} differences, {seconds:.1f} s", flush=True)

    def show(self, text, want, got):
        self.differences += 1
        if self.differences <= 20:
            print(f"  {text[:100]!r}\n    Hugging Face {want[0][:20]} truncated {want[1]}")
            print(f"    senvec       {got[0][:20]} truncated {got[1]} invalid UTF-8 {got[2]}")


def batches(texts):
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def code_points(step):
    for c in range(LAST + 1):
        if not 0xD800 <= c <= 0xDFFF and (c < ALL_BELOW or c % step == 0):
            yield chr(c)


# Ranges that random strings draw from: scripts with case, with marks, without spaces, with jamo, emoji, controls, private use.
SCRIPTS = [
    (0x20, 0x7E), (0x61, 0x7A), (0x61, 0x7A), (0xA0, 0x24F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x5F4), (0x600, 0x6FF),
    (0x8A0, 0x8FF), (0x900, 0xDFF), (0xE00, 0xFFF), (0x10A0, 0x11FF), (0x13A0, 0x13FF), (0x1700, 0x18AF), (0x1B00, 0x1CFF),
    (0x1D00, 0x1FFF), (0x2000, 0x206F), (0x2100, 0x27BF), (0x2E00, 0x303F), (0x3040, 0x30FF), (0x4E00, 0x9FFF),
    (0xA640, 0xABFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFFFF),
    (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x16A00, 0x16FFF), (0x1D000, 0x1D7FF), (0x1E000, 0x1E95F), (0x1F300, 0x1FAFF),
    (0x20000, 0x2FA1F), (0xE0001, 0xE01EF), (0x110000 - 256, LAST),
]
MARKS = [
    (0x300, 0x36F), (0x483, 0x489), (0x591, 0x5C7), (0x610, 0x65F), (0x8D0, 0x902), (0xF71, 0xF87), (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0x302A, 0x3030), (0x1D165, 0x1D172), (0x1E000, 0x1E02A), (0x1E944, 0x1E94A),
]
PIECES = [
    "[SEP]", "[MASK]", "[CLS]", "[UNK]", "[PAD]", "[sep]", "[SEP", "SEP]", "[[SEP]]", " ", "  ", "\t", "\n", "\r\n", "\u3000",
    "\x00", "\x0b", "\x0c", "\x85", "\ufffd", "\u200d", "\u00ad", "\ufeff", "##ing", "don't", "İstanbul", "ΣΑΣ", "straße", "ﬁ",
]


def random_char(rng, ranges):
    while True:
        c = rng.randint(*rng.choice(ranges))
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def random_part(rng, words):
    kind = rng.random()
    if kind < 0.35:
        word = rng.choice(words).removeprefix("##")
        return rng.choice([word, word.upper(), word.title()])
    if kind < 0.50:
        low, high = rng.choice(SCRIPTS)
        return "".join(random_char(rng, [(low, high)]) for _ in range(rng.randint(1, 8)))
    if kind < 0.60:
        return random_char(rng, SCRIPTS) + "".join(random_char(rng, MARKS) for _ in range(rng.randint(1, 6)))
    if kind < 0.75:
        return rng.choice(PIECES)
    if kind < 0.97:
        return " "
    if kind < 0.98:
        return rng.choice(["a", "é", "\u302e", "1"]) * rng.randint(96, 104)
    return "".join(random_char(rng, SCRIPTS) for _ in range(rng.randint(1, 30)))


def random_strings(rng, words, count):
    for _ in range(count):
        parts = rng.choice([0, 1, 1, 2, 3, 5, 8, 13, 40])
        yield "".join(random_part(rng, words) for _ in range(parts)) if parts else " " * rng.randint(0, 3)


BAD_BYTES = [b"\x80", b"\xc0", b"\xe0\x80", b"\xed\xa0\x80", b"\xf0\x8f", b"\xf4\x90", b"\xff"]


def invalid_strings(rng, words, count):
    """Bytes: random, or a valid text with bytes changed, removed or cut off."""
    for text in random_strings(rng, words, count):
        data = bytearray(text.encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(data))
            action = rng.random()
            if action < 0.5:
                data[at : at + 1] = rng.choice(BAD_BYTES)
            elif action < 0.7:
                data[at : at + 1] = bytes([rng.randint(0, 255)])
            elif action < 0.9:
                del data[at : at + 1]
            else:
                del data[at:]
        yield bytes(data)


def three_forms(step):
    for c in code_points(step):
        yield c
        yield "a" + c + "b"
        yield c + c


def short_byte_strings():
    """Every lead byte with the second and third bytes that matter, then a letter."""
    edges = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE1, 0xF0, 0xFF]
    for lead in range(0x80, 0x100):
        for second in edges:
            yield bytes([0x61, lead, second])
            for third in edges:
                yield bytes([lead, second, third, 0x62])
                for fourth in (0x7F, 0x80, 0xBF, 0xC0):
                    yield bytes([lead, second, third, fourth])


def made_up_tokenizer(real, directory, step, options):
    """Writes a tokenizer.json with the real one's special tokens and every code point as a token."""
    vocabulary = {token["content"]: token["id"] for token in real["added_tokens"]}
    following = max(vocabulary.values()) + 1
    for c in code_points(step):
        if c != "\x00":  # can't be in a key
            vocabulary[c], vocabulary["##" + c] = following, following + 1
            following += 2
    model = {**real["model"], "vocab": vocabulary}
    made_up = {**real, "normalizer": {"type": "BertNormalizer", **options}, "model": model}
    with open(os.path.join(directory, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(made_up, file, ensure_ascii=False)


def option_sets(full):
    names = ["clean_text", "handle_chinese_chars", "strip_accents", "lowercase"]
    sets = [(True, True, None, True), (True, True, None, False), (False, False, True, True), (False, True, False, True)]
    if full:
        sets = [(a, b, c, d) for a in (True, False) for b in (True, False) for c in (True, False) for d in (True, False)]
    for values in sets:
        yield dict(zip(names, values))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--model", default=find_real_model())
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--random", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if not arguments.model or not os.path.isfile(os.path.join(arguments.model, "tokenizer.json")):
        skip("no model: run `senvec pull`, give --model or set SENVEC_TEST_MODEL")
    print(f"tokenizers {tokenizers.__version__}, seed {arguments.seed}, code point step {arguments.step}")

    report, rng, step = Report(), random.Random(arguments.seed), arguments.step
    with open(os.path.join(arguments.model, "tokenizer.json"), encoding="utf-8") as file:
        real = json.load(file)
    words = list(real["model"]["vocab"])
    pair = Pair(arguments.driver, arguments.model)
    report.compare("code points alone, in a word, twice", pair, three_forms(step))
    report.compare("random strings", pair, random_strings(rng, words, arguments.random))
    report.compare("invalid UTF-8, random", pair, invalid_strings(rng, words, arguments.random // 4))
    report.compare("invalid UTF-8, short", pair, short_byte_strings())
    for max_ids in (2, 3, 4, 8, 17):
        pair.max_ids = max_ids
        report.compare(f"truncated to {max_ids}", pair, random_strings(rng, words, arguments.random // 20))
    pair.side = "left"
    for max_ids in (3, 8, 17):
        pair.max_ids = max_ids
        report.compare(f"truncated on the left to {max_ids}", pair, random_strings(rng, words, arguments.random // 20))
    pair.max_ids, pair.side = 256, "right"
    for name in arguments.files:
        with open(name, "rb") as file:
            report.compare(name, pair, (line.rstrip(b"\n") for line in file))
    for options in option_sets(step == 1):
        with tempfile.TemporaryDirectory() as directory:
            made_up_tokenizer(real, directory, step, options)
            pair = Pair(arguments.driver, directory)
            print("every code point a token:", ", ".join(f"{key} {value}" for key, value in options.items()))
            report.compare("  code points", pair, ("a" + c + "B" + c for c in code_points(step)))
            report.compare("  random strings", pair, random_strings(rng, words, arguments.random // 10))
    print(f"{report.differences} differences")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
