"""CrossEncoder, SparseEncoder and the vectors of tokens, against what transformers computed (tests/golden/families)."""

import asyncio
import json
import os
import pickle
import shutil
import tempfile
import unittest

import numpy as np

from senvec import CrossEncoder, SentenceTransformer, SparseEncoder
from senvec._scoring import Scorer
from tiny_model import TEXTS, TINY, needs

FAMILIES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "families")


class Family(unittest.TestCase):
    def setUp(self):
        if not os.path.isdir(FAMILIES):
            self.skipTest("installed without the sources")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def head(self, name):
        """A family's folder as a model with its head, and its golden values."""
        path = os.path.join(self.folder, name)
        shutil.copytree(os.path.join(FAMILIES, name), path, ignore=shutil.ignore_patterns("modules.json", "1_Pooling"))
        with open(os.path.join(path, "golden.json"), encoding="utf-8") as file:
            return path, json.load(file)


class CrossEncoders(Family):
    def test_reranker(self):
        for name in ("distilbert", "electra", "mpnet", "roberta", "xlm-roberta"):
            path, golden = self.head(name)
            model = CrossEncoder(path, precision="fp32")
            logits = np.array(golden["logits"])[:, 0]
            pairs = golden["pairs"]
            np.testing.assert_allclose(model.predict(pairs, activation_fn="none"), logits, atol=2e-5)
            scores = model.predict(pairs)
            self.assertEqual((scores.dtype, scores.shape, model.num_labels), (np.float32, (len(pairs),), 1))
            np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-5)
            for same in ([tuple(pair) for pair in pairs], tuple(pairs), (pair for pair in pairs), np.array(pairs, object)):
                np.testing.assert_array_equal(model.predict(same), scores)
            np.testing.assert_array_equal(model.predict(pairs[0]), scores[0])
            np.testing.assert_array_equal(model.predict(tuple(pairs[3])), scores[3])
            np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(pairs), scores)
            np.testing.assert_array_equal(asyncio.run(model.apredict(pairs)), scores)
            self.assertEqual(model.predict([]).shape, (0,))

    def test_truncation_side(self):
        path, _ = self.head("mpnet")
        passage = " ".join(f"{word} river" for word in "light water stone music bread train north cloud".split() * 10)
        left = CrossEncoder(path, precision="fp32", tokenizer_kwargs={"truncation_side": "left"})
        right = CrossEncoder(path, precision="fp32")
        scores = [model.predict(("the river", passage)) for model in (left, right)]
        self.assertNotEqual(*scores)
        self.assertEqual(left.predict(("the river", "garden " + passage)), scores[0])
        self.assertEqual(right.predict(("the river", passage + " garden")), scores[1])

    def test_rank(self):
        path, _ = self.head("mpnet")
        model = CrossEncoder(path, precision="fp32")
        documents = TEXTS[1:9]
        scores = model.predict([("the river", text) for text in documents])
        ranked = model.rank("the river", documents, top_k=3, return_documents=True)
        expected = list(np.argsort(-scores, kind="stable")[:3])
        self.assertEqual([one["corpus_id"] for one in ranked], expected)
        self.assertEqual([one["text"] for one in ranked], [documents[index] for index in expected])
        self.assertEqual([np.float32(one["score"]) for one in ranked], [scores[index] for index in expected])
        self.assertEqual(asyncio.run(model.arank("the river", documents, 3, True)), ranked)
        self.assertEqual(model.rank("the river", []), [])
        self.assertEqual(Scorer(path, precision="fp32").order("the river", documents, 3),
                         [(one["corpus_id"], one["score"]) for one in ranked])

    def test_classifier(self):
        for name, labels in (("bert", 3), ("camembert", 2)):
            path, golden = self.head(name)
            model = CrossEncoder(path, precision="fp32")
            logits = np.array(golden["logits"])
            self.assertEqual((model.num_labels, len(model.labels)), (labels, labels))
            np.testing.assert_allclose(model.predict(golden["pairs"]), logits, atol=2e-5)
            powers = np.exp(logits)
            shares = powers / powers.sum(1, keepdims=True)
            np.testing.assert_allclose(model.predict(golden["pairs"], apply_softmax=True), shares, atol=1e-5)
            self.assertEqual(model.predict(golden["pairs"][0]).shape, (labels,))
            with self.assertRaises(ValueError):
                model.rank("a", ["b"])

    def test_refused(self):
        path, golden = self.head("roberta")
        model = CrossEncoder(path, precision="fp32", num_labels=1, max_length=20)
        self.assertEqual(model.max_length, 20)
        for inputs, error in (
            (None, TypeError), ("a", TypeError), (["a", "b", "c"], ValueError), ([["a"]], ValueError),
            ([["a", None]], TypeError),
            ([["a", "b"], "cd"], TypeError), ([["a", b"b"]], TypeError), ([3], TypeError), (3, TypeError),
            ([["a", "\ud800"]], ValueError), ({"a": "b"}, TypeError),
        ):
            with self.assertRaises(error, msg=repr(inputs)):
                model.predict(inputs)
        for arguments in ({"activation_fn": "tanh"}, {"batch_size": 0}, {"device": "cuda"}, {"prompt_name": "x"}):
            with self.assertRaises(ValueError):
                model.predict(golden["pairs"], **arguments)
        for query, documents in ((3, ["a"]), ("a", "b"), ("a", [None])):
            with self.assertRaises(TypeError):
                model.rank(query, documents)
        with self.assertRaises(ValueError):
            CrossEncoder(path, num_labels=3)

    def test_tasks_are_told_apart(self):
        reranker, _ = self.head("roberta")
        sparse, _ = self.head("bert-relu")
        for kind, path, right in (
            (SentenceTransformer, reranker, "CrossEncoder"),
            (SentenceTransformer, sparse, "SparseEncoder"),
            (CrossEncoder, TINY, "SentenceTransformer"),
            (SparseEncoder, reranker, "CrossEncoder"),
        ):
            with self.assertRaisesRegex(ValueError, f"open it with {right}"):
                kind(path, precision="fp32")

    def test_torch(self):
        (torch,) = needs("torch")
        path, golden = self.head("electra")
        model = CrossEncoder(path, precision="fp32")
        logits = np.array(golden["logits"])[:, 0]
        for function, expected in ((torch.nn.Identity(), logits), (torch.nn.Sigmoid(), 1 / (1 + np.exp(-logits))),
                                   (torch.nn.Tanh(), np.tanh(logits)), (torch.tanh, np.tanh(logits))):
            np.testing.assert_allclose(model.predict(golden["pairs"], activation_fn=function), expected, atol=2e-5)
        self.assertIsInstance(model.predict(golden["pairs"], convert_to_tensor=True), torch.Tensor)
        path, golden = self.head("bert-relu")
        sparse = SparseEncoder(path, precision="fp32")
        tensor = sparse.encode(golden["texts"])
        self.assertTrue(tensor.is_sparse)
        words = sparse.decode(tensor, top_k=4)
        self.assertEqual([len(found) for found in words], [min(4, len(one)) for one in golden["sparse"]])
        self.assertEqual(tuple(sparse.similarity(tensor, tensor).shape), (9, 9))


