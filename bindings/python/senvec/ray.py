"""senvec in Ray Data: a column of vectors for a Dataset.

    from senvec import ray as senvec_ray

    with_vectors = senvec_ray.embed(dataset, "text", model="all-MiniLM-L6-v2", actors=4, num_cpus=2)

or, with the callable class,

    dataset.repartition(target_num_rows_per_block=2048).map_batches(
        senvec_ray.Embedder, fn_constructor_kwargs={"column": "text"}, batch_format="pyarrow", batch_size=2048,
        compute=ray.data.ActorPoolStrategy(size=4), num_cpus=2)

An actor opens the model once and computes with its CPUs' number of threads; actors of a machine map the packed weights of int8
from one file. Ray gives whole blocks to actors, so a few large blocks would leave most of the actors without work: `embed`
repartitions the dataset, without a shuffle, so that a block is a batch.
"""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa

from ._column import Vectors, check_precision
from ._names import elsewhere
from .sentence_transformers import SentenceTransformer


class Embedder:
    """For map_batches with batch_format="pyarrow": the table and a column of vectors, lists of fixed size.

    Args:
        column: the texts; a null one has a null vector. keep: the columns to carry through; None: all. name: of the new one.
        model: a name, a folder or a native file, on every machine. compute: as SentenceTransformer's precision.
        precision: float32, float16, int8, uint8, binary, ubinary. threads: default: the CPUs that Ray gives the actor.
        options: encode's: prompt_name, prompt, normalize_embeddings, truncate_dim.
    """

    def __init__(self, column: str = "text", *, model: str | os.PathLike[str] = "all-MiniLM-L6-v2", precision: str = "float32",
                 keep: list[str] | None = None, name: str = "embedding", compute: str = "auto", threads: int | None = None,
                 **options: Any):
        self._column, self._keep, self._name = column, keep, name
        opened = SentenceTransformer(model, precision=compute, threads=threads or _actor_cpus(), share_weights=True)
        self._vectors = Vectors(opened, precision, options)

    def __call__(self, table: pa.Table) -> pa.Table:
        pieces = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        return pa.Table.from_batches([self._vectors.add_to(piece, self._column, self._keep, self._name)[0] for piece in pieces])


def _actor_cpus() -> int | None:
    """CPUs that Ray has given to this actor; None outside of one, or where it gave less than one."""
    import ray

    if not ray.is_initialized():
        return None
    return int(ray.get_runtime_context().get_assigned_resources().get("CPU", 0)) or None


def embed(dataset: Any, column: str = "text", *, model: str | os.PathLike[str] = "all-MiniLM-L6-v2", precision: str = "float32",
          keep: list[str] | None = None, name: str = "embedding", compute: str = "auto", threads: int | None = None,
          actors: int = 1, num_cpus: float = 1, batch_size: int | None = 2048,
          prompt_name: str | None = None, prompt: str | None = None, normalize_embeddings: bool = False,
          truncate_dim: int | None = None, **ray_options: Any) -> Any:
    """The Dataset with a column of vectors; arguments of Embedder, then of map_batches. actors: how many; num_cpus: of each.
    batch_size: rows of a block and of a batch; None: blocks stay as they are, and each is a batch.

    Raises ValueError (a form that isn't one). What an actor raises ends the computation.
    """
    from ray.data import ActorPoolStrategy

    check_precision(precision)
    arguments = {
        "column": column, "model": elsewhere(model), "precision": precision,
        "keep": keep, "name": name, "compute": compute, "threads": threads, "prompt_name": prompt_name, "prompt": prompt,
        "normalize_embeddings": normalize_embeddings, "truncate_dim": truncate_dim,
    }
    if batch_size is not None:
        dataset = dataset.repartition(target_num_rows_per_block=batch_size)
    return dataset.map_batches(Embedder, fn_constructor_kwargs=arguments, batch_format="pyarrow", batch_size=batch_size,
                               compute=ActorPoolStrategy(size=actors), num_cpus=num_cpus, **ray_options)
