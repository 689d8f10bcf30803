"""The include rule: which room may include which, and which libraries each may use.

Data goes one way: kernels -> models -> plugin/engine -> plugin/elements and plugin/cli, which share
plugin/gst. Within a floor it goes one way, too: ORDER. A quoted include starts at the root of the tree and names a room that the including room may
see. A header in angle brackets belongs to the standard library or system, or to a library of the table
below.

    include_rule.py [ROOT]     prints every violation; status 1 if there is one
"""
import os
import re
import sys
from collections import namedtuple

# A room sees itself, `rooms`, and what the headers of those include in turn (the engine's interface
# speaks of FrameView and Status, so whoever calls it may say so too); and the libraries named.
Room = namedtuple("Room", "rooms libraries")
ROOMS = {
    "kernels": Room((), {"onednn", "cuda", "simd"}),
    "models": Room(("kernels",), {"json", "unicode", "sentencepiece", "crypto"}),
    "plugin/engine": Room(("models", "kernels"), {"faiss", "sqlite", "libpq"}),
    "plugin/gst": Room(("models",), {"gstreamer", "opencv"}),
    "plugin/elements": Room(("plugin/engine", "plugin/gst"), {"gstreamer", "drawing", "broker"}),
    "plugin/cli/hub": Room(("models",), {"http"}),
    "plugin/cli": Room(("plugin/cli/hub", "plugin/engine", "plugin/gst", "models"), {"gstreamer", "opencv", "drawing", "json", "cli11"}),
    "tests": Room(
        ("kernels", "models", "plugin/engine", "plugin/gst", "plugin/elements", "plugin/cli", "plugin/cli/hub"),
        {"onednn", "cuda", "simd", "json", "unicode", "http", "gstreamer", "gstcheck", "drawing",
         "broker", "opencv", "cli11", "faiss", "sqlite", "libpq", "gtest"}),
}

# Within a floor: rooms from the lowest to the highest. A file sees its own room and those that stand before it. A
# room is a folder without the folders in it, or the files whose names begin so.
ORDER = {
    "kernels": (
        "kernels/base/", "kernels/frame.h", "kernels/", "kernels/shared/", "kernels/ref/",
        "kernels/cpu/machine/", "kernels/cpu/simd/",
        "kernels/cpu/products/products.h", "kernels/cpu/products/weight_rows", "kernels/cpu/products/panel/",
        "kernels/cpu/products/onednn/", "kernels/cpu/products/",
        "kernels/cpu/convolution/", "kernels/cpu/preprocess/", "kernels/cpu/",
        "kernels/cuda/device/", "kernels/cuda/attention/", "kernels/cuda/preprocess/", "kernels/cuda/rows/",
        "kernels/cuda/libraries/", "kernels/cuda/", "kernels/cuda_module", "kernels/create_backend"),
    "models": (
        "models/finite.h", "models/io/", "models/weights/", "models/config/", "models/text/",
        "models/encoders/blocks/", "models/encoders/convolutional/", "models/encoders/", "models/", "models/prompts/"),
    "plugin/gst": ("plugin/gst/pictures/", "plugin/gst/"),
    "plugin/elements": (
        "plugin/elements/meta/", "plugin/elements/metrics/", "plugin/elements/cuda/", "plugin/elements/overlay/",
        "plugin/elements/keyframes/", "plugin/elements/cliptag/settings.h", "plugin/elements/cliptag/prompts/",
        "plugin/elements/cliptag/output/", "plugin/elements/cliptag/input/", "plugin/elements/cliptag/", "plugin/elements/"),
    "plugin/cli": (
        "plugin/cli/help_format", "plugin/cli/diagnostics", "plugin/cli/options", "plugin/cli/command_line",
        "plugin/cli/session", "plugin/cli/formats/",
        "plugin/cli/media/", "plugin/cli/bench/measure", "plugin/cli/embed/", "plugin/cli/bench/",
        "plugin/cli/eval/measures/", "plugin/cli/eval/corruptions/",
        "plugin/cli/eval/calibrate/", "plugin/cli/eval/plot/", "plugin/cli/eval/", "plugin/cli/models/",
        "plugin/cli/"),
}
# Neighbours that do not know each other, in spite of that order.
APART = (
    ("kernels/ref/", "kernels/cpu/", "kernels/cuda/"),
    ("kernels/cuda/attention/", "kernels/cuda/preprocess/", "kernels/cuda/rows/", "kernels/cuda/libraries/"),
    ("plugin/elements/overlay/", "plugin/elements/keyframes/", "plugin/elements/cliptag/"),
)

# How the core reports: errors as values, the callback that elements and tool map to their own logs, and how
# text of strangers is shown. Files replaced whole.
FOR_ALL = ("kernels/base/status.h", "kernels/base/log.h", "kernels/base/caught.h",
           "kernels/base/plain_text.h", "kernels/base/replace_file.h")