class SparseEncoders(Family):
    def test_truncation_side(self):
        path, _ = self.head("distilbert-masked")
        text = " ".join(f"{word} river" for word in "light water stone music bread train north cloud".split() * 10)
        left = SparseEncoder(path, precision="fp32", tokenizer_kwargs={"truncation_side": "left"})
        right = SparseEncoder(path, precision="fp32")
        kept = left.encode_rows([text, "garden " + text]).toarray(), right.encode_rows([text, text + " garden"]).toarray()
        self.assertFalse(np.array_equal(kept[0][0], kept[1][0]))
        for first, second in kept:
            np.testing.assert_array_equal(first, second)

    def test_one_prompt(self):
        """The model's default prompt is put before a text once, and another one instead of it."""
        path, _ = self.head("distilbert-masked")
        plain = SparseEncoder(path, precision="fp32").encode_rows(["the river light", "a light", "light"]).toarray()
        with open(os.path.join(path, "config_sentence_transformers.json"), "w", encoding="utf-8") as file:
            json.dump({"prompts": {"query": "the river "}, "default_prompt_name": "query"}, file)
        model = SparseEncoder(path, precision="fp32")
        made = [model.encode("light", prompt=prompt, convert_to_sparse_tensor=False, convert_to_tensor=False)
                for prompt in (None, "a ", "")]
        np.testing.assert_array_equal(np.asarray(made), plain)

    def test_weights(self):
        for name in ("bert-relu", "bert-tanh", "distilbert-masked"):
            path, golden = self.head(name)
            model = SparseEncoder(path, precision="fp32")
            expected = np.zeros((len(golden["texts"]), model.get_embedding_dimension()))
            for row, words in zip(expected, golden["sparse"]):
                for index, value in words:
                    row[index] = value
            dense = np.asarray(model.encode(golden["texts"], convert_to_sparse_tensor=False, convert_to_tensor=False))
            np.testing.assert_allclose(dense, expected, atol=2e-5)
            made = model.encode_rows(golden["texts"])
            np.testing.assert_array_equal(made.toarray(), dense)
            few = model.encode_rows(golden["texts"], max_active_dims=3)
            self.assertLessEqual(int(np.diff(few.indptr).max()), 3)
            words = model.decode(few)
            self.assertEqual(len(words), len(golden["texts"]))
            for row, found in zip(expected, words):
                heaviest = sorted(row, reverse=True)[: len(found)]
                np.testing.assert_allclose([value for _, value in found], heaviest, atol=2e-5)
            np.testing.assert_allclose(np.asarray(model.similarity(made, made)), dense @ dense.T, rtol=1e-5, atol=1e-5)
            self.assertTrue(all(isinstance(word, str) for word, _ in model.decode(made)[2]))
        for wrong, error in ((None, TypeError), ([None], TypeError), (["\ud800"], ValueError)):
            with self.assertRaises(error):
                model.encode(wrong)
        with self.assertRaises(ValueError):
            model.encode(["a"], max_active_dims=0)
        self.assertEqual(model.encode_rows([]).shape[0], 0)


