#!/usr/bin/env python3
"""faults SENVEC MODEL [REQUESTS [--measure]]: hostile and clumsy clients together with some that behave.

Aborts, resets, slow readers and senders, pipelining, half-closed sockets, bad JSON, bad UTF-8, too large bodies, a thousand
silent connections, all from another address than the good ones. The server must stay up, answer each well-behaved request, lose
none that it accepted, free what they took, and end with 0 (under a sanitizer: without a report). Then the limits: more silent
connections than there are places, half-sent bodies for more than the memory, and large texts to /tokenize, with no time limit
that would help. No time fails the test.

--measure adds a `senvec load` of 200 single texts a second, which behaves, and prints its p50 and p99 at rest, during the
attack, and, as a control, during the same attack on another, unrelated `senvec serve`; then the ratios of these p99. The
attacker then gets only the CPU time that nobody else wants (SCHED_IDLE), as if it ran elsewhere. Still, many of its requests
are valid, and the server attacked computes them, which fills the CPUs, in the control too. So control / at rest is what sharing
the machine costs, attacked / control what sharing the server adds to it. For figures worth comparing: 10000 requests or more,
and a machine with nothing else to do.
"""
import json
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import service
from service import Service

SILENT, SLOW, WORKERS = 1000, 4, 8
CROWD, LIMITS_SECONDS = 600, 5
RATE, REST_SECONDS = 200, 6
TEXTS = ["the quick brown fox", "a", "", "it was the best of times, it was the worst of times"]


def post(body, path="/embed", extra=""):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


def inputs(choice, most):
    return json.dumps({"inputs": [choice.choice(TEXTS) for _ in range(choice.randint(1, most))]}).encode()


def read_some(raw):
    try:
        raw.recv(65536)
    except OSError:
        pass


def leaves_at_once(raw, choice):
    raw.sendall(post(inputs(choice, 50)))


def resets(raw, choice):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.sendall(post(inputs(choice, 50)))


def stops_in_the_middle(raw, choice):
    request = post(inputs(choice, 50))
    raw.sendall(request[:choice.randrange(1, len(request))])


def half_closes(raw, choice):
    raw.sendall(post(inputs(choice, 5)))
    raw.shutdown(socket.SHUT_WR)
    read_some(raw)


def pipelines(raw, choice):
    raw.sendall(b"".join(post(inputs(choice, 5)) for _ in range(choice.randint(2, 8))))
    read_some(raw)


def sends_nonsense(raw, choice):
    raw.sendall(choice.choice([
        bytes(choice.randrange(256) for _ in range(200)) + b"\r\n\r\n", post(b"{" * 1000), post(b'{"inputs":"\xff\xfe"}'),
        post(b'{"inputs":[1,2,3]}'), post(b"", "/" + "x" * 2000), post(b"{}", extra="Content-Length: 7\r\n"),
        b"POST /embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET / HTTP/9.9\r\n\r\n"]))
    read_some(raw)


def claims_a_large_body(raw, choice):
    raw.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
    raw.sendall(b"x" * 300000)
    read_some(raw)


def reads_slowly(raw, choice):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(post(inputs(choice, 200)))
    for _ in range(3):
        raw.recv(100)
        time.sleep(0.01)


def connect(port):
    own_address = ("127.0.0.2", 0)  # not the others'
    return socket.create_connection(("127.0.0.1", port), timeout=service.PATIENCE, source_address=own_address)


HOSTILE = [leaves_at_once, resets, stops_in_the_middle, half_closes, pipelines, sends_nonsense, claims_a_large_body,
           reads_slowly]


def work(port, seed, count):
    choice = random.Random(seed)
    for _ in range(count):
        try:
            with connect(port) as raw:
                choice.choice(HOSTILE)(raw, choice)
        except OSError:
            pass


def sends_slowly(port, stop):
    """A byte a second until the server has had enough; again and again."""
    while not stop.is_set():
        try:
            with connect(port) as raw:
                for byte in post(b"x" * 100):
                    raw.sendall(bytes([byte]))
                    if stop.wait(1):
                        break
        except OSError:
            pass


