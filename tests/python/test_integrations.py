"""senvec inside of other libraries, each tested with the library itself where it is installed."""

import asyncio
import copy
import json
import pickle
import tempfile
import unittest

import numpy as np

from senvec import SentenceTransformer
from tiny_model import TEXTS, copy_of, needs

FP32 = {"precision": "fp32"}


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = copy_of(cls.folder.name, prompts={"query": "the river ", "document": "a stone "})
        cls.model = SentenceTransformer(cls.path, **FP32)
        cls.documents = cls.model.encode_document(TEXTS)
        cls.query = cls.model.encode_query(TEXTS[2])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def best(self, query, texts, count):
        vectors = self.model.encode_document(texts, normalize_embeddings=True)
        scores = vectors @ self.model.encode_query(query, normalize_embeddings=True)
        return list(np.argsort(-scores, kind="stable")[:count])


class LangChain(Base):
    def setUp(self):
        needs("langchain_core")
        from senvec.langchain import SenvecEmbeddings, SenvecRerank

        self.embeddings = SenvecEmbeddings(model=self.path, model_kwargs=FP32)
        self.rerank = SenvecRerank(model=self.path, model_kwargs=FP32, top_n=3)

    def test_vectors(self):
        np.testing.assert_allclose(self.embeddings.embed_documents(TEXTS), self.documents)
        np.testing.assert_allclose(self.embeddings.embed_query(TEXTS[2]), self.query)
        made = asyncio.run(self.embeddings.aembed_documents(TEXTS))
        np.testing.assert_allclose(made, self.documents)
        np.testing.assert_allclose(asyncio.run(self.embeddings.aembed_query(TEXTS[2])), self.query)
        for again in (pickle.loads(pickle.dumps(self.embeddings)), copy.deepcopy(self.embeddings)):
            np.testing.assert_allclose(again.embed_query(TEXTS[2]), self.query)

    def test_retriever(self):
        from langchain_core.vectorstores import InMemoryVectorStore

        store = InMemoryVectorStore.from_texts(TEXTS[2:6], embedding=self.embeddings)
        found = store.as_retriever(search_kwargs={"k": 2}).invoke(TEXTS[2])
        self.assertEqual([document.page_content for document in found],
                         [TEXTS[2:6][index] for index in self.best(TEXTS[2], TEXTS[2:6], 2)])

    def test_rerank(self):
        from langchain_core.documents import Document

        documents = [Document(page_content=text, metadata={"index": index}) for index, text in enumerate(TEXTS)]
        found = self.rerank.compress_documents(documents, "light on the water")
        self.assertEqual([document.metadata["index"] for document in found], self.best("light on the water", TEXTS, 3))
        scores = [document.metadata["relevance_score"] for document in found]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertNotIn("relevance_score", documents[0].metadata)
        again = asyncio.run(self.rerank.acompress_documents(documents, "light on the water"))
        self.assertEqual([document.metadata for document in again], [document.metadata for document in found])

    def test_conformance(self):
        """The suite that LangChain ships for its partners."""
        unit, integration = needs("langchain_tests.unit_tests", "langchain_tests.integration_tests")
        from senvec.langchain import SenvecEmbeddings

        path = self.path
        for base in (unit.EmbeddingsUnitTests, integration.EmbeddingsIntegrationTests):
            suite = type("Suite", (base,), {
                "embeddings_class": property(lambda _: SenvecEmbeddings),
                "embedding_model_params": property(lambda _: {"model": path, "model_kwargs": FP32}),
            })()
            ran = 0
            for name in dir(suite):
                if not name.startswith("test_") or name in ("test_init_from_env", "test_no_overrides_DO_NOT_OVERRIDE"):
                    continue  # there is nothing that comes from the environment
                test = getattr(suite, name)
                wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
                made = test(*[self.embeddings for _ in wanted])
                if asyncio.iscoroutine(made):
                    asyncio.run(made)
                ran += 1
            self.assertGreaterEqual(ran, 1)


