#!/usr/bin/env python3
"""daemon_test SENVEC MODEL: the daemon of `senvec embed --daemon`: started once, the same vectors, clients that go on without
it; its end when idle; and a socket that systemd has opened."""
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import service
from service import PATIENCE, TEXTS, WORDS, Service

LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
# Descriptor, program, arguments: runs it as systemd does, with the socket as descriptor 3.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Daemon(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": self.folder.name, "SENVEC_API_KEY": "not for the daemon"}
        self.environment.pop("SENVEC_SOCKET", None)
        self.addCleanup(self.end_daemons)

    def begin(self, *arguments):
        command = [service.SENVEC, "embed", "-q", "-m", service.MODEL, "--key", "text", "-f", "f32", *map(str, arguments), "-"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.environment)

    def embed(self, *arguments, lines=LINES):
        """(exit code, vectors, errors)"""
        process = self.begin(*arguments)
        data, errors = process.communicate(lines, timeout=PATIENCE)
        return process.returncode, data, errors

    def daemons(self):
        """Processes of this test's runtime directory that serve."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if f"XDG_RUNTIME_DIR={self.folder.name}".encode() in Path(entry, "environ").read_bytes().split(b"\0") and \
                        b"--socket" in Path(entry, "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except (OSError, ValueError):
                continue
        return found

    def end_daemons(self):
        for process in self.daemons():
            os.kill(process, signal.SIGKILL)
        self.wait_for(lambda: not self.daemons())

    def wait_for(self, true):
        until = time.monotonic() + PATIENCE
        while not true():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)

    def socket_path(self):
        paths = list(Path(self.folder.name).glob("*.sock"))
        self.assertEqual(len(paths), 1, paths)
        return paths[0]

    def owner(self):
        """The process that listens."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.socket_path()))
            return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def test_same_bytes(self):
        for options in ((), ("--normalize", "off"), ("--normalize", "on"), ("--dimensions", 8), ("--prompt-text", "a: "),
                        ("--dimensions", 8, "--normalize", "on"), ("--prompt", "query"), ("--dimensions", 100000)):
            code, data, errors = self.embed(*options)
            self.assertEqual(self.embed("--daemon", *options)[:2], (code, data), (options, errors))
        long = json.dumps({"text": " ".join(WORDS[:100])}).encode() + b"\n"
        cut = [self.embed("--truncation-side", side, lines=long) for side in ("right", "left")]
        self.assertNotEqual(*cut)
        self.assertEqual([self.embed("--daemon", "--truncation-side", side, lines=long) for side in ("right", "left")], cut)
        self.assertEqual(self.embed("--daemon", lines=b""), (0, b"", b""))
        broken = b'{"text": "a\xff b"}\n' * 3
        self.assertEqual(self.embed("--daemon", lines=broken), self.embed(lines=broken))
        many = b"".join(json.dumps({"text": f"{i} {text}"}).encode() + b"\n" for i in range(300) for text in TEXTS)
        self.assertEqual(self.embed("--daemon", lines=many), self.embed(lines=many))
        self.assertEqual(self.daemons(), [self.owner()])

    def test_many_at_once_start_one(self):
        expected = self.embed()
        processes = [self.begin("--daemon") for _ in range(50)]
        for process in processes:  # all are there before the first may go on
            process.stdin.write(LINES)
        for process in processes:
            data, errors = process.communicate(timeout=PATIENCE)
            self.assertEqual((process.returncode, data, errors), expected)
        self.assertEqual(self.daemons(), [self.owner()])
        again = subprocess.run([service.SENVEC, "serve", "--socket", "-m", service.MODEL], capture_output=True, text=True,
                               env=self.environment, timeout=PATIENCE, check=False)
        self.assertEqual(again.returncode, 1)
        self.assertIn("another daemon has this socket", again.stderr)
        self.assertEqual(self.daemons(), [self.owner()])

    def test_a_killed_daemon(self):
        """Whoever speaks with it goes on alone, whoever comes next starts another."""
        expected = self.embed()
        process = self.begin("--daemon")
        half = len(LINES.splitlines(keepends=True)[0])
        process.stdin.write(LINES[:half])
        process.stdin.flush()
        first = process.stdout.read(4 * service.DIMENSIONS)  # it is served by the daemon
        killed = self.owner()
        os.kill(killed, signal.SIGKILL)
        rest, errors = process.communicate(LINES[half:], timeout=PATIENCE)
        self.assertEqual((process.returncode, first + rest, errors), expected)
        self.assertEqual(self.embed("--daemon"), expected)
        self.assertNotEqual(self.owner(), killed)

    def test_where_there_can_be_none(self):
        expected = self.embed()
        self.environment["SENVEC_SOCKET"] = str(Path(self.folder.name, "nobody"))
        self.assertEqual(self.embed("--daemon"), expected)
        del self.environment["SENVEC_SOCKET"]
        os.chmod(self.folder.name, 0o777)
        self.assertEqual(self.embed("--daemon"), expected)
        self.assertEqual(self.daemons(), [])
        refused = subprocess.run([service.SENVEC, "serve", "--socket", "-m", service.MODEL], capture_output=True, text=True,
                                 env=self.environment, timeout=PATIENCE, check=False)
        self.assertIn("isn't a folder of this user's alone", refused.stderr)
        os.chmod(self.folder.name, 0o700)

    def test_a_model_that_does_not_open(self):
        """A daemon that couldn't begin isn't waited for; the command says what is wrong."""
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "model")
            shutil.copytree(service.MODEL, model)
            os.truncate(model / "model.safetensors", 100)
            expected = self.embed("-m", model)
            self.assertEqual(expected[0], 1)
            self.assertEqual(self.embed("--daemon", "-m", model), expected)

    def test_idle_exit(self):
        asked = time.monotonic()
        with Service("--idle-exit", "300ms") as s:  # which ends with 0
            for _ in range(20):
                before, asked = asked, time.monotonic()
                try:
                    self.assertEqual(s.call("POST", "/embed", {"inputs": "a"})[0], 200)
                except (http.client.HTTPException, OSError):  # a busy machine kept this client away: then for so long
                    self.assertGreater(time.monotonic() - before, 0.3)
                    break
            self.assertEqual(s.process.wait(PATIENCE), 0)

    def activated(self, idle_exit):
        """(path of a listening socket, what starts a server on it)"""
        path = str(Path(self.folder.name, "activated"))
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen(10)
        command = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), service.SENVEC, "serve", "-q", "-m", service.MODEL,
                   "--idle-exit", idle_exit]
        return path, lambda: subprocess.Popen(command, pass_fds=[listener.fileno()], stderr=subprocess.PIPE)

    def ask(self, path):
        """The beginning of an answer about the server's health."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(path)
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(12)

    def test_activation(self):
        """The socket stays when the server goes: systemd starts the next one on it."""
        path, start = self.activated("300ms")
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)  # before there is a server
                client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                process = start()
                client.settimeout(PATIENCE)
                self.assertIn(client.recv(12), (b"HTTP/1.1 200", b"HTTP/1.1 503"))  # 503: it opens the model yet
                self.assertEqual(process.wait(PATIENCE), 0, process.stderr.read())
                process.stderr.close()
        self.assertTrue(Path(path).exists())

    def test_activation_without_a_socket(self):
        """LISTEN_FDS promises what isn't there: an error, not another address that nobody asked for."""
        environment = {**os.environ, "MODEL": service.MODEL, "SENVEC": service.SENVEC}
        start = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$SENVEC" serve -m "$MODEL" --port 0 '
        unconnected = socket.socket(socket.AF_UNIX)
        self.addCleanup(unconnected.close)
        for third in ("3</dev/null", "3<&-", f"3<&{unconnected.fileno()}"):
            done = subprocess.run(["bash", "-c", start + third], env=environment, pass_fds=[unconnected.fileno()],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 1, (third, done.stderr))
            self.assertRegex(done.stderr, r"\A[^\n]*LISTEN_FDS promises a socket as descriptor 3, but[^\n]*\n\Z", third)

    def test_a_signal_with_the_first_answer(self):
        """SIGTERM isn't lost between the opening of the model and the server that is open."""
        path, start = self.activated("10m")
        for _ in range(10):
            with start() as process:
                try:
                    while (answer := self.ask(path)) == b"HTTP/1.1 503":
                        pass
                    self.assertEqual(answer, b"HTTP/1.1 200")
                    process.terminate()
                    self.assertEqual(process.wait(PATIENCE), 0)
                finally:
                    process.kill()


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
