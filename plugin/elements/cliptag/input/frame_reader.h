// From buffers to frames that the engine can read: caps, orientation, mapping.
//
// Thread safety: belongs to the streaming thread.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <memory>
#include <optional>

#include "plugin/elements/cliptag/output/queue.h"
#include "plugin/elements/cuda/cuda_frames.h"

namespace cliptag {

class FrameReader {
 public:
  enum class Caps { kRefused, kSameSize, kOtherSize };

  FrameReader(GstPad* sink_pad, CudaFrames* cuda) : sink_pad_(sink_pad), cuda_(cuda) { Forget(); }

  Caps TakeCaps(GstEvent* event);
  void TakeTags(GstEvent* event);  // the orientation that the stream says it has
  void ForgetTags();
  void Forget();

  bool has_caps() const { return has_caps_; }
  guint64 DurationOf(const GstBuffer* buffer) const;
  // Maps the buffer where it lies and describes it in `held`, which has taken it in any case.
  // `orientation`: unset = by the stream's tag.
  Status Read(BufferPtr buffer, const std::optional<Orientation>& orientation, HeldFrame* held);

 private:
  Orientation TaggedOrientation() const;

  GstPad* const sink_pad_;
  CudaFrames* const cuda_;
  GstVideoInfo info_;
  bool has_caps_ = false;
  bool in_cuda_memory_ = false;  // as the caps say
  std::optional<Orientation> stream_orientation_, global_orientation_;
};

}  // namespace cliptag
