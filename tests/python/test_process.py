"""Threads, event loops, signals, processes, memory."""

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from senvec import SentenceTransformer
from senvec._engine import _Turn, _engines
from tiny_model import TEXTS, TINY, needs, python


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Threads(unittest.TestCase):
    def test_many_threads(self):
        model = SentenceTransformer(TINY, precision="fp32", threads=3)
        expected = model.encode(TEXTS)

        def work(index):
            for round in range(20):
                if (index + round) % 2:
                    np.testing.assert_array_equal(model.encode(TEXTS * 3), np.tile(expected, (3, 1)))
                else:
                    which = (index + round) % len(TEXTS)
                    np.testing.assert_array_equal(model.encode(TEXTS[which]), expected[which])
            return True

        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(sum(pool.map(work, range(16))), 16)
        self.assertLessEqual(model._engine._narrow_count, 3)

    def test_turns_in_order(self):
        turn, order, threads = _Turn(), [], []
        turn.acquire()
        self.assertFalse(turn.acquire(wait=False))
        for index in range(5):
            def work(index=index):
                turn.acquire()
                order.append(index)
                turn.release()

            threads.append(threading.Thread(target=work))
            threads[-1].start()
            while len(turn._waiting) <= index:
                time.sleep(0.001)
        turn.release()
        for thread in threads:
            thread.join()
        self.assertEqual(order, [0, 1, 2, 3, 4])
        self.assertTrue(turn.acquire(wait=False))

    def test_asyncio(self):
        model = SentenceTransformer(TINY, precision="fp32")
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        async def main():
            ticker = asyncio.create_task(tick())
            made = await asyncio.gather(*(model.aencode(TEXTS) for _ in range(5)), model.aencode_query("a"))
            while ticks < 2:
                await asyncio.sleep(0.001)
            ticker.cancel()
            return made

        made = asyncio.run(main())
        np.testing.assert_array_equal(made[3], model.encode(TEXTS))
        self.assertEqual(made[5].shape, (32,))

    def test_interrupt(self):
        """Ctrl-C ends a call that would take hours, soon, and the model still works."""
        said = python(
            "import _thread, os, signal, sys, threading, time\n"
            "from senvec import SentenceTransformer\n"
            f"model = SentenceTransformer({TINY!r}, precision='fp32')\n"
            "class Endless(list):\n"
            "    pass\n"
            "texts = ['water ' * 40] * 3_000_000\n"
            "begun = threading.Event()\n"
            "engine = model._engine\n"
            "take = engine.take\n"
            "engine.take = lambda count: (begun.set(), take(count))[1]\n"
            "def interrupt():\n"
            "    begun.wait()\n"
            "    time.sleep(0.3)\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "threading.Thread(target=interrupt).start()\n"
            "try:\n"
            "    model.encode(texts)\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', model.encode('a').shape)\n"
        )
        self.assertEqual(said.strip(), "interrupted (32,)")


def _in_child(queue, model, texts):
    queue.put(model.encode(texts))


class Processes(unittest.TestCase):
    def test_fork(self):
        model = SentenceTransformer(TINY, precision="fp32")
        expected = model.encode(TEXTS)  # the session and its threads exist
        for _ in range(3):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    ok = np.array_equal(model.encode(TEXTS), expected) and np.array_equal(model.encode(TEXTS[2]), expected[2])
                    model.close()
                    gc.collect()
                    os.write(writer, b"y" if ok else b"n")
                finally:
                    os._exit(0)
            os.close(writer)
            self.assertEqual(os.read(reader, 1), b"y")
            os.close(reader)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
        np.testing.assert_array_equal(model.encode(TEXTS), expected)

    def test_fork_while_busy(self):
        """A fork while other threads are in calls, as a server's preload may do it."""
        model = SentenceTransformer(TINY, precision="fp32")
        expected = model.encode(TEXTS)
        end = threading.Event()

        def work():
            while not end.is_set():
                model.encode(TEXTS * 20)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    signal.alarm(300)
                    os._exit(0 if np.array_equal(model.encode(TEXTS), expected) else 1)
                self.assertEqual(os.waitpid(child, 0)[1], 0)
        finally:
            end.set()
            for thread in threads:
                thread.join()

    def test_multiprocessing(self):
        model = SentenceTransformer(TINY, precision="fp32")
        expected = model.encode(TEXTS)
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            queue = context.Queue()
            child = context.Process(target=_in_child, args=(queue, model, TEXTS))
            child.start()
            np.testing.assert_array_equal(queue.get(timeout=600), expected)
            child.join()
            self.assertEqual(child.exitcode, 0)


# What gunicorn imports before it forks: it has embedded already, so there are threads.
PRELOADED = """
import os
from senvec import SentenceTransformer
model = SentenceTransformer({tiny!r}, precision="fp32")
TEXTS = {texts!r}
model.encode(TEXTS)
master = os.getpid()


def app(environment, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{{master}} {{os.getpid()}} {{model.encode(TEXTS).tobytes().hex()}}".encode()]
"""


