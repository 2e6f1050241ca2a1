"""senvec in Spark 4: a column of vectors for a DataFrame, and a function for SQL.

    from senvec import spark as senvec_spark

    with_vectors = senvec_spark.embed(df, "text", model="all-MiniLM-L6-v2")
    senvec_spark.register(session, model="all-MiniLM-L6-v2")
    session.sql("SELECT id, senvec(text) AS embedding FROM texts")

The model is opened once in a Python worker, which Spark keeps for many tasks, and computes with as many threads as a task has
CPUs (spark.task.cpus). Workers of a machine map the packed weights of int8 from one file. The model has to be found on every
machine: a folder that all see, or a name in each one's cache. A text's vector has the same bits on every worker of one kind of
CPU, so a task that runs again gives what it gave before.
"""

from __future__ import annotations

import collections.abc
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ._column import Vectors, check_precision, texts_of
from ._names import elsewhere
from .sentence_transformers import SentenceTransformer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame, SparkSession

_opened: dict[Any, SentenceTransformer] = {}


def worker_model(name: str, arguments: dict[str, Any]) -> SentenceTransformer:
    """This process's model of these arguments, opened by the first call."""
    key = (name, *sorted(arguments.items()))
    if key not in _opened:
        _opened[key] = SentenceTransformer(name, **arguments)
    return _opened[key]


def _task_cpus(session: SparkSession) -> int:
    return int(session.sparkContext.getConf().get("spark.task.cpus", "1"))


def _list_of(made: pa.FixedSizeListArray) -> pa.ListArray:
    """Spark's form of vectors; its arrays have no fixed size."""
    return made.cast(pa.list_(made.type.value_type))


def _element(precision: str) -> Any:
    from pyspark.sql import types

    check_precision(precision)
    if precision == "float16":
        raise ValueError("precision='float16': Spark has no such type; give float32 or int8")
    if precision in ("uint8", "ubinary"):
        raise ValueError(f"precision={precision!r}: Spark has no unsigned bytes; give int8 or binary")
    return types.FloatType() if precision == "float32" else types.ByteType()


def embed(
    df: DataFrame,
    column: str = "text",
    *,
    model: str | os.PathLike[str] = "all-MiniLM-L6-v2",
    precision: str = "float32",
    name: str = "embedding",
    compute: str = "auto",
    threads: int | None = None,
    **options: Any,
) -> DataFrame:
    """The DataFrame with a column of vectors.

    Args:
        column: the texts; a null one has a null vector.
        model: a name, a folder or a native file, the same on every machine.
        precision: float32 (array<float>), int8 or binary (array<tinyint>); as encode's. name: of the new column.
        compute: what to compute in, as SentenceTransformer's precision. threads: of a task; default: spark.task.cpus.
        options: encode's: prompt_name, prompt, normalize_embeddings, truncate_dim.

    Raises: ValueError (no such column, not strings, a form that Spark doesn't have). What a worker raises ends the query.
    """
    from pyspark.sql import types

    element = _element(precision)
    if column not in df.columns:
        raise ValueError(f"there is no column {column!r}; there are {', '.join(df.columns)}")
    if not isinstance(df.schema[column].dataType, types.StringType):
        raise ValueError(f"the column {column!r} holds {df.schema[column].dataType.simpleString()}, not strings")
    arguments = {"precision": compute, "threads": threads or _task_cpus(df.sparkSession), "share_weights": True}
    path = elsewhere(model)
    fields = [field for field in df.schema.fields if field.name != name]
    schema = types.StructType([*fields, types.StructField(name, types.ArrayType(element, False), True)])

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        vectors = Vectors(worker_model(path, arguments), precision, options)
        for batch in batches:
            made, _ = vectors.add_to(batch, column, None, name)
            columns = [*made.columns[:-1], _list_of(made.columns[-1])]
            yield pa.RecordBatch.from_arrays(columns, names=made.schema.names)

    return df.mapInArrow(work, schema)


def register(
    session: SparkSession,
    name: str = "senvec",
    *,
    model: str | os.PathLike[str] = "all-MiniLM-L6-v2",
    precision: str = "float32",
    compute: str = "auto",
    threads: int | None = None,
    **options: Any,
) -> Any:
    """Registers a function of SQL, `SELECT senvec(text)`; arguments as embed's. Returns it, for `df.select(function(...))`."""
    from pyspark.sql import functions, types

    element = _element(precision)
    arguments = {"precision": compute, "threads": threads or _task_cpus(session), "share_weights": True}
    path = elsewhere(model)

    def work(batches):
        vectors = Vectors(worker_model(path, arguments), precision, options)
        for texts in batches:
            batch = pa.RecordBatch.from_arrays([texts], names=["text"])
            yield _list_of(vectors.column(texts_of(batch, "text"))[0])

    arrays = collections.abc.Iterator[pa.Array]
    work.__annotations__ = {"batches": arrays, "return": arrays}  # by which Spark knows what kind of function it is
    made = functions.arrow_udf(work, types.ArrayType(element, True))
    return session.udf.register(name, made)
