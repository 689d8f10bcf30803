#!/usr/bin/env python3
"""Watches cameras without end, all in one process and with one model: what camera.sh, mosaic.sh and split.sh run.

    watch.py [OPTIONS] [--mosaic ELEMENTS...] --camera NAME ADDRESS ELEMENTS... [--camera ...]

Each camera has a pipeline of its own, ELEMENTS as gst-launch takes them with a `cliptag` among them: one that
cannot be reached, breaks off or falls silent is reported and restarted after growing pauses; the others go on.
Tags are printed, and appended to a file as print_tags.py does, with times that go on over such breaks and the number
of the pipeline as `run`. An ADDRESS that begins with "once:" is not restarted when it ends without an error. --mosaic
is one more pipeline, which is never restarted: when it ends, everything ends.
"""
import argparse
import concurrent.futures
import os
import signal
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

from print_tags import KEPT, Printer, StructureParser  # noqa: E402
from tag_log import TagLog, Times, open_streams, say, size, stop_printing  # noqa: E402

LONG_S = 60  # a pipeline that ran so long counts as working: the pauses start again
ENOUGH_MS = 2000  # for the ends of tags to be posted
START_S = 120  # for a model to be loaded
STOP_S = 5


class Camera:
    def __init__(self, watch, name, address, elements):
        self.watch, self.name, self.elements = watch, name, elements
        self.once = address.startswith("once:")
        self.address = address.removeprefix("once:")
        self.options = watch.options
        self.pause, self.tries, self.times = self.options.retry[0], 0, Times()
        self.pipeline = self.tag = self.bus = None
        self.active = 0  # tags
        # Changes states, which may block on a device or a disk; other cameras do not wait for it.
        self.worker = concurrent.futures.ThreadPoolExecutor(1)

    def begin(self):
        """A callback of the main loop, called once."""
        self.tries += 1
        self.times.begin()
        self.pipeline = Gst.parse_launchv(self.elements)
        # One name for all its pipelines, in the metrics too.
        self.pipeline.set_property("name", self.name)
        self.tag = next((e for e in elements_of(self.pipeline) if factory_of(e) == "cliptag"), None)
        self.bus = self.pipeline.get_bus()
        self.bus.add_signal_watch()
        self.bus.connect("message", lambda _, message: self.on_message(message))
        self.begun = time.monotonic()
        self.frames, self.frame_at = 0, self.begun + START_S
        self.worker.submit(self.play, self.pipeline)
        return GLib.SOURCE_REMOVE

    def play(self, pipeline):
        pipeline.set_state(Gst.State.PLAYING)  # errors come on the bus
        self.frame_at = time.monotonic()

    def on_message(self, message):
        if self.pipeline is None:
            return
        kind, source = message.type, message.src.get_name() if message.src else ""
        if kind == Gst.MessageType.ELEMENT:
            self.on_structure(message.get_structure())
        elif kind == Gst.MessageType.WARNING:
            self.watch.tell("warning", {"stream": source, "text": message.parse_warning()[0].message})
        elif kind == Gst.MessageType.INFO:
            self.watch.tell("info", {"stream": source, "text": message.parse_info()[0].message})
        elif kind == Gst.MessageType.LATENCY:
            self.pipeline.recalculate_latency()
        elif kind == Gst.MessageType.EOS:
            self.end("the stream ended", well=True)
        elif kind == Gst.MessageType.ERROR:
            text = message.parse_error()[0].message
            if factory_of(message.src) == "cliptag":
                # A wrong model or wrong prompts: a restart would not help.
                self.watch.fail(f"{self.name}: {text}")
            else:
                self.end(text)

    def on_structure(self, structure):
        name = structure.get_name() if structure else ""
        if name not in ("cliptag", "cliptag-event"):
            return
        _, fields = StructureParser(structure.to_string()).parse()
        if name == "cliptag-event":
            self.active += 1 if fields["state"] == "start" else -1
        self.watch.tell(name, self.times.moved({**fields, "stream": self.name}))

    def look_after(self):
        """Called twice a second: restarts a camera that is silent."""
        if self.pipeline is None or self.tag is None or not self.options.silence:
            return
        now = time.monotonic()
        if now < self.frame_at:
            return
        frames = self.tag.get_property("stats").get_uint64("frames-in")[1]
        if frames != self.frames:
            self.frames, self.frame_at = frames, now
        elif now - self.frame_at > self.options.silence / 1000:
            self.end(f"no frame for {self.options.silence / 1000:g} s")

    def stop(self):
        """Stops the pipeline; waits a moment for the ends of active tags."""
        if self.pipeline is None:
            return
        self.bus.remove_signal_watch()
        if self.active > 0:
            self.tag.get_static_pad("sink").send_event(Gst.Event.new_eos())
        until = time.monotonic() + ENOUGH_MS / 1000
        while self.active > 0 and time.monotonic() < until:
            message = self.bus.timed_pop_filtered(ENOUGH_MS * Gst.MSECOND // 20, Gst.MessageType.ELEMENT)
            if message:
                self.on_structure(message.get_structure())
        self.worker.submit(self.pipeline.set_state, Gst.State.NULL)
        self.pipeline = self.tag = self.bus = None
        self.active = 0

    def end(self, why, well=False):
        ran, why = time.monotonic() - self.begun, why.rstrip(".")
        self.stop()
        if (self.once and well) or self.tries == self.options.tries:
            # No start is left.
            if not well:
                self.watch.say(f"{self.address} broke off after {ran:.0f} s: {why}")
            self.watch.done(self)
            return
        if ran >= LONG_S:
            self.pause = self.options.retry[0]
        self.watch.say(f"{self.address} broke off after {ran:.0f} s: {why}; again in {self.pause:g} s")
        GLib.timeout_add(round(self.pause * 1000), self.begin)
        self.pause = min(2 * self.pause, self.options.retry[1])


def factory_of(element):
    factory = element.get_factory() if isinstance(element, Gst.Element) else None
    return factory.get_name() if factory else ""


def elements_of(pipeline):
    iterator = pipeline.iterate_recurse() if isinstance(pipeline, Gst.Bin) else None
    while iterator:
        result, element = iterator.next()
        if result != Gst.IteratorResult.OK:
            return
        yield element


class Watch:
    def __init__(self, options, log, mosaic, cameras):
        self.options, self.log, self.code = options, log, 0
        self.printer = Printer(1.0, 3)
        self.printing = not options.quiet
        self.loop = GLib.MainLoop()
        self.mosaic = Gst.parse_launchv(mosaic) if mosaic else None
        self.cameras = [Camera(self, *camera) for camera in cameras]
        self.left = set(self.cameras)

    def say(self, text):
        say(f"{self.options.name}: {text}")

    def tell(self, name, fields):
        if self.log and name in KEPT["all"]:
            self.log.write(fields)
        try:
            if self.printing or name in ("warning", "info"):
                self.printer.tell(name, fields)
        except OSError as error:
            # Tags still go to the file.
            if stop_printing(error, self.options.name):
                self.code = 1
            self.printing = False
            if not self.log and not self.mosaic:
                self.loop.quit()

    def fail(self, text):
        self.say(text)
        self.code = 1
        self.loop.quit()

    def done(self, camera):
        self.left.discard(camera)
        if not self.left:
            self.end()

    def end(self):
        if not self.mosaic or not self.mosaic.send_event(Gst.Event.new_eos()):
            self.loop.quit()
            return GLib.SOURCE_REMOVE
        # Time for its file to be finished.
        GLib.timeout_add(5000, self.loop.quit)
        return GLib.SOURCE_REMOVE

    def on_mosaic(self, message):
        if message.type == Gst.MessageType.ERROR:
            self.fail(message.parse_error()[0].message)
        elif message.type == Gst.MessageType.EOS:
            self.loop.quit()
        elif message.type == Gst.MessageType.LATENCY:
            self.mosaic.recalculate_latency()

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.end())
        if self.mosaic:
            self.mosaic.get_bus().add_signal_watch()
            self.mosaic.get_bus().connect("message", lambda _, message: self.on_mosaic(message))
            self.mosaic.set_state(Gst.State.PLAYING)
        for camera in self.cameras:
            GLib.idle_add(camera.begin)
        GLib.timeout_add(500, lambda: [c.look_after() for c in self.cameras] is not None)
        self.loop.run()
        until = time.monotonic() + STOP_S
        for camera in self.cameras:
            camera.stop()
        for camera in self.cameras:
            concurrent.futures.wait([camera.worker.submit(int)], max(0, until - time.monotonic()))
        if self.mosaic:
            self.mosaic.set_state(Gst.State.NULL)
        return 1 if self.code or (self.log and self.log.lost) else 0


