"""The embedding service that most teams run: FastAPI around sentence-transformers, in fifteen lines. peers/serve.py starts
it."""
import os

from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

app = FastAPI()
model = SentenceTransformer(os.environ["MODEL"], device="cpu")


class Request(BaseModel):
    input: list[str]


@app.post("/v1/embeddings")
def embeddings(request: Request):
    vectors = model.encode(request.input, show_progress_bar=False)
    return {"object": "list", "data": [{"object": "embedding", "index": i, "embedding": vector.tolist()}
                                       for i, vector in enumerate(vectors)]}
