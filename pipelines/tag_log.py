#!/usr/bin/env python3
"""Tags on disk, for print_tags.py and watch.py: appended lines, and messages on stderr."""
import argparse
import datetime
import json
import os
import re
import stat
import sys
import time

NO_TIME = 2 ** 64 - 1  # GST_CLOCK_TIME_NONE: a frame without a time
SECRETS = [(re.compile(r"([a-z][a-z0-9+.-]*://)[^\s\"']*@", re.I), r"\1***@"),
           (re.compile(r"((?:pass(?:word|wd|phrase)?|pwd?|token|secret|auth|key)=)[^&\s\"']*", re.I), r"\1***")]


def without_secrets(text):
    """Without the passwords in addresses: rtsp://user:password@camera, ?password=..."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def say(text):
    try:
        print(without_secrets(text), file=sys.stderr, flush=True)
    except OSError:
        pass


class TagLog:
    """Appends JSON objects to a file, a line each, at once and whole. From `rotate`
    bytes on it becomes FILE.1, and FILE.1 FILE.2, of which `keep` are kept. A file that was moved away (by
    logrotate) is created again. A failure is reported when it begins and when it ends."""

    def __init__(self, path, rotate=0, keep=10, who="print_tags"):
        self.path, self.rotate, self.keep, self.who = path, rotate, keep, who
        self.lost = self.lost_now = 0
        self.fd = None
        self.open()  # OSError: the caller reports it

    def open(self):
        # Non-blocking: a pipe without a reader is an error, not a wait.
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        os.set_blocking(fd, True)
        self.fd, self.regular = fd, stat.S_ISREG(os.fstat(fd).st_mode)
        if self.regular and os.fstat(fd).st_size and self.is_cut():
            os.write(fd, b"\n")  # after a process that was killed within a line

    def is_cut(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:
            return False

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def write(self, fields):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now.replace("+00:00", "Z"), **fields}, ensure_ascii=False) + "\n"
        try:
            self.append(line.encode("utf-8", errors="replace"))
        except OSError as error:
            self.lost += 1
            self.lost_now += 1
            if self.lost_now == 1:
                say(f"{self.who}: cannot write {self.path}: {error.strerror}. Tags are not kept; every next line "
                    "tries again.")
            return
        if self.lost_now:
            say(f"{self.who}: {self.path} is written again; {self.lost_now} lines were lost")
            self.lost_now = 0

    def append(self, line):
        if self.fd is not None and self.regular and self.was_moved():
            self.close()
        if self.fd is None:
            self.open()
        size = os.fstat(self.fd).st_size if self.regular else 0
        if self.rotate and size and size + len(line) > self.rotate:
            self.turn()
            size = 0
        try:
            done = 0
            while done < len(line):
                done += os.write(self.fd, line[done:])
        except OSError:
            if self.regular:
                os.ftruncate(self.fd, size)  # no half line
            raise

    def was_moved(self):
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(self.fd))
        except FileNotFoundError:
            return True

    def turn(self):
        for number in range(self.keep - 1, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")
        self.close()
        self.open()


class Times:
    """Times of one camera that go on when its pipeline is restarted: each counts from 0, so those after the first
    are moved by the clock. `run` counts the pipelines."""

    def __init__(self):
        self.run = 0
        self.first = None  # (clock, pts) of the first message
        self.offset = None  # in this run
        self.last = 0

    def begin(self):
        self.run += 1
        self.offset = None

    def moved(self, fields):
        fields = {**fields, "run": self.run}
        pts = fields.get("pts", NO_TIME)
        if pts == NO_TIME:
            return fields
        if self.offset is None:
            now = time.monotonic_ns()
            self.first = self.first or (now, pts)
            self.offset = 0 if self.run == 1 else max(self.first[1] + now - self.first[0], self.last) - pts
        for field in ("pts", "stream-time"):
            if fields.get(field, NO_TIME) != NO_TIME:
                fields[field] += self.offset
        self.last = max(fields["pts"], self.last)
        return fields


def open_streams():
    """UTF-8 on all three standard streams. A closed one becomes /dev/null: no file opened later takes its number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")


def stop_printing(error, who="print_tags"):
    """After a failed print: the reader has gone, or the disk is full, which is reported. Redirects stdout to
    /dev/null, so that Python does not complain at exit. True if it counts as a failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return False
    say(f"{who}: cannot print: {error.strerror}")
    return True


def size(text):
    match = re.fullmatch(r"(\d+)([kKMG]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is no size; say 100M")
    return int(match[1]) * {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}[match[2]]
