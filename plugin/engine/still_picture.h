// Whether a picture shows what the last one showed, judged by a thumbnail of its brightness.
//
// Cost: some ten thousand samples of the frame, whatever its size. Thread safety: one thread at a
// time.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/frame.h"

namespace cliptag {

// Mean brightness in a grid of cells, 0..1.
struct Thumbnail {
  static constexpr int kColumns = 32, kRows = 18;
  std::array<float, size_t{kColumns} * kRows> cells{};
};

// Of the part of the frame that is used, whose samples must be in host memory. Frames in RGB
// are taken by (R + 2 G + B) / 4.
Thumbnail ThumbnailOf(const FrameView& frame);

// The mean absolute difference of two, 0..1.
double Difference(const Thumbnail& a, const Thumbnail& b);

class StillPicture {
 public:
  // True if the frame differs from the one that was last kept by less than `threshold`. Else, and
  // the first time, it is kept.
  bool Check(const FrameView& frame, double threshold);
  void Forget() { known_ = false; }

 private:
  bool known_ = false;
  Thumbnail last_;
};

}  // namespace cliptag
