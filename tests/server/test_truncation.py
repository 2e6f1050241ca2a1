#!/usr/bin/env python3
"""test_truncation SENVEC MODEL: the side on which the server cuts texts that are too long, on the tiny model. In the words of
each API the vector is that of the text that was cut by hand. Every word is one token."""
import sys
import unittest

import service
from service import WORDS, Service, embedded, floats


class Truncation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--target-p99", "60000")
        cls.kept = cls.service.json("GET", "/info")[1]["max_input_length"] - 2
        words = WORDS[:cls.kept + 9]
        cls.text, cls.parts = " ".join(words), [" ".join(words[:cls.kept]), " ".join(words[-cls.kept:])]
        cls.right, cls.left = embedded(cls.parts)

    @classmethod
    def tearDownClass(cls):
        assert cls.service.stop() == 0, cls.service.errors

    def post(self, path, body):
        status, answer = self.service.json("POST", path, body)
        self.assertEqual(status, 200, answer)
        return answer

    def ids(self, text):
        return [token["id"] for token in self.post("/tokenize", {"inputs": text})[0]]

    def test_words_of_each_api(self):
        ids = self.ids(self.text)
        self.assertEqual(len(ids), self.kept + 9 + 2)
        cases = [(more, self.right) for more in (
            {}, {"truncate": True}, {"truncation_direction": None}, {"truncation_direction": "Right"},
            {"truncation_direction": "right"}, {"truncate": "END"}, {"truncation": "end"},
            {"truncate": "END", "truncation_direction": "Right"})]
        cases += [(more, self.left) for more in (
            {"truncation_direction": "Left"}, {"truncation_direction": "left"}, {"truncate": "START"}, {"truncation": "start"},
            {"truncate": True, "truncation_direction": "Left"}, {"truncate": "start", "truncation_direction": "Left"})]
        for more, expected in cases:
            for path, member in ("/embed", "inputs"), ("/v1/embeddings", "input"), ("/v2/embed", "texts"):
                for given in [[self.text]] if path == "/v2/embed" else [self.text, ids, [ids]]:
                    status, headers, body = self.service.call("POST", path, {member: given, **more},
                                                              {"Accept": "application/octet-stream"})
                    self.assertEqual((status, headers["x-truncated"]), (200, "1"), body)
                    self.assertEqual(floats(body), expected, (path, more))

    def test_refusals(self):
        ids = self.ids(self.text)
        for more in {"truncate": False}, {"truncate": "NONE"}, {"truncation": False, "truncation_direction": "Left"}:
            for given in self.text, ids:
                self.assertEqual(self.service.json("POST", "/embed", {"inputs": given, **more})[0], 413)
        whole = {"inputs": ids[:self.kept + 1] + ids[-1:], "truncate": False}
        self.assertEqual([floats(v) for v in self.post("/embed", whole)], [self.right])

    def test_long_lists_of_ids(self):
        """Not all of such a list is read, and it is cut between words and inside of them."""
        for first in "", "a ", "a a ":
            for many in " ".join(WORDS * 2), "stones rivers trains windows " * 100:
                ids = self.ids(first + many)
                for side in "Right", "Left":
                    answers = [self.post("/embed", {"inputs": given, "truncation_direction": side})
                               for given in (first + many, ids, [ids])]
                    self.assertEqual(answers, answers[:1] * 3)

    def test_other_routes(self):
        near = {"source_sentence": self.text, "sentences": self.parts}
        for side, same in ("Right", 0), ("Left", 1):
            answer = self.post("/similarity", {"inputs": near, "parameters": {"truncation_direction": side}})
            self.assertAlmostEqual(answer[same], 1, 5)
            self.assertLess(answer[1 - same], 0.9999)
            tokens = self.post("/embed_all", {"inputs": self.text, "truncation_direction": side})
            self.assertEqual(tokens, self.post("/embed_all", {"inputs": self.parts[same]}))
            ranked = self.post("/rerank", {"query": self.text, "texts": self.parts, "truncation_direction": side})
            self.assertEqual(ranked[0]["index"], same)
            ranked = self.post("/v2/rerank", {"query": self.text, "documents": self.parts, "truncation_direction": side})
            self.assertEqual(ranked["results"][0]["index"], same)


if __name__ == "__main__":
    service.SENVEC, service.MODEL = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=1)
