// A video frame or picture as the kernels see it: three components, each with its own address,
// strides and subsampling, and the colour space. One description covers packed, planar and
// semi-planar formats alike (RGB/BGR/RGBx/RGBA orders, GRAY8, I420/YV12, NV12/NV21, YUY2/UYVY,
// P010, …), so that no kernel depends on the name of a pixel format.
//
// A FrameView borrows: its creator keeps the pixels mapped until the call that takes it returns
// (or, for the engine, until the request's callback has run).
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>

namespace cliptag {

enum class PixelKind : uint8_t { kRgb, kYuv, kGray };
enum class YuvMatrix : uint8_t { kBt601, kBt709, kBt2020, kSmpte240m, kFcc };
// The transfer function. All SDR curves are used as they are; PQ and HLG of BT.2100 are tone-mapped
// (shared/tone_map.h).
enum class Transfer : uint8_t { kSdr, kPq, kHlg };
// Gamuts narrower than BT.2020 are used as they are.
enum class Primaries : uint8_t { kBt709, kBt2020 };

// How to turn the stored picture upright; the names are GStreamer's image-orientation values.
enum class Orientation : uint8_t {
  kRotate0,
  kRotate90,  // clockwise
  kRotate180,
  kRotate270,
  kFlipRotate0,  // mirrored left-right, then rotated clockwise
  kFlipRotate90,
  kFlipRotate180,
  kFlipRotate270,
};

struct Component {
  const uint8_t* data = nullptr;  // sample (0, 0) of the whole frame, before the crop
  ptrdiff_t row_stride = 0;       // bytes; may be negative
  int pixel_stride = 0;           // bytes between neighbouring samples of this component
};

struct Rect {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Rect&) const = default;
};

enum class FrameMemory : uint8_t { kHost, kCuda };

// Pixel aspect ratio, width : height (anamorphic video).
struct PixelAspect {
  static constexpr int kMost = 65535;  // of either number: 16 bits, as in H.264 and H.265
  int width = 1, height = 1;
  bool operator==(const PixelAspect&) const = default;
};

// In lowest terms, and within kMost. Numbers that are not positive give square pixels.
constexpr PixelAspect MakePixelAspect(int width, int height) {
  if (width <= 0 || height <= 0) return {};
  const int divisor = std::gcd(width, height);
  PixelAspect aspect{width / divisor, height / divisor};
  while (aspect.width > PixelAspect::kMost || aspect.height > PixelAspect::kMost) {
    aspect = {aspect.width / 2 > 0 ? aspect.width / 2 : 1,
              aspect.height / 2 > 0 ? aspect.height / 2 : 1};
  }
  return aspect;
}

struct FrameView {
  PixelKind kind = PixelKind::kRgb;
  int width = 0, height = 0;                   // pixels of the whole frame
  Component component[3];                      // R, G, B or Y, U, V; kGray uses the first alone
  int bytes_per_sample = 1;                    // 1, or 2 (little endian)
  int bits = 8;                                // significant bits of a sample
  int shift = 0;                               // sample value = word >> shift (P010: 6)
  int chroma_shift_x = 0, chroma_shift_y = 0;  // log2 of the subsampling of components 1 and 2
  // Chroma samples lie on even luma columns (rows) when cosited, between them otherwise.
  bool chroma_cosited_x = true, chroma_cosited_y = false;
  YuvMatrix matrix = YuvMatrix::kBt601;
  Transfer transfer = Transfer::kSdr;
  Primaries primaries = Primaries::kBt709;
  bool full_range = true;  // also for kGray and (rarely) RGB: false = 16..235 at 8 bits
  PixelAspect pixel;       // as stored, before the orientation
  Rect crop;               // the part that is used; the whole frame when width is 0
  Orientation orientation = Orientation::kRotate0;
  FrameMemory memory = FrameMemory::kHost;  // kCuda: only the CUDA backend of that device reads it
  // kCuda: the CUDA stream that writes the samples. Preprocessing waits for its work so far, and
  // its later work waits for preprocessing. Null: the samples are complete and stay unchanged until
  // the embeddings are there.
  void* cuda_stream = nullptr;
};

// Component order of 8-bit packed RGB pictures in memory.
enum class RgbOrder : uint8_t { kRgb, kBgr, kRgbx, kBgrx, kXrgb, kXbgr };

// A view of a packed 8-bit RGB picture. Alpha is ignored, as by PIL's convert("RGB").
inline FrameView RgbView(const uint8_t* data, ptrdiff_t row_stride, int width, int height,
                         RgbOrder order) {
  constexpr int kOffsets[][4] = {{0, 1, 2, 3}, {2, 1, 0, 3}, {0, 1, 2, 4},
                                 {2, 1, 0, 4}, {1, 2, 3, 4}, {3, 2, 1, 4}};  // R, G, B, bytes
  const int* o = kOffsets[static_cast<int>(order)];
  FrameView view;
  view.width = width;
  view.height = height;
  for (int i = 0; i < 3; ++i) view.component[i] = {data + o[i], row_stride, o[3]};
  return view;
}

// How a picture becomes the model's square input.
enum class Fit : uint8_t {
  kModel,      // as the model's files say; replaced by one of the others before a kernel sees it
  kCrop,       // shortest edge to the size, then the centre
  kSquash,     // both edges to the size
  kLetterbox,  // longest edge to the size, the rest filled
};
enum class Interpolation : uint8_t { kBicubic, kBilinear };

// The input that the model expects.
struct PreprocessSpec {
  int size = 224;  // pixels, square
  // Pixels, square. The last size % patch rows and columns are unused.
  int patch = 32;
  Fit fit = Fit::kCrop;
  Interpolation interpolation = Interpolation::kBicubic;
  float mean[3] = {0, 0, 0};  // of R, G, B in 0..1
  float std[3] = {1, 1, 1};   // divided by
  float fill[3] = {0, 0, 0};  // of letterbox bars, R, G, B in 0..1 before normalisation
};

}  // namespace cliptag
