#include "plugin/engine/still_picture.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "plugin/engine/frame_parts.h"

namespace cliptag {
namespace {

constexpr int kAcross = 4;  // samples of a cell, in each direction: their noise averages out

float Sample(const FrameView& frame, int component, int x, int y) {
  const Component& c = frame.component[component];
  const uint8_t* at = c.data + y * c.row_stride + static_cast<ptrdiff_t>(x) * c.pixel_stride;
  if (frame.bytes_per_sample == 1) return static_cast<float>(*at);
  uint16_t word;
  std::memcpy(&word, at, sizeof word);
  return static_cast<float>(word >> frame.shift);
}

float Brightness(const FrameView& frame, int x, int y) {
  if (frame.kind != PixelKind::kRgb) return Sample(frame, 0, x, y);
  return 0.25f * (Sample(frame, 0, x, y) + Sample(frame, 2, x, y)) + 0.5f * Sample(frame, 1, x, y);
}

// Sample `index` of `count` that are spread over `length` pixels from `first` on.
int Spread(int first, int length, int index, int count) {
  return first + static_cast<int>((int64_t{2} * index + 1) * length / (int64_t{2} * count));
}

}  // namespace

Thumbnail ThumbnailOf(const FrameView& frame) {
  const Rect area = AreaOf(frame);
  const float scale =
      1.0f / (kAcross * kAcross * static_cast<float>((1 << std::max(1, frame.bits)) - 1));
  Thumbnail thumbnail;
  for (int sy = 0; sy < Thumbnail::kRows * kAcross; ++sy) {
    const int y = Spread(area.y, area.height, sy, Thumbnail::kRows * kAcross);
    float* const row = thumbnail.cells.data() + sy / kAcross * Thumbnail::kColumns;
    for (int sx = 0; sx < Thumbnail::kColumns * kAcross; ++sx) {
      const int x = Spread(area.x, area.width, sx, Thumbnail::kColumns * kAcross);
      row[sx / kAcross] += Brightness(frame, x, y) * scale;
    }
  }
  return thumbnail;
}

double Difference(const Thumbnail& a, const Thumbnail& b) {
  double sum = 0;
  for (size_t i = 0; i < a.cells.size(); ++i) sum += std::abs(a.cells[i] - b.cells[i]);
  return sum / a.cells.size();
}

bool StillPicture::Check(const FrameView& frame, double threshold) {
  const Thumbnail now = ThumbnailOf(frame);
  if (known_ && Difference(now, last_) < threshold) return true;
  last_ = now;
  known_ = true;
  return false;
}

}  // namespace cliptag
