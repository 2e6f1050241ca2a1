"""What isn't a text, an option or a model: each gives an exception of the right type with a message of one line, or, where it
has a plain meaning, the right result; never a crash. What sentence-transformers makes of the same input was the guide, but for
what it takes by accident (truncate_dim=-1, an empty array without dimensions)."""

import collections
import decimal
import io
import json
import os
import pathlib
import tempfile
import unittest

import numpy as np

from senvec import CrossEncoder, Error, SentenceTransformer, SparseEncoder
from tiny_model import TEXTS, TINY, copy_of, python

PAIR = TEXTS[:2]


def failing():
    yield "a"
    raise KeyError("of the generator")


class NotSized:
    def __iter__(self):
        return iter(PAIR)


class LengthLies(list):
    def __len__(self):
        return 5


class NoText(str):
    def __str__(self):
        return 3


def frame_inputs(refused: list, taken: list) -> None:
    """Adds columns of pandas, polars and pyarrow, of those that are installed."""
    try:
        import pandas as pd

        refused += [(pd.Series(["a", np.nan]), TypeError, "text 1"), (pd.Series([1, 2]), TypeError, "text 0 is of type int"),
                    (pd.Series(["a", None], dtype="category"), TypeError, "text 1"),
                    (pd.MultiIndex.from_tuples([("a", "b")]), TypeError, "text 0"),
                    (pd.DataFrame({"text": PAIR}), TypeError, "one of its columns")]
        taken += [pd.Series(PAIR), pd.Series(PAIR, dtype="category"), pd.Series(PAIR, index=[7, 7])]
    except ImportError:
        pass
    try:
        import polars as pl

        refused += [(pl.Series(["a", None]), TypeError, "text 1 is null"), (pl.Series([b"a"]), TypeError, "decode it"),
                    (pl.Series([["a"]]), TypeError, "list"), (pl.LazyFrame({"a": PAIR}), TypeError, "LazyFrame"),
                    (pl.col("a"), TypeError, "Expr")]
        taken += [pl.Series(PAIR), pl.Series(PAIR, dtype=pl.Categorical)]
    except ImportError:
        pass
    try:
        import pyarrow as pa

        refused += [(pa.array(["a", None]), TypeError, "text 1 is null"), (pa.array([None]), TypeError, "text 0"),
                    (pa.array(["a", None]).dictionary_encode(), TypeError, "text 1"), (pa.array([b"\xff"]), TypeError, "bytes"),
                    (pa.table({"a": PAIR}), TypeError, "columns"), (pa.scalar("a"), TypeError, "StringScalar")]
        taken += [pa.array(PAIR), pa.chunked_array([PAIR[:1], PAIR[1:]])]
    except ImportError:
        pass


