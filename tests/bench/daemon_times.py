#!/usr/bin/env python3
"""What one text takes through the daemon, from the start of the process to its end.

    daemon_times.py MODEL_DIR [--build DIR]

first: no daemon is there, so it is started and opens the model. next: it is there. alone: without it.
"""
import argparse
import contextlib
import os
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}

        def embed(*more):
            command = [options.build / "senvec", "embed", "-q", "-m", options.model, *more]
            begin = time.monotonic()
            subprocess.run(command, input=b"a sentence\n", env=environment, check=True, stdout=subprocess.DEVNULL)
            return 1000 * (time.monotonic() - begin)

        def end_daemon():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(next(Path(folder).glob("*.sock"))))
                os.kill(struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0], signal.SIGKILL)
                with contextlib.suppress(ConnectionResetError):
                    s.recv(1)

        embed()  # the model's int8 file is there, and its files are in the page cache
        first, later, alone = [], [], []
        for _ in range(5):
            first.append(embed("--daemon"))
            later += [embed("--daemon") for _ in range(10)]
            alone.append(embed())
            end_daemon()
        for name, times in (("first", first), ("next", later), ("alone", alone)):
            print(f"{name}: median {statistics.median(times):.1f} ms, from {min(times):.1f} to {max(times):.1f}")


if __name__ == "__main__":
    main()
