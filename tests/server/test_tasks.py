#!/usr/bin/env python3
"""test_tasks SENVEC FAMILIES: what the server makes of rerankers, classifiers and sparse embedders, and the vectors of single
tokens, compared with what PyTorch gave for the tiny models in the folder FAMILIES (tests/golden)."""
import json
import math
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import service
from service import WORDS, Service

PLACES = 4


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softmax(values):
    exponents = [math.exp(value) for value in values]
    return [value / sum(exponents) for value in exponents]


class Tasks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def serve(self, family, embeds=False):
        """The family's model as what its class says, or as an embedder; and what it should give."""
        target = Path(self.folder.name, family)
        shutil.copytree(FAMILIES / family, target)
        if not embeds:
            (target / "modules.json").unlink()
        return Service("-p", "fp32", model=target), json.loads((FAMILIES / family / "golden.json").read_text())

    def near(self, given, wanted):
        self.assertEqual(len(given), len(wanted))
        for x, y in zip(given, wanted):
            self.assertAlmostEqual(x, y, PLACES)

    def test_reranker(self):
        for family in "electra", "xlm-roberta":
            server, golden = self.serve(family)
            with server as s:
                info = s.json("GET", "/info")[1]
                show = s.json("POST", "/api/show", {"model": family})[1]
                self.assertEqual((show["details"]["family"], show["capabilities"]), (family, []))
                self.assertIn(f"{family}.context_length", show["model_info"])
                self.assertEqual(info["model_type"]["reranker"]["id2label"], {"0": "LABEL_0"})
                for (query, text), (logit,), ids in zip(golden["pairs"], golden["logits"], golden["pair_ids"]):
                    _, headers, _ = s.call("POST", "/rerank", {"query": query, "texts": [text]})
                    self.assertEqual(headers["x-compute-tokens"], str(len(ids)))
                    for raw in True, False:
                        body = {"query": query, "texts": [text], "raw_scores": raw}
                        status, answer = s.json("POST", "/rerank", body)
                        self.assertEqual((status, answer[0]["index"]), (200, 0), answer)
                        self.near([answer[0]["score"]], [logit if raw else sigmoid(logit)])
                tokens = str(sum(len(ids) for ids in golden["pair_ids"]))
                self.assertEqual(s.call("POST", "/predict", {"inputs": golden["pairs"]})[1]["x-compute-tokens"], tokens)
                # Many at once, in an order of their own: each has the score that it has alone.
                query, texts = golden["pairs"][0][0], [second for _, second in golden["pairs"]] * 20
                alone = [s.json("POST", "/rerank", {"query": query, "texts": [text]})[1][0]["score"] for text in texts[:5]]
                ranked = s.json("POST", "/rerank", {"query": query, "texts": texts, "return_text": True})[1]
                self.assertEqual([item["score"] for item in ranked], sorted(alone * 20, reverse=True))
                for item in ranked:
                    self.assertEqual((item["score"], item["text"]), (alone[item["index"] % 5], texts[item["index"]]))
                for path, member in (("/v1/rerank", "results"), ("/v2/rerank", "results"), ("/rerank", "results")):
                    answer = s.json("POST", path, {"query": query, "documents": texts, "top_n": 3})[1]
                    self.assertEqual([(item["index"], item["relevance_score"]) for item in answer[member]],
                                     [(item["index"], item["score"]) for item in ranked[:3]])
                for path, body in (("/embed", {"inputs": "a"}), ("/v1/embeddings", {"input": "a"}),
                                   ("/api/embed", {"input": "a"}), ("/similarity", {}), ("/embed_sparse", {"inputs": "a"})):
                    status, answer = s.json("POST", path, body)
                    self.assertEqual(status, 424)
                    self.assertIn("this model is a reranker", json.dumps(answer))
                self.assertEqual(s.metrics()["senvec_in_flight_requests"], 0)

    def test_classifier(self):
        server, golden = self.serve("bert")
        with server as s:
            labels = s.json("GET", "/info")[1]["model_type"]["classifier"]["label2id"]
            self.assertEqual(labels, {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2})
            for raw in True, False:
                wanted = [logits if raw else softmax(logits) for logits in golden["logits"]]
                batch = s.json("POST", "/predict", {"inputs": golden["pairs"], "raw_scores": raw})[1]
                self.assertEqual(len(batch), len(wanted))
                for item, values in zip(batch, wanted):
                    self.assertEqual([label["score"] for label in item], sorted((x["score"] for x in item), reverse=True))
                    self.near([label["score"] for label in sorted(item, key=lambda label: label["label"])], values)
                self.assertEqual(s.json("POST", "/predict", {"inputs": golden["pairs"][0], "raw_scores": raw})[1], batch[0])
            single = s.json("POST", "/predict", {"inputs": "the river"})[1]
            self.assertAlmostEqual(sum(label["score"] for label in single), 1, PLACES)
            for inputs in ["the river"], [["the river"], ["the river"]]:
                answer = s.json("POST", "/predict", {"inputs": inputs})[1]
                self.assertEqual(answer if len(inputs) == 1 else answer[1], single)
            for inputs in ["a", "b", "c"], [["a"], ["a", "b"]], [[]], [], [1], None, {}:
                self.assertEqual(s.json("POST", "/predict", {"inputs": inputs})[0], 422, inputs)
            self.assertEqual(s.json("POST", "/rerank", {"query": "a", "texts": ["b"]})[0], 424)

    def test_truncation(self):
        """Pairs and single texts that are too long, cut on either side or refused. Every word is one token."""
        server, _ = self.serve("electra")
        with server as s:
            most = s.json("GET", "/info")[1]["max_input_length"]
            words = WORDS[:most + 5]
            text, query, kept = " ".join(words), "light stone", most - 3 - 2
            cut = {"Right": " ".join(words[:kept]), "Left": " ".join(words[-kept:])}

            def score(text, path="/rerank", **more):
                """Of one text with the query."""
                body = {"query": query, ("texts" if path == "/rerank" else "documents"): [text], **more}
                status, answer = s.json("POST", path, body)
                self.assertEqual(status, 200, answer)
                return answer[0]["score"] if path == "/rerank" else answer["results"][0]["relevance_score"]

            for side in cut:
                self.assertEqual(score(text, truncation_direction=side), score(cut[side], truncate=False))
                self.assertEqual(score(text, "/v1/rerank", truncation_direction=side), score(cut[side]))
            self.assertEqual(score(text, "/v2/rerank", truncate="START"), score(cut["Left"]))
            self.assertEqual(score(text), score(cut["Right"]))
            self.assertNotEqual(score(cut["Left"]), score(cut["Right"]))
            for path, member in (("/rerank", "texts"), ("/v2/rerank", "documents")):
                for texts in ["a", cut["Left"] + " light"], ["a", text]:  # together with the query it is too long
                    status, answer = s.json("POST", path, {"query": query, member: texts, "truncation": False})
                    self.assertEqual(status, 413, answer)
                    self.assertIn("input 1", json.dumps(answer))
                fitting = {"query": query, member: ["a", cut["Left"]], "truncation": False}
                self.assertEqual(s.json("POST", path, fitting)[0], 200)
        server, _ = self.serve("bert")
        with server as s:
            def predict(*pair, **more):
                status, answer = s.json("POST", "/predict", {"inputs": list(pair), **more})
                return answer if status == 200 else status

            single = {"Right": " ".join(words[:most - 2]), "Left": " ".join(words[2 - most:])}
            for side in cut:
                self.assertEqual(predict(query, text, truncation_direction=side), predict(query, cut[side], truncate=False))
                self.assertEqual(predict(text, query, truncation_direction=side), predict(cut[side], query, truncate=False))
                self.assertEqual(predict(text, truncation_direction=side), predict(single[side], truncate=False))
            self.assertNotEqual(predict(query, cut["Left"]), predict(query, cut["Right"]))
            pairs, fitting = [["light", "stone"], [query, text], [text, query], ["light", query]], 5 + 6
            _, headers, _ = s.call("POST", "/predict", {"inputs": pairs})
            self.assertEqual((headers["x-truncated"], headers["x-compute-tokens"]), ("2", str(fitting + 2 * most)))
            for pair in (query, text), (text, query), (query, cut["Left"] + " light"), (text,), (single["Left"] + " light",):
                for more in {}, {"truncation_direction": "Left"}:
                    self.assertEqual(predict(*pair, truncate=False, **more), 413, pair)
        server, _ = self.serve("distilbert-masked")
        with server as s:
            for side in single:
                answer = s.json("POST", "/embed_sparse", {"inputs": text, "truncation_direction": side})
                self.assertEqual(answer, s.json("POST", "/embed_sparse", {"inputs": single[side], "truncate": False}))
            self.assertEqual(s.json("POST", "/embed_sparse", {"inputs": text, "truncate": False})[0], 413)

    def test_sparse(self):
        server, golden = self.serve("distilbert-masked")
        with server as s:
            status, answer = s.json("POST", "/embed_sparse", {"inputs": golden["texts"]})
            self.assertEqual(status, 200)
            for given, wanted in zip(answer, golden["sparse"]):
                weights = {item["index"]: item["value"] for item in given}
                for index, value in wanted:
                    self.assertAlmostEqual(weights.get(index, 0), value, PLACES)
                for index, value in weights.items():
                    self.assertAlmostEqual(dict(map(tuple, wanted)).get(index, 0), value, PLACES)
            self.assertEqual(s.json("POST", "/embed_sparse", {"inputs": golden["texts"][2]})[1], answer[2:3])
            self.assertEqual(s.json("POST", "/embed", {"inputs": "a"})[0], 424)

    def test_tokens(self):
        server, golden = self.serve("bert", embeds=True)
        with server as s:
            status, answer = s.json("POST", "/embed_all", {"inputs": golden["texts"]})
            self.assertEqual(status, 200)
            for vectors, ids, first, mean in zip(answer, golden["ids"], golden["first"], golden["mean"]):
                self.assertEqual(len(vectors), len(ids))
                self.near(vectors[0], first)
                average = [sum(column) / len(vectors) for column in zip(*vectors)]
                length = math.sqrt(sum(x * x for x in average)) / math.sqrt(sum(x * x for x in mean))
                self.near([x / length for x in average], mean)
            self.assertEqual(s.json("POST", "/embed_all", {"inputs": golden["texts"][3]})[1], [answer[3]])
            self.assertEqual(s.json("POST", "/predict", {"inputs": "a"})[0], 424)

    def test_tokens_beside_modules(self):
        """A token's vector has the transformer's width, not that of the text's vector; a prompt's tokens have vectors too."""
        golden = FAMILIES.parent / "modules"
        texts = ["the river", "", "a stone of the garden", "light " * 200] * 20
        expected = {}
        for variant, prompts in ("tiny", {"": ""}), ("dense", {"": ""}), ("chain", {"": ""}), (
                "prompts", {"": "the river: ", "document": "a stone of the garden, ", "empty": ""}):
            target = Path(self.folder.name, variant)
            shutil.copytree(golden.parent / "tiny", target)
            if variant != "tiny":
                shutil.copytree(golden / variant, target, dirs_exist_ok=True)
            with Service("-p", "fp32", model=target) as s:
                if variant == "tiny":
                    for prompt in "", "the river: ", "a stone of the garden, ":
                        status, answer = s.json("POST", "/embed_all", {"inputs": [prompt + text for text in texts]})
                        self.assertEqual((status, {len(v) for tokens in answer for v in tokens}), (200, {32}))
                        expected[prompt] = answer
                for name, prompt in prompts.items():
                    body = {"inputs": texts, **({"prompt_name": name} if name else {})}
                    self.assertTrue(s.json("POST", "/embed_all", body) == (200, expected[prompt]), (variant, name))


if __name__ == "__main__":
    service.SENVEC, FAMILIES = sys.argv[1], Path(sys.argv[2])
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
