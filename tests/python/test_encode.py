"""SentenceTransformer: vectors, the forms they come in, arguments, sharing, pickling, closing."""

import copy
import os
import pickle
import tempfile
import unittest

import numpy as np

import senvec
from senvec import SentenceTransformer, _outputs
from senvec.store import space_of
from tiny_model import GOLDEN, TEXTS, TINY, copy_of


class Vectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = SentenceTransformer(TINY, precision="fp32")
        cls.expected = np.array(GOLDEN["vectors"]["mean"], np.float32)

    def test_reference(self):
        vectors = self.model.encode(TEXTS)
        self.assertEqual((vectors.dtype, vectors.shape), (np.float32, (len(TEXTS), 32)))
        np.testing.assert_allclose(vectors, self.expected, atol=2e-6)

    def test_one(self):
        vectors = self.model.encode(TEXTS)
        for text, vector in zip(TEXTS, vectors):
            alone = self.model.encode(text)
            self.assertEqual(alone.shape, (32,))
            np.testing.assert_array_equal(alone, vector)

    def test_none(self):
        self.assertEqual(self.model.encode([]).shape, (0, 32))

    def test_pieces(self):
        """A call that goes to the library in many pieces gives the same bits."""
        many = TEXTS * 100
        engine = self.model._engine
        before, engine._rate = engine._rate, 1.0
        try:
            np.testing.assert_array_equal(self.model.encode(many), np.tile(self.model.encode(TEXTS), (100, 1)))
        finally:
            engine._rate = before

    def test_normalize_and_cut(self):
        vectors = self.model.encode(TEXTS)
        cut = self.model.encode(TEXTS, truncate_dim=8)
        np.testing.assert_array_equal(cut, vectors[:, :8])
        unit = self.model.encode(TEXTS, truncate_dim=8, normalize_embeddings=True)
        np.testing.assert_allclose(unit, cut / np.linalg.norm(cut, axis=1, keepdims=True), rtol=1e-6)
        one = self.model.encode(TEXTS[2], truncate_dim=8, normalize_embeddings=True)
        np.testing.assert_array_equal(one, unit[2])
        self.assertEqual(self.model.encode(TEXTS, truncate_dim=99).shape, (len(TEXTS), 32))
        with self.model.truncate_embeddings(4):
            self.assertEqual(self.model.get_sentence_embedding_dimension(), 4)
            self.assertEqual(self.model.encode("a").shape, (4,))
        self.assertEqual(self.model.get_embedding_dimension(), 32)

    def test_quantized(self):
        vectors = self.model.encode(TEXTS)
        bits = np.packbits(vectors > 0, axis=-1)
        np.testing.assert_array_equal(self.model.encode(TEXTS, precision="ubinary"), bits)
        binary = self.model.encode(TEXTS, precision="binary")
        self.assertEqual(binary.dtype, np.int8)
        np.testing.assert_array_equal(binary.astype(np.int16), bits.astype(np.int16) - 128)
        for ranges in (None, np.stack([vectors.min(0), vectors.max(0)])):
            low, high = senvec.int8_ranges(32) if ranges is None else ranges
            levels = np.clip(np.floor((vectors - low) / ((high - low) / 255)), 0, 255)
            u8 = self.model.encode(TEXTS, precision="uint8", ranges=ranges)
            i8 = self.model.encode(TEXTS, precision="int8", ranges=ranges)
            self.assertEqual((u8.dtype, i8.dtype), (np.uint8, np.int8))
            np.testing.assert_array_equal(u8, levels)
            np.testing.assert_array_equal(i8, levels - 128)
        np.testing.assert_array_equal(self.model.encode(TEXTS[3], precision="int8"),
                                      self.model.encode(TEXTS, precision="int8")[3])

    def test_out(self):
        expected = self.model.encode(TEXTS)
        out = np.full((len(TEXTS), 32), 7, np.float32)
        self.assertIs(self.model.encode(TEXTS, out=out), out)
        np.testing.assert_array_equal(out, expected)
        wide = np.full((len(TEXTS), 40), 7, np.float32)
        self.model.encode(TEXTS, out=wide[:, 3:35])
        np.testing.assert_array_equal(wide[:, 3:35], expected)
        self.assertTrue((wide[:, :3] == 7).all() and (wide[:, 35:] == 7).all())
        rows = np.full((2 * len(TEXTS), 32), 7, np.float32)
        self.model.encode(TEXTS, out=rows[::2], normalize_embeddings=True)
        np.testing.assert_array_equal(rows[::2], self.model.encode(TEXTS, normalize_embeddings=True))
        self.assertTrue((rows[1::2] == 7).all())
        cut = np.empty((len(TEXTS), 8), np.float32)
        self.model.encode(TEXTS, out=cut, truncate_dim=8)
        np.testing.assert_array_equal(cut, expected[:, :8])
        one = np.empty(32, np.float32)
        self.assertIs(self.model.encode(TEXTS[1], out=one), one)
        np.testing.assert_array_equal(one, expected[1])

    def test_similarity(self):
        a, b = self.model.encode(TEXTS[:5]).astype(np.float64), self.model.encode(TEXTS[5:12]).astype(np.float64)
        for name, one in (
            ("cosine", lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y)),
            ("dot", lambda x, y: x @ y),
            ("euclidean", lambda x, y: -np.linalg.norm(x - y)),
            ("manhattan", lambda x, y: -np.abs(x - y).sum()),
        ):
            expected = np.array([[one(x, y) for y in b] for x in a])
            np.testing.assert_allclose(_outputs.similarity(name, a, b, False), expected, atol=1e-9)
            np.testing.assert_allclose(_outputs.similarity(name, a, b[:5], True), np.diag(expected), atol=1e-9)
        self.assertEqual(np.asarray(self.model.similarity(a[0], b)).shape, (1, 7))

    def test_facts(self):
        model = self.model
        self.assertEqual((len(model), bool(model), str(model.device), model.device.type), (3, True, "cpu", "cpu"))
        self.assertEqual(model.info["precision"], "fp32")
        self.assertIn("fp32", repr(model))
        self.assertEqual(model.eval(), model)
        self.assertEqual(model.to("cpu"), model)
        ids = model.tokenize(TEXTS[:4])
        for row, mask, expected in zip(ids["input_ids"], ids["attention_mask"], GOLDEN["ids"]):
            self.assertEqual([int(one) for one in row[: int(mask.sum())]], expected)


