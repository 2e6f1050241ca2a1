#!/usr/bin/env python3
"""page_test SENVEC MODEL [SCREENSHOT.png]: the page at / in a headless Chromium. Somebody types texts and sees how similar they
are, and what the server does meanwhile; and is told what is wrong where something is."""
import base64
import operator
import os
import shutil
import sys
import time
import unittest
from pathlib import Path

import service
from service import Service

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from devtools import Page  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TEXTS = ["the quick brown fox", "a quick brown dog", "it was the best of times <b>&amp;</b>"]
CELLS = "[...document.querySelectorAll('#result tr')].map(row => [...row.cells].map(cell => cell.textContent))"


class TryPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.page = Page(CHROMIUM)

    @classmethod
    def tearDownClass(cls):
        cls.page.close()

    def wait_for(self, expression, meanwhile=lambda: None):
        until = time.monotonic() + service.PATIENCE
        while time.monotonic() < until:
            meanwhile()
            value = self.page.evaluate(expression)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"never true: {expression}; the page: {self.page.evaluate('document.body.innerText')}")

    def open(self, server, width=1000, scheme="light"):
        self.page.view(width, 900, scheme)
        self.page.events.clear()
        self.page.call("Page.navigate", url=server.address + "/")
        self.wait_for(f"location.href.startsWith('{server.address}') && document.readyState == 'complete'")

    def type(self, text):
        self.page.evaluate("document.getElementById('texts').focus(); document.getElementById('texts').select()")
        self.page.call("Input.insertText", text=text)

    def click(self, element, meanwhile=lambda: None):
        """`meanwhile`: between pressing and releasing the button, which takes a person some 100 ms."""
        x, y = self.page.evaluate(f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
                                  f"(document.getElementById('{element}').getBoundingClientRect())")
        self.page.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        meanwhile()
        self.page.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    def fits(self):
        return self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def test_similarity(self):
        with Service() as server:
            self.open(server)
            self.wait_for(f"{CELLS}.length == 5")  # the example's
            self.assertEqual(self.page.evaluate("document.getElementById('model').textContent"), "tiny")
            self.type("\n".join(TEXTS) + "\n\n")
            self.click("compare")
            rows = self.wait_for(f"{CELLS}.length == 4 && {CELLS}")
            vectors = server.json("POST", "/embed", {"inputs": TEXTS})[1]
            self.assertEqual(rows[0], ["", "1", "2", "3"])
            for i, row in enumerate(rows[1:]):
                self.assertEqual(row[0], f"{i + 1}  {TEXTS[i]}")
                for j, cell in enumerate(row[1:]):
                    self.assertAlmostEqual(float(cell), sum(map(operator.mul, vectors[i], vectors[j])), delta=0.0011)
            self.wait_for("document.getElementById('rate').textContent != '–'")
            self.wait_for("+document.getElementById('rate').textContent > 0 && "
                          "document.getElementById('mean').textContent != '–'",
                          lambda: server.json("POST", "/embed", {"inputs": ["a"] * 500}))
            self.assertTrue(self.fits())
            self.assertEqual(self.page.complaints(), [])
            self.assertTrue(all(url.startswith(server.address) for url in self.page.requests()))
            if SCREENSHOT:
                self.page.evaluate("window.scrollTo(0, 0)")
                SCREENSHOT.write_bytes(base64.b64decode(self.page.call("Page.captureScreenshot")["data"]))

    def test_phone_and_dark(self):
        with Service() as server:
            self.open(server, width=360, scheme="dark")
            self.wait_for(f"{CELLS}.length == 5")
            self.type("\n".join(f"a text that is long enough to be cut, number {i}" for i in range(20)))
            self.click("compare")
            self.wait_for(f"{CELLS}.length == 21")
            self.assertTrue(self.fits())
            if SCREENSHOT:
                shot = self.page.call("Page.captureScreenshot")["data"]
                SCREENSHOT.with_suffix(".phone.png").write_bytes(base64.b64decode(shot))

    def test_key(self):
        with Service(environment={"SENVEC_API_KEY": "s3cret"}) as server:
            self.open(server)
            self.wait_for("document.getElementById('problem').textContent.includes('API key')")
            self.page.evaluate("document.getElementById('key').focus()")
            self.page.call("Input.insertText", text="s3cret")
            self.click("compare", lambda: self.wait_for("document.getElementById('model').textContent == 'tiny'"))
            self.wait_for(f"{CELLS}.length == 5")
            self.assertEqual(self.page.evaluate("document.getElementById('problem').textContent"), "")


if not CHROMIUM:
    print("SKIP: no Chromium here")
    sys.exit(77)
service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
SCREENSHOT = Path(sys.argv[3]) if len(sys.argv) > 3 else None
os.environ.pop("SENVEC_API_KEY", None)
unittest.main(argv=sys.argv[:1])
