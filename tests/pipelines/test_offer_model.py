"""pipelines/offer_model.sh, with which the demo offers a published model, beside a hub of its own."""
import os
import pty
import select
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))
from hub_server import Fault, Hub, Repo, files_of  # noqa: E402
from tool import TOOL  # noqa: E402

OFFER = os.path.abspath(os.path.join(ROOT, "pipelines", "offer_model.sh"))
ID = "wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M"
NAME = ID.split("/")[1]
FILES = files_of(os.path.join(ROOT, "tests", "data", "models", "hf"))
TIMEOUT_S = 60


class OfferTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-offer.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.hub.repos[ID] = Repo(FILES)
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.startswith(("HF_", "CLIPTAG_DEMO")) and not k.lower().endswith("_proxy")}
        self.environment.update(XDG_CACHE_HOME=self.folder, HOME=self.folder, HF_ENDPOINT=self.hub.url,
                                PATH=os.path.dirname(TOOL) + os.pathsep + os.environ["PATH"])

    def offer(self, **environment):
        """(the model, what was said) without a terminal."""
        done = subprocess.run([OFFER], env={**self.environment, **environment}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout, done.stderr

    def offer_on_terminal(self, answer):
        try:
            main, other = pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal can be made here: {error}")
        process = subprocess.Popen([OFFER], env=self.environment, stdin=other, stderr=other,
                                   stdout=subprocess.PIPE, text=True)
        os.close(other)
        shown, end = b"", time.monotonic() + TIMEOUT_S
        try:
            while time.monotonic() < end:
                if not select.select([main], [], [], 0.1)[0]:
                    continue
                shown += os.read(main, 65536)
                if answer is not None and shown.endswith(b"[Y/n] "):
                    os.write(main, answer)
                    answer = None
        except OSError:  # the script has gone
            pass
        model = process.communicate(timeout=TIMEOUT_S)[0]
        os.close(main)
        self.assertEqual(0, process.returncode)
        self.assertIsNone(answer, f"nothing was asked: {shown}")
        return model, shown.decode()

    def has_model(self):
        return os.path.exists(os.path.join(self.folder, "cliptag", "models", NAME, "model.safetensors"))

    def test_no_means_no(self):
        self.assertEqual(("starter\n", ""), self.offer(CLIPTAG_DEMO_PULL="0"))
        self.assertEqual([], self.hub.log)

    def test_without_a_terminal_nobody_is_asked(self):
        model, said = self.offer()
        self.assertEqual("starter\n", model)
        self.assertRegex(said, r"^demo: CLIPTAG_DEMO_PULL=1 gets [^\n]*\n$")
        self.assertEqual([], self.hub.log)

    def test_yes_means_yes(self):
        model, said = self.offer(CLIPTAG_DEMO_PULL="1")
        self.assertEqual(NAME + "\n", model)
        self.assertIn(f"ready: model={NAME}", said)
        self.assertTrue(self.has_model())
        self.assertEqual(NAME + "\n", self.offer(CLIPTAG_DEMO_PULL="1")[0])

    def test_no_hub_is_one_line(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            for environment in ({"HF_ENDPOINT": "http://hub.invalid"}, {"HF_ENDPOINT": "nonsense"},
                                {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}):
                with self.subTest(environment=environment):
                    begin = time.monotonic()
                    model, said = self.offer(CLIPTAG_DEMO_PULL="1", **environment)
                    self.assertEqual("starter\n", model)
                    self.assertRegex(said, r"^demo: no published model can be had here: [^\n]+\n$")
                    self.assertLess(time.monotonic() - begin, 20)

    def test_a_pull_that_fails(self):
        self.hub.faults.append(Fault("model.safetensors", on="cdn", bytes=b"x" * len(FILES["model.safetensors"])))
        model, said = self.offer(CLIPTAG_DEMO_PULL="1")
        self.assertEqual("starter\n", model)
        self.assertRegex(said, r"cliptag: error: [^\n]*is not what the hub has[^\n]*\ndemo: the starter [^\n]*\n$")
        self.assertFalse(self.has_model())

    def test_ctrl_c_ends_the_demo(self):
        stub = os.path.join(self.folder, "bin")
        os.mkdir(stub)
        with open(os.path.join(stub, "cliptag"), "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\ncase "$*" in *--dry-run*) exit 0;; esac\nexit 130\n')
        os.chmod(os.path.join(stub, "cliptag"), 0o755)
        environment = {**self.environment, "CLIPTAG_DEMO_PULL": "1", "PATH": stub + ":" + os.environ["PATH"]}
        done = subprocess.run([OFFER], env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)
        self.assertEqual((130, b""), (done.returncode, done.stdout))

    def test_a_terminal_is_asked(self):
        for answer in (b"n\n", b"never\n", b"\x04"):
            model, shown = self.offer_on_terminal(answer)
            self.assertEqual("starter\n", model)
            self.assertIn(f"Get {ID} (213 kB) from Hugging Face", shown)
        self.assertFalse(self.has_model())
        self.assertEqual(NAME + "\n", self.offer_on_terminal(b"\n")[0])
        self.assertTrue(self.has_model())
        model, shown = self.offer_on_terminal(b"y\n")
        self.assertEqual(NAME + "\n", model)
        self.assertIn(f"Tag real footage with {ID}, which is here?", shown)


if __name__ == "__main__":
    unittest.main(verbosity=2)
