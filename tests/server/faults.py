#!/usr/bin/env python3
"""faults SENVEC MODEL [REQUESTS]: hostile and clumsy clients together with one that behaves.

Aborts, resets, slow readers, pipelining, half-closed sockets, bad JSON, bad UTF-8, bodies that are too large, silent
connections. The server must stay up, answer each well-behaved request, lose none that it accepted, free what they took, and end
with 0 (under a sanitizer: without a report).
"""
import json
import random
import socket
import struct
import sys
import threading
import time

import service
from service import Service

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


HOSTILE = [leaves_at_once, resets, stops_in_the_middle, half_closes, pipelines, sends_nonsense, claims_a_large_body,
           reads_slowly]


def hostile(server, seed, count):
    choice = random.Random(seed)
    for _ in range(count):
        try:
            with server.socket(5) as raw:
                choice.choice(HOSTILE)(raw, choice)
        except OSError:
            pass


def main():
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    workers = 8
    with Service("--target-p99", "2000", "--read-timeout", "2", "--idle-timeout", "2") as server:
        silent = [server.socket() for _ in range(200)]
        threads = [threading.Thread(target=hostile, args=(server, seed, count // workers)) for seed in range(workers)]
        for thread in threads:
            thread.start()
        connection, good, slowest = server.connect(), 0, 0.0
        while any(thread.is_alive() for thread in threads):
            start = time.monotonic()
            status, vectors = server.json("POST", "/embed", {"inputs": TEXTS}, connection=connection)
            assert status == 200 and len(vectors) == len(TEXTS), (status, vectors)
            slowest = max(slowest, time.monotonic() - start)
            good += 1
        connection.close()
        for thread in threads:
            thread.join()
        for raw in silent:
            raw.close()
        for _ in range(100):
            values = server.metrics()
            if values["senvec_in_flight_requests"] == 0 and values["senvec_connections"] <= 1:
                break
            time.sleep(0.1)
        left, late = values['senvec_cancelled_total{reason="left"}'], values['senvec_cancelled_total{reason="deadline"}']
        assert values["senvec_in_flight_requests"] == 0 and values["senvec_request_memory_bytes"] == 0, values
        assert values["senvec_connections"] <= 1, values["senvec_connections"]
        assert values["senvec_accepted_total"] == values["senvec_answered_total"] + left + late
        assert not [name for name in values if 'status="500"' in name]
    print(f"{count} hostile connections; {good} good requests answered, the slowest in {slowest * 1000:.0f} ms; "
          f"{values['senvec_accepted_total']:.0f} accepted, {left:.0f} cancelled")


main()
