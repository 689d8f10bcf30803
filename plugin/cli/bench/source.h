// A source for benchmarks: pushes pictures that are prepared, as a camera would or as fast as they
// are taken.
//
// A frame costs a GstBuffer and a GstMemory around bytes that all sources share, so that what is
// measured is not the making of frames. Its flag GST_BUFFER_FLAG_MARKER says that the frame counts.
//
// Ownership: the maker of a source keeps its feed, and the feed's pictures and window, until the
// source is gone and so are its buffers. Thread safety: the feed's counts and the window may be
// read and set from any thread.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <mutex>

#include "plugin/cli/media/raw_frames.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {

// What is measured, in running time; the streams end with it.
class BenchWindow {
 public:
  void Set(guint64 begin_ns, guint64 end_ns) {
    begin_ns_ = begin_ns;
    end_ns_ = end_ns;
  }
  bool Holds(guint64 time_ns) const { return time_ns >= begin_ns_ && time_ns < end_ns_; }
  bool Ends(guint64 time_ns) const { return time_ns >= end_ns_; }

 private:
  std::atomic<guint64> begin_ns_{GST_CLOCK_TIME_NONE}, end_ns_{GST_CLOCK_TIME_NONE};
};

// A call that works for a stream: GLib orders it with all others that it has to be ordered with.
// One address stands for all streams, since calls come before a stream is set up, too.
class BenchTurn : public GlibTurn {
 public:
  BenchTurn() : GlibTurn(&kOrder) { GlibRelease(&kOrder); }

 private:
  static constexpr char kOrder = 0;
};

struct BenchFeed {
  // Fixed once the source runs.
  const RawPictures* pictures = nullptr;
  const BenchWindow* window = nullptr;
  size_t first_picture = 0;
  int fps_n = 25, fps_d = 1;
  bool live = true;           // at its frames' time, and none that has passed by then
  guint64 first_frame = 0;    // live: nothing before it
  guint64 phase_ns = 0;       // live: of every frame, against a whole number of periods
  bool broken = false;        // half of what the caps promise
  bool never_counts = false;  // no frame is marked

  std::atomic<guint64> counted{0};  // frames that are marked
  std::atomic<guint64> pushed{0};   // all of them

  // The source's own; here, since a lock of GStreamer's objects is none to ThreadSanitizer.
  std::atomic<guint64> next_frame{0};
  std::mutex mutex;
  // Guarded by mutex.
  GstClockID waits_for = nullptr;
  bool unlocked = false;
};

// A floating reference.
GstElement* MakeBenchSource(BenchFeed* feed);

}  // namespace cliptag
