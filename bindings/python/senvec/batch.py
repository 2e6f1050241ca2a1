"""Files of texts to shards of vectors, Parquet or .npy, exactly once: `python -m senvec.batch IN... -o DIR --column text`.

Reads Parquet, Arrow IPC, CSV and JSON lines with pyarrow (`pip install senvec[arrow]`) in pieces, so memory doesn't grow with
the files. Reader, engine and writer work at the same time. Each shard is written under a temporary name, flushed to the disk
and renamed; then one line is added to DIR/manifest.jsonl. The first line of the manifest says what the run is of: model,
options, and each input's name, size and a checksum of parts of it. `resume` goes on after whatever ended a run, and refuses
where that line would be another one. A shard without its line is made again; since a vector depends on its text alone, it then
has the same bytes.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from typing import Any

try:
    import pyarrow as pa
except ModuleNotFoundError as missing:
    if __name__ == "__main__":
        sys.exit(f"senvec.batch: {missing}; install what it needs with: pip install senvec[arrow]")
    raise

from . import Error, SentenceTransformer, __version__
from ._batch_files import fingerprint, paths_of, pieces
from ._batch_shards import MANIFEST, Shards, ahead, take_up
from ._column import TYPES, Vectors, check_precision
from ._estimate import estimate, told
from ._repeats import MOST, Repeats
from ._shard_files import FORMATS
from .store import VectorStore, space_of

__all__ = ["MANIFEST", "embed", "main"]

_M_MMAP_THRESHOLD = -3  # of malloc.h


def embed(
    inputs: str | list[str],
    folder: str,
    *,
    column: str = "text",
    keep: list[str] | None = None,
    model: str | SentenceTransformer = "all-MiniLM-L6-v2",
    precision: str = "float32",
    form: str = "parquet",
    rows: int = 50_000,
    resume: bool = False,
    shard: tuple[int, int] = (0, 1),
    repeats: int = MOST,
    store: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **options: Any,
) -> dict[str, int]:
    """Vectors of a column's texts, as shards in `folder`.

    Args:
        inputs: files or patterns: .parquet, .arrow, .csv, .jsonl.
        column: the texts; a null one has a null vector. keep: the columns to carry through; None: all, for .npy none.
        precision: float32, float16, int8, uint8, binary, ubinary. rows: of a shard.
        form: "parquet", the columns and `embedding` in part-NNNNNN.parquet; or "npy", a matrix (rows, numbers) in
            part-NNNNNN.npy, which memory-maps, and beside it part-NNNNNN.parquet where columns are kept. A null text's
            vector is NaN in it.
        resume: goes on with a run that was ended. shard: (i, n) does every n-th shard, from the i-th on.
        repeats: texts whose vectors are remembered within the run, so that a repeated one isn't computed again; 0: none. A
            million takes 20 MB of memory and, while the run lasts, a vector each of disk in `folder`.
        store: a file that keeps vectors for later runs, and for other processes of this machine (senvec.store).
        options: encode's: prompt_name, prompt, normalize_embeddings, truncate_dim.

    Returns: {"shards", "rows"} that this call wrote, and how many of these rows' texts were "computed", were "repeated" in
        the run, or were "stored" by an earlier one (null texts are counted with the repeated).

    Raises: FileExistsError (a folder in use), ValueError (another run's folder, no such column, a null text for an .npy of
        integers), what encode raises.
    """
    check_precision(precision)
    if form not in FORMATS:
        raise ValueError(f"form={form!r}: give one of {', '.join(FORMATS)}")
    if form == "npy" and keep is None:
        keep = []
    part, parts = shard
    if rows < 1 or repeats < 0 or not 0 <= part < parts:
        raise ValueError(f"rows={rows}, repeats={repeats}, shard={shard}: give at least one row, no negative number, and "
                         "(i, n) with 0 <= i < n")
    paths = paths_of([inputs] if isinstance(inputs, str) else list(inputs))
    opened = model if isinstance(model, SentenceTransformer) else SentenceTransformer(model)
    facts = opened.info
    header = {
        "senvec": __version__,
        "model": {name: facts[name] for name in ("name", "space_id", "precision", "tier", "max_seq_length", "dimensions")},
        "options": {"column": column, "keep": keep, "precision": precision, "rows": rows, "shard": list(shard),
                    **({"form": form} if form != "parquet" else {}), **opened._other_side(), **options},
        "inputs": [fingerprint(path) for path in paths],
    }
    kept = VectorStore(store, space_of(opened, options)) if store is not None else None
    remembered: list[Repeats] = []

    def remember(size: int) -> Repeats:
        remembered.append(Repeats(folder, size, repeats))
        return remembered[0]

    try:
        done = take_up(folder, header, resume)
        vectors = Vectors(opened, precision, options, repeats=remember if repeats else None, store=kept)
        read = ahead(pieces(paths, column, rows, lambda number: number % parts == part and number not in done), 2)
        with Shards(folder, form, progress) as shards:
            for number, piece in read:
                if piece is None:
                    shards.put(number, None)
                else:
                    shards.put(number, *vectors.add_to(piece, column, keep))
    finally:
        for one in (kept, *remembered):
            if one is not None:
                one.close()
    return {
        "shards": shards.shards, "rows": shards.rows, "computed": vectors.computed,
        "repeated": vectors.rows - vectors.computed - vectors.stored, "stored": vectors.stored,
    }


def _return_memory() -> None:
    """Has what is freed go back to the system, in a process that does nothing but a run.

    Arrow's own allocator keeps 50 MB. glibc, once it has freed a large buffer, takes the next ones of that size from its
    arenas, which then grow by the holes between them: by 40 MB in a run of a million texts. Large buffers are mappings of their
    own as long as the limit is one that was set."""
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, 256 << 10)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m senvec.batch", description="Files of texts to shards of vectors.")
    parser.add_argument("inputs", nargs="+", metavar="IN", help=".parquet, .arrow, .csv, .jsonl files, or patterns")
    parser.add_argument("-o", "--out", help="folder of the shards")
    parser.add_argument("--column", default="text", help="the texts [text]")
    parser.add_argument("--keep", help="columns to carry through, with commas between; default: all, for npy none")
    parser.add_argument("--format", default="parquet", choices=FORMATS,
                        help="of the shards; npy memory-maps, kept columns are in a Parquet file beside it [parquet]")
    parser.add_argument("-m", "--model", default="all-MiniLM-L6-v2")
    parser.add_argument("-p", "--compute", default="auto", choices=("auto", "fp32", "bf16", "int8"), help="what to compute in")
    parser.add_argument("--precision", default="float32", choices=tuple(TYPES), help="of the vectors [float32]")
    parser.add_argument("--rows", type=int, default=50_000, help="of a shard [50000]")
    parser.add_argument("--shard", default="0/1", help="I/N: every N-th shard from the I-th on, for several machines")
    parser.add_argument("--normalize", action="store_true", help="vectors of length 1")
    parser.add_argument("--repeats", type=int, default=MOST, metavar="N",
                        help=f"texts to remember, so that a repeated one isn't computed again; 0: none [{MOST}]")
    parser.add_argument("--store", metavar="FILE", help="keep vectors for later runs in FILE, and take them from there")
    parser.add_argument("--estimate", action="store_true",
                        help="don't do it: say what it will take, from a sample that is run for ten seconds")
    parser.add_argument("--machines", type=int, default=1, metavar="N", help="for --estimate: hours on N machines, too")
    parser.add_argument("--price", type=float, metavar="USD", help="for --estimate: of an hour of a machine")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was ended")
    arguments = parser.parse_args()
    if not arguments.estimate and not arguments.out:
        parser.error("give the folder of the shards by -o, or --estimate")
    if arguments.machines < 1:
        parser.error(f"--machines {arguments.machines}: give at least 1")
    _return_memory()
    try:
        part, _, parts = arguments.shard.partition("/")
        model = SentenceTransformer(arguments.model, precision=arguments.compute)
        keep = arguments.keep.split(",") if arguments.keep is not None else None
        if arguments.estimate:
            made = estimate(paths_of(arguments.inputs), arguments.column, keep, model, arguments.precision,
                            arguments.repeats > 0, {"normalize_embeddings": arguments.normalize})
            print(told(made, arguments.machines, arguments.price))
            return 0
        written = embed(
            arguments.inputs, arguments.out, column=arguments.column, keep=keep, model=model, precision=arguments.precision,
            form=arguments.format, rows=arguments.rows, resume=arguments.resume, shard=(int(part), int(parts)),
            repeats=arguments.repeats, store=arguments.store, progress=sys.stderr.isatty(),
            normalize_embeddings=arguments.normalize,
        )
        print(f"{written['rows']} rows in {written['shards']} shards: {written['computed']} texts computed, "
              f"{written['repeated']} repeated, {written['stored']} stored by earlier runs", file=sys.stderr)
    except (Error, OSError, ValueError, TypeError) as cause:
        print(f"senvec.batch: {cause}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
