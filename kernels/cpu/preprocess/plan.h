// What preprocessing computes once per geometry: the source samples of every target pixel and their
// weights, and the sizes of buffers. Also the cache of plans.
//
// Ownership: plans are immutable and shared; the cache holds the last kMaxPlans of them.
// Thread safety: a plan may be read by any thread; a cache is used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/preprocess/kernels.h"
#include "kernels/frame.h"
#include "kernels/shared/resample.h"

namespace cliptag {

inline constexpr int kTile = 64;  // outputs along a row that are processed together

// One component along one stored axis: an output per target pixel inside the picture, in upright
// order, and its samples by their stored index.
struct AxisTable {
  std::vector<Taps> taps;
  std::vector<int32_t> fixed;  // weights of 8-bit pictures, else empty
  std::vector<float> real;     // weights of all others, else empty
  // The same taps and weights for pairs of rows, see PreprocessKernels::down_pairs_u8. Only down
  // the rows, and not for 8-bit pictures that use `fixed`.
  std::vector<Taps> pair_taps;
  std::vector<int32_t> pair_weights;
  float pair_scale = 1.0f;
  int tile_samples = 0;   // the most samples under a tile of kTile outputs
  int block_samples = 0;  // the most samples under any kBlock neighbouring outputs

  int outputs() const { return static_cast<int>(taps.size()); }
};

struct SampleRange {
  int first = 0, end = 0;
  int count() const { return end - first; }
};

// The samples under outputs [begin, end), which must not be empty.
SampleRange SamplesUnder(const AxisTable& table, int begin, int end);

struct PreprocessPlan {
  // Exactly what the tables depend on: streams with the same key share a plan.
  struct Key {
    int crop_x = 0, crop_y = 0, crop_width = 0, crop_height = 0;
    int chroma_shift_x = 0, chroma_shift_y = 0;
    bool chroma_cosited_x = false, chroma_cosited_y = false;
    bool plain8 = false;
    Orientation orientation = Orientation::kRotate0;
    PixelAspect pixel;
    int size = 0, patch = 0;
    Fit fit = Fit::kCrop;
    Interpolation interpolation = Interpolation::kBicubic;

    bool operator==(const Key&) const = default;
  };

  Key key;
  int used = 0;  // target pixels per edge that patches cover
  FitGeometry fit;
  // Stored rows run along the upright Y: outputs across a stored row are upright rows.
  bool swap = false;
  bool flip_down = false;  // outputs down the rows are in reverse order of the rows
  // [0]: luma and everything that is not subsampled; [1]: chroma, empty where not subsampled.
  AxisTable across[2];  // along a stored row
  AxisTable down[2];    // down the stored rows

  // The target axis down the stored rows (upright y, or x if swapped), and the other one.
  const FitAxis& down_fit() const { return swap ? fit.x : fit.y; }
  const FitAxis& across_fit() const { return swap ? fit.y : fit.x; }
  bool has_bars() const {
    return fit.x.begin > 0 || fit.y.begin > 0 || fit.x.end < used || fit.y.end < used;
  }
  int table_of(int component) const { return component > 0 && !across[1].taps.empty() ? 1 : 0; }
};

class PreprocessPlanCache {
 public:
  static constexpr size_t kMaxPlans = 32;

  // The plan for a checked frame and spec.
  std::shared_ptr<const PreprocessPlan> Find(const FrameView& view, const PreprocessSpec& spec);

 private:
  std::vector<std::shared_ptr<const PreprocessPlan>> plans_;  // most recently used first
};

}  // namespace cliptag
