// GStreamer's buffers as frames of the tool.
//
// Ownership: a MediaFrame keeps its buffer mapped. Thread safety: any thread.
#pragma once

#include <gst/video/video.h>

#include "kernels/base/status.h"
#include "kernels/frame.h"
#include "plugin/cli/media/media_reader.h"

namespace cliptag {

// Starts GStreamer at the first call; needed before anything else here.
Status InitGStreamer();

// Takes the buffer over. The frame has no time yet.
Result<MediaFrame> MapFrame(GstBuffer* buffer, const GstVideoInfo& info,
                            Orientation orientation = Orientation::kRotate0);

}  // namespace cliptag
