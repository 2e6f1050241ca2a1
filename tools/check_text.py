#!/usr/bin/env python3
"""check_text [ROOT]: rules for the text of the tree that no compiler and no formatter knows.

Everywhere: no host name of a package registry (packages come from where the reader's pip and apt are told to look), and no path
that exists on one machine only. In code: no tabs, no blanks at the end of a line, a newline at the end of the file, lines of at
most 128 columns, files of at most 700 lines, file names that are unique in the tree. In common/, lib/ and programs/: no
function of the C library that can't be used safely; in the first two, none that prints or ends the process.
"""
import re
import subprocess
import sys
from pathlib import Path

CODE = {".c", ".h", ".cpp", ".py", ".sh", ".cmake"}
PROSE = {".md"}
MAX_COLUMNS = 128
MAX_LINES = 700
LIBRARY = ("common", "lib")
OURS = (*LIBRARY, "programs")

REGISTRY = re.compile(r"(?:pypi|pythonhosted|anaconda|npmjs|download\.pytorch|"
                      r"(?:deb|ports|snapshot|archive)\.(?:debian|ubuntu))\.(?:org|com)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}~/-])/(?:home|root|work|opt|mnt|tmp/(?!senvec))(?:/|(?<=/))[\w.]")
UNSAFE = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|scanf|atoi|atol|atof|strtok|system|alloca)\s*\(")
PRINTS = re.compile(r"\b(printf|puts|putchar|perror|exit|_exit|abort)\s*\(|\b(?:stdout|stderr)\b")
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)


def files_of(root):
    """The tree's files: what git knows or would add, else everything but builds."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"], capture_output=True)
    if listed.returncode == 0:
        names = (Path(name) for name in listed.stdout.decode().split("\0") if name)
    else:
        names = (path.relative_to(root) for path in root.rglob("*"))
    skip = {"build", ".venv", "results"}
    return sorted(n for n in set(names)
                  if n.parts[0] not in skip and "__pycache__" not in n.parts and (root / n).is_file())


def blank_out(match):
    """A comment or string without its text; its newlines stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", match[0])


def check(root):
    problems = []
    seen = {}
    names = files_of(root)
    for name in names:
        data = (root / name).read_bytes()
        if b"\0" in data or len(data) > 1 << 20:
            continue
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        script = text.startswith("#!")
        code = name.suffix in CODE or name.name == "CMakeLists.txt" or script
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            where = f"{name}:{number}"
            if REGISTRY.search(line):
                problems.append(f"{where}: names the host of a package registry")
            if (code or name.suffix in PROSE) and MACHINE_PATH.search(line):
                problems.append(f"{where}: a path of one machine: {MACHINE_PATH.search(line)[0]}")
            if code or name.suffix in PROSE:
                if "\t" in line:
                    problems.append(f"{where}: a tab")
                if line != line.rstrip():
                    problems.append(f"{where}: blanks at the end of the line")
            if code and len(line) > MAX_COLUMNS:
                problems.append(f"{where}: {len(line)} columns; at most {MAX_COLUMNS}")
        if code and text and not text.endswith("\n"):
            problems.append(f"{name}: no newline at its end")
        if name.suffix in CODE:
            if len(lines) > MAX_LINES:
                problems.append(f"{name}: {len(lines)} lines; at most {MAX_LINES}: split it")
            if name.name in seen and name.name != "__init__.py":
                problems.append(f"{name}: has the name of {seen[name.name]}")
            seen[name.name] = name
        if name.parts[0] in OURS and name.suffix in (".c", ".h"):
            for number, line in enumerate(NOT_CODE.sub(blank_out, text).split("\n"), 1):
                if UNSAFE.search(line):
                    problems.append(f"{name}:{number}: {UNSAFE.search(line)[1]} is banned")
                if name.parts[0] in LIBRARY and PRINTS.search(line):
                    problems.append(f"{name}:{number}: a library neither prints nor ends the process: "
                                    f"{PRINTS.search(line)[0].strip()}")
    return len(names), problems


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    count, problems = check(root)
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main())
