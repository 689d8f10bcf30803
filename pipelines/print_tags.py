#!/usr/bin/env python3
"""Reads what `gst-launch-1.0 -m` says, in whatever language, and prints the tags over time.

    gst-launch-1.0 -m ... ! cliptag prompts="car; dog" ! ... | print_tags.py [--json tags.jsonl]

Each begin and end of a tag is a line, and so are the best tags of every second; warnings of elements go to
stderr. With several `cliptag` in the pipeline a line begins with the name of its element. With --json
each inference and each event is also appended to a file as one JSON object a line: the fields of the
bus messages `cliptag` and `cliptag-event` (only the latter has a `state`), that name as `stream`, and `time`, the
wall clock in UTC. A file that cannot be written is an error at once; the exit status is 1 if a line was lost. With
--truth (what make_scene.py wrote) a table at the end compares tags with what was in the picture. It needs
only Python's own library and tag_log.py.
"""
import argparse
import json
import locale
import re
import signal
import sys

from tag_log import NO_TIME, TagLog, open_streams, say, size, stop_printing

# gst-launch translates all of a line but the kind of a message in brackets and its structure, and puts the
# element's name in its language's quotes.
MESSAGE = re.compile(r"(?P<head>.*?)[(（](?P<kind>element|warning|info)[)）](?P<words>[^=]*?)(?<![\w-])"
                     r"(?P<structure>(?:cliptag|cliptag-event|GstMessage\w+), [\w-]+=\(.*)", re.S)
QUOTED = re.compile(r"[\"“”„«»「『‹](.*)[\"“”„«»」』›]", re.S)
INTEGERS = {"int", "uint", "gint", "guint", "int64", "uint64", "gint64", "guint64", "long", "ulong",
            "uchar", "guchar"}


class StructureParser:
    """GstStructure's text form, as gst_structure_to_string writes it, to (name, {field: value})."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def parse(self):
        name = self.take(r"[^,;]+").strip()
        fields = {}
        while self.skip(r"\s*,\s*"):
            key = self.take(r"[^=,;]+").strip()
            self.expect("=")
            fields[key] = self.value("string")
        return name, fields

    def value(self, kind):
        if typed := self.skip(r"\s*\(([^)]*)\)"):
            kind = typed.group(1)
        self.skip(r"\s*")
        for opening, closing in ("{}", "<>"):  # list, array
            if self.skip(re.escape(opening)):
                return self.values(kind, closing)
        if quoted := self.skip(r'"((?:[^"\\]|\\.)*)"'):
            return convert(kind, unescape(quoted.group(1)))
        return convert(kind, unescape(self.take(r"(?:[^,;}>\\]|\\.)*").strip()))

    def values(self, kind, closing):
        found = []
        while not self.skip(r"\s*" + re.escape(closing)):
            found.append(self.value(kind))
            self.skip(r"\s*,")
        return found

    def skip(self, pattern):
        match = re.compile(pattern, re.S).match(self.text, self.at)
        if match:
            self.at = match.end()
        return match

    def take(self, pattern):
        match = self.skip(pattern)
        if not match:
            raise ValueError(f"not a structure at {self.text[self.at:self.at + 40]!r}")
        return match.group()

    def expect(self, text):
        self.take(re.escape(text))


def unescape(text):
    r"""Undoes \" and the like, and \303\266 for the bytes of UTF-8."""
    data = re.sub(rb"\\([0-3][0-7][0-7]|.)",
                  lambda m: bytes([int(m[1], 8)]) if len(m[1]) == 3 else m[1],
                  text.encode(), flags=re.S)
    return data.decode("utf-8", errors="replace")


def convert(kind, text):
    if kind in INTEGERS:
        return int(text)
    if kind in ("double", "float", "gdouble", "gfloat"):
        return float(text)
    if kind in ("boolean", "gboolean", "bool"):
        return text.lower() in ("true", "yes", "t", "1")
    if kind in ("structure", "GstStructure"):
        return StructureParser(text).parse()[1]
    return text