LIBRARIES = [
    ("onednn", r"(oneapi/dnnl/|dnnl|omp\.h$)"),
    ("cuda", r"(cuda|cublas|cudnn|mma\.h$|nvtx)"),
    ("simd", r"(immintrin|x86intrin|cpuid|arm_neon|arm_sve|amxintrin)\.?h?"),
    ("json", r"nlohmann/"),
    ("unicode", r"(utf8proc\.h$|unicode/)"),
    ("http", r"(curl/|httplib)"),
    ("sentencepiece", r"sentencepiece"),
    ("crypto", r"openssl/"),
    ("faiss", r"faiss/"),
    ("sqlite", r"sqlite3\.h$"),
    ("libpq", r"libpq-fe\.h$"),
    ("gstcheck", r"gst/check/"),
    ("gstreamer", r"(gst/|glib|gio/|gmodule)"),
    ("drawing", r"(cairo|pango/)"),
    ("broker", r"(mosquitto|librdkafka/|hiredis/)"),
    ("opencv", r"opencv2/"),
    ("cli11", r"CLI/"),
    ("gtest", r"(gtest|gmock)/"),
]
# The C library and the kernel's own headers; C++ headers are those without a dot or a slash.
SYSTEM = re.compile(
    r"(sys|linux|asm|netinet|arpa|net)/[\w/-]+\.h$|(aio|assert|complex|ctype|cxxabi|dirent|dlfcn|elf|"
    r"errno|execinfo|fcntl|fenv|float|getopt|grp|inttypes|langinfo|libgen|limits|link|locale|malloc|math|"
    r"netdb|poll|pthread|pwd|sched|semaphore|setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|"
    r"stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|sysexits|termios|tgmath|time|uchar|ucontext|"
    r"unistd|wchar|wctype)\.h$")
SOURCES = (".h", ".hpp", ".c", ".cc", ".cpp", ".cu", ".cuh", ".inc")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)', re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def room_of(path):
    return next((room for room in ROOMS if path.startswith(room + "/")), None)


def step_of(path, floor):
    """(place, entry) of a file in its floor's order; None where the floor has no such room."""
    best = None
    for place, entry in enumerate(ORDER[floor]):
        fits = path.startswith(entry) and ("/" not in path[len(entry):] if entry.endswith("/") else True)
        if fits and (best is None or len(entry) > len(best[1])):
            best = place, entry
    return best


def against_order(path, header, floor):
    """What is wrong with an include within a floor; "" if nothing."""
    here, there = step_of(path, floor), step_of(header, floor)
    if here is None or there is None:
        return f"{path if here is None else header} lies in no room of {floor} (ORDER in tests/tree/include_rule.py)"
    for rooms in APART:
        side = [next((r for r in rooms if p.startswith(r)), None) for p in (path, header)]
        if None not in side and side[0] != side[1]:
            return f"{side[0]} and {side[1]} do not know each other"
    return "" if there[0] <= here[0] else f"{there[1]} stands above {here[1]}"


def library_of(header):
    """The library a header in angle brackets is of; "" for standard and system, None for unknown."""
    if ("." not in header and "/" not in header) or SYSTEM.match(header):
        return ""
    return next((name for name, pattern in LIBRARIES if re.match(pattern, header)), None)


def includes_of(text):
    """(line, header, quoted) of every include that is not commented out."""
    text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)
    for m in INCLUDE.finditer(text):
        yield text.count("\n", 0, m.start(1 if m.group(1) else 2)) + 1, m.group(1) or m.group(2), \
            m.group(1) is not None


def read_tree(root):
    """{path: text} of every source in the rooms. Build directories lie outside them."""
    sources = {}
    for top in sorted({room.split("/")[0] for room in ROOMS}):
        for directory, _, names in os.walk(os.path.join(root, top)):
            for name in names:
                if name.endswith(SOURCES):
                    path = os.path.join(directory, name)
                    with open(path, encoding="utf-8", errors="replace") as f:
                        sources[os.path.relpath(path, root).replace(os.sep, "/")] = f.read()
    return sources


def interface(sources, rooms):
    """Every header (or fragment, .inc) that those of `rooms` include, however deep, and these themselves."""
    seen = {p for p in sources if p.endswith((".h", ".hpp", ".cuh", ".inc")) and room_of(p) in rooms}
    open_ = list(seen)
    while open_:
        for _, header, quoted in includes_of(sources[open_.pop()]):
            if quoted and header in sources and header not in seen:
                seen.add(header)
                open_.append(header)
    return seen


def violations(sources):
    """What breaks the rule in {path: text}: a sentence each."""
    found = []
    visible = {name: interface(sources, room.rooms) for name, room in ROOMS.items()}
    for path in sorted(sources):
        name = room_of(path)
        if name is None:
            found.append(f"{path}: lies in no room ({', '.join(ROOMS)})")
            continue
        for line, header, quoted in includes_of(sources[path]):
            where = f"{path}:{line}"
            if not quoted:
                library = library_of(header)
                if library is None:
                    found.append(f"{where}: <{header}> is of no library that the rule knows; add it to "
                                 "LIBRARIES in tests/tree/include_rule.py and to the rooms that may use it")
                elif library and library not in ROOMS[name].libraries:
                    found.append(f"{where}: <{header}>: {name} may not use {library}")
                continue
            target = room_of(header)
            if target is None or ".." in header.split("/"):
                found.append(f'{where}: "{header}" does not start at the root of the tree')
            elif target == name and header in sources and name in ORDER:
                wrong = against_order(path, header, name)
                if wrong:
                    found.append(f'{where}: "{header}": {wrong}')
            elif target != name and header not in visible[name] and header not in FOR_ALL:
                if target in ROOMS[name].rooms:
                    found.append(f'{where}: "{header}" is not there')
                else:
                    allowed = ", ".join(ROOMS[name].rooms) or "nothing"
                    found.append(f'{where}: "{header}": {name} may include {allowed}, not {target}')
    return found


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")
    found = violations(read_tree(root))
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
