#!/usr/bin/env python3
"""Times Hugging Face `tokenizers` on one thread as tokenizer_bench times senvec: by CPU time.

usage: tokenizer_peer.py DIRECTORY FILE
"""

import os
import statistics
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tokenizers  # noqa: E402 - reads the environment

ROUNDS, SHORT = 5, 60


def report(name, encode, texts):
    size = sum(len(text.encode()) for text in texts)
    samples = []
    for _ in range(ROUNDS):
        start = time.process_time()
        encode(texts)
        samples.append(time.process_time() - start)
    seconds = statistics.median(samples)
    rate, each = size / seconds / 1e6, seconds / len(texts) * 1e6
    print(f"{name:27} {len(texts):8} texts {size:9} bytes {rate:7.1f} MB/s {each:9.3f} us/text")


def main():
    directory, name = sys.argv[1:]
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    with open(name, "rb") as file:
        lines = [line for line in file.read().split(b"\n") if line]
    short = [line[:SHORT].decode(errors="replace") for line in lines if len(line) >= SHORT]
    lines = [line.decode(errors="replace") for line in lines]
    print(f"tokenizers {tokenizers.__version__}, one thread")
    for function in ("encode_batch", "encode_batch_fast"):
        report(f"lines, {function}", getattr(tokenizer, function), lines)
        if short:
            report(f"60 bytes, {function}", getattr(tokenizer, function), short)


if __name__ == "__main__":
    main()
