#!/usr/bin/env python3
"""report_test SENVEC PYTHON: the report of studies that never ran (make_study.py), looked at in a headless Chromium.

The page must draw every figure, say nothing on the console, ask nobody for anything, show values where the mouse is, and fit a
phone; what can't be made must be named, and the rest made all the same.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from devtools import Page

SENVEC, PYTHON = sys.argv[1], sys.argv[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FIGURES = {"latency", "throughput", "rounds", "sweep", "lengths", "lengths-batch", "load", "load-rate", "load-cost", "cost",
           "services", "cosine", "cosine-wide", "peak", "roofline", "labels-pairs", "labels-search", "labels-classes"}
COMPARISONS = {"compare-throughput", "compare-latency", "compare-cost", "models-pairs", "models-search", "models-classes"}
# Where the largest thing that was drawn in a figure is.
TARGET = """(() => {
  const place = document.querySelector('[data-figure="%s"]');
  place.scrollIntoView({block: 'center'});
  const marks = [...place.querySelectorAll('.points path, path.box')].map(m => m.getBoundingClientRect()).filter(r => r.width);
  const r = marks.sort((a, b) => b.width * b.height - a.width * a.height)[0];
  return [r.x + r.width / 2, r.y + r.height / 2];
})()"""


def senvec(*arguments, **environment):
    return subprocess.run([SENVEC, "study", "report", *map(str, arguments)], capture_output=True, text=True, timeout=900,
                          env={**os.environ, **environment})


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="senvec-report-")
        cls.root = Path(cls.folder.name)
        cls.studies = [cls.root / "first study", cls.root / "second"]
        for seed, study in enumerate(cls.studies, 1):
            subprocess.run([sys.executable, Path(__file__).parent / "make_study.py", study, str(seed)], check=True)
        cls.page = Page(CHROMIUM)

    @classmethod
    def tearDownClass(cls):
        cls.page.close()
        cls.folder.cleanup()

    def write(self, *arguments, **environment):
        done = senvec(*arguments, "--python", PYTHON, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr

    def look(self, path, width=1200, scheme="light"):
        self.page.view(width, 900, scheme)
        self.page.load(path)
        self.folded = self.page.evaluate("document.querySelectorAll('details.part:not([open])').length")
        self.page.evaluate("report.unfold()")

    def check_figures(self, expected):
        """Each figure is there, with marks in it; a moving mouse brings up a value."""
        drawn = self.page.evaluate("""[...document.querySelectorAll('[data-figure]')].map(f =>
            [f.dataset.figure, f.querySelectorAll('.main-svg').length, f.querySelectorAll('.points path, path.box').length])""")
        self.assertEqual({name for name, _, _ in drawn}, expected)
        for name, drawings, marks in drawn:
            self.assertGreater(drawings, 0, name)
            self.assertGreater(marks, 1, name)
            x, y = self.page.evaluate(TARGET % name)
            text = ""
            for _ in range(100):  # a page that has much to do shows it later, or when the mouse moves again
                self.page.move_mouse(x - 1, y - 1)
                self.page.move_mouse(x, y)
                text = self.page.evaluate(f"""new Promise((done) => {{
                    const look = (left) => {{
                        const labels = [...document.querySelectorAll('[data-figure="{name}"] .hovertext')];
                        const text = labels.map(label => label.textContent).join(' ');
                        if (text || !left) done(text); else setTimeout(look, 50, left - 1);
                    }};
                    look(60);
                }})""")
                if text:
                    break
            self.assertRegex(text, r"\d", f"{name}: hover shows no value")

    def check_quiet(self, path):
        self.assertEqual(self.page.complaints(), [])
        self.assertEqual([url for url in self.page.requests() if not url.startswith(("data:", "blob:"))], [path.as_uri()])

    def test_page(self):
        self.write(self.studies[0], "--html-only", "-q")
        path = self.studies[0] / "report.html"
        for width, scheme in ((1200, "light"), (1200, "dark"), (360, "light")):
            with self.subTest(width=width, scheme=scheme):
                self.look(path, width, scheme)
                self.check_figures(FIGURES)
                self.check_quiet(path)
                self.assertLessEqual(self.page.evaluate("document.documentElement.scrollWidth"), width)
                wide = self.page.evaluate("""[...document.querySelectorAll('#page *')].filter(e => !e.closest('svg')
                    && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className).slice(0, 5)""")
                self.assertEqual(wide, [])

    def test_words(self):
        """Figures come from the data, and what failed says why, whatever is in it."""
        self.write(self.studies[0], "--html-only", "-q")
        self.look(self.studies[0] / "report.html")
        text = self.page.evaluate("document.body.innerText").replace("\N{NO-BREAK SPACE}", " ")
        for expected in ("OpenVINO INT8 (batch=32)", "failed: the worker died: RuntimeError: <script>alert(1)</script> & so on",
                         "missing: this CPU has no bf16 instructions", "Example CPU 1", "senvec study --seed 1", "53aa53aa",
                         "12.5×", "$0.231", "an example of a warning", "over 40 items of pairs.csv", "0.8500",
                         "It is cheap.", "classes <b>.csv", "wide text 1",
                         "search queries (5.00)", "1.11 ms", "after 40 ms of calls", "90 texts of all lengths",
                         "At 540 requests a second", "Not there: fixed", "no: no steady state: it grew & <grew>"):
            self.assertTrue(expected in text, expected)
        for wrong in ("NaN", "undefined", "null", "[object", "Infinity"):
            self.assertFalse(wrong in text, wrong)

    def test_first_screen(self):
        """What is decided stands first, the rest is folded; on a busy machine it says so above all, and gives no ratio."""
        self.write(self.studies[0], "--html-only", "-q")
        self.look(self.studies[0] / "report.html")
        self.assertEqual(self.folded, 13)
        first = self.page.evaluate("document.querySelector('.first').innerText").replace("\N{NO-BREAK SPACE}", " ")
        for expected in ("senvec int8 (batch=32)", "the texts a second of PyTorch in batches of 32", "12.5×",
                         "$0.0185 instead of", "60 distinct texts", "a mean cosine of", "At your own tasks: Spearman"):
            self.assertIn(expected, first)
        busy = self.root / "busy"
        busy.mkdir()
        study = json.loads((self.studies[0] / "study.json").read_text())
        study["steadiness"] = {"quotable": False, "spread": 0.4, "baseline_spread": 0.9, "limit": 0.2}
        nothing = dict.fromkeys(("value", "low", "high"))
        for row in study["configurations"]:  # as programs/results/figures.c has them then
            row["throughput"].update(speedup=nothing, speedup_same_batch=nothing)
            row["cost"]["saving"] = None
        (busy / "study.json").write_text(json.dumps(study))
        self.write(busy, "--html-only", "-q")
        self.look(busy / "report.html")
        first = self.page.evaluate("document.querySelector('.first').innerText").replace("\N{NO-BREAK SPACE}", " ")
        self.assertIn("don't quote these figures", first)
        self.assertIn("90 %", first)
        text = self.page.evaluate("document.body.innerText")
        self.assertNotRegex(text, r"\d×|\d % (less|more)|undefined|NaN")
        self.assertNotIn("If you want", text)

    def test_gaps_in_the_data(self):
        """Without batch sizes, lengths, uses, vectors, with nothing measured: a page that says so."""
        bare = self.root / "bare"
        bare.mkdir()
        study = json.loads((self.studies[0] / "study.json").read_text())
        for row in study["configurations"]:
            for kind in ("validation", "validation_wide"):
                row[kind].update(cosines=[], cosine_mean=None, cosine_min=None, cosine_p1=None, texts=0, neighbours=None)
            row["use_cases"] = dict.fromkeys(row["use_cases"])
            row["sts_spearman"] = None
        study.update(reference="", series=[], sts_pairs=0, batching=None, labels=None, services=None)
        (bare / "study.json").write_text(json.dumps(study))
        self.write(bare, "--html-only", "-q")
        self.look(bare / "report.html")
        self.check_figures(FIGURES - {"sweep", "lengths", "lengths-batch", "cosine", "cosine-wide", "load", "load-rate",
                                      "load-cost", "services", "labels-pairs", "labels-search", "labels-classes"})
        text = self.page.evaluate("document.body.innerText")
        self.assertIn("no batch sweep", text)
        self.assertIn("Texts of other lengths were not measured", text)
        self.assertIn("No vectors were compared", text)
        self.assertNotIn("NaN", text)
        for row in study["configurations"]:
            row["state"] = "planned"
        study["baseline"] = ""
        (bare / "study.json").write_text(json.dumps(study))
        self.write(bare, "--html-only", "-q")
        self.look(bare / "report.html")
        self.check_quiet(bare / "report.html")
        self.assertIn("No configuration was measured", self.page.evaluate("document.body.innerText"))

    def test_side_by_side(self):
        out = self.root / "both"
        self.write(*self.studies, "-o", out, "--html-only", "-q")
        self.look(out / "report.html", 360)
        self.check_figures(FIGURES | COMPARISONS)
        self.assertLessEqual(self.page.evaluate("document.documentElement.scrollWidth"), 360)
        self.assertIn("Example CPU 1", self.page.evaluate("document.getElementById('full').innerText"))
        self.page.evaluate("(w => { w.value = 1; w.dispatchEvent(new Event('change')); })(document.getElementById('which'))")
        self.assertIn("Example CPU 2", self.page.evaluate("document.getElementById('full').innerText"))
        self.check_quiet(out / "report.html")

    def test_colours(self):
        """A configuration has one colour in all figures; in the dark another one, that one everywhere too."""
        self.write(self.studies[0], "--html-only", "-q")
        seen = []
        for scheme in ("light", "dark"):
            self.look(self.studies[0] / "report.html", 1200, scheme)
            colours = self.page.evaluate("""(() => {
                const found = {}, note = (name, colour) => (found[name.replace(/ \\(.*/, "")] ??= new Set()).add(colour);
                for (const figure of document.querySelectorAll("[data-figure] .plot"))
                    for (const trace of figure.data) {
                        if (trace.mode === "text" || !trace.marker) continue;
                        const rows = Array.isArray(trace.marker.color) ? trace.y
                            : [trace.name ?? trace.hovertemplate.split("<")[0]];
                        rows.forEach((name, i) => note(name, [trace.marker.color].flat()[i]));
                        if (trace.line?.color) note(rows[0], trace.line.color);
                    }
                return Object.entries(found).map(([name, colours]) => [name, [...colours]]);
            })()""")
            self.assertEqual([(name, each) for name, each in colours if len(each) != 1], [])
            self.assertEqual(len({each[0] for _, each in colours}), 9, colours)  # 7 configurations, 2 policies
            seen.append(dict((name, each[0]) for name, each in colours))
        self.assertEqual(set(seen[0]), set(seen[1]))
        self.assertNotEqual(seen[0], seen[1])

    def test_native_rows_all_there(self):
        """Nothing missing: nothing is said to be; every native row is under the roof."""
        whole = self.root / "whole"
        subprocess.run([sys.executable, Path(__file__).parent / "make_study.py", whole, "3", "--whole"], check=True)
        self.write(whole, "--html-only", "-q")
        self.look(whole / "report.html")
        self.check_figures(FIGURES)
        text = self.page.evaluate("document.body.innerText")
        self.assertIn("Nothing: every configuration was measured.", text)
        self.assertNotIn("Not in it:", text)
        rows = self.page.evaluate("document.querySelector('#plot-roofline').data.map(trace => trace.name)")
        self.assertEqual(rows, ["peak in fp32", "peak in bf16", "peak in int8", "senvec fp32", "senvec bf16", "senvec int8"])

    def test_everything(self):
        """The PDF, the pictures and the notebook."""
        self.write(self.studies[1])
        self.assertTrue((self.studies[1] / "report.pdf").read_bytes().startswith(b"%PDF-"))
        pictures = {path.stem for path in (self.studies[1] / "evidence").glob("*.png")}
        self.assertEqual(pictures, FIGURES | {"page", "page-dark", "page-phone"})
        for path in (self.studies[1] / "evidence").glob("*.png"):
            self.assertTrue(path.read_bytes().startswith(b"\x89PNG"), path)
        self.assertEqual({path.stem for path in (self.studies[1] / "evidence").glob("*.svg")}, FIGURES)
        for path in (self.studies[1] / "evidence").glob("*.svg"):
            words = "".join(ElementTree.parse(path).getroot().itertext())
            self.assertIn("Source: senvec study 0.1.0; all-MiniLM-L6-v2, Example CPU 2, 2 threads, 2026-01-02", words)
        notebook = json.loads((self.studies[1] / "study.ipynb").read_text())
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        images = [output for cell in code for output in cell["outputs"] if "image/png" in output.get("data", {})]
        self.assertEqual((notebook["nbformat"], len(images)), (4, 8))
        self.assertNotIn("error", [output["output_type"] for cell in code for output in cell["outputs"]])

    def test_comparison_notebook(self):
        out = self.root / "compared"
        self.write(*self.studies, "-o", out, SENVEC_CHROMIUM="/nowhere/chromium")
        notebook = json.loads((out / "comparison.ipynb").read_text())
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        self.assertIn("FOLDERS = ['../first study', '../second']", "".join(code[0]["source"]))
        self.assertEqual(sum("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"]), 3)

    def test_without_what_it_needs(self):
        out = self.root / "alone"
        said = self.write(self.studies[0], "-o", out, SENVEC_CHROMIUM="/nowhere/chromium")
        self.assertIn("no report.pdf", said)
        self.assertTrue((out / "report.html").is_file() and (out / "study.ipynb").is_file())
        self.assertFalse((out / "report.pdf").exists())
        done = senvec(self.studies[0], "-o", out, "--python", "/nowhere/bin/python", "--html-only")
        self.assertEqual(done.returncode, 0)
        self.assertIn("tables in place of plots", done.stderr)
        self.look(out / "report.html", 360)
        self.assertEqual(self.page.evaluate("document.querySelectorAll('[data-figure] table').length"), len(FIGURES))
        self.assertLessEqual(self.page.evaluate("document.documentElement.scrollWidth"), 360)
        self.assertIn("This page has no plots", self.page.evaluate("document.body.innerText"))
        self.check_quiet(out / "report.html")

    def test_refusals(self):
        done = senvec(self.root / "nothing")
        self.assertEqual(done.returncode, 1)
        self.assertIn("senvec study", done.stderr)
        broken = self.root / "broken"
        broken.mkdir()
        for text, reason in (("{", "line 1"), ('{"schema_version": 99}', "schema version 99"),
                             ('{"schema_version": 1}', "not a study")):
            (broken / "study.json").write_text(text)
            done = senvec(broken)
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stderr)
            self.assertFalse((broken / "report.html").exists())


if __name__ == "__main__":
    if not CHROMIUM:
        print("SKIP: no Chromium")
        sys.exit(77)
    if subprocess.run(["env", PYTHON, "-c", "import plotly, matplotlib"], capture_output=True).returncode:
        print(f"SKIP: {PYTHON} has no plotly and matplotlib (programs/report/requirements.txt)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
