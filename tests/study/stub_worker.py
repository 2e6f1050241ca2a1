"""A worker that speaks the study's protocol (programs/study/worker.h) and misbehaves as its backend's name says:

    steady    every call takes 1 ms and 0.2 ms more for each text
    stall     the same, but every 30th timed call takes 60 ms
    slow      like steady, with three times its time
    count     counts another number of tokens than the others
    die       ends with exit code 3 in its second latency block; "late words" is the last it says
    crash     dies by a signal in its second latency block
    hang      never answers its second latency request
    rubbish   writes something else than a reply to its second throughput request
    chatty    writes a line too many after loading
    endless   answers its first latency request with a line that never ends
    lie       reports a million times the time that its calls took
    few       returns fewer samples than calls
    texts     counts calls as texts in its throughput
    refuse    can't load: an error of its own
    absent    can't load: something isn't installed
    forget    fails when vectors are asked for
    unprepared  can't make the files that it loads
    drift     gives vectors that are a little off
    negative  says that its model has less than no bytes
"""

import json
import os
import signal
import struct
import sys
import time

DIMENSIONS = 4


class Stub:
    def __init__(self):
        self.kind = ""
        self.sets = {}
        self.timed = 0
        self.latencies = 0
        self.throughputs = 0

    def call(self, batch):
        unit = 0.003 if self.kind == "slow" else 0.001
        self.timed += 1
        time.sleep(0.06 if self.kind == "stall" and self.timed % 30 == 0 else unit + 0.0002 * batch)

    def prepare(self, request):
        return {"ok": False, "error": "nothing to prepare"} if request["backend"] == "unprepared" else {}

    def load(self, request):
        self.kind = request["backend"]
        if self.kind == "refuse":
            return {"ok": False, "error": "no such model"}
        if self.kind == "absent":
            return {"ok": False, "missing": True, "error": "Python package stub is not installed"}
        return {"versions": {"stub": "1"}, "settings": {"threads": request["threads"]}, "dimensions": 4,
                "model_bytes": -1 if self.kind == "negative" else 12345}

    def set_texts(self, request):
        with open(request["path"], encoding="utf-8") as file:
            texts = self.sets[request["set"]] = json.load(file)
        extra = 1 if self.kind == "count" else 0
        return {"count": len(texts), "tokens": sum(self.tokens(text) for text in texts) + extra}

    @staticmethod
    def tokens(text):
        return len(text.split()) + 2

    def latency(self, request):
        self.latencies += 1
        if self.latencies == 2:
            if self.kind == "die":
                print("early words\nlate words", file=sys.stderr)
                sys.exit(3)
            if self.kind == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.kind == "hang":
                time.sleep(1000)
        if self.kind == "endless":
            while True:
                sys.stdout.write("x" * 65536)
        for _ in range(request["warmups"]):
            time.sleep(0.0001)
        samples = []
        for _ in range(request["calls"] - (self.kind == "few")):
            start = time.monotonic_ns()
            self.call(request["batch"])
            samples.append((time.monotonic_ns() - start) * (1000000 if self.kind == "lie" else 1))
        return {"samples_ns": samples}

    def throughput(self, request):
        self.throughputs += 1
        if self.kind == "rubbish" and self.throughputs == 2:
            print("Segmentation fault? No: a progress bar 42 %", flush=True)
        known = self.sets[request["set"]]
        calls = tokens = 0
        start = time.monotonic()
        while time.monotonic() < start + request["seconds"]:
            self.call(request["batch"])
            for i in range(request["batch"]):
                tokens += self.tokens(known[(request["first"] + calls * request["batch"] + i) % len(known)])
            calls += 1
        texts = calls if self.kind == "texts" else calls * request["batch"]
        return {"calls": calls, "texts": texts, "tokens": tokens, "seconds": time.monotonic() - start}

    def embed(self, request):
        if self.kind == "forget":
            return {"ok": False, "error": "no vectors today"}
        with open(request["path"], "wb") as file:
            for i, text in enumerate(self.sets[request["set"]]):
                values = [len(text), i % 7, 1.0, (i * 31) % 11]
                if self.kind == "drift":
                    values[3] += 1
                file.write(struct.pack(f"{DIMENSIONS}f", *values))
        return {"count": len(self.sets[request["set"]]), "dimensions": DIMENSIONS}

    def quit(self, request):
        return {}


def main():
    stub = Stub()
    for line in sys.stdin:
        request = json.loads(line)
        operations = {
            "prepare": stub.prepare,
            "load": stub.load,
            "texts": stub.set_texts,
            "latency": stub.latency,
            "throughput": stub.throughput,
            "embed": stub.embed,
            "quit": stub.quit,
        }
        reply = {"ok": True, "id": request["id"], **operations[request["op"]](request)}
        print(json.dumps(reply), flush=True)
        if stub.kind == "chatty" and request["op"] == "load":
            print("and another thing", flush=True)
        if request["op"] == "quit":
            break


if __name__ == "__main__":
    main()