class WrongArguments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = SentenceTransformer(TINY, precision="fp32")
        cls.expected = cls.model.encode(PAIR)

    def tearDown(self):
        np.testing.assert_array_equal(self.model.encode(PAIR), self.expected)  # whatever came before

    def refuses(self, what, error, words, call):
        """call() raises exactly this kind of error, or the engine's for it, and says in one line what is wrong."""
        with self.subTest(what=str(what)[:120]):
            with self.assertRaises(error) as caught:
                call()
            kind, said = type(caught.exception), str(caught.exception)
            self.assertIn(error, kind.__bases__ if issubclass(kind, Error) else (kind,))
            self.assertNotIn("\n", said)
            self.assertIn(words, said)

    def test_texts(self):
        refused = [
            (None, TypeError, "None"), (3, TypeError, "int"), (3.5, TypeError, "float"), (True, TypeError, "bool"),
            (b"a", TypeError, "decode it"), (bytearray(b"a"), TypeError, "decode it"),
            (memoryview(b"a"), TypeError, "decode it"),
            (["a", None], TypeError, "text 1 is None"), (["a"] * 4 + [b"b"], TypeError, "text 4 is of type bytes"),
            (["a", 3], TypeError, "text 1 is of type int"), (["a", float("nan")], TypeError, "text 1 is NaN"),
            ([decimal.Decimal(1)], TypeError, "Decimal"), ([object()], TypeError, "object"), (object(), TypeError, "object"),
            ([["a"]], TypeError, "text 0 is of type list"), ([["a", "b"]], TypeError, "list"),
            ([("a", "b")], TypeError, "tuple"),
            ([[]], TypeError, "list"), ({"a": "b"}, TypeError, "dict"), ({"a"}, TypeError, "set"),
            (collections.Counter("a"), TypeError, "Counter"), ([{"text": "a"}], TypeError, "dict"), (len, TypeError, ""),
            (str, TypeError, ""), (..., TypeError, "ellipsis"), (range(3), TypeError, "text 0"),
            (iter([None]), TypeError, "text 0"),
            (pathlib.Path("a"), TypeError, "Path"), (collections.UserString("a"), TypeError, "UserString"),
            (io.BytesIO(b"a\n"), TypeError, "bytes"), (failing(), KeyError, "generator"), ([NoText("a")], TypeError, "__str__"),
            ("\ud800", ValueError, "lone surrogate (U+D800) at character 0"),
            (["a", "b", "c\ud812"], ValueError, "text 2 has a lone surrogate (U+D812) at character 1"),
            (np.zeros(3), TypeError, "float"), (np.array(3), TypeError, "dimensions"),
            (np.array([["a"]]), TypeError, "dimensions"),
            (np.array([b"a"]), TypeError, "bytes"), (np.array(["a", None], object), TypeError, "text 1 is None"),
            (np.array(["a", np.nan], object), TypeError, "text 1 is NaN"), ([np.str_("a"), None], TypeError, "text 1"),
            (np.ma.array(PAIR, mask=[0, 1]), TypeError, "text 1 is None"), (np.array([("a", 1)], "U1,i4"), TypeError, "tuple"),
        ]
        taken = [
            tuple(PAIR), iter(PAIR), (text for text in PAIR), NotSized(), collections.deque(PAIR), LengthLies(PAIR),
            collections.UserList(PAIR), np.array(PAIR), np.array(PAIR, object), [np.str_(text) for text in PAIR],
        ]
        frame_inputs(refused, taken)
        for inputs, error, words in refused:
            self.refuses(repr(inputs), error, words, lambda inputs=inputs: self.model.encode(inputs))
        for inputs in taken:
            np.testing.assert_array_equal(self.model.encode(inputs), self.expected, repr(inputs))
        for inputs in ([], (), iter(()), np.array([]), np.array([], str)):
            self.assertEqual(self.model.encode(inputs).shape, (0, 32), repr(inputs))
        for one in (PAIR[0], np.str_(PAIR[0]), np.array(PAIR[0])):
            np.testing.assert_array_equal(self.model.encode(one), self.expected[0])
        for empty in ("", "\0", " ", "\n"):
            self.assertTrue(np.isfinite(self.model.encode(empty)).all())
        self.assertEqual(self.model.encode(io.StringIO("a\nb\n")).shape, (2, 32))
        for inputs, error, words in refused[:4] + refused[7:10]:  # the other ways in
            for call in (self.model.tokenize, self.model.tokenizer, self.model.encode_query,
                         lambda inputs: self.model.encode(inputs, output_value="token_embeddings")):
                if inputs is not None or call != self.model.encode_query:
                    self.refuses(repr(inputs), error, words, lambda call=call, inputs=inputs: call(inputs))
        self.refuses("tokenize", ValueError, "text 1 has a lone surrogate", lambda: self.model.tokenize(["a", "\ud800"]))

    def test_options_of_a_call(self):
        f4 = np.float32
        unaligned = np.frombuffer(bytearray(2 * 32 * 4 + 1), np.uint8)[1:].view(f4).reshape(2, 32)
        for arguments, error, words in (
            ({"batch_size": 0}, ValueError, "positive"), ({"batch_size": -1}, ValueError, "positive"),
            ({"batch_size": "32"}, TypeError, "str"), ({"batch_size": 1.5}, TypeError, "float"),
            ({"batch_size": True}, TypeError, "bool"), ({"batch_size": None}, TypeError, "NoneType"),
            ({"device": "cuda"}, ValueError, "CPU"), ({"device": "mps"}, ValueError, "CPU"), ({"device": 3}, ValueError, "CPU"),
            ({"device": ["cpu", "cuda"]}, ValueError, "cuda"), ({"precision": "float16"}, ValueError, "float32"),
            ({"precision": None}, ValueError, "float32"), ({"precision": []}, ValueError, "float32"),
            ({"output_value": "vectors"}, ValueError, "token_embeddings"),
            ({"output_value": 3}, ValueError, "token_embeddings"),
            ({"truncate_dim": 0}, ValueError, "at least 1"), ({"truncate_dim": -3}, ValueError, "at least 1"),
            ({"truncate_dim": "8"}, TypeError, "str"), ({"truncate_dim": True}, TypeError, "bool"),
            ({"truncate_dim": 2.0}, TypeError, "float"), ({"prompt": 3}, TypeError, "int"),
            ({"prompt": b"a"}, TypeError, "bytes"),
            ({"prompt": "\ud800"}, ValueError, "surrogate"), ({"prompt_name": "nonsense"}, ValueError, "'query'"),
            ({"prompt_name": ["query"]}, ValueError, "'query'"), ({"prompt_name": 3}, ValueError, "'query'"),
            ({"prompt_name": "a\nb"}, ValueError, "'query'"), ({"unknown": 1}, TypeError, "unknown"),
            ({"sentences": ["a"]}, TypeError, "both"),
            ({"precision": "int8", "ranges": np.zeros((2, 5))}, ValueError, "(2, 32)"),
            ({"precision": "int8", "ranges": np.full((2, 32), np.nan)}, ValueError, "NaN"),
            ({"precision": "uint8", "ranges": [[None] * 32] * 2}, ValueError, "NaN"),
            ({"precision": "int8", "ranges": "a"}, ValueError, "float"),
            ({"out": np.empty((1, 32), f4)}, ValueError, "(2, 32)"), ({"out": np.empty(32, f4)}, ValueError, "(2, 32)"),
            ({"out": np.empty((2, 32))}, TypeError, "float64"), ({"out": np.empty((2, 32), ">f4")}, TypeError, ">f4"),
            ({"out": np.empty((32, 2), f4).T}, ValueError, "contiguous"), ({"out": bytes(256)}, TypeError, "bytes"),
            ({"out": np.empty((2, 32), f4)[::-1]}, ValueError, "contiguous"),
            ({"out": np.lib.stride_tricks.as_strided(np.empty((1, 32), f4), (2, 32), (0, 4))}, ValueError, "each after"),
            ({"out": np.frombuffer(bytes(256), f4).reshape(2, 32)}, ValueError, "read-only"),
            ({"out": unaligned}, ValueError, "aligned"), ({"out": [[0.0] * 32] * 2}, TypeError, "list"),
            ({"out": np.empty((2, 32), f4), "precision": "int8"}, ValueError, "float32"),
            ({"out": np.empty((2, 32), f4), "convert_to_numpy": False}, ValueError, "float32"),
        ):
            self.refuses(arguments, error, words, lambda arguments=arguments: self.model.encode(PAIR, **arguments))
        for arguments in ({"batch_size": np.int64(3)}, {"batch_size": 10**30}, {"truncate_dim": 10**30}, {"prompt": ""},
                          {"device": "cpu:0"}, {"truncate_dim": np.int32(32)}, {"out": None}):
            np.testing.assert_array_equal(self.model.encode(PAIR, **arguments), self.expected, str(arguments))

    def test_other_methods(self):
        def limit(value):
            self.model.max_seq_length = value

        model, zeros = self.model, np.zeros
        before = model.max_seq_length
        for what, error, words, call in (
            ("encode()", TypeError, "None", lambda: model.encode()),
            ("a limit of text", TypeError, "str", lambda: limit("8")), ("no limit", TypeError, "NoneType", lambda: limit(None)),
            ("limit 0", ValueError, "0", lambda: limit(0)), ("limit 65", ValueError, "2 to 64", lambda: limit(65)),
            ("a huge limit", ValueError, f"={10**30}:", lambda: limit(10**30)),
            ("similarity of 3 and 4", ValueError, "(2, 3)", lambda: model.similarity(zeros((2, 3)), zeros((2, 4)))),
            ("similarity of nothing", ValueError, "shapes", lambda: model.similarity(None, None)),
            ("similarity of text", ValueError, "float", lambda: model.similarity("a", "b")),
            ("similarity of tensors", ValueError, "shapes", lambda: model.similarity(zeros((2, 3, 4)), zeros((2, 4)))),
            ("pairs of 2 and 5", ValueError, "(2,3)", lambda: model.similarity_pairwise(zeros((2, 3)), zeros((5, 3)))),
            ("ids of None", TypeError, "", lambda: model.tokenizer.convert_ids_to_tokens(None)),
        ):
            self.refuses(what, error, words, call)
        self.assertEqual(model.tokenizer.convert_ids_to_tokens([-1, 10**30]), [None, None])
        self.assertEqual(model.max_seq_length, before)

    def test_options_of_a_model(self):
        for arguments, error, words in (
            ({"precision": "fp16"}, ValueError, "bf16"), ({"precision": None}, ValueError, "bf16"),
            ({"precision": []}, ValueError, "bf16"), ({"calibration": "x"}, ValueError, "beside"),
            ({"calibration": {}}, ValueError, "beside"), ({"threads": 0}, ValueError, "1 to 256"),
            ({"threads": -1}, ValueError, "1 to 256"), ({"threads": 257}, ValueError, "1 to 256"),
            ({"threads": 10**30}, ValueError, "1 to 256"), ({"threads": "2"}, TypeError, "str"),
            ({"threads": True}, TypeError, "bool"), ({"threads": 1.0}, TypeError, "float"),
            ({"device": "cuda:0"}, ValueError, "CPU"),
            ({"cpu": "pentium"}, ValueError, "pentium"), ({"cpu": 3}, TypeError, "int"),
            ({"cpu": "avx2\0x"}, ValueError, "avx2"),
            ({"cpu": "\ud800"}, ValueError, "ud800"), ({"cpu": "a\nb"}, ValueError, ""),
            ({"max_seq_length": 1}, ValueError, "2 to"),
            ({"max_seq_length": 10**6}, ValueError, "2 to 64"), ({"max_seq_length": 10**30}, ValueError, "2 to"),
            ({"max_seq_length": "8"}, TypeError, "str"), ({"backend": "tensorflow"}, ValueError, "onnx"),
            ({"backend": []}, ValueError, "onnx"), ({"revision": "v2"}, ValueError, "main"),
            ({"modules": []}, TypeError, "modules"),
            ({"tokenizer_kwargs": {"a": 1}}, TypeError, "tokenizer"),
            ({"tokenizer_kwargs": {"truncation_side": "top"}}, ValueError, "left"),
            ({"tokenizer_kwargs": {"truncation_side": "left", "a": 1}}, TypeError, "truncation_side"),
            ({"model_kwargs": {"x": 1}}, TypeError, "'x'"),
            ({"model_kwargs": {3: 1, "x": 1}}, TypeError, "'x'"), ({"model_kwargs": 3}, TypeError, "dict"),
            ({"truncate_dim": -1}, ValueError, "at least 1"), ({"truncate_dim": "8"}, TypeError, "str"),
            ({"similarity_fn_name": "maxsim"}, ValueError, "cosine"), ({"similarity_fn_name": 3}, ValueError, "cosine"),
            ({"nonsense": 1}, TypeError, "nonsense"), ({"default_prompt_name": "nonsense"}, ValueError, "'query'"),
            ({"default_prompt_name": ["query"]}, ValueError, "'query'"), ({"prompts": []}, TypeError, "dict"),
            ({"prompts": {1: "a"}}, TypeError, "str"), ({"prompts": {"a": 3}}, TypeError, "str"),
            ({"token": 3}, TypeError, "int"),
            ({"cache_folder": 3}, TypeError, "int"),
        ):
            self.refuses(arguments, error, words,
                         lambda arguments=arguments: SentenceTransformer(TINY, **{"precision": "fp32", **arguments}))
        for arguments in ({"threads": np.int64(1)}, {"max_seq_length": np.int32(64)}, {"cpu": ""}, {"model_kwargs": {}}):
            model = SentenceTransformer(TINY, **{"precision": "fp32", **arguments})
            np.testing.assert_array_equal(model.encode(PAIR), self.expected, str(arguments))

    def test_models(self):
        with tempfile.TemporaryDirectory() as folder:
            def file(name: str, content: bytes) -> str:
                path = os.path.join(folder, name)
                with open(path, "wb") as made:
                    made.write(content)
                return path

            cut, other = copy_of(folder), copy_of(folder)
            os.truncate(os.path.join(cut, "model.safetensors"), 100)
            with open(os.path.join(other, "config.json"), "r+", encoding="utf-8") as config:
                changed = json.dumps({**json.load(config), "model_type": "clip"})
                config.seek(0)
                config.write(changed)
                config.truncate()
            bare = copy_of(folder)
            os.unlink(os.path.join(bare, "model.safetensors"))
            for name, error, words in (
                (None, TypeError, "give a model"), (3, TypeError, "int"), (b"model", TypeError, "bytes"),
                (["a"], TypeError, "list"),
                ("", ValueError, "empty"), (" ", ValueError, "no model's name"), ("a b", ValueError, "no model's name"),
                ("a/b/c", ValueError, "no model's name"), ("a\nb", ValueError, "no model's name"),
                ("\ud800", ValueError, "ud800"),
                ("x" * 5000, ValueError, "no model's name"), ("https://a.b/c", ValueError, "no model's name"),
                ("../x\0y", ValueError, "NUL"), (os.path.join(folder, "none"), FileNotFoundError, "no such"),
                (pathlib.Path(folder, "none"), FileNotFoundError, "no such"), ("/" + "x" * 5000, FileNotFoundError, "no such"),
                ("./\udcff", FileNotFoundError, "no such"), (folder, FileNotFoundError, "config.json"),
                ("senvec/not-here", FileNotFoundError, "local_files_only"), (bare, FileNotFoundError, "model.safetensors"),
                (cut, ValueError, "model.safetensors"), (other, NotImplementedError, "clip"),
                (file("empty", b""), ValueError, "empty"), (file("zeros", bytes(4096)), ValueError, "zeros"),
                (file("text", b"hello world" * 100), ValueError, "text"),
                (os.path.join(TINY, "vocab.txt"), ValueError, "vocab.txt"),
            ):
                self.refuses(name, error, words,
                             lambda name=name: SentenceTransformer(name, precision="fp32", local_files_only=True))
        for kind in (CrossEncoder, SparseEncoder):
            self.refuses(kind, ValueError, "open it with SentenceTransformer", lambda kind=kind: kind(TINY, precision="fp32"))

    @unittest.skipUnless(os.path.exists("/proc/self/statm"), "the limit is set to what the process has")
    def test_no_memory(self):
        """In a process that gets no more address space: opening a model, and vectors of a million texts."""
        said = python(
            "import gc, os, resource, senvec\n"
            "texts = ['a'] * 1_000_000\n"
            f"model = senvec.SentenceTransformer({TINY!r}, precision='fp32', threads=1)\n"
            "model.encode('a')\n"
            "gc.disable()\n"
            "with open('/proc/self/statm') as file:\n"
            "    size = int(file.read().split()[0]) * os.sysconf('SC_PAGESIZE')\n"
            "resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))\n"
            "for call in (lambda: senvec.SentenceTransformer("
            f"{TINY!r}, precision='fp32', threads=1, max_seq_length=60), lambda: model.encode(texts)):\n"
            "    try:\n"
            "        call()\n"
            "    except MemoryError as error:\n"
            "        print('MemoryError', isinstance(error, senvec.Error), str(error).count(chr(10)))\n"
            "print(model.encode('a').shape)\n")
        self.assertEqual(said.split("\n")[:3], ["MemoryError True 0", "MemoryError False 0", "(32,)"])


if __name__ == "__main__":
    unittest.main()
