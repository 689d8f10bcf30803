#include "plugin/elements/cliptag/input/frame_reader.h"

#include <utility>

#include "plugin/elements/cliptag/input/memory_caps.h"
#include "plugin/elements/cliptag/input/upstream_direction.h"
#include "plugin/gst/frame_view.h"

namespace cliptag {
namespace {

constexpr int kAssumedRate = 25;  // frames a second, where neither timestamps nor caps say

}  // namespace

void FrameReader::Forget() {
  gst_video_info_init(&info_);
  has_caps_ = false;
  ForgetTags();
}

void FrameReader::ForgetTags() {
  stream_orientation_.reset();
  global_orientation_.reset();
}

FrameReader::Caps FrameReader::TakeCaps(GstEvent* event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  const int width = has_caps_ ? info_.width : 0, height = has_caps_ ? info_.height : 0;
  has_caps_ = ReadVideoInfo(caps, &info_);
  if (!has_caps_) return Caps::kRefused;
  in_cuda_memory_ = IsInCudaMemory(caps);
  const bool other = width > 0 && (width != info_.width || height != info_.height);
  return other ? Caps::kOtherSize : Caps::kSameSize;
}

void FrameReader::TakeTags(GstEvent* event) {
  GstTagList* tags = nullptr;
  gst_event_parse_tag(event, &tags);
  gchar* value = nullptr;
  if (!gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &value)) return;
  const bool of_stream = gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_STREAM;
  (of_stream ? stream_orientation_ : global_orientation_) = ParseOrientation(value);
  g_free(value);
}

Orientation FrameReader::TaggedOrientation() const {
  // The stream's own tag wins over the container's, as in videoflip.
  const Orientation tagged =
      stream_orientation_.value_or(global_orientation_.value_or(Orientation::kRotate0));
  // Asked for every frame that has a tag: a videoflip may change without an event to this pad.
  return IsTurnedUpstream(sink_pad_, tagged) ? Orientation::kRotate0 : tagged;
}

guint64 FrameReader::DurationOf(const GstBuffer* buffer) const {
  if (GST_BUFFER_DURATION_IS_VALID(buffer)) return GST_BUFFER_DURATION(buffer);
  const bool known = GST_VIDEO_INFO_FPS_N(&info_) > 0 && GST_VIDEO_INFO_FPS_D(&info_) > 0;
  return gst_util_uint64_scale(
      GST_SECOND, static_cast<guint64>(known ? GST_VIDEO_INFO_FPS_D(&info_) : 1),
      static_cast<guint64>(known ? GST_VIDEO_INFO_FPS_N(&info_) : kAssumedRate));
}

Status FrameReader::Read(BufferPtr buffer, const std::optional<Orientation>& orientation,
                         HeldFrame* held) {
  GstVideoInfo info = info_;
  GstMapFlags flags = GST_MAP_READ;
  if (in_cuda_memory_) {
    if (Status status = cuda_->Prepare(buffer.get(), &info, &flags); !status.ok()) {
      held->Hold(std::move(buffer));
      return status;
    }
  }
  if (!held->Map(std::move(buffer), info, flags)) {
    return InvalidArgument("The frame does not hold what its caps promise, or cannot be mapped.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(
      held->view, MakeFrameView(held->frame(), orientation ? *orientation : TaggedOrientation()));
  return in_cuda_memory_ ? CudaFrames::Finish(held->frame(), &held->view) : Status();
}

}  // namespace cliptag