class Arguments(unittest.TestCase):
    def setUp(self):
        self.model = SentenceTransformer(TINY, precision="fp32")

    def test_accepted(self):
        expected = self.model.encode(TEXTS)
        pool = self.model.start_multi_process_pool()
        for arguments in ({"batch_size": 7}, {"device": "cpu"}, {"device": ["cpu", "cpu"]}, {"show_progress_bar": True},
                          {"pool": pool, "chunk_size": 5}, {"prompt": ""}, {"show_progress_bar": False, "task": "query"}):
            np.testing.assert_array_equal(self.model.encode(TEXTS, **arguments), expected)
        np.testing.assert_array_equal(self.model.encode(sentences=TEXTS), expected)

    def test_prompts(self):
        with tempfile.TemporaryDirectory() as folder:
            prompts = {"query": "the river ", "document": "a stone ", "passage": "fog "}
            path = copy_of(folder, prompts=prompts, similarity_fn_name="dot")
            passage = SentenceTransformer(copy_of(folder, prompts={"passage": "fog "}), precision="fp32")
            model = SentenceTransformer(path, precision="fp32", prompts={"own": "light "})
            plain = self.model
            for made, prompt in (
                (model.encode_query(TEXTS), "the river "), (model.encode_document(TEXTS), "a stone "),
                (model.encode(TEXTS), ""), (model.encode(TEXTS, prompt_name="own"), "light "),
                (model.encode(TEXTS, prompt="water "), "water "),
                (passage.encode_document(TEXTS), ""), (model.encode(TEXTS, prompt_name="query"), "the river "),
            ):
                np.testing.assert_array_equal(made, plain.encode([prompt + text for text in TEXTS]))
            np.testing.assert_array_equal(model.encode_query("dog"), plain.encode("the river dog"))
            self.assertEqual(model.similarity_fn_name, "dot")
            default = SentenceTransformer(path, precision="fp32", default_prompt_name="query")
            np.testing.assert_array_equal(default.encode("dog"), plain.encode("the river dog"))
            np.testing.assert_array_equal(default.encode("dog", prompt=""), plain.encode("dog"))

    def test_truncate_dim_of_the_model(self):
        with tempfile.TemporaryDirectory() as folder:
            model = SentenceTransformer(copy_of(folder, truncate_dim=8), precision="fp32")
            self.assertEqual(model.encode(TEXTS).shape, (len(TEXTS), 8))

    def test_max_seq_length(self):
        long = "water " * 40
        model = SentenceTransformer(TINY, precision="fp32")
        before = model.encode(long)
        model.max_seq_length = 8
        self.assertEqual(model.max_seq_length, 8)
        self.assertFalse(np.array_equal(before, model.encode(long)))
        np.testing.assert_array_equal(model.encode(long), self.model.encode("water " * 6))
        with self.assertRaises(ValueError):
            model.max_seq_length = 10**6
        self.assertEqual(model.max_seq_length, 8)

    def test_truncation_side(self):
        """The vector is that of the text that was cut by hand; every word is one token."""
        words = "light water stone river garden window music bread train north cloud paper winter summer".split() * 6
        model = SentenceTransformer(TINY, precision="fp32")
        text, kept = " ".join(words[:73]), model.max_seq_length - 2
        right, left = self.model.encode([" ".join(words[:kept]), " ".join(words[73 - kept : 73])])
        self.assertFalse(np.array_equal(left, right))
        self.assertEqual(model.tokenizer.truncation_side, "right")
        np.testing.assert_array_equal(model.encode(text), right)
        for name in "tokenizer_kwargs", "processor_kwargs":
            for side, expected in ("left", left), ("right", right):
                model = SentenceTransformer(TINY, precision="fp32", **{name: {"truncation_side": side}})
                self.assertEqual(model.tokenizer.truncation_side, side)
                for again in model, pickle.loads(pickle.dumps(model)):
                    np.testing.assert_array_equal(again.encode(text), expected)
                    np.testing.assert_array_equal(again.encode([text, "a"])[0], expected)
        model.tokenizer.truncation_side = "left"
        np.testing.assert_array_equal(model.encode(text), left)
        self.assertEqual(model.tokenizer.encode(text), self.model.tokenizer.encode(" ".join(words[73 - kept : 73])))
        self.assertEqual(model.tokenize([text])["input_ids"].tolist()[0], model.tokenizer.encode(text))
        np.testing.assert_array_equal(
            np.asarray(model.encode(text, output_value="token_embeddings")),
            np.asarray(self.model.encode(" ".join(words[73 - kept : 73]), output_value="token_embeddings")),
        )
        self.assertEqual(model.encode(text, output_value=None)["sentence_embedding"].tolist(), left.tolist())
        self.assertNotEqual(space_of(model, {}), space_of(self.model, {}))
        model.tokenizer.truncation_side = "right"
        self.assertEqual(space_of(model, {}), space_of(self.model, {}))
        with self.assertRaisesRegex(ValueError, "left, right"):
            model.tokenizer.truncation_side = "top"


