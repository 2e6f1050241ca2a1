#!/usr/bin/env python3
"""clients SENVEC MODEL: client packages that people use, unchanged, get the vectors of `senvec embed`, bit for bit.

The packages are in tests/server/requirements.txt; without them the test is skipped.
"""
import array
import subprocess
import sys

import service
from service import Service

try:
    import ollama
    import openai
except ImportError as missing:
    print(f"SKIP: {missing}; pip install -r tests/server/requirements.txt")
    sys.exit(77)

TEXTS = ["the quick brown fox", "a", "it was the best of times, it was the worst of times"]


def embedded():
    result = subprocess.run([service.SENVEC, "embed", "-m", service.MODEL, "--format", "f32", "-"],
                            input="\n".join(TEXTS).encode(), capture_output=True, check=True)
    values = array.array("f", result.stdout)
    width = len(values) // len(TEXTS)
    return [values[i:i + width] for i in range(0, len(values), width)]


def same(vectors, expected):
    assert [array.array("f", vector) for vector in vectors] == expected


def main():
    service.SENVEC, service.MODEL = sys.argv[1:3]
    expected = embedded()
    with Service(environment={"SENVEC_API_KEY": "s3cret"}) as server:
        client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="s3cret", max_retries=0)
        same([item.embedding for item in client.embeddings.create(model="any", input=TEXTS).data], expected)  # base64
        answer = client.embeddings.create(model="any", input=TEXTS[0], encoding_format="float", user="me")
        same([answer.data[0].embedding], expected[:1])
        assert answer.usage.prompt_tokens > 2
        assert len(client.embeddings.create(model="any", input=TEXTS, dimensions=8).data[0].embedding) == 8
        assert [model.id for model in client.models.list()] == [client.models.retrieve("tiny").id] == ["tiny"]
        for mistake, kind in ((lambda: client.embeddings.create(model="any", input=[[9906, 1917]]), openai.BadRequestError),
                              (lambda: client.models.retrieve("other"), openai.NotFoundError),
                              (lambda: client.with_options(api_key="x").models.list(), openai.AuthenticationError)):
            try:
                mistake()
            except kind as error:
                assert error.body["message"], error
            else:
                raise AssertionError(f"no {kind.__name__}")
    with Service() as server:
        client = ollama.Client(host=server.address)
        same(client.embed(model="any", input=TEXTS).embeddings, expected)
        same([client.embeddings(model="any", prompt=TEXTS[0]).embedding], expected[:1])
        assert [model.model for model in client.list().models] == ["tiny"]
    print(f"openai {openai.__version__} and ollama: {len(TEXTS)} texts, the same bits")


main()