class Gunicorn(unittest.TestCase):
    def test_preload(self):
        """Workers that were forked from a process with a model give its vectors."""
        needs("gunicorn")
        expected = SentenceTransformer(TINY, precision="fp32").encode(TEXTS).tobytes().hex()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            with open(os.path.join(folder, "preloaded.py"), "w", encoding="utf-8") as file:
                file.write(PRELOADED.format(tiny=TINY, texts=TEXTS))
            path = os.path.join(folder, "socket")
            line = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "3", "--timeout", "600",
                    "--no-control-socket", "--bind", f"unix:{path}", "preloaded:app"]
            with open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log, \
                    subprocess.Popen(line, cwd=folder, env={**os.environ, "HOME": folder}, stderr=log) as server:
                try:
                    workers, until = set(), time.monotonic() + 600
                    while len(workers) < 2:  # and many more answers than that, mostly
                        self.assertIsNone(server.poll())
                        self.assertLess(time.monotonic(), until)
                        for answer in self.ask(path):
                            master, worker, vectors = answer.split()
                            self.assertEqual(vectors, expected)
                            self.assertEqual(int(master), server.pid)
                            self.assertNotEqual(worker, master)
                            workers.add(worker)
                    server.terminate()
                    self.assertEqual(server.wait(600), 0)
                except BaseException:
                    server.kill()
                    log.seek(0)
                    print(log.read())
                    raise

    def ask(self, path):
        """The answers to eight requests at a time; one that the server doesn't take, as it isn't ready, has none."""
        def one(_):
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(600)
                    client.connect(path)
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    with client.makefile("rb") as answer:
                        return answer.read().decode().rpartition("\r\n\r\n")[2]
            except OSError:
                time.sleep(0.05)
                return ""

        with ThreadPoolExecutor(8) as pool:
            return [answer for answer in pool.map(one, range(8)) if answer]


class SharedWeights(unittest.TestCase):
    def test_same_bits_from_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            code = (
                "import sys\n"
                "from senvec import SentenceTransformer\n"
                f"model = SentenceTransformer({TINY!r}, precision='int8', share_weights=%s)\n"
                f"print(model.encode({TEXTS!r}).tobytes().hex(), model.info['mapped_bytes'])\n")
            expected, mapped = python(code % False, SENVEC_CACHE=folder).split()
            packed = os.path.join(folder, "packed")
            self.assertFalse(os.path.exists(packed))
            for _ in range(2):  # made, then found
                made, more = python(code % True, SENVEC_CACHE=folder).split()
                self.assertEqual(made, expected)
                self.assertGreater(int(more), int(mapped))
                names = [name for name in os.listdir(packed) if name != ".lock"]
                self.assertEqual(len(names), 1)
                facts = os.stat(os.path.join(packed, names[0]))
                before = getattr(self, "facts", facts)
                self.assertEqual((facts.st_ino, facts.st_mtime_ns), (before.st_ino, before.st_mtime_ns))
                self.facts = facts
            other = python((code % True).replace("int8'", "int8', cpu='ref'"), SENVEC_CACHE=folder)
            self.assertEqual(len(other.split()), 2)
            self.assertGreater(len(os.listdir(packed)), 1)  # another tier's lie in a file of their own, or are the same

    def test_without_a_place(self):
        with tempfile.NamedTemporaryFile() as file, self.assertLogs("senvec", "WARNING") as logs:
            os.environ["SENVEC_CACHE"], before = file.name, os.environ.get("SENVEC_CACHE")
            try:
                model = SentenceTransformer(TINY, precision="int8", calibration="memory", share_weights=True)
            finally:
                os.environ.pop("SENVEC_CACHE") if before is None else os.environ.__setitem__("SENVEC_CACHE", before)
            self.assertEqual(model.encode(TEXTS).shape[0], len(TEXTS))
        self.assertTrue(any("can't be shared" in line for line in logs.output), logs.output)


class Memory(unittest.TestCase):
    def test_calls_leak_nothing(self):
        model = SentenceTransformer(TINY, precision="fp32", threads=1)

        def work(rounds):
            for index in range(rounds):
                model.encode(TEXTS[index % len(TEXTS)])
                model.encode(TEXTS[: index % 7])
                model.encode(TEXTS, precision="binary")

        work(300)
        gc.collect()
        before = resident()
        work(3000)
        gc.collect()
        self.assertLess(resident() - before, 4 << 20)

    def test_openings_leak_nothing(self):
        def work(rounds):
            for _ in range(rounds):
                with SentenceTransformer(TINY, precision="fp32", threads=2) as model:
                    model.encode("a")

        work(50)
        gc.collect()
        before = resident()
        work(300)
        gc.collect()
        self.assertLess(resident() - before, 8 << 20)
        self.assertEqual([key for key in _engines if key[5] == 2], [])


if __name__ == "__main__":
    unittest.main()