class LlamaIndex(Base):
    def setUp(self):
        needs("llama_index.core")
        from senvec.llama_index import SenvecEmbedding, SenvecRerank

        self.embedding = SenvecEmbedding(self.path, model_kwargs=FP32)
        self.rerank = SenvecRerank(self.path, top_n=2, model_kwargs=FP32)

    def test_vectors(self):
        np.testing.assert_allclose(self.embedding.get_text_embedding_batch(TEXTS), self.documents)
        np.testing.assert_allclose(self.embedding.get_text_embedding(TEXTS[3]), self.documents[3])
        np.testing.assert_allclose(self.embedding.get_query_embedding(TEXTS[2]), self.query)
        np.testing.assert_allclose(asyncio.run(self.embedding.aget_query_embedding(TEXTS[2])), self.query)
        np.testing.assert_allclose(asyncio.run(self.embedding.aget_text_embedding_batch(TEXTS)), self.documents)
        self.assertEqual(self.embedding.to_dict()["model_name"], self.path)

    def test_index(self):
        from llama_index.core import VectorStoreIndex
        from llama_index.core.schema import TextNode

        nodes = [TextNode(text=text, id_=str(index)) for index, text in enumerate(TEXTS[2:8])]
        index = VectorStoreIndex(nodes, embed_model=self.embedding)
        found = index.as_retriever(similarity_top_k=3).retrieve("light on the water")
        self.assertEqual([int(one.node.node_id) for one in found], self.best("light on the water", TEXTS[2:8], 3))
        again = self.rerank.postprocess_nodes(found, query_str="light on the water")
        self.assertEqual([one.node.node_id for one in again], [one.node.node_id for one in found[:2]])
        with self.assertRaises(ValueError):
            self.rerank.postprocess_nodes(found)


class Chroma(Base):
    def test_collection(self):
        (chromadb,) = needs("chromadb")
        from senvec.chroma import SenvecEmbeddingFunction

        function = SenvecEmbeddingFunction(self.path, **FP32)
        with tempfile.TemporaryDirectory() as folder:
            client = chromadb.PersistentClient(folder)
            collection = client.create_collection("texts", embedding_function=function)
            collection.add(ids=[str(index) for index in range(2, 8)], documents=TEXTS[2:8])
            expected = [str(2 + index) for index in self.best("light on the water", TEXTS[2:8], 3)]
            self.assertEqual(collection.query(query_texts=["light on the water"], n_results=3)["ids"], [expected])
            # Opened again, the function is built from the configuration that Chroma kept.
            again = chromadb.PersistentClient(folder).get_collection("texts")
            self.assertEqual(again.query(query_texts=["light on the water"], n_results=3)["ids"], [expected])
        config = json.loads(json.dumps(function.get_config()))
        built = SenvecEmbeddingFunction.build_from_config(config)
        np.testing.assert_array_equal(built(TEXTS), function(TEXTS))
        with self.assertRaises(ValueError):
            SenvecEmbeddingFunction(self.path, cache_folder=object())


class Haystack(Base):
    def test_pipeline(self):
        (haystack,) = needs("haystack")
        from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore
        from senvec.haystack import SenvecDocumentEmbedder, SenvecRanker, SenvecTextEmbedder

        store = InMemoryDocumentStore(embedding_similarity_function="cosine")
        documents = [haystack.Document(content=text, meta={"index": index}) for index, text in enumerate(TEXTS[2:8])]
        made = SenvecDocumentEmbedder(self.path, model_kwargs=FP32).run(documents)["documents"]
        np.testing.assert_allclose([document.embedding for document in made], self.documents[2:8])
        self.assertIsNone(documents[0].embedding)
        store.write_documents(made)
        pipeline = haystack.Pipeline()
        pipeline.add_component("embedder", SenvecTextEmbedder(self.path, model_kwargs=FP32))
        pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=4))
        pipeline.add_component("ranker", SenvecRanker(self.path, top_k=2, model_kwargs=FP32))
        pipeline.connect("embedder.embedding", "retriever.query_embedding")
        pipeline.connect("retriever.documents", "ranker.documents")
        ask = {"embedder": {"text": "light on the water"}, "ranker": {"query": "light on the water"}}
        found = pipeline.run(ask)["ranker"]["documents"]
        self.assertEqual([document.meta["index"] for document in found], self.best("light on the water", TEXTS[2:8], 2))
        for one in (SenvecTextEmbedder(self.path), SenvecDocumentEmbedder(self.path, meta_fields_to_embed=["index"]),
                    SenvecRanker(self.path, top_k=5)):
            self.assertEqual(type(one).from_dict(one.to_dict()).to_dict(), one.to_dict())


