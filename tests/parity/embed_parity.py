#!/usr/bin/env python3
"""Compares senvec's fp32 vectors with those of sentence-transformers on the real model, element by element, on every tier.

usage: embed_parity.py --driver embed_vectors [--model DIR] [--count N] [FILE...]

The texts are sentences put together from the words below, of 2 to 256 tokens after the cut; or the lines of the FILEs. PyTorch
computes each text in float32, in batches of texts of one length, so that it computes no padding either. Exit: 0 all differences
at most 2e-6, 1 a larger one, 77 something needed is missing.
"""

import argparse
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from real_model import find_real_model  # noqa: E402

TOLERANCE = 2e-6
TIERS = ("avx512", "avx2", "neon", "ref")
REF_STEP = 40  # ref is plain C: it takes every fortieth text, unless --all

SUBJECTS = """the baker|a software engineer|our committee|every student|the old harbour|Dr. Müller|she|the night train
my neighbour's cat|the laboratory in Zürich|a crowd of tourists|the API server|nobody|this river|the second edition|Élodie
an unsigned integer"""
VERBS = """repairs|forgot|measures twice|wrote about|has never seen|is looking for|translates|slowly crosses|depends on|carried
would rather sell|compiled|re-reads|cannot explain|photographs|is afraid of|paid $14.95 for|agreed with"""
OBJECTS = """a wooden bridge|the results of the experiment|three bags of flour|an undocumented function|the 1987 contract
a map of the coast|some warm bread|the quarterly report (draft 2)|a violin concerto|東京 and 大阪|the naïve approach
twelve-year-old machinery|it|a lighthouse|the unhappiest photographer|C++ and Rust|100% of the votes|a café on the corner
https://example.org/a?b=c"""
ENDS = [".", "!", "?", "...", ", because the weather changed.", "; then it rained.", " -- on Mondays.", " 🙂", " and", ","]


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


try:
    import numpy
    import torch
    from sentence_transformers import SentenceTransformer
except ImportError as error:
    skip(f"{error.name} is not installed")


def sentence(rng):
    lists = (phrases.replace("\n", "|").split("|") for phrases in (SUBJECTS, VERBS, OBJECTS))
    return " ".join(map(rng.choice, lists)).capitalize() + rng.choice(ENDS)


def made_up_texts(rng, count):
    """Texts of a number of words each, cut out of sentences: a fifth short, the others of every number up to 230 in turn."""
    texts = ["", "a", "  "]
    numbers = []
    while len(texts) < count:
        words = []
        if not numbers:
            numbers = rng.sample(range(1, 231), 230)
        wanted = rng.randint(1, 8) if rng.random() < 0.2 else numbers.pop()
        while len(words) < wanted:
            words += sentence(rng).split()
        texts.append(" ".join(words[:wanted]))
    return texts


def from_pytorch(directory, texts):
    model = SentenceTransformer(directory, device="cpu", model_kwargs={"dtype": torch.float32})
    groups = {}
    for i, ids in enumerate(model.preprocess(texts)["attention_mask"].sum(dim=1).tolist()):
        groups.setdefault(ids, []).append(i)
    vectors = numpy.empty((len(texts), model.get_embedding_dimension()), numpy.float32)
    for indices in groups.values():
        vectors[indices] = model.encode([texts[i] for i in indices], batch_size=16, show_progress_bar=False)
    lengths = sorted(groups)
    print(f"{len(texts)} texts of {lengths[0]} to {lengths[-1]} tokens, {len(lengths)} lengths")
    return vectors


def from_senvec(driver, directory, tier, texts):
    """The vectors, or None if the tier isn't here."""
    blobs = [text.encode() for text in texts]
    data = b"".join(struct.pack("=I", len(blob)) + blob for blob in blobs)
    run = subprocess.run([driver, directory, tier, "2"], input=data, stdout=subprocess.PIPE, check=False)
    if run.returncode == 77:
        return None
    run.check_returncode()
    return numpy.frombuffer(run.stdout, numpy.float32).reshape(len(texts), -1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--driver", required=True)
    parser.add_argument("--model", default=find_real_model())
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="all texts on ref too (many minutes)")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if not arguments.model or not os.path.isfile(os.path.join(arguments.model, "model.safetensors")):
        skip("no model: run `senvec pull`, give --model or set SENVEC_TEST_MODEL")
    if arguments.files:
        texts = [line.rstrip("\n") for name in arguments.files for line in open(name, encoding="utf-8")][: arguments.count]
    else:
        texts = made_up_texts(random.Random(arguments.seed), arguments.count)
    expected = from_pytorch(arguments.model, texts)
    failed = False
    for tier in TIERS:
        step = REF_STEP if tier == "ref" and not arguments.all else 1
        vectors = from_senvec(arguments.driver, arguments.model, tier, texts[::step])
        if vectors is None:
            print(f"SKIP: {tier}: not here")
            continue
        differences = numpy.abs(vectors - expected[::step]).max(axis=1)
        worst = int(differences.argmax())
        bad = not differences.max() <= TOLERANCE
        failed |= bad
        print(f"{tier}, {len(vectors)} texts: largest element difference {differences.max():.3g}")
        if bad:
            print(f"  over {TOLERANCE}: text {worst * step}: {texts[worst * step][:200]!r}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
