#!/bin/sh
# Vectors of three lines, as one NumPy matrix; then the same through a server. Needs senvec in $PATH and curl.
#     examples/embed_and_serve.sh [MODEL] [PORT]
set -eu
model=${1:-all-MiniLM-L6-v2} port=${2:-8080}
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -r "$folder"' EXIT

printf '%s\n' 'a dog runs in the park' 'a puppy plays outside' 'interest rates rose' >"$folder/texts.txt"
senvec embed -q -m "$model" "$folder/texts.txt" -o "$folder/vectors.npy"
echo "vectors.npy: $(wc -c <"$folder/vectors.npy") bytes"

senvec serve -q -m "$model" --port "$port" &
server=$!
until curl -sf "http://127.0.0.1:$port/health" >"$folder/health"; do
    kill -0 "$server" # it has ended: its message says why
    sleep 0.1
done
curl -s "http://127.0.0.1:$port/v1/embeddings" -H 'Content-Type: application/json' \
    -d '{"model": "any", "input": ["a dog runs in the park", "a puppy plays outside"]}' >"$folder/answer.json"
echo "answer.json: $(wc -c <"$folder/answer.json") bytes"