def attack(port, count, humble):
    """What the process `faults --attack PORT COUNT HUMBLE` does."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if humble:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    silent, stop = [connect(port) for _ in range(SILENT)], threading.Event()
    slow = [threading.Thread(target=sends_slowly, args=(port, stop)) for _ in range(SLOW)]
    threads = [threading.Thread(target=work, args=(port, seed, count // WORKERS)) for seed in range(WORKERS)]
    for thread in slow + threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    for thread in slow:
        thread.join()
    for raw in silent:
        raw.close()


class Load:
    """`senvec load` against a server while the block runs; then p50 and p99 in ms. Each request must have been answered."""

    def __init__(self, server):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "load.json")
        options = ["-q", "-r", str(RATE), "-d", "3600", "--warmup", "0", "--samples", "1", "--json", self.path]
        self.process = subprocess.Popen([service.SENVEC, "load", server.address, *options], stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGKILL if kind else signal.SIGINT)
        self.process.wait(60)
        with self.folder:
            if kind is None:
                self.read(json.loads(self.path.read_text())["runs"][0])

    def read(self, run):
        lost = {name: count for name, count in run["outcomes"].items() if count and name not in ("answered", "abandoned")}
        assert not lost, lost
        self.p50, self.p99 = run["latency_ms"]["p50"], run["latency_ms"]["p99"]


def ask_while(server, goes_on):
    """A client that behaves: how many answers it got, and the slowest."""
    connection, good, slowest = server.connect(), 0, 0.0
    while goes_on():
        start = time.monotonic()
        status, vectors = server.json("POST", "/embed", {"inputs": TEXTS}, connection=connection)
        assert status == 200 and len(vectors) == len(TEXTS), (status, vectors)
        slowest = max(slowest, time.monotonic() - start)
        good += 1
        time.sleep(0.002)
    connection.close()
    return good, slowest


def ask_during_attack(server, attacked, count, humble):
    command = [sys.executable, __file__, "--attack", str(attacked.port), str(count), str(int(humble))]
    with subprocess.Popen(command) as attacker:
        try:
            asked = ask_while(server, lambda: attacker.poll() is None)
        finally:
            attacker.kill()
    assert attacker.returncode == 0, attacker.returncode
    return asked


def check_all_is_freed(server):
    values = server.wait_for(lambda values: values["senvec_in_flight_requests"] == 0 and values["senvec_connections"] <= 1)
    left, late = values['senvec_cancelled_total{reason="left"}'], values['senvec_cancelled_total{reason="deadline"}']
    assert values["senvec_request_memory_bytes"] == 0, values
    assert values["senvec_accepted_total"] == values["senvec_answered_total"] + left + late
    assert not [name for name in values if 'status="500"' in name]
    return f"{values['senvec_accepted_total']:.0f} accepted, {left:.0f} cancelled"


def start_server(*options):
    return Service("--target-p99", "2000", "--read-timeout", "2", "--idle-timeout", "20", "--max-connections", "2000", *options)


def test(count):
    with start_server("--target-p99", "60000") as server:  # a busy machine is late, not wrong
        good, slowest = ask_during_attack(server, server, count, humble=False)
        freed = check_all_is_freed(server)
    print(f"{count} hostile connections; {good} good requests answered, the slowest in {slowest * 1000:.0f} ms; {freed}")


def occupy(port, stop):
    """Silent connections and half-sent bodies, again and again."""
    start = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (12 << 20)
    while not stop.is_set():
        held = [connect(port) for _ in range(CROWD)]
        for raw in held[:20]:
            try:
                raw.sendall(start + b" " * (8 << 20))
            except OSError:  # its place was given to another one
                pass
        stop.wait(1)
        for raw in held:
            raw.close()


def tokenize(server, stop):
    body = json.dumps({"inputs": "it was the best of times " * 400000}).encode()
    while not stop.is_set():
        server.call("POST", "/tokenize", body)


def test_limits():
    limits = ("--max-connections", "300", "--max-memory", "64", "--idle-timeout", "3600", "--read-timeout", "3600")
    slowest, good, stop = {"/health": 0.0, "/embed": 0.0}, 0, threading.Event()
    with start_server("--target-p99", "60000", *limits) as server:
        threads = [threading.Thread(target=occupy, args=(server.port, stop)),
                   threading.Thread(target=tokenize, args=(server, stop))]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + LIMITS_SECONDS
            while time.monotonic() < end:
                for method, path, body in (("GET", "/health", None), ("POST", "/embed", {"inputs": TEXTS})):
                    start = time.monotonic()
                    status, _, data = server.call(method, path, body)  # a new connection each time
                    slowest[path] = max(slowest[path], time.monotonic() - start)
                    assert status == 200, (path, status, data)
                good += 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        check_all_is_freed(server)
    print(f"at the limits: {good} good requests answered, " +
          ", ".join(f"{path} after {seconds * 1000:.0f} ms at most" for path, seconds in slowest.items()))


def measure(count):
    with start_server() as server, start_server() as other:
        end = time.monotonic() + REST_SECONDS
        with Load(server) as rest:
            ask_while(server, lambda: time.monotonic() < end)
        with Load(server) as attacked:
            ask_during_attack(server, server, count, humble=True)
        check_all_is_freed(server)
        with Load(server) as control:
            ask_during_attack(server, other, count, humble=True)
        check_all_is_freed(other)
    for name, load in (("at rest", rest), ("attacked", attacked), ("control, another server attacked", control)):
        print(f"{name}: p50 {load.p50:.2f}, p99 {load.p99:.2f} ms")
    print(f"p99: attacked / at rest {attacked.p99 / rest.p99:.2f}, control / at rest {control.p99 / rest.p99:.2f}, "
          f"attacked / control {attacked.p99 / control.p99:.2f}")


def main():
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    test(count)
    test_limits()
    if "--measure" in sys.argv:
        measure(count)


if sys.argv[1] == "--attack":
    attack(*map(int, sys.argv[2:5]))
else:
    main()
