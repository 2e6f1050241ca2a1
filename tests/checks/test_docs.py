"""What the pages say can be done: links lead somewhere, commands and options of the README exist, and the examples run.
Usage: test_docs.py SOURCES SENVEC MODEL LIBSENVEC.A FLAG..."""
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCES, SENVEC, MODEL, LIBRARY = (Path(argument) for argument in sys.argv[1:5])
FLAGS = sys.argv[5:]
PAGES = [SOURCES / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((SOURCES / "docs").glob("*.md")) + sorted((SOURCES / "lib").rglob("*.md"))


class Pages(unittest.TestCase):
    def test_links(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
                if not re.match(r"[a-z]+:", target):
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_commands_of_the_readme(self):
        """Each line that begins with senvec names a command, and options that its help has."""
        blocks = (SOURCES / "README.md").read_text(encoding="utf-8").split("```")[1::2]
        lines = re.findall(r"^senvec (\S+)(.*)$|\| senvec (\S+)(.*)$", "".join(blocks), re.M)
        self.assertGreater(len(lines), 5)
        for first, rest, piped, piped_rest in lines:
            command, rest = first or piped, (rest or piped_rest).split("#")[0]
            done = subprocess.run([SENVEC, command, "--help"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, command)
            for option in re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", rest):
                self.assertRegex(done.stdout, rf"(?<!\S){option}\b", f"senvec {command} {option}")

    def test_commands_of_run(self):
        text = (SOURCES / "README.md").read_text(encoding="utf-8")
        usage = subprocess.run([SOURCES / "run", "help"], capture_output=True, text=True).stdout
        for command in set(re.findall(r"\./run ([a-z]+)", text)):
            self.assertIn(f"\n  {command} ", usage, command)


class Examples(unittest.TestCase):
    def test_c(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "similarity"
            subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES / 'include'}",
                            SOURCES / "examples/similarity.c", LIBRARY, *FLAGS, "-o", program], check=True)
            done = subprocess.run([program, MODEL], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^(fp32|int8), 32 dimensions: cosine 0\.\d{3}\n$")
            done = subprocess.run([program, "no-such-model"], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("no-such-model", done.stderr)

    def test_shell(self):
        """Without curl's part: the server may listen on a port of the test's choice only where one is free."""
        subprocess.run(["sh", "-n", SOURCES / "examples/embed_and_serve.sh"], check=True)
        for line in re.findall(r"^senvec (\S+)(.*)$", (SOURCES / "examples/embed_and_serve.sh").read_text(), re.M):
            help_text = subprocess.run([SENVEC, line[0], "--help"], capture_output=True, text=True).stdout
            for option in re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", line[1]):
                self.assertRegex(help_text, rf"(?<!\S){option}\b")

    def test_python(self):
        compile((SOURCES / "examples/semantic_search.py").read_text(), "semantic_search.py", "exec")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
