"""Files of strangers: pipes and devices in place of files, files written to while they are read."""
import os
import random
import shutil
import subprocess
import time
import unittest

from tool import SOURCE, TOOL, FolderCase, run_ok, write_png

STARTER = os.path.join(SOURCE, "models", "starter")
FEW_S = 20  # what waits for a pipe does so for ever


def run_soon(*args, **kwargs):
    return subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=FEW_S,
                          stdin=subprocess.DEVNULL, **kwargs)


class PipesTest(FolderCase):
    """A pipe, or a device without end, in place of each text that is read."""

    def model(self, name, without=()):
        """The starter by links, so that one of its files can be replaced."""
        folder = self.at("models", name)
        os.makedirs(folder)
        for file in os.listdir(STARTER):
            if file not in without and file != "MODEL_CARD.md":
                os.symlink(os.path.join(STARTER, file), os.path.join(folder, file))
        return folder

    def pipe(self, *names):
        path = self.at(*names)
        if os.path.lexists(path):
            os.unlink(path)
        os.mkfifo(path)
        return path

    def refuse(self, path, *args, **kwargs):
        done = run_soon(*args, **kwargs)
        self.assert_complains(done, path, "is a pipe, not a file")

    def test_every_text_of_a_model(self):
        for file in ("config.json", "preprocessor_config.json", "model.safetensors", "vocab.json", "merges.txt",
                     "tokenizer_config.json"):
            with self.subTest(file):
                model = self.model(file, without=[file])
                path = self.pipe("models", file, file)
                self.refuse(path, "embed", "--model", model, "--output", self.at("o.npy"), "--text", "a")

    def test_other_layouts(self):
        for file, without in (("open_clip_config.json", ("config.json", "model.safetensors")), ("tokenizer.json", ("vocab.json",)),
                              ("spiece.model", ("vocab.json",)), ("special_tokens_map.json", ()),
                              ("model.safetensors.index.json", ("model.safetensors",))):
            with self.subTest(file):
                model = self.model(file, without=without)
                path = self.pipe("models", file, file)
                self.refuse(path, "embed", "--model", model, "--output", self.at("o.npy"), "--text", "a")

    def test_listing_goes_on_beside_one(self):
        self.model("good")
        for file in ("hub.json", "config.json", "model.safetensors"):
            model = self.model("bad-" + file, without=[file])
            self.pipe("models", os.path.basename(model), file)
        done = run_soon("models", "list", env=dict(os.environ, CLIPTAG_MODEL_PATH=self.at("models")))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("good", done.stdout)

    def test_prompts(self):
        path, picture = self.pipe("p"), write_png(self.at("x.png"), 1)
        self.refuse(path, "classify", "--model", "starter", "--prompts-file", path, picture)
        self.refuse(path, "bank", "info", path)
        self.refuse(path, "bank", "import", "--embeddings", path, "--labels", self.write("l", "a\n"), "--for-model",
                    "starter", "--output", self.at("b"))

    def test_options_of_eval(self):
        for label in ("cat", "dog"):
            os.makedirs(self.at("set", label))
            write_png(self.at("set", label, "x.png"), len(label))
        names, csv = self.pipe("names"), self.pipe("c.csv")
        for option in ("--class-names", "--templates-file"):
            self.refuse(names, "eval", "--model", "starter", "--dataset", self.at("set"), option, names)
        self.refuse(csv, "eval", "--model", "starter", "--captions", csv)
        calibrate = ("eval", "--model", "starter", "--dataset", self.at("set"), "--calibrate", "--output", self.at("o"))
        self.refuse(names, *calibrate, "--prompts-file", names)
        self.refuse(csv, *calibrate, "--prompts", "cat; dog", "--labels", csv)

    def test_pipes_among_pictures(self):
        for label in ("cat", "dog"):
            os.makedirs(self.at("set", label))
            write_png(self.at("set", label, "x.png"), len(label))
        self.pipe("set", "cat", "y.png")
        for args in (("eval", "--model", "starter", "--dataset", self.at("set")),
                     ("classify", "--model", "starter", "--prompts", "cat; dog", self.at("set", "cat", "y.png"))):
            self.assertIn("y.png", run_soon(*args).stderr)


class WrittenOverTest(FolderCase):
    """What `cp new.safetensors model.safetensors` does while the model is read: empty it, then write."""

    def test_a_model_that_is_written_over_while_it_loads(self):
        model = self.at("model")
        shutil.copytree(STARTER, model)
        weights = os.path.join(model, "model.safetensors")
        with open(weights, "rb") as f:
            content = f.read()
        args = ("embed", "--model", model, "--output", self.at("o.npy"), "--text", "a")
        start = time.monotonic()
        run_ok(*args)
        usual_s = time.monotonic() - start
        rng = random.Random(1)
        for _ in range(25):
            process = subprocess.Popen([TOOL, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            time.sleep(rng.uniform(0, usual_s))
            with open(weights, "wb") as f:
                time.sleep(0.03)
                f.write(content)
            said = process.communicate(timeout=FEW_S)[1]
            self.assertIn(process.returncode, (0, 1), said)
            if process.returncode == 1:
                self.assertIn("model.safetensors", said)


if __name__ == "__main__":
    unittest.main()
