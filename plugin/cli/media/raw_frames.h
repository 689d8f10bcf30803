// Synthetic raw video frames of any supported format, for benchmarks: gradients with noise, the
// same in every run. Thread safe once made.
#pragma once

#include <gst/video/video.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

class RawFrames {
 public:
  // `format`: GStreamer's name. Errors name a format that does not exist or is not supported.
  static Result<RawFrames> Make(const std::string& format, int width, int height, int count);

  std::span<const FrameView> views() const { return views_; }

 private:
  std::vector<std::shared_ptr<const void>> mapped_;
  std::vector<FrameView> views_;
};

// The same frames as plain memory, for a benchmark to wrap in buffers.
struct RawPictures {
  GstVideoInfo info;
  std::vector<std::vector<uint8_t>> bytes;  // one frame each, laid out as `info` says
};
Result<RawPictures> MakeRawPictures(const std::string& format, int width, int height, int count);

// Bytes of one such frame.
Result<size_t> RawFrameBytes(const std::string& format, int width, int height);

}  // namespace cliptag