def retry(text):
    first, longest = (float(part) for part in text.split())
    if not 0 < first <= longest:
        raise ValueError
    return first, longest


def parse_arguments(arguments):
    """Options, the mosaic's elements, and (name, address, elements) of each camera."""
    parts = [[]]
    for argument in arguments:
        if argument in ("--mosaic", "--camera"):
            parts.append([])
        parts[-1].append(argument)
    parser = argparse.ArgumentParser(description="Watches cameras without end.", usage=__doc__.split("\n")[2].strip())
    parser.add_argument("--name", default="watch", help="in front of messages")
    parser.add_argument("--json", metavar="FILE", help="this and the next two: as in print_tags.py")
    parser.add_argument("--rotate", type=size, default=0, metavar="SIZE")
    parser.add_argument("--keep", type=int, default=10)
    parser.add_argument("--quiet", action="store_true", help="print no tags")
    parser.add_argument("--retry", type=retry, default=(1, 60), help="first and longest pause, in seconds")
    parser.add_argument("--silence", type=int, default=10000, help="ms without a frame before a restart; 0: never")
    parser.add_argument("--tries", type=int, default=0, help="most starts of a camera; 0: no limit")
    options = parser.parse_args(parts[0])
    mosaic = next((part[1:] for part in parts if part[:1] == ["--mosaic"]), None)
    cameras = [(part[1], part[2], part[3:]) for part in parts if part[:1] == ["--camera"] and len(part) > 3]
    if not cameras or options.keep < 1:
        parser.error("name a --camera or more, and --keep at least 1")
    return options, mosaic, cameras


def main():
    options, mosaic, cameras = parse_arguments(sys.argv[1:])
    open_streams()
    log = None
    if options.json:
        try:
            log = TagLog(options.json, options.rotate, options.keep, options.name)
        except OSError as error:
            say(f"{options.name}: cannot write {options.json}: {error.strerror}")
            return 1
    Gst.init(None)
    try:
        for _, _, elements in cameras:
            Gst.parse_launchv(elements)  # a line that is wrong is an error before anything runs
        code = Watch(options, log, mosaic, cameras).run()
    except GLib.Error as error:
        say(f"{options.name}: {error.message}")
        return 1
    return code


if __name__ == "__main__":
    result = main()
    try:
        sys.stdout.flush()
    except OSError:
        pass
    # Without the exit handlers of libraries: a plugin that hangs in one would keep the process.
    os._exit(result)
