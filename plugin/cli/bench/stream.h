// One of the streams that `cliptag bench --streams` runs: a pipeline of its own, with a source of
// prepared pictures, `cliptag` (or `identity`, to compare with), and a sink that looks at the
// clock.
//
// A pipeline each, rather than branches of one: a flushing seek, an error or a change of latency in
// one pipeline reaches all of its branches, and would count against streams that have no part in
// it. They share the clock, the base time, and within `cliptag` the engine.
//
// Ownership: a stream holds its pipeline, and keeps what it was given alive no longer than itself.
// Thread safety: made, started, stopped and destroyed by one thread; the counts come from the
// pipeline's threads and may be read at any time.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/base/status.h"
#include "plugin/cli/bench/measure.h"
#include "plugin/cli/bench/source.h"
#include "plugin/cli/options.h"

namespace cliptag {

// How a stream disturbs the others.
enum class Hostility { kNone, kStuckSink, kSeeks, kChangesPrompts, kBrokenFrames };

struct BenchStreamOptions {
  ModelOptions model;
  std::string mode = "live";      // of `cliptag`: live or exact
  std::string max_rate = "0/1";   // as the property
  int max_batch = 0;              // as the property
  bool identity = false;          // in place of `cliptag`
  const char* prompts = nullptr;  // as the property
  Hostility hostility = Hostility::kNone;
};

struct BenchStreamCounts {
  uint64_t frames = 0, late = 0;  // of the marked ones, those that came, and came late
  uint64_t looks = 0;             // within the window
  DurationCounts age;             // of the tags on marked frames
};

class BenchStream {
 public:
  static constexpr guint64 kLateNs = 10 * GST_MSECOND;

  // `feed` is filled in but for its counts; it and what it points to are kept by the caller.
  static Result<std::unique_ptr<BenchStream>> Make(const BenchStreamOptions& options,
                                                   BenchFeed* feed);
  ~BenchStream();  // as Stop()
  BenchStream(const BenchStream&) = delete;
  BenchStream& operator=(const BenchStream&) = delete;

  Status Start(GstClock* clock, guint64 base_time_ns);
  // Lets a sink go that is stuck.
  void Release();
  // Safe to call twice. Releases first.
  void Stop();

  GstElement* pipeline() const { return pipeline_; }
  GstElement* tagger() const { return tagger_; }  // `cliptag` or `identity`
  Hostility hostility() const { return options_.hostility; }
  const BenchFeed& feed() const { return *feed_; }

  bool ended() const { return ended_; }
  uint64_t looks() const { return looks_; }      // since the start
  uint64_t arrived() const { return arrived_; }  // frames since the start
  Status error() const;                          // the first that an element has posted
  BenchStreamCounts Counts() const;

 private:
  BenchStream(const BenchStreamOptions& options, BenchFeed* feed)
      : options_(options), feed_(feed) {}
  Status Build();
  void SetUpTagger();
  static GstPadProbeReturn OnBuffer(GstPad*, GstPadProbeInfo* info, gpointer self);
  static GstBusSyncReply OnMessage(GstBus*, GstMessage* message, gpointer self);
  void Count(GstBuffer* buffer);
  void CountLook(const GstStructure* look);
  void WaitForRelease();
  guint64 RunningTime() const;

  const BenchStreamOptions options_;
  BenchFeed* const feed_;
  GstElement* pipeline_ = nullptr;
  GstElement* tagger_ = nullptr;  // the pipeline's
  GstClock* clock_ = nullptr;     // borrowed, from Start() to Stop()
  guint64 base_time_ns_ = 0;

  std::atomic<bool> ended_{false};
  std::atomic<uint64_t> looks_{0}, arrived_{0};
  mutable std::mutex mutex_;
  std::condition_variable release_;
  // Guarded by mutex_.
  BenchStreamCounts counts_;
  Status error_;
  bool released_ = false;
};

// The plugin's elements are there: found by GStreamer, or built beside this program.
Status FindCliptagElement();

}  // namespace cliptag