def decoded(lines):
    """Lines of bytes as text: UTF-8, else what the locale says."""
    for line in lines:
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            yield line.decode(locale.getpreferredencoding(False), errors="replace")


def messages(lines):
    """(name, fields) of every message of `cliptag` in the output of gst-launch -m, the element's name as
    `stream`; and warnings of elements ("warning", "info"), as `text`."""
    warned = None  # the element whose warning the next lines have
    for line in lines:
        match = MESSAGE.match(line)
        if not match:
            # "WARNING: from element /GstPipeline:pipeline0/GstClipTag:NAME: TEXT", in any words.
            text = warned and re.search(f"[:/]{re.escape(warned)}(?![\\w-])[^:：]*[:：]\\s*(.*\\S)", line)
            if text:
                yield "warning", {"stream": warned, "text": text.group(1)}
                warned = None
            continue
        quoted = QUOTED.search(match["head"] + match["words"])
        stream = quoted.group(1).strip() if quoted else ""
        warned = stream if match["kind"] == "warning" else None
        try:
            name, fields = StructureParser(match["structure"]).parse()
        except (ValueError, RecursionError) as error:
            yield "warning", {"stream": stream, "text": f"a message is damaged: {error}"}
            continue
        if match["kind"] == "element":
            if name in ("cliptag", "cliptag-event"):
                yield name, {**fields, "stream": stream}
        elif match["kind"] == "info":
            # The sentence itself is in the debug text alone, below the place in the source.
            text = str(fields.get("debug", "")).partition("\n")[2].strip()
            if text:
                yield "info", {"stream": stream, "text": text}


def clock(nanoseconds):
    if nanoseconds == NO_TIME:
        return "  -:--.--"
    seconds = nanoseconds / 1e9
    return f"{int(seconds // 60):3d}:{seconds % 60:05.2f}"


def describe(tags, most, least=0.05):
    """The active tags, starred, and the best others, with a bar for the score."""
    best = [t for t in tags[:most] if t["score"] >= least or t["active"]]
    shown = best + [t for t in tags[most:] if t["active"]]
    return "   ".join(f"{'*' if t['active'] else ' '} {t['label']} {bar(t['score'])} {t['score']:.2f}"
                      for t in shown) or "  -"


def bar(score):
    return "▮" * round(5 * score) + "▯" * (5 - round(5 * score))


class Printer:
    """Prints events as they come, and the state of each stream once in `every` seconds of its video."""

    def __init__(self, every, most):
        self.every_ns = round(every * 1e9)
        self.most = most
        self.next_ns = {}  # by stream

    def say(self, stream, line):
        print(f"{stream}  {line}" if len(self.next_ns) > 1 else line, flush=True)

    def tell(self, name, fields):
        if name in ("warning", "info"):
            say(f"{name}: {fields['stream']}: {fields['text']}")
        elif name == "cliptag-event":
            self.event(fields)
        elif name == "cliptag":
            self.inference(fields)

    def event(self, fields):
        stream = fields.get("stream")
        self.next_ns.setdefault(stream, None)
        line = f"{clock(fields['pts'])}  {fields['state']:5s}  {fields['label']}"
        if fields["state"] == "end":
            line += f"  after {fields['duration'] / 1e9:.2f} s, peak {fields['peak']:.2f}"
        self.say(stream, line)

    def inference(self, fields):
        pts, stream = fields["pts"], fields.get("stream")
        next_ns = self.next_ns.setdefault(stream, None)
        # A jump back is a seek: restart.
        if next_ns is not None and next_ns - self.every_ns <= pts < next_ns:
            return
        self.next_ns[stream] = pts - pts % self.every_ns + self.every_ns
        self.say(stream, f"{clock(pts)}         {describe(fields['tags'], self.most)}")


def active_spans(inferences, label, frame_s):
    """When a tag was active, in seconds: [(from, to)], from the messages' fields in order."""
    spans = []
    for fields in inferences:
        time = fields["pts"] / 1e9
        if any(t["label"] == label and t["active"] for t in fields["tags"]):
            if spans and time - spans[-1][1] < frame_s / 2:
                spans[-1][1] = time + frame_s
            else:
                spans.append([time, time + frame_s])
    return [tuple(s) for s in spans]


