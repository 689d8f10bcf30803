#include "kernels/cpu/preprocess/plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/shared/preprocess_check.h"

namespace cliptag {
namespace {

// The most samples under `outputs` neighbouring outputs, the first of which is a multiple of
// `step`.
int MostSamples(const AxisTable& table, int outputs, int step) {
  int most = 0;
  for (int begin = 0; begin < table.outputs(); begin += step) {
    const int end = std::min(begin + outputs, table.outputs());
    most = std::max(most, SamplesUnder(table, begin, end).count());
  }
  return most;
}

AxisTable MakeTable(const ResampleAxis& axis, bool plain8) {
  AxisTable table;
  table.taps.reserve(axis.end - axis.begin);
  int at = 0;
  for (int target = axis.begin; target < axis.end; ++target) {
    const ResampleWindow window = WindowAt(axis, target);
    const int last = window.first + window.count - 1;
    table.taps.push_back({StoredIndex(axis, axis.flip ? last : window.first), window.count, at});
    at += window.count;
  }
  plain8 ? table.fixed.resize(at) : table.real.resize(at);
  for (int target = axis.begin; target < axis.end; ++target) {
    const ResampleWindow window = WindowAt(axis, target);
    const double sum = SumOfWeights(axis, window);
    const Taps& taps = table.taps[target - axis.begin];
    for (int i = 0; i < window.count; ++i) {
      const double weight = RawWeight(axis, window, i) / sum;
      const int slot = taps.at + (axis.flip ? window.count - 1 - i : i);
      if (plain8) {
        table.fixed[slot] = FixedWeight(weight);
      } else {
        table.real[slot] = static_cast<float>(weight);
      }
    }
  }
  table.tile_samples = MostSamples(table, kTile, kTile);
  table.block_samples = MostSamples(table, kBlock, 1);
  return table;
}

// Weights as 16-bit words with as many fraction bits as fit, adjusted so that their sum is exactly
// one. Their error is invisible in an 8-bit picture (20 weights of 17 bits: at most 0.02 of 255).
void AddPairs(AxisTable* table) {
  constexpr int kMostBits = 17;
  constexpr float kLargest = 32000.0f;
  float largest = 0;
  for (const float weight : table->real) largest = std::max(largest, std::abs(weight));
  int bits = kMostBits;
  while (bits > 0 && largest * static_cast<float>(1 << bits) > kLargest) --bits;
  const int one = 1 << bits;
  table->pair_scale = 1.0f / static_cast<float>(one);
  std::vector<int> words;
  for (const Taps& taps : table->taps) {
    const int first = taps.first >> 1, end = (taps.first + taps.count + 1) >> 1;
    words.assign(2 * static_cast<size_t>(end - first), 0);
    int* own = words.data() + (taps.first - 2 * first);
    int sum = 0;
    for (int i = 0; i < taps.count; ++i) {
      own[i] = static_cast<int>(std::lround(table->real[taps.at + i] * static_cast<float>(one)));
      sum += own[i];
    }
    *std::max_element(own, own + taps.count) += one - sum;
    const auto at = static_cast<int>(table->pair_weights.size());
    table->pair_taps.push_back({first, end - first, at});
    for (size_t w = 0; w < words.size(); w += 2) {
      const uint32_t low = static_cast<uint16_t>(words[w]),
                     high = static_cast<uint16_t>(words[w + 1]);
      table->pair_weights.push_back(static_cast<int32_t>(low | high << 16));
    }
  }
}

PreprocessPlan::Key KeyOf(const FrameView& view, const PreprocessSpec& spec) {
  PreprocessPlan::Key key;
  const Rect crop = CropOf(view);
  key.crop_x = crop.x;
  key.crop_y = crop.y;
  key.crop_width = crop.width;
  key.crop_height = crop.height;
  if (view.kind == PixelKind::kYuv) {
    key.chroma_shift_x = view.chroma_shift_x;
    key.chroma_shift_y = view.chroma_shift_y;
    key.chroma_cosited_x = view.chroma_shift_x > 0 && view.chroma_cosited_x;
    key.chroma_cosited_y = view.chroma_shift_y > 0 && view.chroma_cosited_y;
  }
  key.plain8 = IsPlain8Bit(view);
  key.orientation = view.orientation;
  key.pixel = view.pixel;
  key.size = spec.size;
  key.patch = spec.patch;
  key.fit = spec.fit;
  key.interpolation = spec.interpolation;
  return key;
}

PreprocessPlan MakePlan(const PreprocessPlan::Key& key) {
  PreprocessPlan plan;
  plan.key = key;
  plan.used = key.size / key.patch * key.patch;
  const AxisMap map = MapAxes(key.orientation);
  plan.swap = map.swap;
  plan.flip_down = map.flip_y;
  plan.fit =
      FitCrop(key.crop_width, key.crop_height, key.pixel, map.swap, key.size, plan.used, key.fit);
  const bool subsampled = key.chroma_shift_x > 0 || key.chroma_shift_y > 0;
  for (int t = 0; t < (subsampled ? 2 : 1); ++t) {
    const ResampleAxis across =
        MakeAxis(key.crop_x, key.crop_width, t == 0 ? 0 : key.chroma_shift_x, key.chroma_cosited_x,
                 map.flip_x, plan.across_fit(), key.interpolation);
    const ResampleAxis down =
        MakeAxis(key.crop_y, key.crop_height, t == 0 ? 0 : key.chroma_shift_y, key.chroma_cosited_y,
                 map.flip_y, plan.down_fit(), key.interpolation);
    plan.across[t] = MakeTable(across, key.plain8);
    plan.down[t] = MakeTable(down, key.plain8);
    if (!key.plain8) AddPairs(&plan.down[t]);
  }
  return plan;
}

}  // namespace

SampleRange SamplesUnder(const AxisTable& table, int begin, int end) {
  const Taps& one = table.taps[begin];
  const Taps& other = table.taps[end - 1];  // windows move in one direction
  return {std::min(one.first, other.first),
          std::max(one.first + one.count, other.first + other.count)};
}

std::shared_ptr<const PreprocessPlan> PreprocessPlanCache::Find(const FrameView& view,
                                                                const PreprocessSpec& spec) {
  const PreprocessPlan::Key key = KeyOf(view, spec);
  auto found = std::find_if(plans_.begin(), plans_.end(),
                            [&](const auto& plan) { return plan->key == key; });
  if (found == plans_.end()) {
    if (plans_.size() == kMaxPlans) plans_.pop_back();
    plans_.push_back(std::make_shared<const PreprocessPlan>(MakePlan(key)));
    found = plans_.end() - 1;
  }
  std::rotate(plans_.begin(), found, found + 1);
  return plans_.front();
}

}  // namespace cliptag