class LifeCycle(unittest.TestCase):
    def test_shared(self):
        first, second = SentenceTransformer(TINY, precision="fp32"), SentenceTransformer(TINY + "/", precision="fp32")
        self.assertIs(first._engine, second._engine)
        self.assertIsNot(first._engine, SentenceTransformer(TINY, precision="int8")._engine)
        self.assertIs(copy.deepcopy(first)._engine, first._engine)

    def test_changed_files_are_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = copy_of(folder)
            first = SentenceTransformer(path, precision="fp32")
            os.replace(os.path.join(copy_of(folder), "model.safetensors"), os.path.join(path, "model.safetensors"))
            self.assertIsNot(SentenceTransformer(path, precision="fp32")._engine, first._engine)

    def test_close(self):
        with SentenceTransformer(TINY, precision="fp32") as model:
            model.encode("a")
        model.close()
        for call in (lambda: model.encode("a"), lambda: model.info, model.__enter__, lambda: model.max_seq_length):
            with self.assertRaisesRegex(ValueError, "closed"):
                call()
        self.assertIn("closed", repr(model))

    def test_pickle(self):
        model = SentenceTransformer(TINY, precision="fp32", truncate_dim=8, prompts={"query": "the "})
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.encode_query(TEXTS), model.encode_query(TEXTS))
        self.assertLess(len(pickle.dumps(model)), 4096)

    def test_native_file(self):
        from senvec import _library

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tiny.senvec")
            error = _library.ErrorRecord()
            status = _library.library.senvec_quantize(os.fsencode(TINY), os.fsencode(path), None, error)
            self.assertEqual(status, 0, error.message)
            model = SentenceTransformer(path)
            np.testing.assert_array_equal(model.encode(TEXTS), SentenceTransformer(TINY, precision="int8").encode(TEXTS))


if __name__ == "__main__":
    unittest.main()
