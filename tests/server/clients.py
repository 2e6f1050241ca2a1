#!/usr/bin/env python3
"""clients SENVEC MODEL OTHER_MODEL: client packages that people use, unchanged, get the vectors of `senvec embed`, bit for bit.

The packages are in tests/server/requirements.txt; without them the test is skipped.
"""
import array
import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
from unittest import mock

import service
from service import Service

os.environ.update(ANONYMIZED_TELEMETRY="False", LANGSMITH_TRACING="false", HAYSTACK_TELEMETRY_ENABLED="False",
                  LITELLM_LOCAL_MODEL_COST_MAP="True")
for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HUGGINGFACE_API_KEY", "HF_TOKEN", "HF_HUB_OFFLINE"):
    os.environ.pop(name, None)
try:
    import huggingface_hub
    import ollama
    import openai
    from chromadb.utils import embedding_functions
    from langchain_openai import OpenAIEmbeddings
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
except ImportError as missing:
    print(f"SKIP: {missing}; pip install -r tests/server/requirements.txt")
    sys.exit(77)

TEXTS = ["the quick brown fox", "a", "it was the best of times, it was the worst of times"]
KEY = "s3cret"


def embedded(model):
    result = subprocess.run([service.SENVEC, "embed", "-m", model, "--format", "f32", "-"],
                            input="\n".join(TEXTS).encode(), capture_output=True, check=True)
    values = array.array("f", result.stdout)
    width = len(values) // len(TEXTS)
    return [values[i:i + width] for i in range(0, len(values), width)]


def same(vectors, expected):
    assert [array.array("f", vector) for vector in vectors] == expected


def fails(call, kind):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def openai_python(server, expected):
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key=KEY, max_retries=0)
    same([item.embedding for item in client.embeddings.create(model="any", input=TEXTS).data], expected)  # base64
    answer = client.embeddings.create(model="any", input=TEXTS[0], encoding_format="float", user="me")
    same([answer.data[0].embedding], expected[:1])
    assert answer.usage.prompt_tokens > 2
    assert len(client.embeddings.create(model="any", input=TEXTS, dimensions=8).data[0].embedding) == 8
    assert [model.id for model in client.models.list()] == [client.models.retrieve("tiny").id] == ["tiny"]
    for mistake, kind in ((lambda: client.embeddings.create(model="any", input=[[9906, 1917]]), openai.BadRequestError),
                          (lambda: client.models.retrieve("other"), openai.NotFoundError),
                          (lambda: client.with_options(api_key="x").models.list(), openai.AuthenticationError)):
        assert fails(mistake, kind).body["message"]


class Cl100k:
    """Stands for OpenAI's tokenizer, which tiktoken would fetch from the internet: the same ids for a text that it knows."""

    def __init__(self, *_):
        pass

    def encode(self, text, **_):
        return {"Hello world": [9906, 1917], "the quick brown fox": [1820, 4062, 14198, 39935]}[text]

    def encode_ordinary(self, text):
        return self.encode(text)


def langchain_openai(server, expected):
    options = {"base_url": f"{server.address}/v1", "api_key": KEY, "max_retries": 0}
    model = OpenAIEmbeddings(model="any", check_embedding_ctx_length=False, **options)
    same(model.embed_documents(TEXTS), expected)
    same([model.embed_query(TEXTS[0])], expected[:1])
    same(asyncio.run(model.aembed_documents(TEXTS)), expected)
    by_default = OpenAIEmbeddings(model="text-embedding-3-small", **options)
    with mock.patch("tiktoken.encoding_for_model", Cl100k), mock.patch("tiktoken.get_encoding", Cl100k):
        for texts in (["Hello world"], [TEXTS[0]]):  # ids of another tokenizer; refused rather than embedded as nonsense
            message = fails(lambda texts=texts: by_default.embed_documents(texts), openai.BadRequestError).body["message"]
            assert "check_embedding_ctx_length=False" in message, message


def langchain_huggingface(server, expected):
    model = HuggingFaceEndpointEmbeddings(model=server.address, huggingfacehub_api_token=KEY)
    same(model.embed_documents(TEXTS), expected)
    same([model.embed_query(TEXTS[0])], expected[:1])
    # What later versions are left with.
    same(huggingface_hub.InferenceClient(server.address, token=KEY).feature_extraction(TEXTS), expected)


