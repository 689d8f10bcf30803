// The work of `cliptagkeyframes`: decides which buffers pass; sends gaps for dropped ones and keeps
// their parameter sets.
//
// Owned by the element; owns no GStreamer objects. Chain() and SinkEvent() are for the sink pad's
// streaming thread, Reset() for when that is stopped; any thread may use the maximum rate and the
// statistics at any time.
#pragma once

#include <gst/gst.h>

#include <mutex>
#include <optional>
#include <vector>

#include "plugin/elements/keyframes/gap_tracker.h"
#include "plugin/elements/keyframes/parameter_sets.h"
#include "plugin/elements/keyframes/parser.h"
#include "plugin/elements/keyframes/watch.h"
#include "plugin/gst/gst_ptr.h"
#include "plugin/gst/rate_schedule.h"

namespace cliptag {

class KeyframeStream {
 public:
  // Both outlive this and are not owned.
  KeyframeStream(GstElement* element, GstPad* src_pad) : element_(element), src_pad_(src_pad) {}

  GstFlowReturn Chain(GstBuffer* buffer);
  // Handles an event of the sink pad and forwards it.
  bool SinkEvent(GstEvent* event);
  // For caps that the sink pad refuses: an element error, once per stream.
  void Refuse(const GstCaps* caps);
  void Reset();

  void SetMaxRate(Rate rate);
  Rate max_rate() const;
  GstStructure* Stats() const;

 private:
  enum class Fate { kKeep, kDrop, kHeaders };
  struct Decision {
    Fate fate = Fate::kDrop;
    bool keyframe = false;
    bool intra = false;            // as in Picture
    std::vector<uint8_t> headers;  // to be inserted at headers_at
    size_t headers_at = 0;
  };

  struct Counts {
    guint64 frames_in = 0, keyframes = 0, passed = 0, dropped = 0;
  };

  Decision Decide(GstBuffer* buffer);
  void Count(const Decision& decision);
  bool IsDue(const GstBuffer* buffer);
  BufferPtr Prepare(BufferPtr buffer, const Decision& decision);
  BufferPtr WithHeaders(BufferPtr buffer, size_t at, const std::vector<uint8_t>& headers);
  void WarnOnce(const char* what);
  void Watch(const GstBuffer* buffer, const Decision& decision);
  void PushGap(const std::optional<Gap>& gap);
  EventPtr Note(EventPtr event);
  EventPtr WithKeyUnitsFlag(EventPtr event) const;
  void SetCaps(GstCaps* caps);
  void Forget();

  GstElement* const element_;
  GstPad* const src_pad_;

  mutable std::mutex mutex_;
  Rate max_rate_;  // this and counts_: guarded by mutex_
  Counts counts_;

  // Only taken under the sink pad's stream lock, for ThreadSanitizer, which does not see GLib's
  // locks.
  std::mutex stream_mutex_;
  bool have_caps_ = false;  // this and all up to warned_: guarded by stream_mutex_
  VideoCodec codec_ = VideoCodec::kH264;
  NalFraming framing_ = NalFraming::kNone;
  std::vector<uint8_t> codec_data_;
  KeyframeParser parser_;
  std::vector<ParameterSet> sets_;  // of the current buffer
  ParameterSets memory_;
  GstSegment segment_{};
  RateSchedule schedule_;
  GapTracker gaps_;
  KeyframeWatch watch_;
  bool dropped_since_ = false;  // the next keyframe is a discontinuity
  bool refused_ = false;
  bool warned_ = false;
};

}  // namespace cliptag