class FastEmbed(Family):
    def test_shapes(self):
        from senvec.fastembed import SparseTextEmbedding, TextCrossEncoder, TextEmbedding

        embedding = TextEmbedding(TINY, precision="fp32")
        expected = SentenceTransformer(TINY, precision="fp32").encode(TEXTS, normalize_embeddings=True)
        for made in (embedding.embed(TEXTS, batch_size=3), embedding.passage_embed(TEXTS), embedding.query_embed(iter(TEXTS))):
            np.testing.assert_array_equal(np.stack(list(made)), expected)
        self.assertEqual(next(embedding.embed(text for text in iter(lambda: "the", None))).shape, (32,))
        self.assertEqual(embedding.token_count(["", "the"]), 2 + 3)
        path, golden = self.head("mpnet")
        reranker = TextCrossEncoder(path, precision="fp32")
        logits = [row[0] for row in golden["logits"]]
        np.testing.assert_allclose(list(reranker.rerank_pairs(golden["pairs"], batch_size=2)), logits, atol=2e-5)
        self.assertEqual(len(list(reranker.rerank("the river", TEXTS))), len(TEXTS))
        path, golden = self.head("bert-relu")
        for one, words in zip(SparseTextEmbedding(path, precision="fp32").embed(golden["texts"]), golden["sparse"]):
            self.assertEqual(one.indices.tolist(), [index for index, _ in words])


class Tokens(Family):
    def test_modules_and_prompts(self):
        """Tokens' vectors are as wide as the transformer, whatever follows it; a prompt is put before a text once."""
        modules, plain = os.path.join(FAMILIES, "..", "modules"), SentenceTransformer(TINY, precision="fp32")
        for name, prompts in (("dense", {None: ""}), ("chain", {None: ""}),
                              ("prompts", {None: "the river: ", "document": "a stone of the garden, ", "empty": ""})):
            path = os.path.join(self.folder, name)
            shutil.copytree(TINY, path)
            shutil.copytree(os.path.join(modules, name), path, dirs_exist_ok=True)
            model = SentenceTransformer(path, precision="fp32")
            for prompt_name, prompt in prompts.items():
                made = model.encode(TEXTS, output_value="token_embeddings", prompt_name=prompt_name)
                expected = plain.encode([prompt + text for text in TEXTS], output_value="token_embeddings")
                for tokens, wanted in zip(made, expected):
                    np.testing.assert_array_equal(np.asarray(tokens), np.asarray(wanted))

    def test_token_vectors(self):
        model = SentenceTransformer(TINY, precision="fp32")
        made = model.encode(TEXTS, output_value="token_embeddings")
        ids = model.tokenizer(TEXTS)["input_ids"]
        vectors = model.encode(TEXTS)
        for tokens, row, vector in zip(made, ids, vectors):
            tokens = np.asarray(tokens)
            self.assertEqual(tokens.shape, (len(row), 32))
            mean = tokens.mean(0)
            np.testing.assert_allclose(mean / np.linalg.norm(mean), vector, atol=1e-5)
        one = model.encode(TEXTS[2], output_value="token_embeddings")
        np.testing.assert_array_equal(np.asarray(one), np.asarray(made[2]))
        everything = model.encode(TEXTS[:3], output_value=None)
        np.testing.assert_array_equal(np.asarray(everything[2]["token_embeddings"]), np.asarray(made[2]))
        np.testing.assert_array_equal(np.asarray(everything[2]["sentence_embedding"]), vectors[2])
        with self.assertRaises(ValueError):
            model.encode(TEXTS, output_value="token_embeddings", precision="int8")


if __name__ == "__main__":
    unittest.main()
