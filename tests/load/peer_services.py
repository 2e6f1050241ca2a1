"""peer_services SENVEC: the services of peers/ start, answer in order, and give senvec's vectors (int8: nearly)."""
import concurrent.futures
import json
import math
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from real_model import find_real_model  # noqa: E402

TEXTS = [f"text number {i} about {subject}" for i in range(9) for subject in ("rivers", "engines", "music", "law", "bread")]


def ask(url, texts):
    request = urllib.request.Request(url + "/v1/embeddings", json.dumps({"input": texts}).encode(),
                                     {"Content-Type": "application/json"})
    data = json.load(urllib.request.urlopen(request, timeout=600))["data"]
    assert [item["index"] for item in data] == list(range(len(texts)))
    return [item["embedding"] for item in data]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main():
    model = find_real_model()
    if not model:
        print("SKIP: the real model isn't in the cache; senvec pull fetches it")
        return 77
    try:
        import fastapi, uvicorn  # noqa: E401, F401
    except ImportError as missing:
        print("SKIP:", missing)
        return 77
    lines = subprocess.run([sys.argv[1], "embed", "-m", model, "-p", "fp32"], input="\n".join(TEXTS), text=True,
                           capture_output=True, check=True).stdout.splitlines()
    expected = [json.loads(line)["embedding"] for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1], "quantize", "-m", model, folder, "-q"], check=True)
        for arguments, least in ((["torch", model], 0.9999), (["onnx", model, "--files", folder], 0.9)):
            service = subprocess.Popen([sys.executable, ROOT / "peers/serve.py", *arguments], stdout=subprocess.PIPE, text=True)
            try:
                url = service.stdout.readline().strip()
                whole = ask(url, TEXTS)
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    single = [vectors[0] for vectors in pool.map(lambda text: ask(url, [text]), TEXTS)]
            finally:
                service.terminate()
                service.wait(600)
                service.stdout.close()
            worst = min(cosine(a, b) for given in (whole, single) for a, b in zip(given, expected))
            print(f"{arguments[0]}: least cosine {worst:.5f}")
            assert worst > least, arguments[0]
    return 0


if __name__ == "__main__":
    sys.exit(main())
