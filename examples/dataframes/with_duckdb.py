"""Vectors in DuckDB's SQL: `SELECT id, senvec(text) FROM texts`. Rows come in vectors of 2,048, whose texts aren't copied."""

import pyarrow as pa

from senvec import SentenceTransformer


def register(connection, model: SentenceTransformer, name: str = "senvec") -> None:
    """A function of SQL: VARCHAR to FLOAT[dimensions]; NULL for NULL."""
    dimensions = model.get_embedding_dimension()

    def embed(texts):
        vectors = model.encode(texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts)
        return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimensions)

    connection.create_function(name, embed, ["VARCHAR"], f"FLOAT[{dimensions}]", type="arrow")


if __name__ == "__main__":
    import duckdb

    session = duckdb.connect()
    register(session, SentenceTransformer("all-MiniLM-L6-v2"))
    print(session.sql("SELECT text, senvec(text) AS embedding FROM (VALUES ('a sentence'), ('another')) AS t(text)"))
