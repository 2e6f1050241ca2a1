"""SentenceTransformer(..., daemon=True): the same bits as without, one daemon, and programs that go on where it is gone."""

import contextlib
import os
import pickle
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from senvec import SentenceTransformer
from senvec._command import find_command
from tiny_model import TEXTS, TINY, copy_of, python

MIXED = [*TEXTS, "", "a\0b", "é\u2028\U0001f600\"\\\n"]


class Daemon(unittest.TestCase):
    def setUp(self):
        try:
            self.command = find_command()
        except FileNotFoundError as cause:
            self.skipTest(str(cause))
        folder = tempfile.TemporaryDirectory()
        self.folder = folder.name
        self.addCleanup(folder.cleanup)
        for name in ("XDG_RUNTIME_DIR", "SENVEC_SOCKET", "SENVEC_COMMAND"):
            self.addCleanup(self.set_variable, name, os.environ.get(name))
        self.set_variable("XDG_RUNTIME_DIR", self.folder)
        self.set_variable("SENVEC_SOCKET", None)
        self.addCleanup(self.end_daemons)

    @staticmethod
    def set_variable(name, value):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    def sockets(self):
        return [str(path) for path in Path(self.folder).glob("*.sock")]

    def owner(self, end=False):
        """The one daemon's process; with `end` it is killed, and gone when this returns."""
        made = self.sockets()
        self.assertEqual(len(made), 1, made)
        return self.owner_of(made[0], end)

    @staticmethod
    def owner_of(path, end):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            process = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            if end:
                os.kill(process, signal.SIGKILL)
                with contextlib.suppress(ConnectionResetError):
                    s.recv(1)
        return process

    def end_daemons(self):
        for path in self.sockets():
            with contextlib.suppress(ConnectionRefusedError):  # killed by the test
                self.owner_of(path, end=True)

    def both(self, model=TINY):
        return SentenceTransformer(model, precision="fp32"), SentenceTransformer(model, precision="fp32", daemon=True)

    def check_same(self, own, shared, texts, **options):
        np.testing.assert_array_equal(shared.encode(texts, **options), own.encode(texts, **options), str(options))

    def test_same_bits(self):
        own, shared = self.both()
        for options in ({}, {"normalize_embeddings": True}, {"truncate_dim": 7}, {"precision": "int8"}, {"prompt": ""},
                        {"truncate_dim": 1000}):
            self.check_same(own, shared, MIXED, **options)
            self.check_same(own, shared, MIXED[1], **options)
        for side in "left", "right":
            own.tokenizer.truncation_side = shared.tokenizer.truncation_side = side
            self.check_same(own, shared, [" ".join(f"{word} river" for word in ("light", "water", "stone", "music") * 20)])
        self.check_same(own, shared, [])
        self.check_same(own, shared, [f"{i} {text}" for i in range(700) for text in TEXTS])
        room = np.zeros((len(TEXTS), 50), np.float32)
        shared.encode(TEXTS, out=room[:, :32])
        np.testing.assert_array_equal(room[:, :32], own.encode(TEXTS))
        self.assertFalse(room[:, 32:].any())
        self.assertEqual(shared.tokenize(TEXTS)["input_ids"].tolist(), own.tokenize(TEXTS)["input_ids"].tolist())
        self.assertEqual(shared.info["space_id"], own.info["space_id"])
        for name in ("precision", "tier", "dimensions", "max_seq_length", "pooling"):
            self.assertEqual(shared.info[name], own.info[name])
        self.assertIsNone(shared._engine._own_engine)  # until there is need of it:
        self.check_same(own, shared, TEXTS, prompt="another: ")
        self.check_same(own, shared, TEXTS, truncate_dim=7, normalize_embeddings=True)
        for made, expected in zip(shared.encode(TEXTS, output_value="token_embeddings"),
                                  own.encode(TEXTS, output_value="token_embeddings")):
            np.testing.assert_array_equal(made, expected)

    def test_the_daemon_of_the_command(self):
        own, shared = self.both()
        daemon = self.owner()
        line = [self.command, "embed", "--daemon", "-q", "-m", TINY, "-p", "fp32", "-f", "f32"]
        made = subprocess.run(line, input=b"a text\n", capture_output=True, check=True).stdout
        np.testing.assert_array_equal(np.frombuffer(made, np.float32), shared.encode("a text"))
        self.assertEqual(self.owner(), daemon)  # and there is one socket
        # Vectors of another instruction set haven't the same bits, so its daemon is another one.
        python(f"from senvec import SentenceTransformer\nSentenceTransformer({TINY!r}, precision='fp32', daemon=True)",
               SENVEC_CPU="ref")
        self.assertEqual(len(self.sockets()), 2)

    def test_prompts(self):
        with tempfile.TemporaryDirectory() as folder:
            model = copy_of(folder, prompts={"query": "q: ", "other": "x"}, default_prompt_name="query")
            own, shared = self.both(model)
            self.check_same(own, shared, TEXTS)
            self.check_same(own, shared, TEXTS, prompt_name="other")
            np.testing.assert_array_equal(shared.encode_query(TEXTS), own.encode_query(TEXTS))
            self.assertIsNone(shared._engine._own_engine)
            self.check_same(own, shared, TEXTS, prompt="")
            self.assertIsNotNone(shared._engine._own_engine)

    def test_killed(self):
        own, shared = self.both()
        self.check_same(own, shared, TEXTS)
        before = self.owner(end=True)
        self.check_same(own, shared, TEXTS)  # another one is started
        self.assertNotEqual(self.owner(end=True), before)
        self.set_variable("SENVEC_COMMAND", "/nowhere/senvec")
        self.check_same(own, shared, TEXTS)
        self.check_same(own, shared, TEXTS[0])
        self.assertFalse(shared._engine._usable)

    def test_killed_while_it_works(self):
        own, shared = self.both()
        texts = [f"{i} {text}" for i in range(700) for text in TEXTS]
        done = []
        self.set_variable("SENVEC_COMMAND", "/nowhere/senvec")
        ask = shared._engine._ask

        def kill_after_the_first(*arguments):
            made = ask(*arguments)
            if not done:
                self.owner(end=True)
            done.append(made)
            return made

        shared._engine._ask = kill_after_the_first
        self.check_same(own, shared, texts)
        self.assertEqual(done, [True, False])
        del shared._engine._ask  # which refers to the engine

    def test_where_there_can_be_none(self):
        for name, value in (("SENVEC_SOCKET", os.path.join(self.folder, "nobody")), ("XDG_RUNTIME_DIR", "/nowhere"),
                            ("SENVEC_SOCKET", "/tmp/" + "long" * 40)):
            before = os.environ.get(name)
            self.set_variable(name, value)
            own, shared = self.both()
            self.assertIsNotNone(shared._engine._own_engine)
            self.check_same(own, shared, TEXTS)
            self.set_variable(name, before)
        os.chmod(self.folder, 0o777)
        self.check_same(*self.both(), TEXTS)
        os.chmod(self.folder, 0o700)
        self.assertEqual(self.sockets(), [])
        with tempfile.TemporaryDirectory() as folder:
            broken = os.path.join(folder, "model")
            shutil.copytree(TINY, broken)
            os.truncate(os.path.join(broken, "model.safetensors"), 100)
            with self.assertRaisesRegex(ValueError, "model.safetensors"):  # as without a daemon
                SentenceTransformer(broken, precision="fp32", daemon=True)

    def test_a_wrong_server(self):
        """Whatever listens at $SENVEC_SOCKET and isn't this model's daemon isn't used."""
        answers = [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                   b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n" +
                   b'{"version":"0.1.0","senvec":{"dimensions":31},"max_input_length":48}'.ljust(80)]
        path = os.path.join(self.folder, "wrong")
        self.set_variable("SENVEC_SOCKET", path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(10)

            def answer():
                for one in answers:
                    connection = listener.accept()[0]
                    with connection:
                        connection.recv(1000)
                        connection.sendall(one)

            thread = threading.Thread(target=answer)
            thread.start()
            for _ in answers:
                self.check_same(*self.both(), TEXTS)
            thread.join()

    def test_threads_and_processes(self):
        own, shared = self.both()
        expected = own.encode(TEXTS)
        with ThreadPoolExecutor(8) as pool:
            for made in pool.map(shared.encode, [TEXTS] * 50):
                np.testing.assert_array_equal(made, expected)
        child = os.fork()
        if child == 0:
            signal.alarm(300)
            os._exit(0 if np.array_equal(shared.encode(TEXTS), expected) else 1)
        np.testing.assert_array_equal(shared.encode(TEXTS), expected)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        again = pickle.loads(pickle.dumps(shared))
        np.testing.assert_array_equal(again.encode(TEXTS), expected)
        self.assertIsNone(shared._engine._own_engine)
        self.assertIs(again._engine, shared._engine)
        shared.max_seq_length = 12  # which no daemon serves
        own.max_seq_length = 12
        self.check_same(own, shared, TEXTS)
        self.owner()


if __name__ == "__main__":
    unittest.main()
