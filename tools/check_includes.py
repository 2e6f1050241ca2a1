#!/usr/bin/env python3
"""check_includes [ROOT]: the wall between the library and its programs, and the order of the folders on each side.

common/ includes include/ and itself. lib/ includes common/ as well. programs/ includes include/ and common/, never lib/; the
one exception is programs/onnx, which writes a model's weights and so sees lib/model and lib/format. Within lib/ and programs/ a
file includes from its own folder and from folders that stand before it in ORDER. Each #include "..." must name a file of this
tree.
"""
import re
import sys
from pathlib import Path

ORDER = {
    "lib": [["kernels", "format", "text"], ["model"], ["int8"], ["engine"]],
    "programs": [["stats", "peak", "system", "http"], ["io"], ["hub", "onnx", "batcher", "results"],
                 ["server", "loadgen", "report"], ["study"], ["cli"]],
}
EXCEPTIONS = {("onnx", "model"), ("onnx", "format")}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def position(part, folder):
    return next((i for i, group in enumerate(ORDER[part]) if folder in group), None)


def complaint(source, target):
    """What is wrong with an include of `target` in `source`, both as the parts of a path; None: nothing."""
    part, other = source[0], target[0]
    if other == "include" or part == other == "common":
        return None
    if part == "include" or part == "common":
        return f"{part}/ sees no part of {other}/"
    if other == "common":
        return None
    if part == "lib" and other == "programs":
        return "the library sees no program"
    if part == "programs" and other == "lib":
        if (source[1], target[1]) in EXCEPTIONS:
            return None
        return "a program uses the library through senvec.h only"
    if target[1] == source[1] or position(other, target[1]) is None:
        return None
    if position(other, target[1]) >= position(part, source[1]):
        return f"{part}/{target[1]} doesn't stand before {part}/{source[1]}"
    return None


def check(root):
    problems = []
    sources = sorted(path for part in ("include", "common", "lib", "programs") for path in (root / part).rglob("*")
                     if path.suffix in (".c", ".h"))
    for source in sources:
        name = source.relative_to(root)
        if name.parts[0] in ORDER and (len(name.parts) < 3 or position(name.parts[0], name.parts[1]) is None):
            problems.append(f"{name}: its folder has no place in ORDER of tools/check_includes.py")
            continue
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match or (match[1] == "<" and not match[2].startswith("senvec")):
                continue
            places = [source.parent, root / "include", root, root / "lib", root / "programs"]
            target = next((p / match[2] for p in places if (p / match[2]).is_file()), None)
            where = f"{name}:{number}: includes \"{match[2]}\""
            if target is None:
                problems.append(f"{where}, which isn't in this tree")
                continue
            wrong = complaint(name.parts, target.resolve().relative_to(root.resolve()).parts)
            if wrong:
                problems.append(f"{where}: {wrong}")
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
