"""Vectors in Daft: a class of which each worker process makes one instance, so that the model is opened once there."""

import daft
from senvec import SentenceTransformer


def embedding(model: str, dimensions: int, **options):
    """A function of an expression: `frame.with_column("embedding", embedding("all-MiniLM-L6-v2", 384)(daft.col("text")))`."""

    @daft.udf(return_dtype=daft.DataType.embedding(daft.DataType.float32(), dimensions))
    class Embed:
        def __init__(self):
            self.model = SentenceTransformer(model, **options)

        def __call__(self, texts: daft.Series):
            return self.model.encode(texts.to_arrow())

    return Embed


if __name__ == "__main__":
    frame = daft.from_pydict({"text": ["a sentence", "another"]})
    frame.with_column("embedding", embedding("all-MiniLM-L6-v2", 384)(daft.col("text"))).show()
