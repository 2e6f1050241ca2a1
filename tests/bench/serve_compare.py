#!/usr/bin/env python3
"""serve_compare MODEL_DIR [BUILD] [SECONDS]: senvec serve and the services of peers/ under the same load, in turn: 32 clients
with a text each, 4 clients with 32 texts each. Run it with the Python of peers/requirements.txt, on a machine that does nothing
else.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def measure(senvec, url, folder, seconds, *arguments):
    path = folder / "load.json"
    subprocess.run([senvec, "load", url, "-q", "-d", str(seconds), "--samples", "1", "--json", path, *arguments],
                   stdout=subprocess.DEVNULL, check=False)
    return json.loads(path.read_text())["runs"][0]


def main():
    model = sys.argv[1]
    senvec = Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build/release") / "senvec"
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([senvec, "quantize", "-q", "-m", model, folder / "int8"], check=True)
        services = {
            "senvec serve": [senvec, "serve", "-m", model, "--port", "18089", "--cache", "0", "-q"],
            "onnxruntime int8, 32 texts / 50 ms": [sys.executable, ROOT / "peers/serve.py", "onnx", model, "--files",
                                                   folder / "int8"],
            "FastAPI + sentence-transformers": [sys.executable, ROOT / "peers/serve.py", "torch", model],
        }
        for name, command in services.items():
            service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            url = "http://127.0.0.1:18089"
            if name == "senvec serve":
                subprocess.run(["curl", "-s", "-o", "/dev/null", "--retry", "50", "--retry-delay", "1", "--retry-connrefused",
                                url + "/health"], check=True)
            else:
                url = service.stdout.readline().strip()
            single = measure(senvec, url, folder, seconds, "--clients", "32")
            batch = measure(senvec, url, folder, seconds, "--clients", "4", "--batch", "32")
            service.terminate()
            service.wait(60)
            print(f"{name:36} {single['texts_per_s']:7.0f} texts/s of 32 clients"
                  f" (p50 {single['latency_ms']['p50'] or 0:.0f} ms),"
                  f" {batch['texts_per_s']:7.0f} of 4 with 32 texts", flush=True)


if __name__ == "__main__":
    main()
