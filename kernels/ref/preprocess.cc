#include "kernels/ref/preprocess.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/shared/color.h"
#include "kernels/shared/needed_samples.h"
#include "kernels/shared/preprocess_check.h"
#include "kernels/shared/resample.h"
#include "kernels/shared/tone_map.h"

namespace cliptag {
namespace {

// A component resampled to the target pixels inside the picture (not the bars).
struct Plane {
  int width = 0, height = 0;
  std::vector<double> values;  // (height, width)
};

// The weights of one window; their sum is 1.
std::vector<double> WeightsOf(const ResampleAxis& axis, const ResampleWindow& window) {
  const double sum = SumOfWeights(axis, window);
  std::vector<double> weights(window.count);
  for (int i = 0; i < window.count; ++i) weights[i] = RawWeight(axis, window, i) / sum;
  return weights;
}

// The weighted sum of values(0), values(1), …; with `plain8` in PIL's fixed point.
template <typename Values>
double WeightedSum(const std::vector<double>& weights, bool plain8, const Values& values) {
  if (!plain8) {
    double sum = 0.0;
    for (size_t i = 0; i < weights.size(); ++i) sum += weights[i] * values(static_cast<int>(i));
    return sum;
  }
  int32_t sum = 1 << (kFixedBits - 1);
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += FixedWeight(weights[i]) * static_cast<int32_t>(values(static_cast<int>(i)));
  }
  return FixedToByte(sum);
}

double Sample(const FrameView& view, int index, int stored_x, int stored_y) {
  const Component& component = view.component[index];
  const uint8_t* at = component.data + stored_y * component.row_stride +
                      static_cast<ptrdiff_t>(stored_x) * component.pixel_stride;
  const int word = view.bytes_per_sample == 1 ? at[0] : at[0] | at[1] << 8;
  return word >> view.shift;
}

Plane Resample(const FrameView& view, int index, const PreprocessSpec& spec) {
  const StoredAxes stored = AxesOf(view, index, spec);
  const bool swap = MapAxes(view.orientation).swap;
  const ResampleAxis& axis_x = swap ? stored.y : stored.x;
  const ResampleAxis& axis_y = swap ? stored.x : stored.y;
  const auto sample = [&](int x, int y) {
    return Sample(view, index, StoredIndex(stored.x, swap ? y : x),
                  StoredIndex(stored.y, swap ? x : y));
  };

  Plane plane{axis_x.end - axis_x.begin, axis_y.end - axis_y.begin, {}};
  plane.values.resize(static_cast<size_t>(plane.width) * plane.height);
  const ResampleWindow last = WindowAt(axis_y, axis_y.end - 1);
  const int first_row = WindowAt(axis_y, axis_y.begin).first;
  const int rows = last.first + last.count - first_row;
  std::vector<double> across(static_cast<size_t>(rows) * plane.width);  // (rows, width)
  const bool plain8 = IsPlain8Bit(view);
  for (int x = 0; x < plane.width; ++x) {
    const ResampleWindow window = WindowAt(axis_x, axis_x.begin + x);
    const std::vector<double> weights = WeightsOf(axis_x, window);
    for (int row = 0; row < rows; ++row) {
      across[static_cast<size_t>(row) * plane.width + x] = WeightedSum(
          weights, plain8, [&](int i) { return sample(window.first + i, first_row + row); });
    }
  }
  for (int y = 0; y < plane.height; ++y) {
    const ResampleWindow window = WindowAt(axis_y, axis_y.begin + y);
    const std::vector<double> weights = WeightsOf(axis_y, window);
    for (int x = 0; x < plane.width; ++x) {
      plane.values[static_cast<size_t>(y) * plane.width + x] =
          WeightedSum(weights, plain8, [&](int i) {
            return across[static_cast<size_t>(window.first + i - first_row) * plane.width + x];
          });
    }
  }
  return plane;
}

// RGB in 0..1 from the components' sample values.
void ToRgb(const ColorMap& map, PixelKind kind, const double value[3], double rgb[3]) {
  if (kind == PixelKind::kYuv) {
    rgb[0] = map.y * value[0] + map.rv * value[2] + map.r0;
    rgb[1] = map.y * value[0] + map.gu * value[1] + map.gv * value[2] + map.g0;
    rgb[2] = map.y * value[0] + map.bu * value[1] + map.b0;
  } else {
    for (int c = 0; c < 3; ++c) rgb[c] = map.y * value[c] + map.r0;
  }
  for (int c = 0; c < 3; ++c) rgb[c] = Clamp01(rgb[c]);
}

// Writes one frame's patches; `out` has the rows of that frame only.
void PreprocessFrame(const FrameView& view, const PreprocessSpec& spec, const Matrix& out) {
  const int grid = spec.size / spec.patch;
  const int used = grid * spec.patch;
  const FitGeometry fit = GeometryOf(view, spec).fit;
  Plane planes[3];
  const int components = ComponentCount(view);
  for (int i = 0; i < components; ++i) planes[i] = Resample(view, i, spec);
  const ColorMap map = MakeColorMap(view.kind, view.matrix, view.full_range, view.bits);

  for (int y = 0; y < used; ++y) {
    for (int x = 0; x < used; ++x) {
      double rgb[3] = {spec.fill[0], spec.fill[1], spec.fill[2]};
      if (x >= fit.x.begin && x < fit.x.end && y >= fit.y.begin && y < fit.y.end) {
        double value[3];
        for (int c = 0; c < 3; ++c) {
          const Plane& plane = planes[components == 1 ? 0 : c];
          value[c] =
              plane.values[static_cast<size_t>(y - fit.y.begin) * plane.width + x - fit.x.begin];
        }
        ToRgb(map, view.kind, value, rgb);
        if (NeedsToneMap(view)) ToneMapExact(view.transfer, view.primaries, rgb);
      }
      const int64_t patch = static_cast<int64_t>(y / spec.patch) * grid + x / spec.patch;
      const int64_t pixel = static_cast<int64_t>(y % spec.patch) * spec.patch + x % spec.patch;
      float* row = static_cast<float*>(out.data) + patch * out.stride;
      for (int c = 0; c < 3; ++c) {
        row[c * spec.patch * spec.patch + pixel] =
            static_cast<float>((rgb[c] - spec.mean[c]) / spec.std[c]);
      }
    }
  }
}

}  // namespace

Status RefPreprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                     const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckFrames(frames, spec, out));
  if (out.type != DType::kF32) {
    return InvalidArgument("the reference's Preprocess writes only f32");
  }
  const int64_t patches = static_cast<int64_t>(spec.size / spec.patch) * (spec.size / spec.patch);
  for (size_t i = 0; i < frames.size(); ++i) {
    PreprocessFrame(frames[i], spec, out.Rows(static_cast<int64_t>(i) * patches, patches));
  }
  return {};
}

}  // namespace cliptag
