"""`senvec pull` and the registry: what isn't pinned is fetched with its digests shown, what is pinned must be right. Argument:
senvec. Standard library only."""
import unittest

from hub_server import FILES, HubCase, sha256


class PullTest(HubCase):
    def test_unlisted_model_shows_its_digests(self):
        result = self.run_program("pull", "org/tiny")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.check_model(result.stdout.strip())
        self.assertIn("no pins", result.stderr)
        for name, content in FILES.items():
            self.assertIn(f"{sha256(content)}  {name}\n", result.stderr)
        again = self.run_program("pull", "org/tiny")
        self.assertNotIn("no pins", again.stderr)
        self.assertEqual(self.run_program("pull", "-q", "--force", "org/tiny").stderr, "")

    def test_listed_model_without_pins(self):
        result = self.run_program("pull", "thenlper/gte-small")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(sha256(FILES["model.safetensors"]), result.stderr)

    def test_pinned_models_are_verified(self):
        """Also where the weights alone are pinned; nothing else than the hub carries those."""
        for name in ("BAAI/bge-small-en-v1.5", "all-mpnet-base-v2", "cross-encoder/ms-marco-MiniLM-L6-v2"):
            result = self.run_program("pull", name)
            self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
            self.assertIn("SHA-256", result.stderr)
        self.let_nothing_listen()
        result = self.run_program("pull", "all-mpnet-base-v2")
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertNotIn("package", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
