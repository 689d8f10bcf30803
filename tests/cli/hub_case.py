"""What the tests of `cliptag models pull` share: a hub, a folder for caches, and the tool beside them."""
import os
import signal
import subprocess
import time

from hub_server import Fault, Hub, Repo, files_of
from tool import TOOL, FolderCase

DATA = os.path.join(os.environ.get("CLIPTAG_DATA", os.path.join(os.path.dirname(__file__), "..", "data")),
                    "models")
TINY = files_of(os.path.join(DATA, "hf"))
SHARDS = files_of(os.path.join(DATA, "hf-legacy-gelu-sharded-bf16"))
OPEN_CLIP = files_of(os.path.join(DATA, "openclip"))
WEIGHTS = "model.safetensors"
TIMEOUT_S = 60


class HubCase(FolderCase):
    def setUp(self):
        super().setUp()
        self.hub = Hub()
        self.addCleanup(self.hub.close)
        self.repo = self.hub.repos["org/tiny"] = Repo(TINY)
        outside = ("HF_", "HUGGING", "SSL_CERT", "CURL_CA", "REQUESTS_CA")
        self.environment = {k: v for k, v in os.environ.items()
                            if not k.startswith(outside) and not k.lower().endswith("_proxy")}
        self.environment.update(HOME=self.at("home"), XDG_CACHE_HOME=self.at("cache"),
                                HF_ENDPOINT=self.hub.url, CLIPTAG_TEXT_CACHE="")

    def model(self, *names):
        return self.at("cache", "cliptag", "models", *names)

    def read(self, *names):
        with open(self.model(*names), "rb") as f:
            return f.read()

    def fault(self, path, times=1, **how):
        self.hub.faults.append(Fault(path, times, **how))

    def command(self, *args):
        return [TOOL, "models", "pull", *args]

    def pull(self, *args, environment=(), **kwargs):
        return subprocess.run(self.command(*args), capture_output=True, text=True, timeout=TIMEOUT_S,
                              stdin=subprocess.DEVNULL, env={**self.environment, **dict(environment)},
                              **kwargs)

    def pull_ok(self, *args, notes=(), **kwargs):
        """stdout of a pull that must succeed; on stderr there is one line for each of `notes`."""
        done = self.pull(*args, **kwargs)
        self.assertEqual(0, done.returncode, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(notes), len(lines), done.stderr)
        for note, line in zip(notes, lines):
            self.assertIn(note, line)
        return done.stdout

    def pull_fails(self, *args, parts=(), notes=(), code=1, **kwargs):
        """Failed with one sentence that holds all `parts`, after the notes."""
        done = self.pull(*args, **kwargs)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(1 + len(notes), len(lines), done.stderr)
        for note, line in zip(notes, lines):
            self.assertIn(note, line)
        self.assertTrue(lines[-1].startswith("cliptag: error: "), lines[-1])
        for part in parts:
            self.assertIn(part, lines[-1])
        return lines[-1]

    def start(self, *args, **environment):
        process = subprocess.Popen(self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env={**self.environment, **environment})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for(self, condition):
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), end, "it never came")
            time.sleep(0.01)

    def partial(self, name="tiny", file=WEIGHTS):
        """The path of what has arrived of a file, or None."""
        staging = self.model(f".{name}.part")
        found = [f for f in (os.listdir(staging) if os.path.isdir(staging) else ())
                 if f.startswith(file) and f.endswith(".incomplete")]
        return os.path.join(staging, found[0]) if found else None

    def half_way(self, how=signal.SIGKILL):
        """Ends a pull in the middle of the weights; the finished process, and the bytes that are there."""
        self.fault(WEIGHTS, on="cdn", rate=40_000)
        process = self.start("org/tiny")
        self.wait_for(lambda: self.partial() and os.path.getsize(self.partial()) > 10_000)
        process.send_signal(how)
        process.wait(TIMEOUT_S)
        size = os.path.getsize(self.partial())
        self.assertLess(size, len(TINY[WEIGHTS]))
        return process, size

    def assert_whole(self, name="tiny", files=None):
        """The model is there with exactly these files, and nothing else lies about."""
        files = TINY if files is None else files
        self.assertEqual(sorted([*files, "hub.json"]), sorted(os.listdir(self.model(name))))
        for file, data in files.items():
            self.assertEqual(data, self.read(name, file), file)
        self.assertEqual([], [f for f in os.listdir(self.model()) if f.startswith(".")])

    def assert_nothing(self):
        """No model, and no weights of one."""
        found = [f for folder, _, files in os.walk(self.at("cache")) for f in files
                 if f.startswith((WEIGHTS, "hub.json"))]
        self.assertEqual([], found)
        self.assertFalse(os.path.exists(self.model("tiny")))
