"""python -m senvec: models and vectors from the shell, where the command `senvec` isn't installed: the wheel
brings it, a build from the sources doesn't."""

from __future__ import annotations

import argparse
import json
import os
import sys

from . import Error, SentenceTransformer, __version__


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m senvec", description="Sentence vectors on CPUs.")
    parser.add_argument("--version", action="version", version=f"senvec {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    pull = commands.add_parser("pull", help="fetch a model into the cache; prints its folder")
    pull.add_argument("model")
    info = commands.add_parser("info", help="facts about a model, as JSON")
    info.add_argument("-m", "--model", default="all-MiniLM-L6-v2")
    embed = commands.add_parser("embed", help="vectors of the lines of a file or of standard input")
    embed.add_argument("-m", "--model", default="all-MiniLM-L6-v2")
    embed.add_argument("-p", "--precision", default="auto", choices=("auto", "fp32", "bf16", "int8"))
    embed.add_argument("-o", "--output", help="a .npy file; else JSON lines on standard output")
    embed.add_argument("input", nargs="?", default="-")
    return parser.parse_args()


def _embed(arguments: argparse.Namespace) -> None:
    if arguments.output and not arguments.output.endswith(".npy"):
        raise ValueError(f"{arguments.output}: give a name that ends in .npy")
    with open(0 if arguments.input == "-" else arguments.input, encoding="utf-8", errors="replace", newline="\n",
              closefd=arguments.input != "-") as file:
        texts = [line.removesuffix("\n").removesuffix("\r") for line in file]
    model = SentenceTransformer(arguments.model, precision=arguments.precision)
    vectors = model.encode(texts, show_progress_bar=bool(arguments.output))
    if not arguments.output:
        for index, vector in enumerate(vectors):
            print(json.dumps({"index": index, "embedding": [float(str(value)) for value in vector]}))
        return
    import numpy as np

    temporary = f"{arguments.output}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            np.save(file, vectors)
        os.replace(temporary, arguments.output)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.command == "pull":
            from ._fetch import pull

            print(pull(arguments.model, progress=True))
        elif arguments.command == "info":
            print(json.dumps(SentenceTransformer(arguments.model).info, indent=1))
        else:
            _embed(arguments)
    except (Error, OSError, ValueError) as cause:
        print(f"senvec: {cause}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
