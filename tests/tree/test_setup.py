"""pipelines/setup.sh with a stand-in for apt: installs what is missing and nothing else, tries twice, and
says in one sentence why it cannot."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
SETUP = os.path.abspath(os.path.join(ROOT, "pipelines", "setup.sh"))
TOOLS = ("bash", "env", "sed", "grep", "mktemp", "rm", "tail", "cat")

# Logs what it is asked; fails as often as the file `failures` has lines.
APT = """#!/bin/bash
echo "apt-get $*" >> "$FAKE/log"
[[ $* == *install* ]] || exit 0
if [[ -s $FAKE/failures ]]; then sed -i 1d "$FAKE/failures"; echo "E: no network"; exit 100; fi
"""


class SetupTest(unittest.TestCase):
    def setUp(self):
        self.fake = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.fake)
        os.chmod(self.fake, 0o755)
        for tool in TOOLS:
            os.symlink(shutil.which(tool), os.path.join(self.fake, tool))
        # A copy: another user may not be able to look into the tree. Headers are looked for in here.
        self.setup = os.path.join(self.fake, "setup.sh")
        with open(SETUP, encoding="utf-8") as f:
            self.script("setup.sh", f.read().replace("/usr/include", self.fake))
        self.script("sleep", "#!/bin/bash\n")
        self.script("apt-get", APT)
        self.packages = self.run_setup("--list").stdout.split()
        self.have(self.packages)

    def script(self, name, text):
        path = os.path.join(self.fake, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)

    def have(self, packages):
        """Has dpkg know these as installed, one of another architecture and one removed beside them."""
        lines = "".join(f"echo '{p} installed'\n" for p in packages)
        self.script("dpkg-query", "#!/bin/bash\n" + lines +
                    "echo 'libc6:amd64 installed'\necho 'cowsay config-files'\n")

    def run_setup(self, *arguments, prefix=(), **environment):
        return subprocess.run([*prefix, os.path.join(self.fake, "bash"), self.setup, *arguments],
                              env={"PATH": self.fake, "FAKE": self.fake, **environment},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def log(self):
        path = os.path.join(self.fake, "log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [line for line in f.read().splitlines() if " install " in line]

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root: as another user setup.sh calls sudo")

    def test_the_list_has_what_the_commands_call(self):
        for package in ("g++", "meson", "ninja-build", "libdnnl-dev", "libgstreamer1.0-dev",
                        "gstreamer1.0-tools", "python3-pil", "fonts-noto-color-emoji", "libgtest-dev"):
            self.assertIn(package, self.packages)
        self.assertEqual(len(self.packages), len(set(self.packages)))

    def test_nothing_is_installed_when_all_is_there(self):
        run = self.run_setup()
        self.assertEqual((0, "setup: everything is there\n", ""),
                         (run.returncode, run.stdout, run.stderr))
        self.assertEqual([], self.log())

    def test_what_is_missing_is_installed(self):
        self.need_root()
        self.have([p for p in self.packages if p != "meson"])
        run = self.run_setup("cowsay")  # one more; its configuration alone is not the package
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertEqual(1, len(self.log()))
        self.assertTrue(self.log()[0].endswith("install --no-install-recommends meson cowsay"),
                        self.log())
        self.assertIn("-y", self.log()[0].split())

    def test_another_flavour_of_libcurl_stays(self):
        curl = "libcurl4-openssl-dev"
        self.assertIn(curl, self.packages)
        self.have([p for p in self.packages if p != curl] + ["libcurl4-gnutls-dev"])
        self.assertEqual("setup: everything is there\n", self.run_setup().stdout)
        self.need_root()
        self.have([p for p in self.packages if p != curl] + ["libcurl4"])
        self.assertEqual(0, self.run_setup().returncode)
        self.assertTrue(self.log()[0].endswith(" " + curl), self.log())

    def test_absl_where_the_header_of_sentencepiece_includes_it(self):
        self.assertNotIn("libabsl-dev", self.packages)
        header = os.path.join(self.fake, "sentencepiece_processor.h")
        write = "#!/bin/bash\nprintf '#include \"absl/status/status.h\"\\n' > " + header + "\n"
        self.script("header", write)
        subprocess.run([os.path.join(self.fake, "header")], check=True)
        self.assertIn("libabsl-dev", self.run_setup("--list").stdout.split())
        self.need_root()
        self.assertEqual(0, self.run_setup().returncode)
        self.assertEqual(1, len(self.log()), self.log())
        self.assertTrue(self.log()[0].endswith("install --no-install-recommends libabsl-dev"), self.log())
        # On a fresh machine the header comes with the packages.
        os.unlink(header)
        os.unlink(os.path.join(self.fake, "log"))
        self.script("apt-get", APT + "[[ $* != *libsentencepiece-dev* ]] || " + os.path.join(self.fake, "header") + "\n")
        self.have([p for p in self.packages if p != "libsentencepiece-dev"])
        self.assertEqual(0, self.run_setup().returncode)
        self.assertEqual(["libsentencepiece-dev", "libabsl-dev"], [line.split()[-1] for line in self.log()])
        os.unlink(header)
        self.have(self.packages)
        self.assertEqual("setup: everything is there\n", self.run_setup().stdout)

    def test_one_failure_is_tried_again(self):
        self.need_root()
        self.have([])
        with open(os.path.join(self.fake, "failures"), "w", encoding="utf-8") as f:
            f.write("once\n")
        run = self.run_setup()
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn("once more in ten seconds", run.stdout)
        self.assertEqual(2, len(self.log()))

    def test_two_failures_are_an_error(self):
        self.need_root()
        self.have([p for p in self.packages if p != "meson"])
        with open(os.path.join(self.fake, "failures"), "w", encoding="utf-8") as f:
            f.write("once\ntwice\n")
        run = self.run_setup()
        self.assertEqual(1, run.returncode)
        self.assertIn("E: no network", run.stderr)
        self.assertIn("apt-get could not install meson", run.stderr)

    def test_without_apt_the_packages_are_named(self):
        os.unlink(os.path.join(self.fake, "apt-get"))
        run = self.run_setup()
        self.assertEqual(1, run.returncode)
        self.assertEqual(1, run.stderr.count("\n"), run.stderr)
        for word in ("libdnnl-dev", "CLIPTAG_SKIP_SETUP=1"):
            self.assertIn(word, run.stderr)
        trusted = self.run_setup(CLIPTAG_SKIP_SETUP="1")
        self.assertEqual(0, trusted.returncode, trusted.stderr)

    def test_neither_root_nor_sudo(self):
        self.have([p for p in self.packages if p != "meson"])
        prefix = ()
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("no setpriv here to become another user")
            prefix = (shutil.which("setpriv"), "--reuid=65534", "--clear-groups")
        run = self.run_setup(prefix=prefix)
        self.assertEqual(1, run.returncode, run.stdout)
        self.assertEqual("setup: not root and no sudo here: as root, run "
                         "apt-get install --no-install-recommends meson\n", run.stderr)
        self.assertEqual([], self.log())

    def test_sudo_is_used_and_never_asks_without_a_terminal(self):
        self.need_root()
        if not shutil.which("setpriv"):
            self.skipTest("no setpriv here to become another user")
        self.have([p for p in self.packages if p != "meson"])
        self.script("sudo", '#!/bin/bash\n[[ $1 == -n ]] && shift || exit 9\n'
                    'echo "sudo" >&2\nexec "$@"\n')
        open(os.path.join(self.fake, "log"), "w").close()
        os.chmod(os.path.join(self.fake, "log"), 0o666)
        run = self.run_setup(prefix=(shutil.which("setpriv"), "--reuid=65534", "--clear-groups"))
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertEqual(1, len(self.log()))


if __name__ == "__main__":
    unittest.main(verbosity=2)
