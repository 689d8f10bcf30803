#!/usr/bin/env python3
"""`cliptag models pull` and who may have what: tokens, refusals, a network and a disk that are not there,
and what Hugging Face's own cache has."""
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from hub_case import TIMEOUT_S, TINY, WEIGHTS, HubCase
from hub_server import Hub, Repo, git_sha1, sha256
from tool import TOOL

TOKEN = "hf_secretOfAUser"


class Tokens(HubCase):
    def setUp(self):
        super().setUp()
        self.repo.token = TOKEN

    def assert_secret_kept(self):
        """The hub has always seen the token, the other host never."""
        for host, path, headers in self.hub.log:
            with self.subTest(path=path):
                self.assertEqual(f"Bearer {TOKEN}" if host == "hub" else None, headers.get("Authorization"))
                self.assertNotIn(TOKEN, path)
        self.assertTrue(self.hub.asked(WEIGHTS, "cdn"))

    def test_the_token_goes_to_the_hub_alone(self):
        self.pull_ok("org/tiny", environment={"HF_TOKEN": TOKEN})
        self.assert_whole()
        self.assert_secret_kept()

    def test_a_redirect_of_the_list_takes_no_token_along(self):
        self.fault("main", on="hub", location=self.hub.cdn_url + "/elsewhere")
        self.fault("elsewhere", on="cdn", status=404)
        self.pull_fails("org/tiny", environment={"HF_TOKEN": TOKEN},
                        parts=["localhost:", "where the hub sends for org/tiny", "404"])
        self.assertEqual([f"Bearer {TOKEN}"], [h.get("Authorization") for h in self.hub.asked("main")])
        self.assertEqual([None], [h.get("Authorization") for h in self.hub.asked("elsewhere")])

    def test_files_that_hold_the_token(self):
        for path, environment in (
                (self.write("home/.cache/huggingface/token", TOKEN + "\n"), {"XDG_CACHE_HOME": ""}),
                (self.write("cache/huggingface/token", TOKEN + "\n"), {}),
                (self.write("hf/token", TOKEN), {"HF_HOME": self.at("hf")}),
                (self.write("mine", f" {TOKEN} \n"), {"HF_TOKEN_PATH": self.at("mine")}),
                (self.write("home/of mine", TOKEN), {"HF_TOKEN_PATH": "~/of mine"}),
                (self.write("hf2/token", TOKEN), {"HF_HOME": "${BASE}/hf2", "BASE": self.folder})):
            with self.subTest(path=path):
                self.hub.log.clear()
                self.pull_ok("org/tiny", "--dry-run", environment=environment)
                self.assertEqual([f"Bearer {TOKEN}"], [h.get("Authorization") for h in self.hub.asked("main")])
                os.unlink(path)

    def test_without_a_token(self):
        self.pull_fails("org/tiny", parts=["'org/tiny'", "private or gated", "set HF_TOKEN"])

    def test_a_token_that_is_not_taken(self):
        wrong = "hf_wrongOne"
        said = self.pull_fails("org/tiny", environment={"HF_TOKEN": wrong},
                               parts=["does not take the token in HF_TOKEN"])
        self.assertNotIn(wrong, said)
        path = self.write("cache/huggingface/token", wrong)
        self.assertNotIn(wrong, self.pull_fails("org/tiny", parts=[f"the token in {path}"]))

    def test_a_token_that_is_none(self):
        for token in ("a b", "a\nX-Evil: 1", "t\u00f6ken"):
            with self.subTest(token=token):
                self.pull_fails("org/tiny", environment={"HF_TOKEN": token}, parts=["The token in HF_TOKEN"])
        self.assertEqual([], self.hub.log)

    def test_gated(self):
        self.repo.gated = True
        self.pull_fails("org/tiny", parts=["org/tiny is gated", f"{self.hub.url}/org/tiny", "set HF_TOKEN"])
        self.pull_fails("org/tiny", environment={"HF_TOKEN": "hf_other"},
                        parts=["org/tiny is gated", "the account of the token in HF_TOKEN"])
        self.fault("main", status=403)
        self.pull_fails("org/tiny", environment={"HF_TOKEN": TOKEN}, parts=["may not read org/tiny"])

    def test_a_file_that_is_refused_half_way(self):
        self.fault(WEIGHTS, on="cdn", status=403)
        self.pull_fails("org/tiny", environment={"HF_TOKEN": TOKEN}, parts=["localhost:", WEIGHTS, "403"])
        self.assertFalse(os.path.exists(self.model("tiny")))