def llama_index_tei(server, expected):
    # A model's name that is of no kind known to it adds no instruction to the texts.
    model = TextEmbeddingsInference(model_name="any", base_url=server.address, auth_token=KEY, embed_batch_size=2)
    same(model.get_text_embedding_batch(TEXTS), expected)
    same([model.get_query_embedding(TEXTS[0])], expected[:1])
    same(asyncio.run(model.aget_text_embedding_batch(TEXTS)), expected)


def chroma(server, expected):
    os.environ["TEST_KEY"] = KEY
    openai_function = embedding_functions.OpenAIEmbeddingFunction(api_key_env_var="TEST_KEY", api_base=f"{server.address}/v1")
    same(openai_function(TEXTS), expected)
    same(embedding_functions.HuggingFaceEmbeddingServer(f"{server.address}/embed", api_key_env_var="TEST_KEY")(TEXTS), expected)


def curl(server, expected):
    if not shutil.which("curl"):
        return
    command = ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"]
    for path, body in (("/v1/embeddings", {"input": TEXTS}), ("/embed", {"inputs": TEXTS})):
        for more in ([], ["--http1.0"], ["-H", "Expect: 100-continue"]):
            output = subprocess.run([*command, *more, "-d", json.dumps(body), server.address + path], capture_output=True,
                                    check=True).stdout
            answer = json.loads(output)
            same([item["embedding"] for item in answer["data"]] if path == "/v1/embeddings" else answer, expected)
        raw = subprocess.run([*command, "-H", "Accept: application/octet-stream", "-d", json.dumps(body),
                              server.address + path], capture_output=True, check=True).stdout
        assert raw == b"".join(vector.tobytes() for vector in expected)


def ollama_python(server, expected):
    client = ollama.Client(host=server.address, headers={"Authorization": f"Bearer {KEY}"})
    same(client.embed(model="any", input=TEXTS).embeddings, expected)
    same([client.embeddings(model="any", prompt=TEXTS[0]).embedding], expected[:1])
    assert [model.model for model in client.list().models] == ["tiny", "tiny:latest"]


def ranks(scores, order):
    """(index, score) of the documents: in this order, by cosines that fall."""
    assert [index for index, _ in scores] == order, scores
    assert all(1.0001 > one >= other > -1.0001 for (_, one), (_, other) in zip(scores, scores[1:])), scores


def azure_openai(server, expected):
    client = openai.AzureOpenAI(azure_endpoint=server.address, api_key=KEY, api_version="2024-10-21", max_retries=0)
    same([item.embedding for item in client.embeddings.create(model="any", input=TEXTS).data], expected)


def ollama_questions(server, _):
    client = ollama.Client(host=server.address, headers={"Authorization": f"Bearer {KEY}"})
    assert client.show("tiny").capabilities == ["embedding"]
    assert [model.model for model in client.ps().models] == ["tiny", "tiny:latest"]
    assert client.pull("tiny").status == "success"
    assert [part.status for part in client.pull("tiny", stream=True)] == ["success"]
    assert "'other' not found" in str(fails(lambda: client.show("other"), ollama.ResponseError))


def hugging_face_options(server, expected):
    client = huggingface_hub.InferenceClient(server.address, token=KEY)
    same(client.feature_extraction(TEXTS, truncation_direction="left"), expected)
    assert abs(sum(float(x) ** 2 for x in client.feature_extraction(TEXTS[0], normalize=False)[0]) - 1) > 0.01
    similar = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS)
    ranks([(i, similar[i]) for i in sorted(range(len(TEXTS)), key=lambda i: -similar[i])][:1], [0])


def cohere_python(server, expected):
    client = cohere.ClientV2(api_key=KEY, base_url=server.address)
    answer = client.embed(texts=TEXTS, model="any", input_type="search_query", embedding_types=["float", "int8", "ubinary"])
    same(answer.embeddings.float_, expected)
    parts = [{"content": [{"type": "text", "text": text}]} for text in TEXTS]
    answer_of_parts = client.embed(inputs=parts, model="any", input_type="search_query", embedding_types=["float"])
    same(answer_of_parts.embeddings.float_, expected)
    assert len(answer.embeddings.int8[0]) == 8 * len(answer.embeddings.ubinary[0]) == len(expected[0])
    older = cohere.Client(api_key=KEY, base_url=server.address)
    same(older.embed(texts=TEXTS, model="any", input_type="x").embeddings, expected)
    ranks([(item.index, item.relevance_score)
           for item in client.rerank(model="any", query=TEXTS[2], documents=TEXTS, top_n=1).results], [2])
    mistake = fails(lambda: client.embed(texts=["a"], model="any", input_type="x", embedding_types=["float"],
                                         output_dimension=99), cohere.BadRequestError)
    assert "output_dimension" in str(mistake)


