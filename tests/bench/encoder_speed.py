#!/usr/bin/env python3
"""encoder_speed MODEL SENVEC [--threads N] [--rounds N]: senvec's int8 beside ONNX Runtime's and OpenVINO's on the same
weights, in one process and in turn: strings to vectors of 32 short texts (some 11 tokens), 4 texts of 126 words and 16 of 254.
Each peer pads to the longest text of a call, but all of a call are of one length here.

ONNX Runtime computes the file that `senvec quantize` writes, weights int8 per channel; OpenVINO's is calibrated by NNCF as in
the study (peers/worker.py). Prints milliseconds a call, medians over the turns, and how many times senvec's the others are.
Needs the packages of peers/requirements.txt and the package senvec, from here or installed."""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHAPES = {"32 short texts": (32, 9), "4 x 126 words": (4, 126), "16 x 254 words": (16, 254)}
CALIBRATION_TEXTS = 100  # as many as in the study
CALLS = 3  # of an engine in its turn
REST_S = 0.1  # between the engines: the threads of one spin for a while, on the CPUs that the next one needs
WORDS = ("the city said on monday that its new plan for roads and schools will cost more than expected while people who live "
         "near the river asked for a longer debate before any decision of the council").split()  # a token each


def seconds(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def open_openvino(senvec: str, model: str, threads: int, folder: str, samples: list[str]):
    """OpenVINO's int8 of the model, calibrated on samples. Exports the model into folder/source."""
    sys.path.insert(0, str(ROOT / "peers"))
    from worker import OpenVino

    source, texts = os.path.join(folder, "source"), os.path.join(folder, "texts.json")
    subprocess.run([senvec, "export", "-q", "-m", model, source], check=True)
    with open(texts, "w", encoding="utf-8") as file:
        json.dump(samples, file)
    request = {"source": source, "files": os.path.join(folder, "openvino"), "texts": texts, "threads": threads}
    OpenVino.prepare(request)
    return OpenVino(request)


def open_peers(arguments: argparse.Namespace, folder: str, samples: list[str]) -> dict:
    openvino = open_openvino(arguments.senvec, arguments.model, arguments.threads, folder, samples)
    from worker import OnnxRuntime

    int8 = os.path.join(folder, "int8")
    subprocess.run([arguments.senvec, "quantize", "-q", "-m", arguments.model, int8], check=True)
    request = {"source": os.path.join(folder, "source"), "files": int8, "threads": arguments.threads}
    return {"ONNX Runtime int8": OnnxRuntime(request), "OpenVINO int8": openvino}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("senvec")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    from senvec import SentenceTransformer

    chance = random.Random(7)
    shapes = {name: [" ".join(chance.choices(WORDS, k=words)) for _ in range(count)] for name, (count, words) in SHAPES.items()}
    samples = [" ".join(chance.choices(WORDS, k=chance.randint(5, 200))) for _ in range(CALIBRATION_TEXTS)]
    with tempfile.TemporaryDirectory() as folder:
        engines = {"senvec int8": SentenceTransformer(arguments.model, precision="int8", threads=arguments.threads),
                   **open_peers(arguments, folder, samples)}
        for shape, texts in shapes.items():
            times = {name: [] for name in engines}
            for engine in engines.values():
                engine.encode(texts)
            for _ in range(arguments.rounds):
                for name, engine in engines.items():
                    time.sleep(REST_S)
                    engine.encode(texts)  # wakes its threads up, which can take 4 ms in a virtual machine
                    times[name] += [seconds(lambda: engine.encode(texts)) for _ in range(CALLS)]
            medians = {name: statistics.median(values) for name, values in times.items()}
            own = medians["senvec int8"]
            print(f"{shape}: " + ", ".join(f"{name} {value * 1e3:.2f} ms" + (f" ({value / own:.2f}x)" if value != own else "")
                                           for name, value in medians.items()), flush=True)


if __name__ == "__main__":
    main()