class Sklearn(Base):
    def test_grid_search(self):
        needs("sklearn")
        from sklearn.base import clone
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from senvec.sklearn import SenvecVectorizer

        vectorizer = SenvecVectorizer(self.path, precision="fp32")
        np.testing.assert_array_equal(vectorizer.transform(TEXTS), self.model.encode(TEXTS))
        self.assertEqual(clone(vectorizer).get_params(), vectorizer.get_params())
        self.assertEqual(vectorizer.fit_transform(TEXTS).shape[1], len(vectorizer.get_feature_names_out()))
        texts, labels = TEXTS[2:8] * 4, [index % 2 for index in range(6)] * 4
        search = GridSearchCV(make_pipeline(vectorizer, LogisticRegression()),
                              {"senvecvectorizer__truncate_dim": [4, 32], "logisticregression__C": [1, 100]}, cv=2, n_jobs=2)
        search.fit(texts, labels)
        self.assertEqual(search.predict(texts[:3]).shape, (3,))
        again = pickle.loads(pickle.dumps(search))
        np.testing.assert_array_equal(again.predict(texts), search.predict(texts))


class Others(Base):
    def test_txtai(self):
        (txtai,) = needs("txtai")
        from senvec.txtai import vectors

        embeddings = txtai.Embeddings(method="external", transform=vectors(self.path, **FP32), backend="numpy")
        embeddings.index(list(enumerate(TEXTS[2:8])))
        plain = self.model.encode(TEXTS[2:8], normalize_embeddings=True)
        expected = np.argsort(-(plain @ self.model.encode("light on the water", normalize_embeddings=True)))[:2]
        self.assertEqual([index for index, _ in embeddings.search("light on the water", 2)], list(expected))

    def test_keybert(self):
        (keybert,) = needs("keybert")
        from senvec.keybert import SenvecBackend

        words = keybert.KeyBERT(model=SenvecBackend(self.path, **FP32)).extract_keywords(TEXTS[19] or TEXTS[18], top_n=3)
        self.assertEqual(len(words), 3)

    def test_bertopic(self):
        (bertopic,) = needs("bertopic")
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from senvec.bertopic import SenvecBackend

        texts = ["light on the water", "a stone in the river", "music and bread", "the quick brown fox"] * 10
        model = bertopic.BERTopic(embedding_model=SenvecBackend(self.path, **FP32), umap_model=PCA(2), hdbscan_model=KMeans(3))
        topics, _ = model.fit_transform(texts)
        self.assertEqual(len(topics), len(texts))

    def test_setfit(self):
        (setfit,) = needs("setfit")
        from sklearn.linear_model import LogisticRegression

        model = SentenceTransformer(self.path, **FP32)
        head = LogisticRegression().fit(model.encode(TEXTS[2:8]), [0, 1] * 3)
        predicted = setfit.SetFitModel(model_body=model, model_head=head).predict(TEXTS[2:8])
        np.testing.assert_array_equal(np.asarray(predicted), head.predict(model.encode(TEXTS[2:8])))

    def test_sentence_transformers_functions(self):
        (util,) = needs("sentence_transformers.util")
        texts = TEXTS[2:10]
        vectors = self.model.encode(texts, convert_to_tensor=True)
        found = util.semantic_search(self.model.encode_query("light on the water", convert_to_tensor=True), vectors, top_k=2)
        self.assertEqual(len(found[0]), 2)
        self.assertTrue(util.paraphrase_mining(self.model, texts))
        self.assertTrue(util.community_detection(vectors, threshold=0.1, min_community_size=1))
        np.testing.assert_allclose(self.model.similarity(vectors, vectors).numpy(), util.cos_sim(vectors, vectors).numpy(),
                                   atol=1e-6)
        from sentence_transformers.util.quantization import quantize_embeddings
        from senvec import int8_ranges

        plain = self.model.encode(texts)
        for precision in ("int8", "uint8", "binary", "ubinary"):
            theirs = quantize_embeddings(plain, precision, ranges=int8_ranges(32))
            np.testing.assert_array_equal(self.model.encode(texts, precision=precision), theirs)


if __name__ == "__main__":
    unittest.main()
