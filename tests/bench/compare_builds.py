#!/usr/bin/env python3
"""compare_builds OLD NEW MODEL_DIR [PRECISION...]: two builds of libsenvec.so in one process, call by call in turn, one thread:
the CPU time of NEW over that of OLD for texts of three lengths, and whether their vectors have the same bits. What disturbs the
machine disturbs both. Printed are the ratio of the least times, and of neighbouring calls the median of the ratios and its
quartiles.

OLD and NEW are build folders or libsenvec.so files of them. For a build of another commit: git worktree add, cmake --preset
release, ninja senvec_shared.
"""
import ctypes
import os
import statistics
import sys
import time
from pathlib import Path

WORDS = ("the design of a distributed system needs careful testing and people who know how to measure latency under load "
         "without guessing what matters most").split()
LENGTHS = {"32 x 9 words": (32, 9), "4 x 126 words": (4, 126), "1 x 9 words": (1, 9)}
SECONDS = 4.0


def library_in(path):
    path = Path(path) / "libsenvec.so" if Path(path).is_dir() else Path(path)
    if not path.exists():
        sys.exit(f"compare_builds: {path} isn't there; build the target senvec_shared")
    return str(path.resolve())


if len(sys.argv) < 4:
    sys.exit(__doc__)
OLD, NEW = library_in(sys.argv[1]), library_in(sys.argv[2])
os.environ["SENVEC_LIBRARY"] = NEW  # the package wants one
sys.path.insert(0, str(Path(__file__).parents[2] / "bindings/python"))
from senvec import _library as abi  # noqa: E402  (the structures of senvec.h)


class Build:
    def __init__(self, path, model, precision):
        self.lib = ctypes.CDLL(path, mode=os.RTLD_LOCAL | os.RTLD_NOW)
        err = abi.ErrorRecord()
        options = abi.ModelOptions(precision=abi.PRECISIONS[precision])
        self.model, self.session, info = ctypes.c_void_p(), ctypes.c_void_p(), abi.ModelInfo()
        if self.lib.senvec_model_open(os.fsencode(model), ctypes.byref(options), ctypes.byref(self.model), ctypes.byref(err)):
            sys.exit(f"compare_builds: {path}: {err.message.decode()}")
        if self.lib.senvec_session_open(self.model, ctypes.byref(abi.SessionOptions(threads=1)), ctypes.byref(self.session),
                                        ctypes.byref(err)):
            sys.exit(f"compare_builds: {path}: {err.message.decode()}")
        self.lib.senvec_model_describe(self.model, ctypes.byref(info))
        self.dimensions, self.tier = info.dimensions, info.tier.decode()

    def prepare(self, texts):
        self.texts = (abi.Text * len(texts))(*[abi.Text(text, len(text)) for text in texts])
        self.out = (ctypes.c_float * (len(texts) * self.dimensions))()

    def call(self):
        begin = time.thread_time_ns()
        status = self.lib.senvec_embed(self.session, self.texts, ctypes.c_size_t(len(self.texts)), self.out,
                                       ctypes.c_size_t(self.dimensions), None, None)
        assert status == 0
        return time.thread_time_ns() - begin


def main():
    model = sys.argv[3]
    for precision in sys.argv[4:] or ["fp32", "bf16", "int8"]:
        old, new = Build(OLD, model, precision), Build(NEW, model, precision)
        for name, (count, words) in LENGTHS.items():
            texts = [" ".join(WORDS[(i * 7 + w) % len(WORDS)] for w in range(words)).encode() for i in range(count)]
            old.prepare(texts)
            new.prepare(texts)
            for _ in range(5):
                old.call(), new.call()
            same = bytes(old.out) == bytes(new.out)
            ratios, olds, news, end = [], [], [], time.monotonic() + SECONDS
            while time.monotonic() < end or len(ratios) < 30:
                a, b, c, d = old.call(), new.call(), new.call(), old.call()
                ratios.append((b + c) / (a + d))
                olds += [a, d]
                news += [b, c]
            quartiles = statistics.quantiles(ratios, n=4)
            least, bits = min(news) / min(olds), "same bits" if same else "OTHER BITS"
            print(f"{precision} {new.tier:12} {name:13} {min(news) / 1e6:8.3f} ms new/old {least:.4f}, mid {quartiles[1]:.4f}"
                  f" ({quartiles[0]:.4f} .. {quartiles[2]:.4f}, {len(ratios)} times)  {bits}",
                  flush=True)


if __name__ == "__main__":
    main()
