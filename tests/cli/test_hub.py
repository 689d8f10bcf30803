#!/usr/bin/env python3
"""`cliptag models pull` from a hub on this machine that works, breaks off, and tells lies."""
import json
import os
import pty
import shutil
import signal
import subprocess
import time
import unittest

from hub_case import DATA, OPEN_CLIP, SHARDS, TIMEOUT_S, TINY, WEIGHTS, HubCase
from hub_server import Repo
from tool import TOOL, write_png


class Pulled(HubCase):
    def test_what_was_pulled_is_the_model(self):
        out = self.pull_ok("org/tiny")
        self.assertIn(f"ready: model=tiny  ({self.model('tiny')})", out)
        self.assertIn("model.safetensors  200 kB", out)
        self.assert_whole()
        picture = write_png(self.at("a.png"), seed=1)
        answers = []
        for model in ("tiny", os.path.join(DATA, "hf")):
            done = subprocess.run([TOOL, "classify", "--model", model, "--prompts", "a; b", "--json", picture],
                                  capture_output=True, text=True, env=self.environment, timeout=TIMEOUT_S)
            self.assertEqual(0, done.returncode, done.stderr)
            answers.append(json.loads(done.stdout))
        self.assertEqual(answers[1], answers[0])

    def test_the_address_of_its_page(self):
        page = self.environment["HF_ENDPOINT"] + "/org/tiny/tree/main"
        self.assertIn(f"ready: model=tiny  ({self.model('tiny')})", self.pull_ok(page))
        self.assert_whole()

    def test_the_address_of_a_branch_whose_name_has_slashes(self):
        for revision in ("refs/pr/3", "feature/a b".replace(" ", "+")):
            self.repo.revisions.append(revision)
            with self.subTest(revision=revision):
                page = self.environment["HF_ENDPOINT"] + "/org/tiny/tree/" + revision.replace("/", "%2F")
                self.pull_ok(page, "--name", "by-page" + str(len(revision)))
                self.assertEqual(revision, json.loads(self.read("by-page" + str(len(revision)), "hub.json"))["revision"])
        self.pull_fails(self.environment["HF_ENDPOINT"] + "/org/tiny/tree/a%0Ab", parts=["is no revision"])
        self.pull_fails(self.environment["HF_ENDPOINT"] + "/org/tiny/tree/a%", parts=["no revision 'a%'"])

    def test_answers_that_are_compressed_unasked(self):
        for path in ("main", "vocab.json", "config.json"):
            self.fault(path, on="hub", gzip=True)
        self.fault(WEIGHTS, on="cdn", gzip=True)
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual({"identity"}, {h.get("Accept-Encoding") for _, _, h in self.hub.log})

    def test_the_rest_of_a_file_that_comes_compressed(self):
        self.half_way()
        self.fault(WEIGHTS, on="cdn", gzip=True)  # a middle that nothing can unpack
        self.pull_ok("org/tiny", notes=["broke off"])
        self.assert_whole()

    def test_the_second_pull_asks_what_is_new_and_takes_nothing(self):
        self.pull_ok("org/tiny")
        asked = len(self.hub.log)
        self.assertIn("up to date: model=tiny", self.pull_ok("org/tiny"))
        self.assertEqual(asked + 1, len(self.hub.log))
        os.unlink(self.model("tiny", "vocab.json"))  # whoever broke it gets it whole again
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual(1, len(self.hub.asked(WEIGHTS, "cdn")))

    def test_shards(self):
        self.hub.repos["org/shards"] = Repo(SHARDS)
        self.pull_ok("org/shards")
        self.assert_whole("shards", SHARDS)
        done = subprocess.run([TOOL, "models", "list", "--json"], capture_output=True, text=True,
                              env=self.environment, timeout=TIMEOUT_S)
        entry = next(m for m in json.loads(done.stdout) if m["name"] == "shards")
        self.assertEqual(("org/shards", "c" * 40), (entry["id"], entry["commit"]))
        self.assertEqual(sum(os.path.getsize(self.model("shards", f)) for f in (*SHARDS, "hub.json")),
                         entry["bytes"])
        self.assertNotIn("error", entry)

    def test_only_what_a_model_needs(self):
        more = {"onnx/model.onnx": b"x" * 9, "tf_model.h5": b"x" * 9, "pytorch_model.bin": b"x" * 9,
                "README.md": b"read me", "LICENSE": b"MIT", ".gitattributes": b"*"}
        self.repo.files.update(more)
        self.repo.files["NOTICE.md"] = b"n" * 1_500_000  # too long to be one
        self.pull_ok("org/tiny")
        self.assert_whole(files={**TINY, "README.md": b"read me", "LICENSE": b"MIT"})

    def test_the_layout_whose_weights_are_there(self):
        both = self.hub.repos["org/both"] = Repo({**TINY, **OPEN_CLIP})
        self.pull_ok("org/both")
        self.assert_whole("both", {**OPEN_CLIP, "preprocessor_config.json": TINY["preprocessor_config.json"]})
        del both.files["open_clip_model.safetensors"]
        both.files["open_clip_pytorch_model.bin"] = b"a pickle"
        both.commit = "d" * 40
        self.pull_ok("org/both")
        self.assert_whole("both", TINY)

    def test_a_pickle_where_there_is_nothing_better(self):
        files = {k: v for k, v in TINY.items() if k != WEIGHTS}
        files["pytorch_model.bin"] = b"PK\3\4 a pickle"
        self.hub.repos["org/old"] = Repo(files)
        self.pull_ok("org/old")
        self.assert_whole("old", files)
        del files["pytorch_model.bin"]
        shards = {f"pytorch_model-0000{i}-of-00002.bin": b"pickle %d" % i for i in (1, 2)}
        index = {"weight_map": {"a": list(shards)[0], "b": list(shards)[1], "c": list(shards)[0]}}
        files.update(shards, **{"pytorch_model.bin.index.json": json.dumps(index).encode()})
        self.hub.repos["org/older"] = Repo(files)
        self.assertIn(list(shards)[1], self.pull_ok("--dry-run", "org/older"))
        self.pull_ok("org/older")
        self.assert_whole("older", files)

    def test_revisions(self):
        self.repo.revisions.append("refs/pr/1")
        self.pull_ok("org/tiny@refs/pr/1")
        self.assertIn("/api/models/org/tiny/revision/refs%2Fpr%2F1?blobs=true", self.hub.log[0][1])
        self.assert_whole()
        self.assertIn("up to date", self.pull_ok("org/tiny@" + "c" * 40))
        self.pull_fails("org/tiny@v9", parts=["org/tiny has no revision 'v9'"])

    def test_a_new_commit_takes_what_has_changed(self):
        self.pull_ok("org/tiny")
        files = {**TINY, "README.md": b"new"}
        self.repo.files, self.repo.commit = dict(files), "d" * 40
        self.assertIn("model.safetensors  200 kB  (was here)", self.pull_ok("org/tiny"))
        self.assert_whole(files=files)
        self.assertEqual(1, len(self.hub.asked(WEIGHTS, "cdn")))

    def test_names(self):
        self.hub.repos["other/tiny"] = Repo(SHARDS)
        self.pull_ok("org/tiny")
        self.pull_fails("other/tiny", parts=[self.model("tiny"), "is org/tiny", "--name"])
        self.pull_ok("other/tiny", "--name", "shards")
        self.assert_whole("shards", SHARDS)
        self.assert_whole()
        os.makedirs(self.model("mine"))
        self.pull_fails("org/tiny", "--name", "mine", parts=["was not pulled", "--name"])
        self.assertEqual([], os.listdir(self.model("mine")))
        for name in ("a/b", "..", ".hidden", "starter"):
            self.pull_fails("org/tiny", "--name", name, parts=[f"'{name}'"])

    def test_a_name_that_another_model_has_is_told(self):
        shutil.copytree(os.path.join(DATA, "hf"), self.at("mine", "tiny"))
        self.pull_ok("org/tiny", environment={"CLIPTAG_MODEL_PATH": self.at("mine")},
                     notes=[f"model=tiny is {self.at('mine', 'tiny')}, which is looked at first"])

    def test_a_look_takes_nothing(self):
        out = self.pull_ok("--dry-run", "org/tiny")
        self.assertRegex(out, r"model.safetensors  200 kB\norg/tiny, main = c{40}: 213 kB for ")
        self.assertFalse(os.path.exists(self.at("cache")))
        self.hub.repos["org/shards"] = Repo(SHARDS)
        self.assertIn("model-00002-of-00002.safetensors", self.pull_ok("--dry-run", "org/shards"))

    def test_progress_on_a_terminal(self):
        self.fault(WEIGHTS, on="cdn", rate=120_000)
        try:
            main, other = pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal can be made here: {error}")
        process = subprocess.Popen(self.command("org/tiny"), env=self.environment, stderr=other,
                                   stdout=subprocess.PIPE, text=True)
        os.close(other)
        shown = b""
        try:
            while block := os.read(main, 65536):
                shown += block
        except OSError:  # the other end is closed
            pass
        self.assertIn("ready: model=tiny", process.communicate(timeout=TIMEOUT_S)[0])
        os.close(main)
        self.assertRegex(shown.decode(), r"model.safetensors \[#+\.+\] [\d.]+ kB of 200 kB, [\d.]+ kB/s, \d+ s left")
        self.assertTrue(shown.endswith(b"\r\033[K"), shown[-40:])

    def test_other_commands_name_the_way(self):
        done = subprocess.run([TOOL, "models", "info", "org/tiny"], capture_output=True, text=True,
                              env=self.environment, timeout=TIMEOUT_S)
        self.assertEqual(1, done.returncode)
        self.assertIn("`cliptag models pull org/tiny` gets it, and it is then called tiny", done.stderr)

    def test_models_that_everybody_knows_by_another_name(self):
        for asked, known, name in (("vit-b-32", "vit_base_patch32_clip_224", "vit-b-32"),
                                   ("ViT-B/32", "vit_base_patch32_clip_224", "vit-b-32"),
                                   ("ViT-L/14@336px", "vit_large_patch14_clip_336", "vit-l-14-336"),
                                   ("ViT-B-16-quickgelu", "vit_base_patch16_clip_224", "vit-b-16"),
                                   ("RN50", "resnet50_clip", "rn50"),
                                   ("no-such-model", "ORG/NAME", None)):
            with self.subTest(asked=asked):
                done = subprocess.run([TOOL, "classify", "--model", asked, "--prompts", "a", "x.png"],
                                      capture_output=True, text=True, env=self.environment, timeout=TIMEOUT_S)
                self.assertEqual(1, done.returncode)
                self.assertEqual(1, done.stderr.count("\n"), done.stderr)
                way = f"`cliptag models pull timm/{known}.openai --name {name}` gets it" if name else \
                    "`cliptag models pull ORG/NAME` gets one"
                self.assertIn(way, done.stderr)