class Servers(HubCase):
    def test_what_is_not_there(self):
        self.pull_fails("org/none", parts=["There is no model 'org/none' on 127.0.0.1:"])
        self.fault(WEIGHTS, on="hub", status=404)
        self.pull_fails("org/tiny", parts=[f"has no file {WEIGHTS}"])

    def test_too_many_requests(self):
        self.fault("main", status=429, headers={"Retry-After": "1"})
        begin = time.monotonic()
        self.pull_ok("org/tiny", notes=["429 (Too Many Requests)"])
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        self.assert_whole()

    def test_a_long_wait_is_left_to_the_user(self):
        self.fault("main", status=429, headers={"Retry-After": "3600"})
        self.pull_fails("org/tiny", parts=["429", "3600 s"])

    def test_an_error_that_passes(self):
        self.fault("main", status=500)
        self.fault(WEIGHTS, on="cdn", status=503)
        self.pull_ok("org/tiny", notes=["500 (Internal Server Error)", "503 (Service Unavailable)"])
        self.assert_whole()

    def test_an_error_that_stays(self):
        self.fault("main", times=99, status=502)
        self.pull_fails("org/tiny", notes=["0.5 s", "1 s", "2 s"], parts=["502 (Bad Gateway)", "try again later"])
        self.assertEqual(4, len(self.hub.log))

    def test_another_error_is_told_at_once(self):
        self.fault("main", status=418)
        self.pull_fails("org/tiny", parts=["418"])

    def test_redirects_without_end(self):
        self.fault("main", times=99, location=self.hub.url + "/api/models/org/tiny/revision/main")
        self.pull_fails("org/tiny", parts=["without end"])
        self.assertEqual(11, len(self.hub.log))

    def test_redirects_to_what_is_no_web(self):
        path = self.at("secret")
        with open(path, "w", encoding="utf-8") as f:
            f.write("secret")
        for location in (f"file://{path}", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"):
            with self.subTest(location=location):
                self.fault(WEIGHTS, on="hub", location=location)
                self.pull_fails("org/tiny", parts=["not followed"])

    def test_a_server_that_stops_sending(self):
        self.fault(WEIGHTS, on="cdn", cut=100_000, stall=4)
        self.pull_ok("org/tiny", environment={"HF_HUB_DOWNLOAD_TIMEOUT": "1"}, notes=["has stopped sending"])
        self.assert_whole()
        self.assertEqual([None, "bytes=100000-"], [h.get("Range") for h in self.hub.asked(WEIGHTS, "cdn")])

    def test_a_server_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            self.pull_fails("org/tiny", environment={"HF_ENDPOINT": url, "HF_HUB_DOWNLOAD_TIMEOUT": "1"},
                            parts=["127.0.0.1:", "does not answer"])

    def closed_port(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            return server.getsockname()[1]

    def test_no_network(self):
        port = self.closed_port()
        for environment, parts in (
                ({"HF_ENDPOINT": f"http://127.0.0.1:{port}"}, [f"no connection to 127.0.0.1:{port}"]),
                ({"HF_ENDPOINT": "http://hub.invalid", "HF_HUB_ETAG_TIMEOUT": "5"}, ["hub.invalid cannot be resolved", "network"]),
                ({"http_proxy": f"http://127.0.0.1:{port}"}, ["127.0.0.1:", "through the proxy of $http_proxy"]),
                ({"http_proxy": "http://proxy.invalid:3128"}, ["through the proxy of $http_proxy"])):
            with self.subTest(environment=environment):
                begin = time.monotonic()
                self.pull_fails("org/tiny", environment=environment, parts=parts)
                self.assertLess(time.monotonic() - begin, 15)
        self.assertEqual([], self.hub.log)

    def test_settings_that_make_no_sense(self):
        for name, value in (("HF_ENDPOINT", "huggingface.co"), ("HF_ENDPOINT", "file:///etc"),
                            ("HF_ENDPOINT", "https://a b"), ("HF_HUB_ETAG_TIMEOUT", "soon"),
                            ("HF_HUB_DOWNLOAD_TIMEOUT", "0"), ("HF_HUB_DOWNLOAD_TIMEOUT", "nan")):
            with self.subTest(name=name, value=value):
                self.pull_fails("org/tiny", environment={name: value}, parts=[name, f"'{value}'"])
        self.pull_ok("--dry-run", "org/tiny", environment={"HF_ENDPOINT": self.hub.url + "/"})

    def test_tls(self):
        openssl = shutil.which("openssl")
        if not openssl:
            self.skipTest("no openssl here to make a certificate")
        key, certificate = self.at("key.pem"), self.at("certificate.pem")
        subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                        certificate, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        hub = Hub((certificate, key))
        self.addCleanup(hub.close)
        hub.repos["org/tiny"] = Repo(TINY)
        self.pull_fails("org/tiny", environment={"HF_ENDPOINT": hub.url},
                        parts=["No secure connection to 127.0.0.1:", "SSL_CERT_FILE"])
        trusting = {"HF_ENDPOINT": hub.url, "SSL_CERT_FILE": certificate}
        # The weights lie on a host without TLS.
        self.pull_fails("org/tiny", environment=trusting, parts=["not as safe", "http://localhost:"])
        self.assertTrue(hub.asked("vocab.json"))
        self.assertEqual([], hub.asked(WEIGHTS, "cdn"))


class Disks(HubCase):
    def test_room_is_looked_for_before_the_weights(self):
        self.repo.changes[WEIGHTS] = {"lfs": {"sha256": "0" * 64, "size": 10 ** 17}}
        self.pull_fails("org/tiny", parts=["MB free", "100000000016 MB", "XDG_CACHE_HOME"])
        self.assertEqual([], self.hub.asked(WEIGHTS))

    def test_a_limit_half_way(self):
        limit = 100_000  # bytes of a file; whoever ignores SIGXFSZ, as Python does, is told by write()
        self.pull_fails("org/tiny", parts=["File too large", "100000 of 200340 bytes", "call again"],
                        restore_signals=False,
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(limit, os.path.getsize(self.partial()))
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual([None, f"bytes={limit}-"], [h.get("Range") for h in self.hub.asked(WEIGHTS, "cdn")])

    def test_a_disk_that_fills_up(self):
        disk = self.at("disk")
        os.mkdir(disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], capture_output=True,
                                 check=False) if os.geteuid() == 0 else None
        if mounted is None or mounted.returncode:
            self.skipTest("no small file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk], check=True)
        self.fault(WEIGHTS, on="cdn", rate=100_000)
        process = self.start("org/tiny", XDG_CACHE_HOME=disk)
        staging = os.path.join(disk, "cliptag", "models", ".tiny.part")
        self.wait_for(lambda: os.path.isdir(staging) and any(f.startswith(WEIGHTS) for f in os.listdir(staging)))
        filler = os.path.join(disk, "filler")
        with open(filler, "wb", buffering=0) as f:  # all that is left
            try:
                while f.write(bytes(4096)):
                    pass
            except OSError:
                pass
        self.assertEqual(1, process.wait(TIMEOUT_S))
        said = process.stderr.read()
        self.assertIn("the disk is full", said)
        self.assertEqual(1, said.count("\n"), said)
        self.assertIn("MB free", self.pull_fails("org/tiny", environment={"XDG_CACHE_HOME": disk}))
        os.unlink(filler)
        self.pull_ok("org/tiny", environment={"XDG_CACHE_HOME": disk})
        with open(os.path.join(disk, "cliptag", "models", "tiny", WEIGHTS), "rb") as f:
            self.assertEqual(TINY[WEIGHTS], f.read())

    def test_where_nothing_can_be_written(self):
        with open(self.at("file"), "w", encoding="utf-8"):
            pass
        self.pull_fails("org/tiny", environment={"XDG_CACHE_HOME": self.at("file")},
                        parts=[self.at("file"), "Not a directory"])
        self.pull_fails("org/tiny", environment={"XDG_CACHE_HOME": "", "HOME": ""},
                        parts=["set XDG_CACHE_HOME or HOME"])

    def test_where_we_may_not_write(self):
        nobody = 65534
        shared = self.at("shared")
        os.mkdir(shared, 0o755)
        os.chmod(self.folder, 0o755)
        become = (lambda: os.setuid(nobody)) if os.geteuid() == 0 else None
        if become is None:
            os.chmod(shared, 0o555)
        else:
            try:
                subprocess.run([TOOL, "--version"], capture_output=True, preexec_fn=become, check=True)
            except (OSError, subprocess.CalledProcessError):
                self.skipTest("another user cannot reach the tool here")
        self.pull_fails("org/tiny", environment={"XDG_CACHE_HOME": shared}, preexec_fn=become,
                        parts=[shared, "Permission denied"])

    def test_a_link_in_the_way_is_not_followed(self):
        staging = self.model(".tiny.part")
        os.makedirs(staging)
        target = self.at("target")
        os.symlink(target, os.path.join(staging, f"{WEIGHTS}.{sha256(TINY[WEIGHTS])[:12]}.incomplete"))
        self.pull_fails("org/tiny", parts=[WEIGHTS, "Cannot write"])
        self.assertFalse(os.path.exists(target))


    def test_links_in_the_place_of_what_is_written_are_not_followed(self):
        kept = self.write("documents/letter.txt", "dear")
        os.makedirs(self.model())
        os.symlink(self.at("documents"), self.model(".tiny.part"))
        self.pull_fails("org/tiny", parts=[self.model(".tiny.part"), "no directory of yours", "remove it"])
        self.assertEqual(["letter.txt"], os.listdir(self.at("documents")))
        os.unlink(self.model(".tiny.part"))
        os.mkdir(self.model(".tiny.part"))
        os.symlink(kept, self.model(".tiny.part", "hub.json"))
        self.pull_ok("org/tiny")
        self.assert_whole()
        with open(kept, encoding="utf-8") as f:
            self.assertEqual("dear", f.read())


class HuggingFaceCache(HubCase):
    """Made as huggingface_hub makes it."""

    def fill(self, names=tuple(TINY), folder=None, commit="c" * 40):
        folder = os.path.join(folder or self.at("cache", "huggingface", "hub"), "models--org--tiny")
        for name in ("blobs", "refs", f"snapshots/{commit}"):
            os.makedirs(os.path.join(folder, name))
        with open(os.path.join(folder, "refs", "main"), "w", encoding="utf-8") as f:
            f.write(commit)
        for name in names:
            digest = sha256(TINY[name]) if name == WEIGHTS else git_sha1(TINY[name])
            with open(os.path.join(folder, "blobs", digest), "wb") as f:
                f.write(TINY[name])
            os.symlink(f"../../blobs/{digest}", os.path.join(folder, "snapshots", commit, name))
        return folder

    def blob(self, folder):
        return os.path.join(folder, "blobs", sha256(TINY[WEIGHTS]))

    def test_what_is_there_is_linked(self):
        folder = self.fill()
        self.assertIn("model.safetensors  200 kB  (from Hugging Face's cache)", self.pull_ok("org/tiny"))
        self.assert_whole()
        self.assertTrue(os.path.samefile(self.blob(folder), self.model("tiny", WEIGHTS)))
        self.assertEqual(1, len(self.hub.log))

    def test_what_is_on_another_disk_is_copied(self):
        other = "/dev/shm"
        if not os.access(other, os.W_OK) or os.stat(other).st_dev == os.stat(self.folder).st_dev:
            self.skipTest(f"{other} is no other disk here")
        with tempfile.TemporaryDirectory(dir=other) as cache:
            folder = self.fill(folder=cache)
            self.pull_ok("org/tiny", environment={"HF_HUB_CACHE": cache})
            self.assertFalse(os.path.samefile(self.blob(folder), self.model("tiny", WEIGHTS)))
        self.assert_whole()
        self.assertEqual(1, len(self.hub.log))

    def test_the_variables_that_name_it(self):
        os.mkdir(self.at("home"))
        for number, (folder, environment) in enumerate((
                (self.at("a", "hub"), {"HF_HOME": self.at("a")}),
                (self.at("b"), {"HF_HUB_CACHE": self.at("b")}),
                (self.at("home", "c", "hub"), {"HF_HOME": "~/c"}),
                (self.at("home", "d"), {"HF_HUB_CACHE": "$HOME/d"}),
                (self.at("home", "e"), {"HUGGINGFACE_HUB_CACHE": "~/${LAST}", "LAST": "e"}),
                (self.at("$no ${way"), {"HF_HUB_CACHE": self.at("$no ${way")}))):
            self.fill(folder=folder)
            with self.subTest(environment=environment):
                self.hub.log.clear()
                self.pull_ok("org/tiny", "--name", f"tiny{number}", environment=environment)
                self.assertEqual([], self.hub.asked(WEIGHTS))

    def test_a_cache_without_links(self):
        """As huggingface_hub leaves it on file systems that have none: files in the snapshot, no blobs."""
        folder = self.fill()
        snapshot = os.path.join(folder, "snapshots", "c" * 40)
        for name in os.listdir(snapshot):
            target = os.path.realpath(os.path.join(snapshot, name))
            os.replace(target, os.path.join(snapshot, name))
        self.assertEqual([], os.listdir(os.path.join(folder, "blobs")))
        self.pull_ok("org/tiny", "--name", "offline", environment={"HF_HUB_OFFLINE": "1"})
        self.assert_whole("offline")
        self.assertEqual([], self.hub.log)
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual([], self.hub.asked(WEIGHTS))
        with open(os.path.join(snapshot, WEIGHTS), "r+b") as f:  # the links above share its bytes
            f.write(b"spoilt")
        self.repo.commit = "d" * 40
        os.rename(snapshot, snapshot.replace("c" * 40, "d" * 40))
        self.pull_ok("org/tiny", "--name", "checked")
        self.assert_whole("checked")

    def test_a_broken_file_there_is_not_taken(self):
        folder = self.fill()
        with open(self.blob(folder), "r+b") as f:
            f.write(b"spoilt")
        self.pull_ok("org/tiny")
        self.assert_whole()
        self.assertEqual(1, len(self.hub.asked(WEIGHTS, "cdn")))

    def test_offline(self):
        offline = {"HF_HUB_OFFLINE": "1"}
        self.pull_fails("org/tiny", environment=offline, parts=["nothing of 'main' of org/tiny", "HF_HUB_OFFLINE"])
        self.fill()
        self.pull_ok("org/tiny", environment=offline)
        self.assert_whole()
        self.assertEqual([], self.hub.log)

    def test_offline_without_the_weights(self):
        self.fill(names=[n for n in TINY if n != WEIGHTS])
        self.pull_fails("org/tiny", environment={"HF_HUB_OFFLINE": "1"}, parts=["org/tiny has no weights"])

    def test_out_of_reach(self):
        self.fill()
        self.pull_ok("org/tiny", environment={"HF_ENDPOINT": "http://hub.invalid"},
                     notes=["hub.invalid cannot be resolved"])
        self.assert_whole()

    def test_it_is_listed(self):
        self.fill()

        def run(*args):
            done = subprocess.run([TOOL, "models", "list", *args], capture_output=True, text=True,
                                  env=self.environment, timeout=TIMEOUT_S)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
            return done.stdout

        self.assertRegex(run(), r"in Hugging Face's cache, for `cliptag models pull ID`:\norg/tiny  213 kB\n$")
        entry = next(m for m in json.loads(run("--json")) if m.get("id") == "org/tiny")
        self.assertTrue(entry["in_huggingface_cache"])
        self.assertEqual(sum(map(len, TINY.values())), entry["bytes"])
        self.assertTrue(os.path.exists(os.path.join(entry["name"], WEIGHTS)))


if __name__ == "__main__":
    unittest.main(verbosity=2)
