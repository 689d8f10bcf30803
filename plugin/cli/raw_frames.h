// Made-up raw video frames of any supported format, for benchmarks: smooth shapes with noise on
// top, the same ones every time. Thread safe once made.
#pragma once

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

// Bytes of one such frame.
Result<size_t> RawFrameBytes(const std::string& format, int width, int height);

}  // namespace cliptag
