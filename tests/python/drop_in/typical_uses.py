"""What people do with sentence-transformers, written for it. drop_in.py runs this file as it is, and again with the next line
changed to senvec's import, and compares what the functions return. Each takes the models and returns a dict of results."""

from sentence_transformers import CrossEncoder, SentenceTransformer

TOPICS = ["The river {} flows past the old mill", "Her cat {} sleeps on the warm windowsill",
          "The bank raised its interest rate {}", "A guitar {} was played at the concert",
          "Python programs {} read files line by line"]
WORDS = ["slowly", "today", "in spring", "again", "at night", "for years", "once more", "without a sound"]
TEXTS = [topic.format(word) for word in WORDS for topic in TOPICS]
LABELS = [index % len(TOPICS) for index in range(len(TEXTS))]
QUERIES = ["water near a mill", "a sleeping animal", "money and loans", "live music", "reading a text file in code"]


def one_matrix(model: SentenceTransformer, reranker: CrossEncoder):
    return {"vectors": model.encode(TEXTS)}


def one_string(model, reranker):
    vector = model.encode("a single sentence")
    assert vector.shape == (model.get_sentence_embedding_dimension(),)
    return {"vectors": vector}


def small_batches_and_a_progress_bar(model, reranker):
    return {"vectors": model.encode(TEXTS, batch_size=4, show_progress_bar=False)}


def normalized_dot_products(model, reranker):
    vectors = model.encode(TEXTS, normalize_embeddings=True)
    return {"vectors": vectors, "scores": vectors @ vectors.T}


def tensors(model, reranker):
    vectors = model.encode(TEXTS, convert_to_tensor=True)
    return {"vectors": vectors.cpu().numpy(), "device": str(vectors.device)}


def list_of_tensors(model, reranker):
    vectors = model.encode(TEXTS[:5], convert_to_numpy=False)
    return {"count": len(vectors), "vectors": [vector.tolist() for vector in vectors]}


def similarity(model, reranker):
    vectors = model.encode(TEXTS)
    return {"scores": model.similarity(vectors, vectors).numpy(), "pairs": model.similarity_pairwise(vectors, vectors).numpy()}


def queries_and_documents(model, reranker):
    queries, documents = model.encode_query(QUERIES), model.encode_document(TEXTS)
    return {"vectors": documents, "scores": model.similarity(queries, documents).numpy()}


def a_prompt_of_the_call(model, reranker):
    return {"vectors": model.encode(TEXTS, prompt="Represent this sentence: ")}


def fewer_dimensions(model, reranker):
    return {"vectors": model.encode(TEXTS, truncate_dim=16, normalize_embeddings=True)}


def binary_vectors(model, reranker):
    return {"bits": model.encode(TEXTS, precision="ubinary").sum(axis=1).shape}


def quantized_after_encoding(model, reranker):
    from sentence_transformers.util import quantize_embeddings

    vectors = model.encode(TEXTS)
    codes = quantize_embeddings(vectors, precision="int8", calibration_embeddings=vectors)
    return {"vectors": vectors, "kind": str(codes.dtype)}


def token_vectors(model, reranker):
    found = model.encode(TEXTS[:4], output_value="token_embeddings")
    return {f"tokens {i}": tokens.cpu().numpy() for i, tokens in enumerate(found)}


def semantic_search(model, reranker):
    from sentence_transformers.util import semantic_search

    hits = semantic_search(model.encode(QUERIES, convert_to_tensor=True), model.encode(TEXTS, convert_to_tensor=True), top_k=3)
    return {"scores": [[hit["score"] for hit in found] for found in hits]}


def paraphrase_mining(model, reranker):
    from sentence_transformers.util import paraphrase_mining

    return {"scores": [score for score, _, _ in paraphrase_mining(model, TEXTS, top_k=5)[:50]]}


def communities(model, reranker):
    from sentence_transformers.util import community_detection

    found = community_detection(model.encode(TEXTS, convert_to_tensor=True), threshold=0.75, min_community_size=3)
    return {"members": sorted(sorted(group) for group in found)}


