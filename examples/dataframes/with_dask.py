"""Vectors in Dask: each process opens the model once, by the pickle of the first partition's task."""

import pandas as pd
import pyarrow as pa

from senvec import SentenceTransformer


def embed_partition(part: pd.DataFrame, column: str, model: SentenceTransformer) -> pd.DataFrame:
    vectors = model.encode(part[column].tolist())
    made = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    return part.assign(embedding=pd.array(made, dtype=pd.ArrowDtype(made.type)))


def embed(frame, column: str, model: SentenceTransformer):
    """The Dask DataFrame with a column `embedding`. A pickle of the model is its path: every machine has to have that."""
    kind = pd.ArrowDtype(pa.list_(pa.float32(), model.get_embedding_dimension()))
    meta = frame._meta.assign(embedding=pd.Series([], dtype=kind))
    return frame.map_partitions(embed_partition, column, model, meta=meta)


if __name__ == "__main__":
    import dask.dataframe

    source = dask.dataframe.from_pandas(pd.DataFrame({"text": ["a sentence", "another"]}), npartitions=1)
    print(embed(source, "text", SentenceTransformer("all-MiniLM-L6-v2")).compute())
