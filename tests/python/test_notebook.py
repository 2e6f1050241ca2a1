"""docs/python.ipynb runs from its first cell to its last, with the tiny model in place of the one that it names."""

import contextlib
import io
import json
import os
import unittest

from tiny_model import TINY

NOTEBOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "python.ipynb")


@unittest.skipUnless(os.path.exists(NOTEBOOK), "installed without the sources")
class Notebook(unittest.TestCase):
    def test_runs(self):
        with open(NOTEBOOK, encoding="utf-8") as file:
            cells = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
        namespace: dict = {"__name__": "__main__"}
        printed = io.StringIO()
        for cell in cells:
            self.assertTrue(cell["outputs"], "a cell without its output: run the notebook before it is committed")
            source = "".join(cell["source"]).replace('"all-MiniLM-L6-v2"', repr(TINY))
            # The peer takes seconds to load and is compared in drop_in.py.
            source = source.replace("import sentence_transformers", "raise ImportError")
            with contextlib.redirect_stdout(printed):
                exec(compile(source, "python.ipynb", "exec"), namespace)
        self.assertIn("gardening", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
