"""The recipes of examples/dataframes: the vectors of `senvec embed`, bit for bit."""

import importlib
import tempfile
import unittest

import numpy as np
from cluster import TINY, embedded, make_texts

from senvec import SentenceTransformer


def recipe(library: str):
    try:
        importlib.import_module(library)
    except ImportError as cause:
        raise unittest.SkipTest(str(cause)) from None
    return importlib.import_module(f"with_{library}")


class Recipes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.texts = make_texts(3000)
        with tempfile.TemporaryDirectory() as folder:
            cls.expected = embedded(cls.texts, folder)
        cls.model = SentenceTransformer(TINY, precision="fp32")

    def check(self, rows):
        np.testing.assert_array_equal(np.array([list(row) for row in rows], np.float32), self.expected)

    def test_duckdb(self):
        made = recipe("duckdb")
        import duckdb
        import pyarrow as pa

        connection = duckdb.connect()
        made.register(connection, self.model)
        table = pa.table({"row": range(3000), "text": self.texts})
        connection.register("texts", table)
        rows = connection.execute("SELECT senvec(text) FROM texts ORDER BY row").fetchall()
        self.check([row[0] for row in rows])
        self.assertIsNone(connection.execute("SELECT senvec(NULL)").fetchone()[0])

    def test_polars(self):
        made = recipe("polars")
        import polars as pl

        frame = pl.DataFrame({"text": self.texts})
        result = frame.with_columns(embedding=made.embedding("text", self.model))
        self.assertEqual(result.schema["embedding"], pl.Array(pl.Float32, self.expected.shape[1]))
        self.check(result["embedding"].to_numpy())
        self.check(frame.lazy().select(made.embedding("text", self.model)).collect()["text"].to_numpy())

    def test_dask(self):
        made = recipe("dask")
        import dask.dataframe
        import pandas as pd

        frame = dask.dataframe.from_pandas(pd.DataFrame({"text": self.texts}), npartitions=5)
        self.check(made.embed(frame, "text", self.model).compute(scheduler="threads").sort_index()["embedding"])

    def test_daft(self):
        made = recipe("daft")
        import daft

        function = made.embedding(TINY, self.expected.shape[1], precision="fp32")
        frame = daft.from_pydict({"text": self.texts}).with_column("embedding", function(daft.col("text")))
        self.check(frame.to_pydict()["embedding"])
