#!/usr/bin/env python3
"""test_signals SENVEC MODEL: terminals, signals, and what a killed process leaves, on the tiny model."""
import contextlib
import fcntl
import http.client
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

from command_case import MODEL, PATIENCE, SENVEC, Case, main, run

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def wait_for(condition):
    """Until the condition holds; its value."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "gave up"
        time.sleep(0.01)
    return value


def ignore(numbers):
    """For preexec_fn: what nohup and a job in the background do; the others are taken, even if the tests run under nohup."""
    return lambda: [signal.signal(number, signal.SIG_IGN if number in numbers else signal.SIG_DFL) for number in ENDING]


class Terminal(Case):
    def shown(self, enough, *arguments):
        """What a terminal shows of an embed that gets lines until `enough` says so of what was shown."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([SENVEC, "embed", "-m", MODEL, "-f", "csv", *arguments], stdin=subprocess.PIPE,
                                   stdout=theirs, stderr=theirs)
        os.close(theirs)
        data = bytearray()

        def read():
            with contextlib.suppress(OSError):  # the end of a terminal is an error
                while piece := os.read(ours, 1 << 16):
                    data.extend(piece)

        reader = threading.Thread(target=read)
        reader.start()
        end = time.monotonic() + PATIENCE
        while not enough(data):
            self.assertLess(time.monotonic(), end)
            process.stdin.write(b"one\n")
            process.stdin.flush()
            time.sleep(0.05)
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        reader.join()
        os.close(ours)
        return data.decode().replace("\r\n", "\n")

    def test_vectors_on_a_terminal_stand_alone(self):
        first = []  # when it was seen

        def enough(data):
            if data and not first:
                first.append(time.monotonic())
            return data.count(b"\n") > 5 and time.monotonic() > first[0] + 1.5  # the bar would come after a second

        lines = self.shown(enough).splitlines()
        self.assertRegex(lines.pop(), r"^senvec embed: \d+ texts, ")
        self.assertGreater(len(lines), 5)
        for line in lines:
            self.assertRegex(line, r"^[-0-9.,e]+$")

    def test_progress_stands_where_vectors_go_to_a_file(self):
        self.assertIn("\x1b[K", self.shown(lambda data: b"\x1b[K" in data, "-o", self.path / "v.csv"))


class Signals(Case):
    def begin(self, *arguments, ignored=(), **more):
        return subprocess.Popen([SENVEC, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                preexec_fn=ignore(ignored), **more)

    def end(self, process):
        process.stdin.close()
        out, errors = process.stdout.read(), process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        return process.wait(), out, errors

    def test_embed_keeps_what_is_ignored(self):
        for number in ENDING:
            process = self.begin("embed", "-q", "-m", MODEL, ignored=[number])
            process.stdin.write(b"a\n")
            process.stdin.flush()
            process.stdout.readline()
            process.send_signal(number)
            process.stdin.write(b"b\n")
            code, out, _ = self.end(process)
            self.assertEqual((code, json.loads(out)["index"]), (0, 1))

    def serve(self, *arguments, ignored=()):
        process = self.begin("serve", "-m", MODEL, "--port", "0", *arguments, ignored=ignored)
        found = None
        while not found:
            line = process.stderr.readline()
            self.assertTrue(line, process.poll())
            found = re.search(rb"listening on http://127.0.0.1:(\d+)", line)
        return process, int(found[1])

    def status(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/health")
        status = connection.getresponse().status
        connection.close()
        return status

    def test_serve_keeps_what_is_ignored(self):
        process, port = self.serve(ignored=[signal.SIGHUP, signal.SIGINT])
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
            process.send_signal(number)
        self.assertEqual(self.status(port), 200)
        process.send_signal(signal.SIGTERM)
        code, _, errors = self.end(process)
        self.assertEqual(code, 0, errors)

    def test_serve_ends_by_each(self):
        for number in ENDING:
            process, _ = self.serve()
            process.send_signal(number)
            code, _, errors = self.end(process)
            self.assertEqual(code, 0, errors)

    def test_serve_opens_its_log_anew(self):
        log, rotated = self.path / "log", self.path / "log.1"
        process, port = self.serve("--access-log", log)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.assertEqual(self.status(port), 200)
            wait_for(lambda: log.stat().st_size)
            log.rename(rotated)
            process.send_signal(number)
            wait_for(log.exists)
            self.assertEqual(rotated.read_bytes().count(b"\n"), 1)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.end(process)[0], 0)


class Leftovers(Case):
    def begin(self):
        process = subprocess.Popen([SENVEC, "embed", "-q", "-m", MODEL, "-o", self.path / "v.npy"], stdin=subprocess.PIPE)
        process.stdin.write(b"x" * (1 << 20))  # more than a pipe holds: when it is written, the output was opened
        process.stdin.flush()
        return process

    def names(self):
        return sorted(path.name for path in self.path.iterdir())

    def test_what_a_killed_writer_left_is_removed(self):
        process = self.begin()
        process.kill()
        process.wait()
        process.stdin.close()
        self.assertEqual(len(self.names()), 1)
        other = self.file("v.npy.tmp.abcde", b"not of a writer")
        self.succeeds(self.embed("-q", "-o", self.path / "v.npy", data=b"a\n"))
        self.assertEqual(self.names(), ["v.npy", other.name])

    def test_a_living_writer_is_left_alone(self):
        process = self.begin()
        self.succeeds(self.embed("-q", "-o", self.path / "v.npy", data=b"a\n"))
        self.assertEqual(len(self.names()), 2)
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(self.names(), ["v.npy"])

    def test_a_calibration_that_was_killed_while_it_wrote(self):
        """What it left goes when the file is written again; what another process still writes stays."""
        model = self.path / "model"
        shutil.copytree(MODEL, model, ignore=shutil.ignore_patterns("senvec-int8*"))
        whole = model / "senvec-int8.safetensors"
        dead, alive = (model / f"{whole.name}.tmp.{end}" for end in ("aaaaaa", "bbbbbb"))
        dead.write_bytes(b"some of it")
        alive.write_bytes(b"some of it")
        cache = {"SENVEC_CACHE": str(self.path / "cache")}
        with open(alive, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.succeeds(run("info", "-q", "-m", model, "-p", "int8", environment=cache))
            self.assertEqual([path.exists() for path in (whole, dead, alive)], [True, False, True])
        whole.unlink()
        self.succeeds(run("info", "-q", "-m", model, "-p", "int8", environment=cache))
        self.assertEqual([path.exists() for path in (whole, alive)], [True, False])

    def test_many_writers_at_once(self):
        codes = []
        def write():
            codes.append(self.embed("-q", "-o", self.path / "v.npy", data=b"a\n").returncode)
        threads = [threading.Thread(target=write) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(codes, [0] * 12)
        self.assertEqual(self.names(), ["v.npy"])


if __name__ == "__main__":
    main()
