"""Each check notices what it is there to notice: a tree or library with one planted fault must fail, naming the fault."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="senvec-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("include/senvec.h", "int senvec_one(void);\n")
        self.write("common/memory.h", '#include "senvec.h"\n')
        self.write("lib/text/words.c", '#include "common/memory.h"\n#include <stdio.h>\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run_check(self, script, *arguments):
        done = subprocess.run([sys.executable, TOOLS / script, *(arguments or [self.root])], capture_output=True, text=True)
        return done.returncode, done.stdout

    def assert_fails(self, script, *mentions):
        code, output = self.run_check(script)
        self.assertEqual(code, 1, output)
        self.assertEqual(output.count("\n"), 2, output)
        for mention in mentions:
            self.assertIn(mention, output)


class Includes(Tree):
    def test_clean_tree_passes(self):
        self.write("programs/cli/main.c", '#include <senvec.h>\n#include "common/memory.h"\n')
        self.assertEqual(self.run_check("check_includes.py"), (0, "4 files, 0 problems\n"))

    def test_a_program_that_sees_the_inside_of_the_library(self):
        self.write("lib/engine/session.h", "")
        self.write("programs/cli/main.c", '#include "engine/session.h"\n')
        self.assert_fails("check_includes.py", "programs/cli/main.c:1", "through senvec.h only")

    def test_the_one_exception(self):
        self.write("lib/model/weights.h", "")
        self.write("lib/text/words.h", "")
        self.write("programs/onnx/a.c", '#include "model/weights.h"\n')
        self.assertEqual(self.run_check("check_includes.py")[0], 0)
        self.write("programs/onnx/a.c", '#include "text/words.h"\n')
        self.assert_fails("check_includes.py", "programs/onnx/a.c:1", "through senvec.h only")

    def test_the_library_sees_no_program_and_common_sees_neither(self):
        self.write("programs/io/npy.h", "")
        self.write("lib/text/words.h", '#include "io/npy.h"\n')
        self.assert_fails("check_includes.py", "lib/text/words.h:1", "sees no program")
        self.write("lib/text/words.h", "")
        self.write("common/file.c", '#include "senvec.h"\n\n#include "text/words.h"\n')
        self.assert_fails("check_includes.py", "common/file.c:3", "common/ sees no part of lib/")

    def test_order_within_a_part(self):
        self.write("lib/format/npy.h", "")
        self.write("lib/text/words.h", '  #  include "../format/npy.h"\n')
        self.assert_fails("check_includes.py", "lib/text/words.h:1", "lib/format doesn't stand before lib/text")

    def test_unknown_folder_and_missing_file(self):
        self.write("lib/misc/a.c", "")
        self.assert_fails("check_includes.py", "lib/misc/a.c: its folder has no place")
        shutil.rmtree(self.root / "lib/misc")
        self.write("lib/text/more.c", '#include "nothing.h"\n')
        self.assert_fails("check_includes.py", "isn't in this tree")


class Text(Tree):
    def test_clean_tree_passes(self):
        self.write("common/good.c", "/* printf(, exit( and strcpy( in a comment */\nchar *s = \"exit(1) system(\";\nint t;\n")
        self.assertEqual(self.run_check("check_text.py"), (0, "4 files, 0 problems\n"))

    def test_each_rule(self):
        for name, text, mention in [
            ("lib/text/a.c", "int a;\n\tint b;\n", "lib/text/a.c:2: a tab"),
            ("lib/text/a.c", "int a; \n", "a.c:1: blanks"),
            ("docs/a.md", "a \n", "a.md:1: blanks"),
            ("lib/text/a.c", "int a;", "no newline"),
            ("lib/text/a.c", "int " + "a" * 128 + ";\n", "133 columns"),
            ("lib/text/a.c", "\n" * 701, "at most 700: split it"),
            ("lib/text/memory.h", "", "memory.h: has the name of common/memory.h"),
            ("programs/cli/a.c", "/* x\n */ strcpy(a, b);\n", "a.c:2: strcpy is banned"),
            ("lib/text/a.c", "void f(void) { exit(1); }\n", "neither prints nor ends the process: exit"),
            ("lib/text/a.c", 'int x = fprintf(stderr, "a");\n', "neither prints"),
            ("docs/a.md", "see " + "/home" + "/somebody/x\n", "a path of one machine"),
            ("tool.py", "P = '" + "/tmp" + "/x'\n", "a path of one machine"),
            ("requirements.txt", "--index-url https://" + "pypi" + ".org/simple\n", "the host of a package registry"),
        ]:
            with self.subTest(mention):
                self.write(name, text)
                self.assert_fails("check_text.py", mention)
                os.unlink(self.root / name)

    def test_programs_may_print(self):
        self.write("programs/cli/a.c", 'void f(void) { printf("a"); exit(1); }\n')
        self.assertEqual(self.run_check("check_text.py")[0], 0)


@unittest.skipUnless((TOOLS.parent / ".venv/bin/biome").is_file(), "no Biome here")
class Page(Tree):
    """A planted fault in one of the page's scripts."""

    def check_script(self, text):
        shutil.copytree(TOOLS.parent / "programs/report", self.root / "programs/report")
        (self.root / "tools").mkdir()
        shutil.copy(TOOLS / "check_page.sh", self.root / "tools")
        (self.root / ".venv").symlink_to((TOOLS.parent / ".venv").resolve())
        with open(self.root / "programs/report/page/main.js", "a", encoding="utf-8") as script:
            script.write(text)
        done = subprocess.run([self.root / "tools/check_page.sh"], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_good(self):
        code, output = self.check_script("")
        self.assertEqual(code, 0, output)

    def test_a_name_that_nothing_declares(self):
        code, output = self.check_script("drow();\n")
        self.assertEqual(code, 1, output)
        self.assertIn("The drow variable is undeclared", output)

    def test_layout(self):
        code, output = self.check_script("draw( );\n")
        self.assertEqual(code, 1, output)
        self.assertIn("main.js format", output)


class Symbols(Tree):
    def check_library(self, source):
        self.write("a.c", source)
        commands = [["gcc", "-shared", "-fPIC", "-fno-builtin", "a.c", "-o", "liba.so"], ["gcc", "-c", "a.c", "-o", "a.o"],
                    ["ar", "rcs", "liba.a", "a.o"]]
        for command in commands:
            subprocess.run(command, cwd=self.root, check=True)
        done = subprocess.run([TOOLS / "check_symbols.sh", self.root / "liba.so", self.root / "liba.a"],
                              capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_good(self):
        code, output = self.check_library("static int x(void) { return 1; }\nint senvec_one(void) { return x(); }\n")
        self.assertEqual((code, output), (0, "1 exported symbols\n"))

    def test_stray_export(self):
        code, output = self.check_library("int senvec_one(void) { return 1; }\nint sv_two(void) { return 2; }\n")
        self.assertEqual(code, 1)
        self.assertIn("liba.so exports: sv_two", output)
        self.assertIn("liba.a defines: sv_two", output)

    def test_forbidden_call(self):
        code, output = self.check_library("void exit(int);\nint senvec_one(void) { exit(1); return 1; }\n")
        self.assertEqual(code, 1)
        self.assertIn("liba.so calls: exit", output)


if __name__ == "__main__":
    unittest.main()