def k_means(model, reranker):
    from sklearn.cluster import KMeans

    return {"clusters": KMeans(5, n_init=3, random_state=0).fit_predict(model.encode(TEXTS)).tolist()}


def agglomerative_clusters(model, reranker):
    from sklearn.cluster import AgglomerativeClustering

    return {"clusters": AgglomerativeClustering(5).fit_predict(model.encode(TEXTS, normalize_embeddings=True)).tolist()}


def a_classifier_on_top(model, reranker):
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(max_iter=500).fit(model.encode(TEXTS), LABELS)
    return {"labels": head.predict(model.encode(QUERIES)).tolist()}


def pairs_scored(model, reranker):
    return {"scores": reranker.predict([(query, text) for query in QUERIES for text in TEXTS[:6]])}


def ranked(model, reranker):
    found = reranker.rank(QUERIES[0], TEXTS[:10], top_k=3, return_documents=True)
    return {"scores": [float(entry["score"]) for entry in found], "texts": [entry["text"] for entry in found]}


def retrieved_and_reranked(model, reranker):
    from sentence_transformers.util import semantic_search

    documents = model.encode(TEXTS, convert_to_tensor=True)
    hits = semantic_search(model.encode(QUERIES[1], convert_to_tensor=True), documents, top_k=8)
    candidates = sorted(hit["corpus_id"] for hit in hits[0])
    return {"scores": reranker.predict([(QUERIES[1], TEXTS[index]) for index in candidates])}


def faiss_index(model, reranker):
    import faiss

    vectors = model.encode(TEXTS, normalize_embeddings=True)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return {"scores": index.search(model.encode(QUERIES, normalize_embeddings=True), 3)[0]}


def set_fit(model, reranker):
    from setfit import SetFitModel
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(max_iter=500).fit(model.encode(TEXTS), LABELS)
    classifier = SetFitModel(model_body=model, model_head=head)
    return {"labels": classifier.predict(QUERIES).tolist(), "chances": classifier.predict_proba(QUERIES).numpy()}


def chroma_collection(model, reranker):
    import chromadb

    collection = chromadb.EphemeralClient().create_collection("texts", embedding_function=None)
    collection.add(ids=[str(i) for i in range(len(TEXTS))], documents=TEXTS, embeddings=model.encode(TEXTS).tolist())
    found = collection.query(query_embeddings=model.encode(QUERIES).tolist(), n_results=3)
    chromadb.EphemeralClient().delete_collection("texts")
    return {"distances": found["distances"]}


def langchain_retriever(model, reranker):
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore

    class Wrapped(Embeddings):
        def embed_documents(self, texts):
            return model.encode(texts).tolist()

        def embed_query(self, text):
            return model.encode(text).tolist()

    store = InMemoryVectorStore.from_texts(TEXTS, Wrapped())
    return {"scores": [score for _, score in store.similarity_search_with_score(QUERIES[0], k=3)]}


def llama_index(model, reranker):
    from llama_index.core import VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.schema import TextNode

    class Wrapped(BaseEmbedding):
        def _get_text_embedding(self, text):
            return model.encode(text).tolist()

        def _get_query_embedding(self, query):
            return model.encode(query).tolist()

        async def _aget_query_embedding(self, query):
            return self._get_query_embedding(query)

    index = VectorStoreIndex([TextNode(text=text) for text in TEXTS], embed_model=Wrapped())
    return {"scores": [node.score for node in index.as_retriever(similarity_top_k=3).retrieve(QUERIES[0])]}


def topic_model(model, reranker):
    from bertopic import BERTopic
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    topics, _ = BERTopic(umap_model=PCA(3, random_state=0), hdbscan_model=KMeans(5, n_init=3, random_state=0)).fit_transform(
        TEXTS, embeddings=model.encode(TEXTS))
    return {"topics": [int(topic) for topic in topics]}


USES = [value for name, value in list(globals().items()) if callable(value) and getattr(value, "__code__", None)]