class Interrupted(HubCase):
    def test_a_connection_that_breaks_off_is_taken_up_again(self):
        self.fault(WEIGHTS, on="cdn", cut=70_001)
        self.fault(WEIGHTS, on="cdn", cut=0)
        self.pull_ok("org/tiny", notes=["broke off", "broke off"])
        self.assert_whole()
        self.assertEqual([None, "bytes=70001-", "bytes=70001-"],
                         [h.get("Range") for h in self.hub.asked(WEIGHTS, "cdn")])

    def test_what_a_killed_pull_has_is_kept(self):
        _, size = self.half_way()
        self.assertFalse(os.path.exists(self.model("tiny")))
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual([None, f"bytes={size}-"],
                         [h.get("Range") for h in self.hub.asked(WEIGHTS, "cdn")])
        self.assertEqual(1, len(self.hub.asked("vocab.json")))

    def test_ctrl_c_and_sigterm_leave_in_good_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process, size = self.half_way(number)
                self.assertEqual(130, process.returncode)
                self.assertEqual("cliptag: error: Stopped; what has arrived is kept, and the same call goes "
                                 "on from there.\n", process.stderr.read())
                self.assertGreater(size, 10_000)
                shutil.rmtree(self.model(".tiny.part"))
        self.assertEqual([], os.listdir(self.model()))

    def test_ctrl_c_while_it_waits(self):
        self.fault("main", status=503, headers={"Retry-After": "60"})
        process = self.start("org/tiny")
        self.assertIn("Next try in 60 s", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        self.assertEqual(130, process.wait(5))

    def test_a_server_that_cannot_go_on_in_the_middle(self):
        self.half_way()
        self.fault(WEIGHTS, on="cdn", no_range=True)
        self.pull_ok("org/tiny")
        self.assert_whole()

    def test_a_server_that_goes_on_elsewhere(self):
        self.half_way()
        self.fault(WEIGHTS, on="cdn", content_range="bytes 5-200339/200340")
        self.pull_fails("org/tiny", parts=["from byte", "bytes 5-"])
        self.assert_nothing()

    def test_what_was_spoilt_meanwhile_is_got_anew(self):
        self.half_way()
        with open(self.partial(), "r+b") as f:
            f.write(b"spoilt")
        self.pull_ok("org/tiny", notes=["is not what the hub has"])
        self.assert_whole()

    def test_what_was_done_and_spoilt_is_got_anew(self):
        self.half_way()
        path = self.model(".tiny.part", "vocab.json")
        with open(path, "r+b") as f:
            f.write(b"spoilt")
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual(2, len(self.hub.asked("vocab.json")))

    def test_two_at_once(self):
        self.fault(WEIGHTS, on="cdn", rate=60_000)
        first = self.start("org/tiny")
        self.wait_for(self.partial)
        second = self.pull_ok("org/tiny", notes=["Another process is pulling tiny"])
        self.assertIn("up to date", second)
        self.assertEqual(0, first.wait(TIMEOUT_S))
        self.assert_whole()
        self.assertEqual(1, len(self.hub.asked(WEIGHTS, "cdn")))

    def test_ctrl_c_while_another_one_works(self):
        self.fault(WEIGHTS, on="cdn", rate=20_000)
        self.start("org/tiny")
        self.wait_for(self.partial)
        second = self.start("org/tiny")
        self.assertIn("Another process", second.stderr.readline())
        second.send_signal(signal.SIGINT)
        self.assertEqual(130, second.wait(TIMEOUT_S))

    def test_unfinished_models_have_no_name(self):
        self.half_way()
        done = subprocess.run([TOOL, "models", "list"], capture_output=True, text=True,
                              env=self.environment, timeout=TIMEOUT_S)
        self.assertNotIn("tiny", done.stdout)
        done = subprocess.run([TOOL, "models", "info", ".tiny.part"], capture_output=True, text=True,
                              env=self.environment, timeout=TIMEOUT_S)
        self.assertIn("There is no model '.tiny.part'", done.stderr)


class Wrong(HubCase):
    def test_wrong_bytes(self):
        spoilt = TINY[WEIGHTS][:-1] + b"x"
        self.fault(WEIGHTS, on="cdn", bytes=spoilt)
        self.pull_fails("org/tiny", parts=[WEIGHTS, "is not what the hub has", "SHA-256", "was removed"])
        self.assert_nothing()
        os.unlink(self.model(".tiny.part", "vocab.json"))
        self.fault("vocab.json", bytes=TINY["vocab.json"][:-1] + b"x")
        self.pull_fails("org/tiny", parts=["vocab.json", "git's SHA-1", "was removed"])
        self.pull_ok("org/tiny")
        self.assert_whole()

    def test_another_size_than_the_list_says(self):
        for size in (7, 200_341):
            with self.subTest(size=size):
                self.repo.changes[WEIGHTS] = {"lfs": None, "size": size}
                self.pull_fails("org/tiny", parts=[f"{WEIGHTS} has {size} bytes, but sends 200340"])
                self.assert_nothing()

    def test_too_few_and_too_many_without_a_length(self):
        self.fault(WEIGHTS, on="cdn", bytes=TINY[WEIGHTS][:-1], no_length=True)
        self.pull_fails("org/tiny", parts=["200339 bytes came instead of 200340"])
        self.assert_nothing()
        self.fault(WEIGHTS, on="cdn", bytes=TINY[WEIGHTS] + b"x" * 50_000, no_length=True)
        self.pull_fails("org/tiny", parts=[f"sends more of {WEIGHTS} than the 200340 bytes"])
        self.assert_nothing()

    def test_a_list_without_sizes_and_hashes(self):
        for name in TINY:
            self.repo.changes[name] = {"lfs": None, "size": None, "blobId": None}
        self.fault(WEIGHTS, on="cdn", bytes=TINY[WEIGHTS][:-1] + b"x")
        self.pull_fails("org/tiny", parts=["is not what the hub has"])
        self.fault(WEIGHTS, on="cdn", cut=1000)
        self.pull_ok("org/tiny", notes=["broke off"])
        self.assert_whole()

    def test_small_files_that_are_endless(self):
        huge = 10 ** 11
        for name in ("config.json", "vocab.json"):
            for change in ({"size": huge}, {"size": None, "blobId": None}):
                with self.subTest(name=name, change=change):
                    self.repo.changes = {name: change}
                    self.hub.faults.clear()
                    self.fault(name, announced=huge, cut=1 << 20, on="hub")
                    if name == "vocab.json" and change["size"]:  # a file that a model may do without
                        self.pull_ok("org/tiny")
                        shutil.rmtree(self.model("tiny"))
                    else:
                        self.pull_fails("org/tiny", parts=[name, f"{huge} bytes, more than the 67108864"])
                        self.assert_nothing()

    def test_an_index_that_is_endless(self):
        self.hub.repos["org/s"] = Repo(SHARDS)
        self.hub.repos["org/s"].changes["model.safetensors.index.json"] = {"size": 10 ** 11}
        self.pull_fails("org/s", parts=["model.safetensors.index.json", "more than the"])

    def test_weights_without_a_size_for_which_there_is_no_room(self):
        self.repo.changes[WEIGHTS] = {"lfs": None, "size": None, "blobId": None}
        self.fault(WEIGHTS, on="hub", location=self.hub.cdn_url + "/blob/" + WEIGHTS)
        self.fault("/blob/" + WEIGHTS, on="cdn", status=200, body=b"x",
                   headers={"ETag": '"' + "0" * 64 + '"', "X-Linked-Size": str(10 ** 17)})
        self.pull_fails("org/tiny", parts=["MB free", WEIGHTS, "100000000016 MB"])
        self.assertFalse(os.path.exists(self.model("tiny")))

    def test_a_file_of_which_nobody_tells_the_hash(self):
        self.repo.changes["vocab.json"] = {"blobId": None}
        self.fault("vocab.json", status=200, body=TINY["vocab.json"])
        self.pull_fails("org/tiny", parts=["the hash of vocab.json"])
        self.assert_nothing()

    def test_names_that_lead_out_of_the_repository(self):
        for name in ("../evil", "/etc/evil", "a/../../evil", "a\\evil", "a\nevil", "", "a//b", "./a"):
            with self.subTest(name=name):
                self.repo.more = [name]
                self.pull_fails("org/tiny", parts=["is no path within a repository", "nothing of it"])
                self.assertEqual([], os.listdir(self.folder))

    def test_shards_that_are_not_there_or_lie_elsewhere(self):
        for name, part in (("model-00003-of-00002.safetensors", "does not have"), ("../x.safetensors", "../x")):
            with self.subTest(name=name):
                index = json.loads(SHARDS["model.safetensors.index.json"])
                index["weight_map"][next(iter(index["weight_map"]))] = name
                self.hub.repos["org/s"] = Repo({**SHARDS, "model.safetensors.index.json":
                                                json.dumps(index).encode()})
                self.pull_fails("org/s", parts=[part])
                self.assertEqual([], self.hub.asked(".safetensors"))

    def test_what_is_no_list(self):
        for body, part in ((b"<html>hello</html>", "not valid JSON"), (b"[]", "which files"),
                           (b'{"siblings": []}', "which commit"),
                           (b'{"siblings": [7], "sha": "%s"}' % (b"c" * 40), "no path"),
                           (b'{"siblings": [], "sha": "%s"}' % (b"c" * 40), "holds no CLIP")):
            with self.subTest(body=body):
                self.fault("main", status=200, body=body)
                self.pull_fails("org/tiny", parts=[part])

    def test_no_clip(self):
        self.repo.files["config.json"] = b'{"model_type": "bert"}'
        self.pull_fails("org/tiny", parts=["org/tiny holds no CLIP", "weights were not got", "bert"])
        self.assertEqual([], self.hub.asked(WEIGHTS))
        del self.repo.files["config.json"]
        self.pull_fails("org/tiny", parts=["holds no CLIP", "neither config.json nor open_clip_config.json"])
        self.hub.repos["org/bare"] = Repo({"config.json": TINY["config.json"]})
        self.pull_fails("org/bare", parts=["has no weights"])
        self.assert_nothing()

    def test_what_is_no_id(self):
        for name in ("", "a/b/c", "../x", "org/", "/tiny", "org/ti ny", "org/tiny@", "org/-x", "a--b/c",
                     "https://huggingface.com/org/tiny", "org/tiny@a b", "o" * 97):
            with self.subTest(name=name):
                self.pull_fails(name, parts=["'"])
        self.assertEqual([], self.hub.log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
