"""ONNX Runtime on the int8 file behind the classic batcher: requests wait up to 50 ms for others, and at most 32 texts are
computed together. What a team has that has gone one step further. peers/serve.py starts it."""
import asyncio
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel

from worker import OnnxRuntime

MAX_BATCH, MAX_WAIT_S = 32, 0.050
encoder = OnnxRuntime({"source": os.environ["MODEL"], "model": os.environ["MODEL"], "files": os.environ["FILES"],
                       "threads": int(os.environ["THREADS"])})
queue = asyncio.Queue()  # of (text, future)


async def collect():
    """The texts of the next batch: the first that comes, and what follows within the wait."""
    loop = asyncio.get_running_loop()
    batch = [await queue.get()]
    end = loop.time() + MAX_WAIT_S
    while len(batch) < MAX_BATCH:
        try:
            batch.append(queue.get_nowait() if not queue.empty() else await asyncio.wait_for(queue.get(), end - loop.time()))
        except asyncio.TimeoutError:
            break
    return batch


async def work():
    while True:
        batch = await collect()
        try:
            vectors = await asyncio.to_thread(encoder.encode, [text for text, _ in batch])
        except Exception as problem:  # the callers get it; the next batch may do better
            for _, future in batch:
                if not future.done():
                    future.set_exception(problem)
            continue
        for (_, future), vector in zip(batch, vectors):
            if not future.done():
                future.set_result(vector)


@asynccontextmanager
async def lifespan(_):
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


app = FastAPI(lifespan=lifespan)


class Request(BaseModel):
    input: list[str]


@app.post("/v1/embeddings")
async def embeddings(request: Request):
    futures = [asyncio.get_running_loop().create_future() for _ in request.input]
    for text, future in zip(request.input, futures):
        queue.put_nowait((text, future))
    vectors = await asyncio.gather(*futures)
    return {"object": "list", "data": [{"object": "embedding", "index": i, "embedding": vector.tolist()}
                                       for i, vector in enumerate(vectors)]}