def compare(inferences, truth):
    """Lines that compare tags with what was there."""
    frame_s = 1 / truth["fps"]
    labels = [thing["label"] for thing in truth["things"]]
    seen = {t["label"] for fields in inferences for t in fields["tags"] if t["active"]}
    yield f"{'':12s} {'in the picture':>16s}   tagged"
    for thing in truth["things"]:
        spans = active_spans(inferences, thing["label"], frame_s)
        tagged = ", ".join(f"{a:.2f}-{b:.2f} s" for a, b in spans) or "never"
        yield f"{thing['label']:12s} {thing['seen_from']:5.2f}-{thing['seen_to']:5.2f} s   {tagged}"
    for label in sorted(seen - set(labels)):
        spans = active_spans(inferences, label, frame_s)
        tagged = ", ".join(f"{a:.2f}-{b:.2f} s" for a, b in spans)
        yield f"{label:12s} {'never':>16s}   {tagged}"


KEPT = {"all": ("cliptag", "cliptag-event"), "looks": ("cliptag",), "events": ("cliptag-event",)}


def parse_arguments():
    parser = argparse.ArgumentParser(description="Prints the tags in the output of gst-launch-1.0 -m.")
    parser.add_argument("--json", metavar="FILE", help="append one JSON object a line to FILE")
    parser.add_argument("--what", choices=KEPT, default="all", help="of --json (all)")
    parser.add_argument("--rotate", type=size, default=0, metavar="SIZE",
                        help="of --json: FILE becomes FILE.1 at this size, such as 100M (0: never)")
    parser.add_argument("--keep", type=int, default=10, help="so many of them are kept (10)")
    parser.add_argument("--check", action="store_true", help="only check whether --json can be written")
    parser.add_argument("--count", action="store_true", help="print how many inferences there were, and no tags")
    parser.add_argument("--truth", metavar="FILE", help="compare with what make_scene.py wrote")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between lines")
    parser.add_argument("--most", type=int, default=3, help="tags a line")
    arguments = parser.parse_args()
    if not arguments.every > 0:
        parser.error("--every must be more than 0 seconds")
    if arguments.keep < 1:
        parser.error("--keep must be at least 1")
    return arguments


def print_tags(arguments, log, truth):
    """0, or 1 where printing failed."""
    code = 0
    printer, inferences, looks = Printer(arguments.every, arguments.most), [], 0
    printing = not arguments.count
    for name, fields in messages(decoded(sys.stdin.buffer)):
        if log and name in KEPT[arguments.what]:
            log.write(fields)
        looks += name == "cliptag"
        if truth and name == "cliptag":
            inferences.append(fields)
        try:
            if printing or name in ("warning", "info"):
                printer.tell(name, fields)
        except OSError as error:
            # Tags still go to the file.
            code |= stop_printing(error)
            printing = False
            if not log:
                return code
    try:
        if arguments.count:
            print(looks)
        if truth:
            print("\n" + "\n".join(compare(inferences, truth)))
        sys.stdout.flush()
    except OSError as error:
        code |= stop_printing(error)
    return code


def main():
    arguments = parse_arguments()
    # Ctrl-C is for gst-launch, which ends the stream and the file well; its last words come here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    open_streams()
    log = truth = None
    if arguments.truth:
        try:
            with open(arguments.truth, encoding="utf-8") as f:
                truth = json.load(f)
        except (OSError, ValueError) as error:
            say(f"print_tags: cannot read {arguments.truth}: {getattr(error, 'strerror', error)}")
            return 1
    if arguments.json:
        try:
            log = TagLog(arguments.json, arguments.rotate, arguments.keep)
        except OSError as error:
            say(f"print_tags: cannot write {arguments.json}: {error.strerror}")
            return 1
    if arguments.check:
        return 0
    return print_tags(arguments, log, truth) or (1 if log and log.lost else 0)


if __name__ == "__main__":
    sys.exit(main())
