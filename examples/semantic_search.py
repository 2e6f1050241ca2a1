"""Finds the sentence that answers a question. Needs the package senvec (docs/PYTHON.md).

    python examples/semantic_search.py [MODEL]
"""
import sys

from senvec import SentenceTransformer

documents = ["Plants make sugar from light.", "Interest rates rose again.", "The museum opens at ten."]
model = SentenceTransformer(sys.argv[1] if len(sys.argv) > 1 else "all-MiniLM-L6-v2")
scores = model.similarity(model.encode_query("how do plants eat?"), model.encode_document(documents))[0]
for score, document in sorted(zip(scores.tolist(), documents), reverse=True):
    print(f"{score:.3f}  {document}")
