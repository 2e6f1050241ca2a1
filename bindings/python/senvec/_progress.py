"""A progress bar of one line on standard error, drawn only where that is a terminal."""

from __future__ import annotations

import sys
import time


class Progress:
    def __init__(self, total: int, wanted: bool | None):
        self.total = total
        self.shown = bool(wanted) and total > 1 and sys.stderr is not None and sys.stderr.isatty()
        self.begin = self.drawn = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if not self.shown or (done < self.total and now - self.drawn < 0.1):
            return
        self.drawn = now
        seconds = max(now - self.begin, 1e-9)
        left = (self.total - done) * seconds / max(done, 1)
        filled = 30 * done // self.total
        bar = "#" * filled + "." * (30 - filled)
        sys.stderr.write(f"\r{bar} {done:,} of {self.total:,} texts, {done / seconds:,.0f}/s, {left:.0f} s left  ")
        if done == self.total:
            sys.stderr.write("\n")
        sys.stderr.flush()
