#!/usr/bin/env python3
"""labels_test SENVEC MODEL: the reader's own labels. What the study says of its fp32 vectors in every form is what scipy,
scikit-learn and trec_eval's definitions, written down here anew, say of the vectors of `senvec embed`, to four digits; the
recommendation is the rule's; files in BEIR's and TREC's form say the same; broken ones are named.

The texts are our own: sentences put together from a few words, by subject, with a fixed seed.
"""
import json
import math
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy as np
    from scipy.stats import spearmanr
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)

SENVEC, MODEL = sys.argv[1], sys.argv[2]
SUBJECTS = {
    "kitchen": "bread oven knife soup onion butter pan salt flour taste",
    "garden": "rose soil spade rain seed apple leaf root bee shade",
    "office": "letter desk meeting budget phone printer contract report chair agenda",
    "music": "violin song choir rhythm concert piano note drum melody stage",
}


def sentence(words, subject):
    picked = words.sample(SUBJECTS[subject].split(), 4)
    return f"the {picked[0]} and the {picked[1]} are with a {picked[2]} near the {picked[3]}"


def gain(relevance, order):
    return sum(relevance.get(name, 0) / math.log2(place + 2) for place, name in enumerate(order[:10])
               if relevance.get(name, 0) > 0)


def ten_nearest(vectors):
    """The ten nearest others of each vector by cosine; of equally near ones the first."""
    cosines = np.round(vectors @ vectors.T, 12)
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :10]