def voyage_python(server, expected):
    client = voyageai.Client(base_url=f"{server.address}/v1", api_key=KEY)
    same(client.embed(TEXTS, model="any").embeddings, expected)
    numbers = client.embed(TEXTS, model="any", output_dtype="int8").embeddings
    assert all(abs(n - x * 127.5) <= 1.5 for n, x in zip(numbers[0], expected[0])), numbers[0]  # 32 numbers: from -1 to 1
    assert len(client.embed(TEXTS, model="any", output_dtype="binary", output_dimension=16).embeddings[0]) == 2
    answer = client.rerank(TEXTS[2], TEXTS, model="any", top_k=1)
    ranks([(item.index, item.relevance_score) for item in answer.results], [2])


def haystack_tei(server, _):
    """It asks for vectors that aren't normalised."""
    pooled = huggingface_hub.InferenceClient(server.address, token=KEY).feature_extraction(TEXTS, normalize=False)
    options = {"api_type": "text_embeddings_inference", "api_params": {"url": server.address}, "token": Secret.from_token(KEY)}
    same([HuggingFaceAPITextEmbedder(**options).run(TEXTS[0])["embedding"]], [array.array("f", pooled[0])])
    documents = [Document(content=text) for text in TEXTS]
    embedded_documents = HuggingFaceAPIDocumentEmbedder(**options).run(documents)["documents"]
    same([document.embedding for document in embedded_documents], [array.array("f", vector) for vector in pooled])
    ranked = HuggingFaceTEIRanker(url=server.address, token=Secret.from_token(KEY)).run(query=TEXTS[2], documents=documents)
    assert ranked["documents"][0].content == TEXTS[2]


def several_models(server, expected, other):
    """Each client names the model that it wants, by any of its names."""
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key=KEY, max_retries=0)
    of_ollama = ollama.Client(host=server.address, headers={"Authorization": f"Bearer {KEY}"})
    for name, vectors in (("tiny", expected), ("other", other), ("org/other", other)):
        answer = client.embeddings.create(model=name, input=TEXTS)
        same([item.embedding for item in answer.data], vectors)
        assert answer.model == client.models.retrieve(name).id == name
        same(of_ollama.embed(model=name, input=TEXTS).embeddings, vectors)
        assert of_ollama.show(name).capabilities == ["embedding"]
        if "cohere" in globals():
            answer = cohere.ClientV2(api_key=KEY, base_url=server.address).embed(
                texts=TEXTS, model=name, input_type="search_query", embedding_types=["float"])
            same(answer.embeddings.float_, vectors)
        if "voyageai" in globals():
            same(voyageai.Client(base_url=f"{server.address}/v1", api_key=KEY).embed(TEXTS, model=name).embeddings, vectors)
    azure = openai.AzureOpenAI(azure_endpoint=server.address, api_key=KEY, api_version="2024-10-21", max_retries=0)
    same([item.embedding for item in azure.embeddings.create(model="other", input=TEXTS).data], other)
    same(huggingface_hub.InferenceClient(server.address, token=KEY).feature_extraction(TEXTS), expected)  # it names none
    for call, kind in ((lambda: client.embeddings.create(model="third", input=TEXTS), openai.NotFoundError),
                       (lambda: of_ollama.embed(model="third", input=TEXTS), ollama.ResponseError)):
        assert "'other'" in str(fails(call, kind))


def langchain_ollama(server, expected):
    headers = {"headers": {"Authorization": f"Bearer {KEY}"}}
    model = OllamaEmbeddings(model="tiny", base_url=server.address, validate_model_on_init=True, client_kwargs=headers)
    same(model.embed_documents(TEXTS), expected)
    same([model.embed_query(TEXTS[0])], expected[:1])
    same(asyncio.run(model.aembed_documents(TEXTS)), expected)


