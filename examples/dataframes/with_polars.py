"""Vectors in Polars: an expression for any DataFrame or LazyFrame. The texts aren't copied: Polars hands them out as Arrow."""

import polars as pl

from senvec import SentenceTransformer


def embedding(column: str, model: SentenceTransformer) -> pl.Expr:
    """The vectors of a column without nulls, as Array(Float32, dimensions)."""
    kind = pl.Array(pl.Float32, model.get_embedding_dimension())
    return pl.col(column).map_batches(lambda texts: pl.Series(model.encode(texts), dtype=kind), return_dtype=kind)


if __name__ == "__main__":
    frame = pl.DataFrame({"text": ["a sentence", "another"]})
    print(frame.with_columns(embedding=embedding("text", SentenceTransformer("all-MiniLM-L6-v2"))))