class Labels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="senvec-labels-")
        cls.root = Path(cls.folder.name)
        words = random.Random(11)
        names = list(SUBJECTS)
        cls.pairs = [(sentence(words, a), sentence(words, b), words.uniform(3, 5) if a == b else words.uniform(0, 3))
                     for a, b in ((words.choice(names), words.choice(names)) for _ in range(60))]
        cls.documents = [(f"d{i}", sentence(words, names[i % 4])) for i in range(80)]
        cls.queries = [(f"q{i}", " ".join(words.sample(SUBJECTS[names[i % 4]].split(), 2))) for i in range(24)]
        cls.judged = {f"q{i}": {f"d{d}": words.choice((0, 1, 2)) for d in range(80) if d % 4 == i % 4 and words.random() < 0.4}
                      for i in range(24)}
        cls.classes = [(sentence(words, name), name) for _ in range(40) for name in names]
        cls.write("pairs.csv", "".join(f"{a},{b},{score}\n" for a, b, score in cls.pairs))
        cls.write("classes.csv", "text,label\n" + "".join(f"{text},{name}\n" for text, name in cls.classes))
        cls.write("documents.jsonl", "".join(json.dumps({"_id": name, "title": "", "text": text}) + "\n"
                                             for name, text in cls.documents))
        cls.write("queries.jsonl", "".join(json.dumps({"_id": name, "text": text}) + "\n" for name, text in cls.queries))
        lines = [(q, d, r) for q, judged in cls.judged.items() for d, r in judged.items()]
        cls.write("qrels.tsv", "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{r}\n" for q, d, r in lines))
        cls.write("documents.tsv", "".join(f"{name}\t{text}\n" for name, text in cls.documents))
        cls.write("queries.tsv", "".join(f"{name}\t{text}\n" for name, text in cls.queries))
        cls.write("qrels.txt", "".join(f"{q} 0 {d} {r}\n" for q, d, r in lines))
        cls.beir = ["--queries", cls.root / "queries.jsonl", "--documents", cls.root / "documents.jsonl", "--qrels",
                    cls.root / "qrels.tsv"]
        cls.trec = ["--queries", cls.root / "queries.tsv", "--documents", cls.root / "documents.tsv", "--qrels",
                    cls.root / "qrels.txt"]
        cls.out = cls.root / "results"
        done = cls.study(cls.out, "--pairs", cls.root / "pairs.csv", "--classes", cls.root / "classes.csv", "--tolerance",
                         "0.9", *cls.beir)
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def write(cls, name, text):
        (cls.root / name).write_text(text)

    @classmethod
    def study(cls, out, *options):
        command = [SENVEC, "study", "-m", MODEL, "-o", out, "--peers", "none", "--quick", "--rounds", "2", "--calls", "2",
                   "--duration", "0.04", "--texts", "20", "--no-report", "-q", *options]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=900)

    def labels(self, out=None):
        return json.loads(((out or self.out) / "study.json").read_text())["labels"]

    def scores(self, form, configuration="senvec fp32 (single)"):
        return {entry["metric"]: entry["value"] for entry in self.labels()["scores"]
                if entry["form"] == form and entry["configuration"] == configuration}

    def vectors(self, texts, form):
        path = self.root / "texts.txt"
        path.write_text("".join(text + "\n" for text in texts))
        out = self.root / "vectors.npy"
        out.unlink(missing_ok=True)
        subprocess.run([SENVEC, "embed", "-q", "-m", MODEL, "--precision", "fp32", "-o", out, path], check=True)
        vectors = np.load(out).astype(np.float64)
        if form in ("half", "quarter"):
            vectors = vectors[:, :vectors.shape[1] // (2 if form == "half" else 4)]
        elif form == "float16":
            vectors = vectors.astype(np.float16).astype(np.float64)
        elif form == "binary":
            return np.where(vectors > 0, 1.0, -1.0)  # many are equally near: sums must be exact
        elif form == "int8":
            reach = np.float32(min(1, 8 / math.sqrt(vectors.shape[1])))
            steps = np.floor((vectors.astype(np.float32) + reach) / ((reach + reach) / np.float32(255)))
            vectors = np.clip(steps, 0, 255).astype(np.float64) - 128
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def test_recall_of_each_form(self):
        study = json.loads((self.out / "study.json").read_text())
        row = next(row for row in study["configurations"] if row["name"] == "senvec fp32 (single)")
        for key, texts in (("validation", "validation_texts"), ("validation_wide", "validation_texts_wide")):
            exact = ten_nearest(self.vectors(study[texts], "float32"))
            for form in ("float16", "int8", "binary", "half", "quarter"):
                near = ten_nearest(self.vectors(study[texts], form))
                expected = np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(exact, near)])
                self.assertAlmostEqual(row[key]["recall_at_10"][form], expected, 9, (key, form))
            self.assertLess(row[key]["recall_at_10"]["quarter"], 1)

    def test_figures_are_those_of_others(self):
        for form in ("float32", "int8", "binary", "half"):
            own = self.scores(form)
            with self.subTest(form=form, task="pairs"):
                left, right = (self.vectors([pair[side] for pair in self.pairs], form) for side in (0, 1))
                cosines = np.round((left * right).sum(axis=1), 7 if form == "binary" else 12)
                self.assertAlmostEqual(own["Spearman"], spearmanr(cosines, [pair[2] for pair in self.pairs]).statistic, 4)
            with self.subTest(form=form, task="search"):
                documents = self.vectors([text for _, text in self.documents], form)
                queries = self.vectors([text for _, text in self.queries], form)
                ndcg, recall, first = [], [], []
                for (name, _), query in zip(self.queries, queries):
                    scores = np.round(documents @ query, 6)
                    order = [d for _, d in sorted(((s, d) for s, (d, _) in zip(scores, self.documents)), reverse=True)]
                    relevant = {d: r for d, r in self.judged[name].items() if r > 0}
                    ideal = gain(relevant, sorted(relevant, key=relevant.get, reverse=True))
                    ndcg.append(gain(relevant, order) / ideal if relevant else 0)
                    recall.append(len(set(order[:10]) & set(relevant)) / len(relevant) if relevant else 0)
                    first.append(1 / (1 + min(order.index(d) for d in relevant)) if relevant else 0)
                self.assertAlmostEqual(own["nDCG@10"], sum(ndcg) / len(ndcg), 4)
                self.assertAlmostEqual(own["recall@10"], sum(recall) / len(recall), 4)
                self.assertAlmostEqual(own["MRR"], sum(first) / len(first), 4)
            with self.subTest(form=form, task="classes"):
                vectors = self.vectors([text for text, _ in self.classes], form)
                names = np.array([name for _, name in self.classes])
                seen, test = {}, []
                for name in names:
                    seen[name] = seen.get(name, 0) + 1
                    test.append(seen[name] % 5 == 0)
                test = np.array(test)
                if form == "binary":  # scikit-learn doesn't say which of equally near ones it takes; here it is the first
                    order = np.argsort(-(vectors[test] @ vectors[~test].T), axis=1, kind="stable")[:, :5]
                    votes = [[list(names[~test][near]).count(name) for name in sorted(SUBJECTS)] for near in order]
                    right = [sorted(SUBJECTS)[np.argmax(vote)] == name for vote, name in zip(votes, names[test])]
                    self.assertAlmostEqual(own["5-NN accuracy"], np.mean(right), 4)
                else:
                    nearest = KNeighborsClassifier(5, metric="cosine", algorithm="brute").fit(vectors[~test], names[~test])
                    self.assertAlmostEqual(own["5-NN accuracy"], nearest.score(vectors[test], names[test]), 4)
                probe = LogisticRegression(C=1, tol=1e-8, max_iter=10000).fit(vectors[~test], names[~test])
                self.assertAlmostEqual(own["probe accuracy"], probe.score(vectors[test], names[test]), 4)

    def test_the_baseline_loses_nothing_and_intervals_hold_the_value(self):
        labels = self.labels()
        for entry in labels["scores"]:
            self.assertLessEqual(entry["low"], entry["difference"] + 1e-12)
            self.assertGreaterEqual(entry["high"], entry["difference"] - 1e-12)
            if entry["configuration"] == labels["baseline"] and entry["form"] == "float32":
                self.assertEqual((entry["difference"], entry["low"], entry["high"]), (0, 0, 0))
        self.assertEqual([(task["task"], task["items"]) for task in labels["tasks"]],
                         [("pairs", 60), ("search", sum(1 for judged in self.judged.values() if judged)), ("classes", 32)])

    def test_trec_says_the_same_as_beir(self):
        out = self.root / "trec"
        self.assertEqual(self.study(out, *self.trec).returncode, 0)
        mine = [(e["form"], e["metric"], e["value"]) for e in self.labels(out)["scores"]
                if "fp32 (single)" in e["configuration"]]
        for form, metric, value in mine:
            self.assertEqual(value, self.scores(form)[metric])

    def test_recommendation(self):
        """It is the cheapest of those that may be taken; when that one is made worse, another; none where none may."""
        path = self.out / "study.json"
        whole = json.loads(path.read_text())
        study = json.loads(json.dumps(whole))
        rate = 100
        for row in study["configurations"]:  # a quiet machine: every row steady, each one faster than the one before
            for block in row["throughput"]["blocks"]:
                block.update(texts=rate, seconds=1.0)
            rate += 100
        try:
            measured = {entry["configuration"] for entry in study["labels"]["scores"]}
            fastest, second = [row["name"] for row in study["configurations"] if row["name"] in measured][:-3:-1]
            self.assertEqual(self.advice(study)["configuration"], fastest)
            for entry in study["labels"]["scores"]:
                if entry["configuration"] == fastest:
                    entry["low"] = -0.95
            advice = self.advice(study)
            self.assertEqual(advice["configuration"], second)
            self.assertIn(f"may lose more: {fastest}", advice["reason"])
            for entry in study["labels"]["scores"]:
                entry["low"] = -0.95
            advice = self.advice(study)
            self.assertEqual(advice["configuration"], "")
            self.assertIn("None", advice["reason"])
            study["configurations"][0]["throughput"]["blocks"][0]["seconds"] = 9.0
            self.assertIn("busy", self.advice(study)["reason"])
        finally:
            path.write_text(json.dumps(whole))

    def advice(self, study):
        (self.out / "study.json").write_text(json.dumps(study))
        subprocess.run([SENVEC, "study", "cost", "-o", self.out], check=True, capture_output=True)
        return self.labels()["recommendation"]

    def test_bad_files(self):
        bad = {"two.jsonl": '{"_id": "a", "text": "x"}\n{"_id": "a", "text": "y"}\n', "none.jsonl": '{"text": "x"}\n',
               "words.txt": "q1 d1\n", "unknown.txt": "q1 0 d999 1\n", "number.txt": "q1 0 d1 1\nq1 0 d1 many\n",
               "one.csv": "a text,x\nanother,x\n"}
        for name, text in bad.items():
            self.write(name, text)
        out, root = self.root / "bad", self.root
        for options, words in (
                (["--queries", root / "queries.tsv"], ["--documents"]),
                (["--documents", root / "two.jsonl", *self.beir[:2], *self.beir[4:]], ["two.jsonl", '"a"']),
                (["--documents", root / "none.jsonl", *self.beir[:2], *self.beir[4:]], ["none.jsonl", "record 1", "_id"]),
                ([*self.beir[:4], "--qrels", root / "words.txt"], ["words.txt", "line 1"]),
                ([*self.beir[:4], "--qrels", root / "unknown.txt"], ["unknown.txt", "line 1", "d999"]),
                ([*self.beir[:4], "--qrels", root / "number.txt"], ["number.txt", "line 2", "many"]),
                (["--classes", root / "one.csv"], ["one.csv", "1 class"])):
            result = self.study(out, *options)
            self.assertIn(result.returncode, (1, 2))
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            for word in words:
                self.assertIn(word, result.stderr)
            self.assertFalse((out / "study.json").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