def llama_index_others(server, expected):
    like_openai = OpenAILikeEmbedding(model_name="tiny", api_base=f"{server.address}/v1", api_key=KEY)
    of_ollama = OllamaEmbedding(model_name="tiny", base_url=server.address,
                                client_kwargs={"headers": {"Authorization": f"Bearer {KEY}"}})
    for model in (like_openai, of_ollama):
        same(model.get_text_embedding_batch(TEXTS), expected)
        same(asyncio.run(model.aget_text_embedding_batch(TEXTS)), expected)
    ranker = TextEmbeddingInference(base_url=server.address, model_name="tiny", top_n=1, auth_token=f"Bearer {KEY}")
    nodes = ranker.postprocess_nodes([NodeWithScore(node=TextNode(text=text)) for text in TEXTS], query_str=TEXTS[2])
    assert [node.node.text for node in nodes] == [TEXTS[2]]


def tei_client_python(server, expected):
    client = tei_client.HttpClient(server.address, headers={"Authorization": f"Bearer {KEY}"})
    assert client.health() and client.info().server_model_id == "tiny" and not client.prompt_names()
    same(client.embed(TEXTS), expected)
    same(asyncio.run(client.async_embed(TEXTS)), expected)
    tokens = client.tokenize(TEXTS[0])[0].tokens
    assert client.decode([token.id for token in tokens]) == [TEXTS[0]]
    assert len(client.embed_all(TEXTS[0])[0]) == len(tokens)


def litellm_python(server, expected):
    for provider, path in (("openai", "/v1"), ("hosted_vllm", "/v1"), ("jina_ai", "/v1"), ("voyage", "/v1"), ("infinity", ""),
                           ("azure", ""), ("cohere", "/v1/embed")):
        more = {"api_version": "2024-10-21"} if provider == "azure" else {}
        answer = litellm.embedding(model=f"{provider}/tiny", input=TEXTS, api_base=server.address + path, api_key=KEY, **more)
        same([item["embedding"] for item in answer.data], expected)
    for provider, path in (("cohere", ""), ("jina_ai", ""), ("hosted_vllm", ""), ("voyage", "/v1")):
        answer = litellm.rerank(model=f"{provider}/tiny", query=TEXTS[2], documents=TEXTS, top_n=1,
                                api_base=server.address + path, api_key=KEY)
        assert [item["index"] for item in answer.results] == [2], (provider, answer)


# Those that aren't there are left out, and named.
MORE = {
    langchain_huggingface: ("langchain_huggingface:HuggingFaceEndpointEmbeddings",),
    azure_openai: (), ollama_questions: (), hugging_face_options: (), cohere_python: ("cohere",), voyage_python: ("voyageai",),
    langchain_ollama: ("langchain_ollama:OllamaEmbeddings",),
    llama_index_others: ("llama_index.embeddings.ollama:OllamaEmbedding",
                         "llama_index.embeddings.openai_like:OpenAILikeEmbedding",
                         "llama_index.postprocessor.tei_rerank:TextEmbeddingInference",
                         "llama_index.core.schema:NodeWithScore", "llama_index.core.schema:TextNode"),
    tei_client_python: ("tei_client",), litellm_python: ("litellm",),
    haystack_tei: ("haystack:Document", "haystack.utils:Secret",
                   "haystack_integrations.components.embedders.huggingface_api:HuggingFaceAPITextEmbedder",
                   "haystack_integrations.components.embedders.huggingface_api:HuggingFaceAPIDocumentEmbedder",
                   "haystack_integrations.components.rankers.huggingface_api:HuggingFaceTEIRanker"),
}


def load(modules):
    """Imports "module" or "module:name"; False: one isn't installed."""
    for module in modules:
        name, _, member = module.partition(":")
        try:
            loaded = importlib.import_module(name)
        except ImportError:
            return False
        globals()[member or name] = getattr(loaded, member) if member else loaded
    return True


def main():
    service.SENVEC, service.MODEL, other = sys.argv[1:4]
    expected = embedded(service.MODEL)
    clients = [openai_python, langchain_openai, llama_index_tei, chroma, curl, ollama_python]
    clients += [client for client, modules in MORE.items() if load(modules)]
    missing = [client.__name__ for client in MORE if client not in clients]
    with Service("--target-p99", "60000", environment={"SENVEC_API_KEY": KEY}) as server:
        for client in clients:
            client(server, expected)
    with Service("-m", f"other,org/other={other}", environment={"SENVEC_API_KEY": KEY}) as server:
        several_models(server, expected, embedded(other))
    if missing:
        print(f"left out: {', '.join(missing)}; pip install -r tests/server/requirements.txt")
    print(f"{', '.join(client.__name__ for client in clients)}: {len(TEXTS)} texts, the same bits")


main()
