"""A strict reader of Prometheus' text format 0.0.4, after its documentation and what promtool complains
about: every rule that a scraper or a linter holds a file to."""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL},)*{LABEL})\}})? (\S+)")
TYPES = ("counter", "gauge", "histogram", "summary", "untyped")


class FormatError(ValueError):
    pass


def number(text):
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|NaN|[+-]Inf", text):
        raise FormatError(f"{text!r} is no number")
    return float(text.replace("Inf", "inf"))


def unescape(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text)


def read(data):
    """{name: {"type", "help", "samples": {labels as a tuple of pairs: value}}} of a file's bytes."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise FormatError(f"not UTF-8: {e}") from e
    if text and not text.endswith("\n"):
        raise FormatError("the last line does not end")
    if "\r" in text:
        raise FormatError("a carriage return")
    metrics, current = {}, None
    for at, line in enumerate(text.split("\n")[:-1], 1):
        try:
            current = read_line(line, metrics, current)
        except FormatError as e:
            raise FormatError(f"line {at}: {e}") from None
    for name, metric in metrics.items():
        if not metric["samples"]:
            raise FormatError(f"{name} has no sample")
        if "type" not in metric:
            raise FormatError(f"{name} has no TYPE")
    return metrics


def read_line(line, metrics, current):
    """Takes one line in; the name of the metric that it is of."""
    if match := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
        name, text = match.groups()
        if name in metrics:
            raise FormatError(f"{name} begins a second time")
        if re.search(r"\\(?![\\n])", text):
            raise FormatError("a lonely backslash in a HELP")
        metrics[name] = {"help": text, "samples": {}}
        return name
    if match := re.fullmatch(rf"# TYPE ({NAME}) (\w+)", line):
        name, kind = match.groups()
        if name != current or "type" in metrics[name] or metrics[name]["samples"]:
            raise FormatError(f"TYPE of {name} is not right after its HELP")
        if kind not in TYPES:
            raise FormatError(f"{kind} is no type")
        if (kind == "counter") != name.endswith("_total"):
            raise FormatError(f"a counter, and nothing else, ends in _total: {name}")
        metrics[name]["type"] = kind
        return name
    if line.startswith("#") or not line.strip():
        raise FormatError(f"not understood: {line!r}")
    match = SAMPLE.fullmatch(line)
    if not match:
        raise FormatError(f"not a sample: {line!r}")
    name, value = match.group(1), number(match.groups()[-1])
    if name != current or "type" not in metrics[name]:
        raise FormatError(f"a sample of {name} outside of its group")
    pairs = re.findall(LABEL, match.group(2) or "")
    labels = tuple((key, unescape(text)) for key, text in pairs)
    if len({key for key, _ in labels}) != len(labels):
        raise FormatError("a label twice")
    for key in ("le", "quantile"):
        if key in dict(labels):
            raise FormatError(f"{key} is for histograms and summaries")
    if labels in metrics[name]["samples"]:
        raise FormatError(f"{name}{dict(labels)} twice")
    if metrics[name]["type"] == "counter" and not (value >= 0 and math.isfinite(value)):
        raise FormatError(f"a counter of {value}")
    metrics[name]["samples"][labels] = value
    return name
