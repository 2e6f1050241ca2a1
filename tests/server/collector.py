"""A collector of OpenTelemetry's traces, as far as a test needs one: POST /v1/traces."""
import http.server
import json
import threading


class Collector:
    """`with Collector() as collector: ...`; collector.bodies are those of the requests that it took, parsed. `answers` are
    statuses for the first requests, before it takes any. `held` makes requests wait until it is set."""

    def __init__(self, answers=(), held=None):
        self.bodies, self.refused = [], []
        answers = list(answers)
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if held:
                    held.wait()
                status = answers.pop(0) if answers else 200
                right = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
                (collector.bodies if status == 200 and right else collector.refused).append(body)
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who asked may be gone
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def spans(self):
        return [span for body in self.bodies for resource in body["resourceSpans"] for scope in resource["scopeSpans"]
                for span in scope["spans"]]
