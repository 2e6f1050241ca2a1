#!/usr/bin/env python3
"""Where the time of a study goes.

    study_times.py [--build DIR] [-- OPTION...]

Runs `senvec study --quick` (or with the options after --) into a temporary folder, follows its progress line, and prints how
long it took, how long each part of it did, and which rows have no finding.
"""
import argparse
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def follow(screen, seconds):
    """Adds up the time between two states of the progress line under the earlier one's name."""
    part, since = "start", time.monotonic()
    while True:
        try:
            data = os.read(screen, 65536)
        except OSError:  # the end of a terminal
            break
        names = re.findall(r" %  (?:round \d+/\d+, )?([^:\r\x1b]+?)(?::|  |\r|$)", data.decode("utf-8", "replace"))
        now = time.monotonic()
        if names and names[-1] != part:
            seconds[part] = seconds.get(part, 0) + now - since
            part, since = names[-1], now
    seconds[part] = seconds.get(part, 0) + time.monotonic() - since


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("options", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 200, 0, 0))
        command = [options.build / "senvec", "study", "-o", folder, *(options.options or ["--quick"])]
        begin, seconds = time.monotonic(), {}
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal) as process:
            os.close(terminal)
            follow(screen, seconds)
        print(f"{time.monotonic() - begin:.1f} s, exit code {process.returncode}")
        for part, spent in seconds.items():
            print(f"  {spent:6.1f} s  {part}")
        for row in json.loads((Path(folder) / "study.json").read_text())["configurations"]:
            if row["state"] != "measured":
                print(f"  {row['name']}: {row['state']}: {row['reason']}")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
