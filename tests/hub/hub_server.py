"""A hub of the test's own making, and what the tests of pulling from it share. The last argument is the program hub_pull."""
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
import unittest

PROGRAM = os.path.abspath(sys.argv.pop())
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


class HubCase(unittest.TestCase):
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
        self.pins = {name: sha256(content) for name, content in FILES.items()}
        self.wheel = sha256(b"")  # what the package's wheel must be

    def run_program(self, *arguments, limit=None, folder=None):
        def prepare():
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.run([PROGRAM, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=PATIENCE, check=False, preexec_fn=prepare, cwd=folder)

    def pull_arguments(self, name, force=False):
        return ["pull", name, "1" if force else "0", self.wheel, *(part for pin in self.pins.items() for part in pin)]

    def pull(self, name="org/tiny", force=False, **more):
        return self.run_program(*self.pull_arguments(name, force), **more)

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

    def let_nothing_listen(self):
        closed = socket.socket()  # it keeps the port from everybody else
        self.addCleanup(closed.close)
        closed.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % closed.getsockname()[1]
        self.environment["HF_ENDPOINT"] = "http://" + address
        return address
