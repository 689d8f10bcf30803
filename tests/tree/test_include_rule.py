"""The include rule holds in this tree, and finds what is planted against it."""
import os
import unittest

import include_rule

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))

# A small tree that keeps the rule.
CLEAN = {
    "kernels/base/log.h": "#include <functional>\n",
    "kernels/frame.h": "#include <cstdint>\n",
    "kernels/cpu/machine/pool.h": "#include <vector>\n",
    "kernels/cpu/gemm.cc": '#include <oneapi/dnnl/dnnl.hpp>\n#include "kernels/frame.h"\n',
    "models/config/config.h": '#include "kernels/frame.h"\n',
    "models/config/config.cc": '#include <nlohmann/json.hpp>\n#include <sys/mman.h>\n#include "models/config/config.h"\n',
    "plugin/engine/engine.h": '#include "models/config/config.h"\n',
    "plugin/elements/overlay/draw.h": "#include <string>\n",
    "plugin/elements/tag.cc":
        '#include <gst/gst.h>\n#include "kernels/base/log.h"\n#include "kernels/frame.h"\n'
        '#include "plugin/engine/engine.h"\n',
    "plugin/cli/main.cc": '#include <CLI/CLI.hpp>\n#include "models/config/config.h"\n',
    "tests/models/config_test.cc": '#include <gtest/gtest.h>\n#include "models/config/config.h"\n',
}
# (file, line that is added, what must be said about it)
PLANTED = [
    ("kernels/frame.h", '#include "kernels/cpu/machine/pool.h"', "kernels/cpu/machine/ stands above kernels/frame.h"),
    ("kernels/cuda/x.h", '#include "kernels/cpu/machine/pool.h"', "kernels/cuda/ and kernels/cpu/ do not know each other"),
    ("kernels/tpu/x.h", '#include "kernels/frame.h"', "kernels/tpu/x.h lies in no room of kernels"),
    ("plugin/elements/cliptag/x.cc", '#include "plugin/elements/overlay/draw.h"', "do not know each other"),
    ("kernels/frame.h", '#include "models/config/config.h"', "kernels may include nothing, not models"),
    ("kernels/cpu/gemm.cc", "#  include <nlohmann/json.hpp>", "kernels may not use json"),
    ("models/config/config.cc", '#include "plugin/engine/engine.h"', "not plugin/engine"),
    ("models/config/config.cc", "#include <oneapi/dnnl/dnnl.hpp>", "models may not use onednn"),
    ("plugin/engine/engine.h", "#include <gst/gst.h>", "plugin/engine may not use gstreamer"),
    ("plugin/engine/engine.h", '#include "plugin/elements/tag.h"', "not plugin/elements"),
    ("plugin/elements/tag.cc", '#include "kernels/cpu/machine/pool.h"', "may include plugin/engine, plugin/gst, not kernels"),
    ("plugin/elements/tag.cc", "#include <opencv2/core.hpp>", "may not use opencv"),
    ("plugin/cli/main.cc", '#include "plugin/elements/tag.h"', "not plugin/elements"),
    ("plugin/cli/main.cc", '#include "../engine/engine.h"', "does not start at the root"),
    ("models/config/config.cc", '#include "config.h"', "does not start at the root"),
    ("models/config/config.cc", '#include "kernels/gone.h"', "is not there"),
    ("models/config/config.cc", "#include <boost/any.hpp>", "is of no library"),
]


class IncludeRuleTest(unittest.TestCase):
    def test_this_tree_keeps_the_rule(self):
        sources = include_rule.read_tree(ROOT)
        # An empty list would keep any rule.
        for room in ("kernels", "models", "plugin/engine", "plugin/elements", "plugin/cli"):
            self.assertTrue([p for p in sources if p.startswith(room + "/")], f"no source in {room}")
        self.assertEqual([], include_rule.violations(sources))

    def test_a_clean_tree_is_clean(self):
        self.assertEqual([], include_rule.violations(CLEAN))

    def test_planted_violations_are_found(self):
        for path, line, sentence in PLANTED:
            with self.subTest(path=path, line=line):
                found = include_rule.violations({**CLEAN, path: line + "\n" + CLEAN.get(path, "")})
                self.assertEqual(1, len(found), found)
                self.assertTrue(found[0].startswith(path + ":1:"), found)
                self.assertIn(sentence, found[0])

    def test_a_comment_is_no_include(self):
        for comment in ('// #include "models/config/config.h"\n', '/*\n#include "models/config/config.h"\n*/\n'):
            found = include_rule.violations({**CLEAN, "kernels/frame.h": comment})
            self.assertEqual([], found)

    def test_a_source_outside_the_rooms_is_found(self):
        found = include_rule.violations({**CLEAN, "plugin/extra/x.cc": ""})
        self.assertEqual(1, len(found), found)
        self.assertIn("lies in no room", found[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
