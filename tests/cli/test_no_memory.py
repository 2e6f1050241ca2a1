#!/usr/bin/env python3
"""test_no_memory SENVEC MODEL FAILING_MALLOC: commands of which one allocation fails. Each run either makes what it makes with
all memory, where something did without, or says in one line what is missing, exits with 1 and leaves nothing.
"""
import os
import shutil
import struct
import sys
import tempfile
import unittest
from pathlib import Path

from command_case import MODEL, SENVEC, Case, main, run

FAILING = os.path.abspath(sys.argv.pop(3))
SANITIZED = any(name in Path(SENVEC).read_bytes() for name in (b"__asan_init", b"__tsan_init"))
FINE = 5  # this many runs in succession that succeed are behind the last allocation


@unittest.skipIf(SANITIZED, "sanitizers bring an allocator of their own")
class NoMemory(Case):
    def setUp(self):
        super().setUp()
        if os.access("/dev/shm", os.W_OK):  # every file is flushed to the disk, which takes long on a slow one
            folder = tempfile.TemporaryDirectory(dir="/dev/shm")
            self.addCleanup(folder.cleanup)
            self.path = Path(folder.name)
        self.out = self.path / "out"

    def made(self):
        """What there is but the test's own file and the cache."""
        own = ("number", "cache")
        files = (path for path in self.path.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if path.relative_to(self.path).parts[0] not in own}

    def run_without(self, number, *arguments):
        """Allocation `number` of the run fails; 0: none."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.file("number", struct.pack("q", -number))
        return run(*arguments, environment={"LD_PRELOAD": FAILING, "FAILING_MALLOC": str(self.path / "number"),
                                            "SENVEC_CACHE": str(self.path / "cache")})

    def check(self, *arguments, step, last):
        """Each `step`th allocation fails in a run of its own, then each of the `last` ones, in which the files are written."""
        right = self.succeeds(self.run_without(0, *arguments)), self.made()

        def fails(number):
            result = self.run_without(number, *arguments)
            with self.subTest(allocation=number):
                if result.returncode == 0:
                    self.assertEqual((result.stdout, self.made()), (right[0].stdout, right[1]))
                    return False
                message = result.stderr.decode()
                self.assertEqual(result.returncode, 1, message)
                self.assertEqual(message.count("\n"), 1, message)
                self.assertTrue(message.startswith("senvec"), message)
                self.assertEqual(self.made(), {})
                self.assertFalse(self.out.exists())
            return True

        number = end = 1
        while number < end + FINE * step:
            if fails(number):
                end = number
            number += step
        self.assertGreater(end, last)
        while step > 1:  # the last allocation that somebody misses
            step = (step + 1) // 2
            end += step if fails(end + step) else 0
        for number in range(end - last, end):
            fails(number)

    def test_quantize(self):
        self.check("quantize", "-q", "-m", MODEL, self.out, step=97, last=30)

    def test_export(self):
        self.check("export", "-q", "-m", MODEL, self.out, step=97, last=30)

    def test_json(self):
        self.check("models", "--json", step=97, last=10)


if __name__ == "__main__":
    main()
