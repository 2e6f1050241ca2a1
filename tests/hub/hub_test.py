"""The hub against servers that behave and servers that don't. Argument: the program hub_pull. Standard library only."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

from hub_server import COMMIT, FILES, LARGE, PATIENCE, PROGRAM, HubCase, Server, listing, send, sha256


class HubTest(HubCase):
    # ------------------------------------------------------------ a hub that works

    def test_fetches_once(self):
        directory = self.pulled()
        self.assertEqual(directory, os.path.join(self.cache, "models/org--tiny"))
        stamp = self.check_model(directory)
        self.assertEqual((stamp["source"], stamp["revision"]), (self.server.url, COMMIT))
        self.assertEqual(len(self.server.requests), 1 + len(FILES))
        self.assertEqual(self.pulled(state="there"), directory)
        self.assertEqual(len(self.server.requests), 1 + len(FILES))
        self.assertEqual(self.run_program("resolve", "org/tiny").stdout.strip(), directory)

    def test_default_organization(self):
        self.assertTrue(self.pulled("tiny").endswith("/sentence-transformers--tiny"))

    def test_known_model_from_the_hub(self):
        self.check_model(self.pulled("all-MiniLM-L6-v2"))
        self.assertTrue(self.server.requests[0][0].startswith("/api/models/sentence-transformers/all-MiniLM-L6-v2/"))

    def test_force_replaces(self):
        directory = self.pulled()
        with open(os.path.join(directory, "left.over"), "w", encoding="ascii"):
            pass
        self.server.files = dict(FILES, **{"vocab.txt": b"new"})
        self.server.listing = listing(self.server.files, COMMIT[::-1])
        self.assertEqual(self.pulled(force=True), directory)
        self.check_model(directory, self.server.files)

    def test_damaged_model_is_fetched_again(self):
        directory = self.pulled()
        with open(os.path.join(directory, LARGE), "r+b") as file:
            file.truncate(1000)
        self.check_model(self.pulled())
        os.remove(os.path.join(directory, "vocab.txt"))
        self.check_model(self.pulled())

    def test_two_at_once(self):
        waiting = threading.Semaphore(0)
        self.server.rules[LARGE] = lambda handler: not all(waiting.acquire(timeout=PATIENCE) for _ in range(2))
        calls = [subprocess.Popen([PROGRAM, *self.pull_arguments("org/tiny")], env=self.environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) for _ in range(3)]
        errors = []

        def listen(call):
            for line in call.stderr:
                errors.append(line)
                if "waiting" in line:
                    waiting.release()

        listeners = [threading.Thread(target=listen, args=(call,)) for call in calls]
        for listener in listeners:
            listener.start()
        said = [call.stdout.read().split()[-1:] for call in calls]
        for call, listener in zip(calls, listeners):
            listener.join()
            call.stdout.close()
            call.stderr.close()
            self.assertEqual(call.wait(PATIENCE), 0, errors)
        self.assertEqual(sorted(said), [["fetched"], ["there"], ["there"]])
        self.assertEqual(sum("waiting" in line for line in errors), 2, errors)
        self.assertEqual(self.server.count(LARGE), 1)

    def test_redirect_does_not_get_the_token(self):
        other = Server()
        self.addCleanup(other.close)
        self.environment["HF_TOKEN"] = "hf_secret"
        self.server.rules[LARGE] = lambda handler: send(handler, 302, b"", [("Location", other.url + handler.path)])
        self.server.rules["vocab.txt"] = lambda handler: send(handler, 307, b"", [("Location", "/elsewhere")])
        self.server.rules["/elsewhere"] = lambda handler: send(handler, 200, FILES["vocab.txt"])
        self.check_model(self.pulled())
        self.assertEqual({headers.get("Authorization") for _, headers in self.server.requests}, {"Bearer hf_secret"})
        self.assertEqual([headers.get("Authorization") for _, headers in other.requests], [None])

    def test_redirect_without_end(self):
        self.server.rules["/main"] = lambda handler: send(handler, 302, b"", [("Location", handler.path)])
        self.failed("SENVEC_NETWORK", "redirected too often")

    # ------------------------------------------------------------ connections that break

    def test_resumes_a_cut_download(self):
        self.server.rules[LARGE] = lambda handler: (self.server.count(LARGE) < 3 and
                                                    (self.server.send_file(handler, FILES[LARGE], 300000) or True))
        self.check_model(self.pulled())
        self.assertEqual(self.server.ranges(LARGE), [None, "bytes=300000-", "bytes=600000-"])

    def partial_sizes(self):
        return [os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(self.cache) for name in names
                if name == LARGE + ".partial"]

    def test_resumes_in_a_later_call(self):
        killed = threading.Event()

        def stall(handler):
            if killed.is_set():
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(FILES[LARGE])))
            handler.end_headers()
            handler.wfile.write(FILES[LARGE][:400000])
            handler.wfile.flush()
            killed.wait(PATIENCE)
            handler.close_connection = True
            return True

        self.server.rules[LARGE] = stall
        call = subprocess.Popen([PROGRAM, *self.pull_arguments("org/tiny")], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = time.monotonic() + PATIENCE
        while self.partial_sizes() != [400000] and time.monotonic() < until:
            time.sleep(0.02)
        call.kill()
        call.communicate(timeout=PATIENCE)
        killed.set()
        self.assertEqual(call.returncode, -signal.SIGKILL)
        self.assertEqual(self.run_program("resolve", "org/tiny").returncode, 1)
        self.check_model(self.pulled())
        self.assertEqual(self.server.ranges(LARGE), [None, "bytes=400000-"])
        self.assertEqual(self.server.count("vocab.txt"), 1)

    def test_new_commit_drops_old_parts(self):
        self.failed("SENVEC_IO", limit=500000)
        self.server.files = dict(FILES, **{LARGE: b"other" * 1000})
        self.server.listing = listing(self.server.files, COMMIT[::-1])
        self.server.requests.clear()
        self.check_model(self.pulled(), self.server.files)
        self.assertEqual(self.server.ranges(LARGE), [None])

    def test_server_that_ignores_ranges(self):
        def whole(handler):
            if self.server.count(LARGE) == 1:
                self.server.send_file(handler, FILES[LARGE], 1000)
                return True
            return send(handler, 200, FILES[LARGE])

        self.server.rules[LARGE] = whole
        self.check_model(self.pulled())

    def test_errors_that_pass(self):
        self.server.rules["/main"] = lambda handler: self.server.count("/main") < 2 and send(handler, 500, b"<html>")
        self.server.rules[LARGE] = lambda handler: (self.server.count(LARGE) < 2 and
                                                    send(handler, 429, b"", [("Retry-After", "1")]))
        self.check_model(self.pulled())

    def test_nothing_listens(self):
        self.failed("SENVEC_NETWORK", self.let_nothing_listen())

    def test_silence(self):
        self.environment["SENVEC_HTTP_TIMEOUT"] = "1"
        ended = threading.Event()
        self.server.rules["/main"] = lambda handler: ended.wait(PATIENCE)
        self.failed("SENVEC_NETWORK", self.server.url)  # though there never was an answer
        ended.set()

    def test_silence_within_a_file(self):
        self.environment["SENVEC_HTTP_TIMEOUT"] = "3"  # the rest has to come within it
        again = threading.Event()

        def stall(handler):
            if self.server.count(LARGE) > 1:
                again.set()
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(FILES[LARGE])))
            handler.end_headers()
            handler.wfile.flush()
            again.wait(PATIENCE)
            handler.close_connection = True
            return True

        self.server.rules[LARGE] = stall
        self.check_model(self.pulled())

    # ------------------------------------------------------------ answers that are wrong

    def test_codes(self):
        for code, status, part in ((404, "SENVEC_NOT_FOUND", "404"), (401, "SENVEC_NOT_FOUND", "HF_TOKEN"),
                                   (403, "SENVEC_NETWORK", "HF_TOKEN"), (500, "SENVEC_NETWORK", "500"),
                                   (418, "SENVEC_NETWORK", "418")):
            self.server.rules["/main"] = lambda handler, code=code: send(handler, code, b"{}")
            self.failed(status, part, "/api/models/org/tiny")

    def test_garbage(self):
        for garbage in (b"<html>log in", b"", b"[]", b'{"sha": "x", "siblings": []}', b'{"sha": "%s"}' % COMMIT.encode(),
                        b"\xff\xfe{", b'{"sha": "%s", "siblings": [' % COMMIT.encode() + b"[" * 100000):
            self.server.rules["/main"] = lambda handler, garbage=garbage: send(handler, 200, garbage)
            self.failed("SENVEC_NETWORK", "not a hub's", "HF_ENDPOINT")

    def test_answer_without_end(self):
        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            while True:
                handler.wfile.write(b" " * (1 << 20))

        self.server.rules["/main"] = endless
        self.failed("SENVEC_NETWORK", "longer than")

    def test_no_weights(self):
        for missing in (LARGE, "config.json"):
            self.server.listing = listing({n: c for n, c in FILES.items() if n != missing})
            self.failed("SENVEC_UNSUPPORTED", missing)

    def test_odd_listings(self):
        self.server.listing["siblings"] += [5, None, {}, {"rfilename": 5}, {"rfilename": ""}, {"rfilename": "x" * 5000}]
        self.check_model(self.pulled())

    def test_no_digest(self):
        for sibling in self.server.listing["siblings"]:
            sibling.pop("lfs", None)
            sibling.pop("blobId")
        self.failed("SENVEC_INTEGRITY", "can't be verified")

    def test_wrong_bytes(self):
        for name in ("vocab.txt", LARGE):
            wrong = bytes(len(FILES[name]))
            self.server.rules = {name: lambda handler, wrong=wrong: self.server.send_file(handler, wrong) or True}
            self.failed("SENVEC_INTEGRITY", name)
            parts = [n for _, _, names in os.walk(self.cache) for n in names]
            self.assertNotIn(name + ".partial", parts)

    def test_wrong_sizes(self):
        self.server.rules[LARGE] = lambda handler: self.server.send_file(handler, FILES[LARGE] + b"x") or True
        self.failed("SENVEC_INTEGRITY", "longer than")
        self.server.rules[LARGE] = lambda handler: self.server.send_file(handler, FILES[LARGE][:-1]) or True
        self.failed("SENVEC_INTEGRITY", LARGE)

    def test_damaged_part_is_thrown_away(self):
        self.server.rules[LARGE] = lambda handler: (self.server.count(LARGE) == 1 and
                                                    (self.server.send_file(handler, b"x" * len(FILES[LARGE])) or True))
        self.check_model(self.pulled())

    def test_known_model_with_other_bytes(self):
        self.pins[LARGE] = sha256(b"other")
        self.failed("SENVEC_INTEGRITY", LARGE, sha256(b"other"), name="all-MiniLM-L6-v2")

    def test_known_model_with_other_small_files(self):
        """Each file that decides a vector is pinned, not the weights alone; one that is missing or unknown is no better."""
        for name in FILES:
            files = dict(FILES, **{name: FILES[name][:-1] + b" "})
            self.server.files, self.server.listing = files, listing(files)
            self.failed("SENVEC_INTEGRITY", name, name="all-MiniLM-L6-v2")
            if name not in (LARGE, "config.json"):
                self.server.listing = listing({n: c for n, c in FILES.items() if n != name})
                self.failed("SENVEC_INTEGRITY", name, name="all-MiniLM-L6-v2")
        self.server.files = dict(FILES, **{"2_Normalize/config.json": b"{}", "added_tokens.json": b"{}"})
        self.server.listing = listing(self.server.files)
        self.check_model(self.pulled("all-MiniLM-L6-v2"))

    def test_a_repository_brings_nothing_of_our_own(self):
        """A calibration or a stamp from somebody else would be believed."""
        for name in ("senvec.json", "0_Transformer/senvec-int8.safetensors", "0_Transformer/senvec.json", "senvec-int8.json",
                     "1_Pooling/Senvec-int8.safetensors"):
            self.server.files[name] = b"x"
        self.server.listing = listing(self.server.files)
        self.check_model(self.pulled())

    # ------------------------------------------------------------ verifying later

    def verify(self, name):
        return self.run_program("verify", *self.pull_arguments(name)[1:])

    def check_verify(self, name, directory):
        """Right as it is; each file that is changed, without its size, is named; one that is missing, too."""
        result = self.verify(name)
        self.assertEqual((result.returncode, result.stdout.splitlines()[-1]), (0, "right"), result.stderr)
        for file in FILES:
            path = os.path.realpath(os.path.join(directory, file))
            with open(path, "r+b") as handle:
                last = FILES[file][-1:]
                handle.seek(-1, os.SEEK_END)
                handle.write(b"!")
                handle.flush()
                result = self.verify(name)
                self.assertTrue(result.stderr.startswith("SENVEC_INTEGRITY: "), result.stderr)
                self.assertIn(file, result.stderr)
                handle.seek(-1, os.SEEK_END)
                handle.write(last)
        self.assertEqual(self.verify(name).returncode, 0)

    def test_verify(self):
        self.assertTrue(self.verify("org/tiny").stderr.startswith("SENVEC_NOT_FOUND"))
        self.check_verify("org/tiny", self.pulled())
        directory = self.pulled("all-MiniLM-L6-v2")
        self.check_verify("all-MiniLM-L6-v2", directory)
        os.remove(os.path.join(directory, "vocab.txt"))
        self.assertIn("vocab.txt", self.verify("all-MiniLM-L6-v2").stderr)
        self.assertEqual(self.server.count("/main"), 2)  # no network is asked

    def test_verify_hugging_face_cache(self):
        snapshot = self.make_hugging_face_cache(os.path.join(self.home, ".cache/huggingface/hub"))
        self.check_verify("org/tiny", snapshot)
        self.assertEqual(self.server.requests, [])

    def test_known_model_with_a_stamp_of_somebody(self):
        """The default model's files are pinned: what a stamp beside them says doesn't count."""
        directory = self.pulled("all-MiniLM-L6-v2")
        with open(os.path.join(directory, "vocab.txt"), "wb") as file:
            file.write(b"x" * len(FILES["vocab.txt"]))
        stamp = os.path.join(directory, "senvec.json")
        with open(stamp, encoding="ascii") as file:
            text = file.read().replace(sha256(FILES["vocab.txt"]), sha256(b"x" * len(FILES["vocab.txt"])))
        with open(stamp, "w", encoding="ascii") as file:
            file.write(text)
        self.assertIn("the published one", self.verify("all-MiniLM-L6-v2").stderr)

    # ------------------------------------------------------------ this machine's side

    def test_offline(self):
        self.environment["HF_HUB_OFFLINE"] = "1"
        self.failed("SENVEC_NOT_FOUND", "HF_HUB_OFFLINE")
        self.failed("SENVEC_NOT_FOUND", "HF_HUB_OFFLINE", name="all-MiniLM-L6-v2")
        self.assertEqual(self.server.requests, [])
        del self.environment["HF_HUB_OFFLINE"]
        self.pulled()
        self.environment["HF_HUB_OFFLINE"] = "1"
        self.pulled(state="there")

    def make_hugging_face_cache(self, hub, files=None):
        repository = os.path.join(hub, "models--org--tiny")
        snapshot = os.path.join(repository, "snapshots", COMMIT)
        for name, content in (FILES if files is None else files).items():
            path = os.path.join(snapshot, name)
            blob = os.path.join(repository, "blobs", sha256(content))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.makedirs(os.path.dirname(blob), exist_ok=True)
            with open(blob, "wb") as file:
                file.write(content)
            os.symlink(os.path.relpath(blob, os.path.dirname(path)), path)
        os.makedirs(os.path.join(repository, "refs"))
        with open(os.path.join(repository, "refs/main"), "w", encoding="ascii") as file:
            file.write(COMMIT)
        return snapshot

    def test_hugging_face_cache(self):
        places = (("HF_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub"),
                  ("HOME", ".cache/huggingface/hub"))
        for variable, below in places:
            base = os.path.join(self.home, "hf-" + variable)
            before = self.environment.get(variable)
            self.environment[variable] = base
            snapshot = self.make_hugging_face_cache(os.path.join(base, below))
            self.assertEqual(self.pulled(state="there"), snapshot)
            self.assertEqual(self.run_program("resolve", "org/tiny").stdout.strip(), snapshot)
            if before:
                self.environment[variable] = before
            else:
                del self.environment[variable]
        self.assertEqual(self.server.requests, [])

    def test_incomplete_hugging_face_cache(self):
        hub = os.path.join(self.home, ".cache/huggingface/hub")
        snapshot = self.make_hugging_face_cache(hub)
        os.remove(os.path.realpath(os.path.join(snapshot, LARGE)))
        result = self.run_program("resolve", "org/tiny")
        self.failed("SENVEC_NOT_FOUND", self.cache, hub, "senvec pull org/tiny", run=result)
        self.check_model(self.pulled())

    def test_caches_by_variable(self):
        del self.environment["SENVEC_CACHE"]
        self.assertEqual(self.pulled(), os.path.join(self.home, ".cache/senvec/models/org--tiny"))
        self.environment["XDG_CACHE_HOME"] = os.path.join(self.home, "xdg")
        self.assertEqual(self.pulled(), os.path.join(self.home, "xdg/senvec/models/org--tiny"))
        del self.environment["XDG_CACHE_HOME"], self.environment["HOME"]
        self.failed("SENVEC_INVALID_ARGUMENT", "HOME")

    def test_cache_that_cannot_be_written(self):
        with open(os.path.join(self.home, "file"), "w", encoding="ascii"):
            pass
        self.environment["SENVEC_CACHE"] = os.path.join(self.home, "file/below")
        self.failed("SENVEC_IO", os.path.join(self.home, "file"), "set SENVEC_CACHE")
        self.assertEqual(self.server.requests, [])

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_cache_without_permission(self):
        os.mkdir(self.cache, 0o500)
        self.failed("SENVEC_IO", self.cache, "set SENVEC_CACHE")

    def test_full_disk(self):
        self.failed("SENVEC_IO", LARGE, "writing failed", limit=500000)
        self.check_model(self.pulled())
        self.assertEqual(self.server.ranges(LARGE), [None, "bytes=500000-"])

    def test_names(self):
        for name in ("a/b/c", "a b", "org/", "a/..", "a\nb", "x" * 500, "a/.b"):
            self.failed("SENVEC_INVALID_ARGUMENT", name=name)
            self.failed("SENVEC_INVALID_ARGUMENT", run=self.run_program("resolve", name))
        self.failed("SENVEC_INVALID_ARGUMENT", run=self.run_program("resolve", ""))
        self.failed("SENVEC_INVALID_ARGUMENT", name="/tmp")
        self.failed("SENVEC_NOT_FOUND", "no such folder", run=self.run_program("resolve", "./nothing"))
        self.environment["HF_ENDPOINT"] = "ftp://127.0.0.1"
        self.failed("SENVEC_INVALID_ARGUMENT", "HF_ENDPOINT")

    def test_folders(self):
        folder = os.path.join(self.home, "model")
        os.mkdir(folder)
        self.assertEqual(self.run_program("resolve", folder).stdout.rstrip("/\n"), folder)
        name = os.path.relpath(folder)
        if not name.startswith("."):
            name = "./" + name
        self.assertEqual(self.run_program("resolve", name).stdout.rstrip("/\n"), name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
