// Which source samples a target pixel is made of, and with which weights: PIL's antialiased
// resampling and open_clip's geometry as plain arithmetic, for host and device code alike. The
// picture is resized to (resized x, resized y), and the model takes a window of it; only that
// window is ever computed. Axes are independent: everything here is about one axis.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>

#include "kernels/frame.h"

// For device code too where nvcc compiles it.
#ifdef __CUDACC__
#define CLIPTAG_HD __host__ __device__
#else
#define CLIPTAG_HD
#endif

namespace cliptag {

// How the axes X, Y of the upright picture map to x, y of the stored one: with `swap` stored x runs
// along Y, else along X; with `flip_x` it runs backwards. Stored y likewise.
struct AxisMap {
  bool swap = false, flip_x = false, flip_y = false;
};

CLIPTAG_HD constexpr AxisMap MapAxes(Orientation orientation) {
  constexpr AxisMap kMaps[] = {
      {false, false, false}, {true, false, true},  // kRotate0, 90
      {false, true, true},   {true, true, false},  // kRotate180, 270
      {false, true, false},  {true, true, true},   // kFlipRotate0, 90
      {false, false, true},  {true, false, false}  // kFlipRotate180, 270
  };
  return kMaps[static_cast<int>(orientation)];
}

// As Python's round(): halves are rounded to even.
CLIPTAG_HD constexpr int64_t RoundHalfEven(double value) {
  auto floor = static_cast<int64_t>(value);
  if (static_cast<double>(floor) > value) --floor;
  const double rest = value - static_cast<double>(floor);
  return rest > 0.5 || (rest == 0.5 && floor % 2 != 0) ? floor + 1 : floor;
}

// One edge of the target.
struct FitAxis {
  int64_t resized = 0;     // length of the whole resized source edge, in pixels
  int64_t offset = 0;      // resized pixel at target pixel 0; negative if there is a bar
  int begin = 0, end = 0;  // target pixels inside the picture; the others are bars
};

struct FitGeometry {
  FitAxis x, y;
};

CLIPTAG_HD constexpr FitAxis CentreOf(int64_t resized, int size, int used) {
  FitAxis axis;
  axis.resized = resized;
  axis.offset = resized >= size ? RoundHalfEven(static_cast<double>(resized - size) / 2.0)
                                : -((size - resized) / 2);
  axis.begin = axis.offset < 0 ? static_cast<int>(-axis.offset) : 0;
  const int64_t last = resized - axis.offset;
  axis.end = last < used ? static_cast<int>(last) : used;
  return axis;
}

// The geometry of an upright picture with an aspect ratio of width : height; the first `used` <=
// size target pixels are computed. kCrop is torchvision's Resize(size) + CenterCrop (the long edge
// is truncated). kLetterbox is open_clip's ResizeKeepRatio(longest=1) + CenterCropOrPad, except
// that an edge keeps at least one pixel, where PIL raises an error.
CLIPTAG_HD constexpr FitGeometry FitPicture(int64_t width, int64_t height, int size, int used,
                                            Fit fit) {
  int64_t resized_x = size, resized_y = size;
  if (fit == Fit::kCrop) {
    if (width <= height) {
      resized_y = size * height / width;
    } else {
      resized_x = size * width / height;
    }
  } else if (fit == Fit::kLetterbox) {
    const double ratio_x = static_cast<double>(width) / size;
    const double ratio_y = static_cast<double>(height) / size;
    const double ratio = ratio_x > ratio_y ? ratio_x : ratio_y;
    resized_x = RoundHalfEven(static_cast<double>(width) / ratio);
    resized_y = RoundHalfEven(static_cast<double>(height) / ratio);
    if (resized_x < 1) resized_x = 1;
    if (resized_y < 1) resized_y = 1;
  }
  return {CentreOf(resized_x, size, used), CentreOf(resized_y, size, used)};
}

// The geometry of a stored crop, turned upright if `swap`. Its edges are scaled by the pixel aspect
// ratio, so that the same two passes make square pixels of any others.
CLIPTAG_HD constexpr FitGeometry FitCrop(int width, int height, PixelAspect pixel, bool swap,
                                         int size, int used, Fit fit) {
  const int64_t across = static_cast<int64_t>(width) * pixel.width;
  const int64_t down = static_cast<int64_t>(height) * pixel.height;
  return FitPicture(swap ? down : across, swap ? across : down, size, used, fit);
}

CLIPTAG_HD constexpr double FilterSupport(Interpolation interpolation) {
  return interpolation == Interpolation::kBicubic ? 2.0 : 1.0;
}

// Keys' cubic with a = -0.5, or the triangle.
CLIPTAG_HD constexpr double FilterWeight(Interpolation interpolation, double x) {
  constexpr double a = -0.5;
  if (x < 0.0) x = -x;
  if (interpolation == Interpolation::kBilinear) return x < 1.0 ? 1.0 - x : 0.0;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

// One component along one upright axis. Samples are counted from the crop's first one in upright
// direction; StoredIndex converts that to an index of the stored plane.
struct ResampleAxis {
  double scale = 1.0;  // source pixels per target pixel
  double step = 1.0;   // samples of this component per source pixel: 1, 1/2, …
  double phase = 0.0;  // added to a position counted in samples
  double filter_scale = 1.0;
  double support = 1.0;  // samples to either side
  int64_t offset = 0;    // FitAxis::offset
  int begin = 0, end = 0;
  int first = 0;    // stored index of the crop's first sample
  int samples = 1;  // of the crop
  bool flip = false;
  Interpolation interpolation = Interpolation::kBicubic;
};

// `start` and `extent`: the crop in pixels along the stored axis; `shift` and `cosited`: this
// component's subsampling along it (0 for luma, RGB and gray).
CLIPTAG_HD constexpr ResampleAxis MakeAxis(int start, int extent, int shift, bool cosited,
                                           bool flip, const FitAxis& fit,
                                           Interpolation interpolation) {
  ResampleAxis axis;
  const int group = 1 << shift;
  axis.scale = static_cast<double>(extent) / static_cast<double>(fit.resized);
  axis.step = 1.0 / group;
  axis.first = start >> shift;
  axis.samples =
      static_cast<int>((static_cast<int64_t>(start) + extent + group - 1) >> shift) - axis.first;
  // A sample's centre is that of the first pixel of its group if cosited, else that of the group.
  axis.phase = (cosited ? 0.5 - 0.5 * axis.step : 0.0) + (start - axis.first * group) * axis.step;
  if (flip) axis.phase = axis.samples - extent * axis.step - axis.phase;
  axis.filter_scale = axis.scale * axis.step;
  if (axis.filter_scale < 1.0) axis.filter_scale = 1.0;
  axis.support = FilterSupport(interpolation) * axis.filter_scale;
  axis.offset = fit.offset;
  axis.begin = fit.begin;
  axis.end = fit.end;
  axis.flip = flip;
  axis.interpolation = interpolation;
  return axis;
}

struct ResampleWindow {
  double centre = 0.0;
  int first = 0, count = 0;  // samples, upright, from the crop's first
};

// The samples under target pixel `target`, clipped to the crop as PIL clips to the picture.
CLIPTAG_HD constexpr ResampleWindow WindowAt(const ResampleAxis& axis, int target) {
  ResampleWindow window;
  const double resized = static_cast<double>(target + axis.offset) + 0.5;
  window.centre = resized * axis.scale * axis.step + axis.phase;
  int first = static_cast<int>(window.centre - axis.support + 0.5);
  int last = static_cast<int>(window.centre + axis.support + 0.5);
  if (first < 0) first = 0;
  if (last > axis.samples) last = axis.samples;
  window.first = first;
  window.count = last - first;
  return window;
}

// The weight of the window's sample i, not yet divided by the sum of the window's weights.
CLIPTAG_HD constexpr double RawWeight(const ResampleAxis& axis, const ResampleWindow& window,
                                      int i) {
  return FilterWeight(axis.interpolation,
                      (i + window.first - window.centre + 0.5) * (1.0 / axis.filter_scale));
}

CLIPTAG_HD constexpr double SumOfWeights(const ResampleAxis& axis, const ResampleWindow& window) {
  double sum = 0.0;
  for (int i = 0; i < window.count; ++i) sum += RawWeight(axis, window, i);
  return sum;
}

CLIPTAG_HD constexpr int StoredIndex(const ResampleAxis& axis, int sample) {
  return axis.first + (axis.flip ? axis.samples - 1 - sample : sample);
}

// 8-bit pictures are resampled in fixed point, rounded and clamped after each of the two passes
// (X first), exactly as PIL does. (Pillow 13 takes Y first for tall pictures: a difference of up to
// one step of 255.)
inline constexpr int kFixedBits = 22;

CLIPTAG_HD constexpr int32_t FixedWeight(double weight) {
  const double scaled = weight * (1 << kFixedBits);
  return static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

CLIPTAG_HD constexpr uint8_t FixedToByte(int32_t sum_with_half) {
  const int32_t value = sum_with_half >> kFixedBits;
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Whether colours go through shared/tone_map.h after resampling.
CLIPTAG_HD constexpr bool NeedsToneMap(const FrameView& view) {
  return view.transfer != Transfer::kSdr || view.primaries != Primaries::kBt709;
}

// Whether a frame takes that path. All others keep real numbers between the passes and are clamped
// once, after the conversion to RGB.
CLIPTAG_HD constexpr bool IsPlain8Bit(const FrameView& view) {
  return view.kind != PixelKind::kYuv && view.bytes_per_sample == 1 && view.bits == 8 &&
         view.shift == 0 && view.full_range && !NeedsToneMap(view);
}

}  // namespace cliptag
