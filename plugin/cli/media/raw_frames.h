// Made-up raw video frames of any supported format, for benchmarks: smooth shapes with noise on
// top, the same ones every time. Thread safe once made.
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
  // `format`: GStreamer's name. Errors name a format that is none, or none of ours.
  static Result<RawFrames> Make(const std::string& format, int width, int height, int count);

  std::span<const FrameView> views() const { return views_; }

 private:
  std::vector<std::shared_ptr<const void>> mapped_;
  std::vector<FrameView> views_;
};

// The same pictures as plain memory, for buffers that a benchmark wraps around it.
struct RawPictures {
  GstVideoInfo info;
  std::vector<std::vector<uint8_t>> bytes;  // one frame each, laid out as `info` says
};
Result<RawPictures> MakeRawPictures(const std::string& format, int width, int height, int count);

// Bytes of one such frame.
Result<size_t> RawFrameBytes(const std::string& format, int width, int height);

}  // namespace cliptag
