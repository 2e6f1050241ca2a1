#!/usr/bin/env python3
"""test_packaging SENVEC MODEL: the files in packaging/, by the programs that read them as far as these are installed:
systemd's units, nginx and HAProxy in front of two servers, Kubernetes manifests by their cross-references, Grafana's
dashboard, the Dockerfile's packages."""
import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import urllib.error
import urllib.request
from pathlib import Path

SENVEC, MODEL = "", ""
PATIENCE = 300  # seconds until a test gives up: nothing takes that long, on whatever machine
ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
# Descriptor, program, arguments: runs it as systemd does, with the socket as descriptor 3.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


def find(program):
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise unittest.SkipTest(f"{program} isn't installed")
    return path


def free_port():
    """Below those that the system gives to connections and to tests that ask for any port, which run at the same time."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def get(url, data=None):
    """(status, body)."""
    request = urllib.request.Request(url, data and json.dumps(data).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_for(url):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if get(url)[0] == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} doesn't answer")


@contextlib.contextmanager
def running(*command):
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


class Packaging(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)

    def write(self, name, text):
        path = self.path / name
        path.write_text(text)
        return path

    def runs(self, *command):
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_systemd(self):
        unit = (PACKAGING / "systemd/senvec.service").read_text()
        said = self.runs(find("systemd-analyze"), "verify", "--man=no",
                         self.write("senvec.service", unit.replace("/usr/local/bin/senvec", SENVEC)))
        self.assertNotIn("senvec.service:", said)
        help_text = self.runs(SENVEC, "serve", "--help")
        for name in re.findall(r"^#?SENVEC_SERVE_(\w+)=", (PACKAGING / "systemd/serve.env").read_text(), re.M):
            self.assertIn("--" + name.lower().replace("_", "-") + " ", help_text)

    def test_systemd_user(self):
        """systemd accepts the socket and its service, whose options make a server that takes a socket it is given."""
        for name in ("senvec.service", "senvec.socket"):
            text = (PACKAGING / "systemd/user" / name).read_text()
            self.write(name, text.replace("/usr/local/bin/senvec", SENVEC))
        with unittest.mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": str(self.path)}):
            said = self.runs(find("systemd-analyze"), "--user", "verify", "--man=no", self.path / "senvec.socket",
                             self.path / "senvec.service")
        self.assertNotRegex(said, r"senvec\.(service|socket):")
        words = re.search(r"(?m)^ExecStart=(.*)$", (self.path / "senvec.service").read_text())[1]
        command = words.replace("all-MiniLM-L6-v2", MODEL).split()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path / "s"))
            listener.listen()
            with subprocess.Popen([sys.executable, "-c", ACTIVATE, str(listener.fileno()), *command],
                                  pass_fds=[listener.fileno()]) as server:
                try:
                    answer = b""
                    while not answer.startswith(b"HTTP/1.1 200 "):  # 503 until the model is there
                        with socket.socket(socket.AF_UNIX) as client:
                            client.settimeout(PATIENCE)
                            client.connect(str(self.path / "s"))
                            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                            answer = client.recv(100)
                        self.assertRegex(answer, rb"^HTTP/1\.[01] (200|503) ")
                finally:
                    server.terminate()
                    self.assertEqual(server.wait(PATIENCE), 0)

    def serves(self, command, text, port, replicas):
        """A balancer with this configuration passes requests to the replicas and keeps metrics to itself."""
        servers = [running(SENVEC, "serve", "-m", MODEL, "--port", replica, "-q") for replica in replicas]
        with servers[0], servers[1]:
            for replica in replicas:
                wait_for(f"http://127.0.0.1:{replica}/health")
            with running(*command, self.write("balancer.conf", text)):
                wait_for(f"http://127.0.0.1:{port}/health")
                for i in range(10):
                    status, body = get(f"http://127.0.0.1:{port}/v1/embeddings", {"input": [f"text {i}", "b"]})
                    self.assertEqual((status, len(json.loads(body)["data"])), (200, 2))
                for spelling in ("metrics", "metrics/", "metrics%2f", "%6detrics", "metrics?a=b", "/metrics", "./metrics"):
                    self.assertEqual(get(f"http://127.0.0.1:{port}/{spelling}")[0], 404, spelling)
                answered = [re.search(rb"^senvec_answered_total (\d+)", get(f"http://127.0.0.1:{replica}/metrics")[1], re.M)
                            for replica in replicas]
                self.assertEqual(sum(int(match[1]) for match in answered), 10)

    def test_nginx(self):
        nginx, port, replicas = find("nginx"), free_port(), [free_port(), free_port()]
        text = (PACKAGING / "nginx/senvec.conf").read_text()
        self.write("senvec.conf", text)
        around = f"error_log {self.path}/error.log;\npid {self.path}/pid;\nevents {{}}\nhttp {{ access_log off;\n%s\n}}\n"
        self.runs(nginx, "-t", "-c", self.write("test.conf", around % f"include {self.path}/senvec.conf;"))
        text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("8081", str(replicas[0]))
        text = text.replace("8082", str(replicas[1]))
        self.serves([nginx, "-g", "daemon off;", "-c"], around % text, port, replicas)

    def test_haproxy(self):
        haproxy, port, replicas = find("haproxy"), free_port(), [free_port(), free_port()]
        path = PACKAGING / "haproxy/haproxy.cfg"
        self.runs(haproxy, "-c", "-f", path)
        text = path.read_text().replace("bind :8080", f"bind 127.0.0.1:{port}").replace("8081", str(replicas[0]))
        self.serves([haproxy, "-f"], text.replace("8082", str(replicas[1])), port, replicas)

    def test_kubernetes(self):
        try:
            import yaml
        except ImportError as missing:
            raise unittest.SkipTest(str(missing)) from missing
        objects = {item["kind"]: item for item in yaml.safe_load_all((PACKAGING / "kubernetes/senvec.yaml").read_text())}
        self.assertEqual({kind: item["apiVersion"] for kind, item in objects.items()},
                         {"Deployment": "apps/v1", "Service": "v1", "PodDisruptionBudget": "policy/v1",
                          "HorizontalPodAutoscaler": "autoscaling/v2"})
        deployment = objects["Deployment"]
        pod = deployment["spec"]["template"]
        labels, container = pod["metadata"]["labels"], pod["spec"]["containers"][0]
        self.assertEqual(deployment["spec"]["selector"]["matchLabels"], labels)
        self.assertEqual(objects["Service"]["spec"]["selector"], labels)
        self.assertEqual(objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"], labels)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(objects["Service"]["spec"]["ports"][0]["targetPort"], ports)
        self.assertEqual(pod["metadata"]["annotations"]["prometheus.io/port"], str(ports["metrics"]))
        self.assertIn(f"0.0.0.0:{ports['metrics']}", container["args"])
        self.assertNotIn("metrics", [port["targetPort"] for port in objects["Service"]["spec"]["ports"]])
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            self.assertIn(container[probe]["httpGet"]["port"], ports)
            self.assertEqual(container[probe]["httpGet"]["path"], "/health")
        self.assertEqual(container["resources"]["requests"], container["resources"]["limits"])
        self.assertEqual({mount["name"] for mount in container["volumeMounts"]},
                         {volume["name"] for volume in pod["spec"]["volumes"]})
        self.assertGreater(pod["spec"]["terminationGracePeriodSeconds"], 35)
        scaler = objects["HorizontalPodAutoscaler"]["spec"]
        self.assertEqual(scaler["scaleTargetRef"],
                         {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["metadata"]["name"]})
        metric = scaler["metrics"][0]["pods"]["metric"]["name"]
        adapter = yaml.safe_load((PACKAGING / "kubernetes/adapter.yaml").read_text())
        self.assertEqual(adapter["rules"]["custom"][0]["name"]["as"], metric)
        help_text = self.runs(SENVEC, "serve", "--help")
        for option in (word for word in container["args"] if word.startswith("--")):
            self.assertIn(option + " ", help_text)
        port = free_port()
        with running(SENVEC, "serve", "-m", MODEL, "--port", port, "-q"):
            wait_for(f"http://127.0.0.1:{port}/health")
            self.assertRegex(get(f"http://127.0.0.1:{port}/metrics")[1].decode(), rf"(?m)^{metric} ")

    def test_grafana(self):
        """Each query of the dashboard names metrics, and labels of them, that a server has."""
        dashboard = json.loads((PACKAGING / "grafana/senvec.json").read_text())
        variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        self.assertGreater(len(queries), 10)
        port, labels = free_port(), {}
        with running(SENVEC, "serve", "-m", MODEL, "--port", port, "-q"):
            wait_for(f"http://127.0.0.1:{port}/health")
            self.assertEqual(get(f"http://127.0.0.1:{port}/embed", {"inputs": "a"})[0], 200)
            metrics = get(f"http://127.0.0.1:{port}/metrics")[1].decode()
        for name, inside in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", metrics, re.M):
            labels.setdefault(name, {"instance"}).update(re.findall(r'(\w+)="', inside))
        for query in [*queries, variables["instance"]["query"]]:
            names = re.findall(r"\bsenvec_\w+", query)
            self.assertTrue(names, query)
            for name in names:
                self.assertIn(name, labels, query)
            used = re.findall(r'(\w+)=~?"', query) + re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query)))
            self.assertEqual(set(used) - set.intersection(*(labels[name] for name in names)), set(), query)
        for panel in dashboard["panels"]:
            self.assertEqual(panel["datasource"]["uid"], "${datasource}")
            self.assertTrue(panel["title"] and panel["description"])
        self.assertEqual(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]))

    def test_helm(self):
        """The chart with nothing but a secret's name gives the objects of kubernetes/senvec.yaml; without one, none."""
        helm = shutil.which("helm")
        if not helm:
            raise unittest.SkipTest("helm isn't installed")
        import yaml
        chart = PACKAGING / "helm"
        named = ["--set", "apiKey.secretName=senvec"]

        def rendered(*options):
            return {item["kind"]: item for item in yaml.safe_load_all(self.runs(helm, "template", "senvec", chart, *options))}

        self.runs(helm, "lint", "--strict", chart, *named)
        expected = {item["kind"]: item for item in yaml.safe_load_all((PACKAGING / "kubernetes/senvec.yaml").read_text())}
        made = rendered(*named)
        self.assertEqual(made["Service"]["spec"].pop("type"), "ClusterIP")
        container = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container.pop("imagePullPolicy"), "IfNotPresent")
        self.assertEqual(made, expected)

        made = rendered(*named, "--set", "autoscaling.enabled=false", "--set", "replicas=3", "--set", "model=some/model",
                        "--set", "cacheClaim=models", "--set", "nodeSelector.kind=cpu")
        self.assertEqual(set(made), {"Deployment", "Service", "PodDisruptionBudget"})
        self.assertEqual(made["Deployment"]["spec"]["replicas"], 3)
        pod = made["Deployment"]["spec"]["template"]["spec"]
        self.assertIn({"name": "SENVEC_MODEL", "value": "some/model"}, pod["containers"][0]["env"])
        self.assertEqual(pod["volumes"][0], {"name": "cache", "persistentVolumeClaim": {"claimName": "models"}})
        self.assertEqual(pod["nodeSelector"], {"kind": "cpu"})
        wrong_ones = [[], *([*named, "--set", value] for value in ("resources.cpu=1.5", "replicas=0", "unknown=1"))]
        for wrong in wrong_ones:
            refused = subprocess.run([helm, "template", "senvec", chart, *wrong], capture_output=True, text=True,
                                     timeout=PATIENCE)
            self.assertNotEqual(refused.returncode, 0, wrong)
            self.assertIn("schema", refused.stderr, wrong)

    def test_docker(self):
        text = (PACKAGING / "docker/Dockerfile").read_text().replace("\\\n", " ")
        installs = re.findall(r"--no-install-recommends (.*?) &&", text)
        self.assertEqual(len(installs), 2)
        build, runtime = (set(words.split()) for words in installs)
        known = set(re.findall(r"[\w.+-]+", re.search(r"build_packages=\((.*?)\n\)", (ROOT / "run").read_text(), re.S)[1]))
        self.assertEqual(build - known, set(), "packages that ./run doesn't install")
        for source in re.findall(r"^COPY (?!--from)(\S+) ", text, re.M):
            self.assertTrue((ROOT / source).exists(), source)
        self.runs("sh", "-n", PACKAGING / "docker/start")
        if "VERSION_ID=\"12\"" not in Path("/etc/os-release").read_text():
            return
        needed = re.findall(r"NEEDED\s+(\S+)", self.runs("objdump", "-p", SENVEC))
        for library in needed:
            if re.match(r"lib(c|m)\.so|ld-|lib[at]san|libubsan", library):
                continue
            path = subprocess.run(["dpkg", "-S", f"*/{library}"], capture_output=True, text=True, check=True).stdout
            packages = {line.split(":")[0] for line in path.splitlines()}
            self.assertTrue(packages & runtime, f"{library} of {packages} isn't in the image")


if __name__ == "__main__":
    SENVEC, MODEL = str(Path(sys.argv[1]).resolve()), str(Path(sys.argv[2]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
