"""Texts in all the forms that programs have them in."""

import unittest

import numpy as np

from senvec import SentenceTransformer
from tiny_model import TEXTS, TINY


class Inputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = SentenceTransformer(TINY, precision="fp32")
        cls.expected = cls.model.encode(TEXTS)

    def check(self, inputs, expected=None):
        np.testing.assert_array_equal(self.model.encode(inputs), self.expected if expected is None else expected)

    def test_python(self):
        class Text(str):
            pass

        class Column:
            def __iter__(self):
                return iter(TEXTS)

        self.check(tuple(TEXTS))
        self.check(text for text in TEXTS)
        self.check(dict.fromkeys(range(len(TEXTS))) and {i: text for i, text in enumerate(TEXTS)}.values())
        self.check([Text(text) for text in TEXTS])
        self.check(Column())
        self.check(Text(TEXTS[2]), self.expected[2])

    def test_long_lists(self):
        """Lists that are gone through in parts."""
        texts = ["a", "b c"] * 20000
        for index in (0, 16383, 16384, 39999):
            with self.assertRaisesRegex(TypeError, f"^text {index} is None"):
                self.model.encode([*texts[:index], None, *texts[index + 1 :]])
            with self.assertRaisesRegex(ValueError, f"^text {index} has a lone surrogate"):
                self.model.encode([*texts[:index], "\ud800", *texts[index + 1 :]])

    def test_numpy(self):
        self.check(np.array(TEXTS, object))
        plain = [text for text in TEXTS if not text.endswith("\0")]
        self.check(np.array(plain), self.model.encode(plain))
        self.check(np.array(plain[2:3])[0], self.model.encode(plain[2]))
        self.check(np.array(plain[2]), self.model.encode(plain[2]))
        if hasattr(np, "dtypes") and hasattr(np.dtypes, "StringDType"):
            self.check(np.array(TEXTS, np.dtypes.StringDType()))

    def test_arrow(self):
        try:
            import pyarrow as pa
        except ImportError as cause:
            self.skipTest(str(cause))
        for kind in (pa.string(), pa.large_string(), pa.string_view()):
            array = pa.array(TEXTS, kind)
            self.check(array)
            self.check(array[3:9], self.expected[3:9])
            self.check(pa.chunked_array([array[:5], array[5:5], array[5:]]))
            self.check(pa.chunked_array([], kind), np.empty((0, 32), np.float32))
            self.check(array[:0], np.empty((0, 32), np.float32))
        self.check(pa.array(TEXTS).dictionary_encode())
        long = ["x" * n for n in range(40)]
        self.check(pa.array(long, pa.string_view()), self.model.encode(long))
        holes = pa.array(["a", "b", None, "c", None])
        for inputs, row in ((holes, 2), (holes[1:], 1), (pa.chunked_array([holes[:2], holes[3:]]), 3)):
            with self.assertRaisesRegex(TypeError, f"text {row} is null"):
                self.model.encode(inputs)
        self.check(holes[:2], self.model.encode(["a", "b"]))
        np.testing.assert_array_equal(
            self.model.encode(pa.array(TEXTS), prompt="the "), self.model.encode(["the " + text for text in TEXTS])
        )
        for wrong in (pa.array([1, 2]), pa.table({"text": TEXTS}), pa.array([b"a"])):
            with self.assertRaises(TypeError):
                self.model.encode(wrong)

    def test_pandas(self):
        try:
            import pandas as pd
        except ImportError as cause:
            self.skipTest(str(cause))
        self.check(pd.Series(TEXTS))
        self.check(pd.Series(TEXTS, dtype=object, index=range(5, 5 + len(TEXTS))))
        self.check(pd.Index(TEXTS))
        for missing in (None, float("nan"), pd.NA):
            with self.assertRaisesRegex(TypeError, "text 1 is"):
                self.model.encode(pd.Series(["a", missing], dtype=object))
        with self.assertRaises(TypeError):
            self.model.encode(pd.Series(["a", None]))
        with self.assertRaisesRegex(TypeError, "columns"):
            self.model.encode(pd.DataFrame({"text": TEXTS}))

    def test_polars(self):
        try:
            import polars as pl
        except ImportError as cause:
            self.skipTest(str(cause))
        self.check(pl.Series(TEXTS))
        self.check(pl.Series(TEXTS)[4:], self.expected[4:])
        self.check(pl.Series(TEXTS, dtype=pl.Categorical))
        with self.assertRaisesRegex(TypeError, "text 1 is null"):
            self.model.encode(pl.Series(["a", None]))
        with self.assertRaises(TypeError):
            self.model.encode(pl.DataFrame({"text": TEXTS}))


if __name__ == "__main__":
    unittest.main()
