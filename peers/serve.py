#!/usr/bin/env python3
"""Starts a peer's service, for comparison under the same load as senvec's:

    serve.py torch MODEL_DIR                 FastAPI and sentence-transformers (service_torch.py)
    serve.py onnx MODEL_DIR --files DIR      ONNX Runtime int8 behind a 32 texts / 50 ms batcher (service_onnx.py); DIR is what
                                             `senvec quantize DIR` wrote

Options: --port N (0: any free one), --threads N (default: the CPUs that this process may use). Once it answers, it prints one
line with its address on standard output. It has OpenAI's POST /v1/embeddings with a list of texts.
"""
import argparse
import os
import socket
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description="a peer's embedding service")
    parser.add_argument("service", choices=["torch", "onnx"])
    parser.add_argument("model", type=Path)
    parser.add_argument("--files", type=Path, help="onnx: folder with model.onnx in int8")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    if not given.model.is_dir():
        parser.error(f"{given.model}: no such folder")
    if given.service == "onnx" and not (given.files and (given.files / "model.onnx").is_file()):
        parser.error("onnx: --files must name a folder with model.onnx; make one with: senvec quantize DIR")
    os.environ.update(MODEL=str(given.model), FILES=str(given.files), THREADS=str(given.threads),
                      OMP_NUM_THREADS=str(given.threads), TOKENIZERS_PARALLELISM="false")  # read at import
    sys.path.insert(0, str(Path(__file__).parent))
    import uvicorn

    listener = socket.create_server(("127.0.0.1", given.port), backlog=2048)

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)

    Server(uvicorn.Config(f"service_{given.service}:app", log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
