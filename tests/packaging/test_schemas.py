#!/usr/bin/env python3
"""test_schemas: the objects of packaging/kubernetes, and of the Helm chart where helm is installed, by the schemas of
Kubernetes, of the oldest and the newest version that the package kubernetes-validate has."""
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

try:
    import kubernetes_validate
    import yaml
except ImportError as missing:
    print(f"SKIP: {missing}; tests/server/requirements.txt has it")
    sys.exit(77)

PACKAGING = Path(__file__).parents[2] / "packaging"
VERSIONS = ("1.25", kubernetes_validate.latest_version())
KINDS = ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"]
PATIENCE = 300  # seconds until a test gives up: nothing takes that long, on whatever machine


class Schemas(unittest.TestCase):
    def check(self, text):
        """Every object is one that each version knows, with no member that it doesn't know. Returns the kinds."""
        objects = list(yaml.safe_load_all(text))
        for item in objects:
            for version in VERSIONS:
                kubernetes_validate.validate(item, version, strict=True)
        return sorted(item["kind"] for item in objects)

    def test_manifests(self):
        text = (PACKAGING / "kubernetes/senvec.yaml").read_text()
        self.assertEqual(self.check(text), KINDS)
        # A member that is spelt wrong, one of another type, one that is missing, are found.
        for right, wrong in (("maxUnavailable:", "maxUnavailabel:"), ("maxSurge: 1", "maxSurge: [1]"),
                             ("containers:", "container:")):
            self.assertIn(right, text)
            with self.assertRaises(kubernetes_validate.ValidationError):
                self.check(text.replace(right, wrong))

    def test_chart(self):
        helm = shutil.which("helm")
        if not helm:
            raise unittest.SkipTest("helm isn't installed")
        named = ["--set", "apiKey.secretName=senvec"]
        for options, kinds in (([], KINDS),
                               (["--set", "autoscaling.enabled=false", "--set", "replicas=3"], [KINDS[0], *KINDS[2:]]),
                               (["--set", "model=some/model", "--set", "cacheClaim=models", "--set", "nodeSelector.kind=cpu",
                                 "--set", "tolerations[0].key=cpu", "--set", "service.type=LoadBalancer"], KINDS)):
            made = subprocess.run([helm, "template", "senvec", PACKAGING / "helm", *named, *options], capture_output=True,
                                  text=True, timeout=PATIENCE)
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertEqual(self.check(made.stdout), kinds)


if __name__ == "__main__":
    unittest.main()
