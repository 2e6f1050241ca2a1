#!/usr/bin/env python3
"""check_layers [ROOT]: src/ keeps to its layers.

A file may include headers of its own folder and of folders with a smaller number, never of a sibling with the same number. What
stands on top of the engine uses it through senvec.h. Each #include "..." must name a file of this tree.
"""
import re
import sys
from pathlib import Path

LAYERS = {
    "include": 0,
    "base": 1,
    "cpu": 2, "stats": 2,
    "kernels": 3, "format": 3, "text": 3, "corpus": 3, "hub": 3,
    "model": 4,
    "engine": 5, "onnx": 5,
    "batcher": 6,
    "server": 7, "load": 7,
    "study": 8,
    "cli": 9,
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path, root):
    parts = path.relative_to(root).parts
    return parts[0] if parts[0] == "include" else parts[1]


def check(root):
    problems = []
    sources = sorted(p for p in (root / "src").rglob("*") if p.suffix in (".c", ".h"))
    for source in sources:
        name = source.relative_to(root)
        folder = folder_of(source, root)
        if folder not in LAYERS:
            problems.append(f"{name}: folder src/{folder} has no layer; give it one in tools/check_layers.py")
            continue
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or (match[1] == "<" and not match[2].startswith("senvec")):
                continue
            candidates = [source.parent / match[2], root / "src" / match[2], root / "include" / match[2]]
            target = next((c for c in candidates if c.is_file()), None)
            where = f"{name}:{number}: includes \"{match[2]}\""
            if target is None:
                problems.append(f"{where}, which isn't in this tree")
                continue
            other = folder_of(target.resolve(), root.resolve())
            if other == folder:
                continue
            if other not in LAYERS:
                problems.append(f"{where} of src/{other}, which has no layer")
            elif LAYERS[other] >= LAYERS[folder]:
                problems.append(f"{where}: {folder} is layer {LAYERS[folder]}, {other} is layer {LAYERS[other]}")
            elif other == "engine":
                problems.append(f"{where}: {folder} uses the engine through senvec.h only")
    return len(sources), problems


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    count, problems = check(root)
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
