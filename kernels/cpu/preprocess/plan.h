// What preprocessing computes once per geometry: where every target pixel looks and with which
// weights, and how large the pieces are that are worked on together. Also the cache of plans.
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

inline constexpr int kTile = 64;  // outputs along a row that are worked on together

// One component along one stored axis: an output per target pixel that shows the picture, in
// upright order, and its samples by their stored index.
struct AxisTable {
  std::vector<Taps> taps;
  std::vector<int32_t> fixed;  // weights of 8-bit pictures, else empty
  std::vector<float> real;     // weights of all others, else empty
  // Of the rows of 8-bit samples that are summed up as integers: the same taps and weights in pairs
  // of stored indices, see PreprocessKernels::down_pairs_u8. Empty elsewhere.
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
  // Everything that the tables depend on, and nothing else: equal streams share a plan.
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
  // Stored rows run along the upright Y when set: outputs across a row are upright rows.
  bool swap = false;
  bool flip_down = false;  // outputs down the rows run against the rows' order
  // [0]: luma and everything that is not subsampled; [1]: chroma, empty where not subsampled.
  AxisTable across[2];  // along a stored row
  AxisTable down[2];    // down the stored rows

  // Target pixels along the axis that is down the stored rows (upright y, or x when swapped), and
  // along the other.
  const FitAxis& down_fit() const { return swap ? fit.x : fit.y; }
  const FitAxis& across_fit() const { return swap ? fit.y : fit.x; }
  bool has_bars() const {
    return fit.x.begin > 0 || fit.y.begin > 0 || fit.x.end < used || fit.y.end < used;
  }
  // Which table a component uses.
  int table_of(int component) const { return component > 0 && !across[1].taps.empty() ? 1 : 0; }
};

class PreprocessPlanCache {
 public:
  static constexpr size_t kMaxPlans = 32;

  // The plan for a checked frame and spec.
  std::shared_ptr<const PreprocessPlan> Find(const FrameView& view, const PreprocessSpec& spec);

 private:
  std::vector<std::shared_ptr<const PreprocessPlan>> plans_;  // last used first
};

}  // namespace cliptag
