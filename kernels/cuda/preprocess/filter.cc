#include "kernels/cuda/preprocess/filter.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/base/half.h"

namespace cliptag::cuda {
namespace {

// Samples and weights of every target, by ascending stored index; none outside the picture.
struct Window {
  int first = 0, count = 0;
  size_t at = 0;  // of `weights`

  int end() const { return first + count; }
};

struct Windows {
  std::vector<Window> targets;
  std::vector<double> weights;

  int size() const { return static_cast<int>(targets.size()); }
};

Windows WindowsOf(const FilterKey& key) {
  const ResampleAxis axis = AxisOf(key);
  Windows windows;
  windows.targets.resize(static_cast<size_t>(key.used));
  for (int target = key.begin; target < key.end; ++target) {
    const ResampleWindow upright = WindowAt(axis, target);
    const size_t at = windows.weights.size();
    const int first = axis.flip ? upright.first + upright.count - 1 : upright.first;
    windows.targets[static_cast<size_t>(target)] = {StoredIndex(axis, first), upright.count, at};
    double sum = 0;  // as SumOfWeights has it
    for (int i = 0; i < upright.count; ++i) {
      windows.weights.push_back(RawWeight(axis, upright, i));
      sum += windows.weights.back();
    }
    const auto begin = windows.weights.begin() + static_cast<ptrdiff_t>(at);
    for (auto weight = begin; weight != windows.weights.end(); ++weight) *weight /= sum;
    if (axis.flip) std::reverse(begin, windows.weights.end());
  }
  return windows;
}

// The samples under targets [begin, end); empty if all of these are bars.
struct Range {
  int first = 0, end = 0;
};

Range SamplesUnder(const Windows& windows, int begin, int end) {
  Range range;
  for (int i = begin; i < std::min(end, windows.size()); ++i) {
    const Window& window = windows.targets[static_cast<size_t>(i)];
    if (window.count == 0) continue;
    range.first = range.end == 0 ? window.first : std::min(range.first, window.first);
    range.end = std::max(range.end, window.end());
  }
  return range;
}

template <typename T>
void PutAt(std::vector<std::byte>& bytes, size_t at, const T& value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

void WriteTaps(const Windows& windows, bool fixed, std::vector<std::byte>& bytes) {
  const size_t records = windows.targets.size() * sizeof(PreprocessTaps);
  bytes.resize(records + windows.weights.size() * 4);
  for (size_t i = 0; i < windows.targets.size(); ++i) {
    const Window& window = windows.targets[i];
    PutAt(
        bytes, i * sizeof(PreprocessTaps),
        PreprocessTaps{window.first, window.count, static_cast<int32_t>(records / 4 + window.at)});
  }
  for (size_t i = 0; i < windows.weights.size(); ++i) {
    if (fixed) {
      PutAt(bytes, records + i * 4, FixedWeight(windows.weights[i]));
    } else {
      PutAt(bytes, records + i * 4, static_cast<float>(windows.weights[i]));
    }
  }
}

// Offset in bytes of an element of A in a step. "Matrix Fragments for mma.m16n8k16": lane 4 g + t
// has rows g and g + 8 of A, columns 2 t, 2 t + 1 and those plus 8.
unsigned PlaceInA(int row, int column) {
  const int lane = row % 8 * 4 + column % 8 / 2, word = row / 8 + column / 8 * 2;
  return static_cast<unsigned>(lane * 16 + word * 4 + column % 2 * 2);
}

// Of B the lane has column g, rows 2 t, 2 t + 1 and those plus 8. A row of B is a column of the
// group, in the order in which the down pass leaves them in registers: with bytes it makes two
// products, one for the even columns and one for the odd.
unsigned PlaceInB(int sample_bytes, int row, int column) {
  const int t = sample_bytes == 1 ? row / 4 : row % 8 / 2;
  const int i = sample_bytes == 1 ? row % 2 * 2 + row % 4 / 2 : row / 8 * 2 + row % 2;
  return static_cast<unsigned>((column * 4 + t) * 8 + i * 2);
}

// Writes a record for each tile of kTargets targets, and its fragments: `step_bytes` for each step
// of 16 rows or columns. steps_of(tile, range) sets the tile's samples and returns its steps;
// put(tile, target, sample, weight) writes a weight to the fragments.
template <int kTargets, typename Tile, typename StepsOf, typename Put>
void WriteTiles(const Windows& windows, size_t step_bytes, std::vector<std::byte>& bytes,
                const StepsOf& steps_of, const Put& put) {
  const int tiles = (windows.size() + kTargets - 1) / kTargets;
  bytes.resize(static_cast<size_t>(tiles) * sizeof(Tile));
  for (int i = 0; i < tiles; ++i) {
    const int begin = i * kTargets, end = std::min(begin + kTargets, windows.size());
    Tile tile;
    tile.fragments = static_cast<uint32_t>(bytes.size());
    const int steps = steps_of(tile, SamplesUnder(windows, begin, end));
    bytes.resize(bytes.size() + static_cast<size_t>(steps) * step_bytes);
    for (int target = begin; target < end; ++target) {
      const Window& window = windows.targets[static_cast<size_t>(target)];
      for (int w = 0; w < window.count; ++w) {
        put(tile, target - begin, window.first + w,
            windows.weights[window.at + static_cast<size_t>(w)]);
      }
    }
    PutAt(bytes, static_cast<size_t>(i) * sizeof(tile), tile);
  }
}

int RowSteps(PreprocessDownTile& tile, const Range& range) {
  tile.first = range.first;
  tile.rows = range.end - range.first;
  return (tile.rows + kRowStep - 1) / kRowStep;
}

// column(sample) is the column that the groups count.
template <typename Column>
int ColumnSteps(PreprocessAcrossTile& tile, const Range& range, const Column& column) {
  if (range.end > range.first) {
    tile.first = column(range.first) / kColumnGroup;
    tile.count = column(range.end - 1) / kColumnGroup + 1 - tile.first;
  }
  return tile.count;
}

// Where step `step` of a tile begins.
template <typename Tile>
size_t StepAt(const Tile& tile, int step, size_t step_bytes) {
  return tile.fragments + static_cast<size_t>(step) * step_bytes;
}

// Returns the most rows under a tile.
int WriteDown(const Windows& windows, std::vector<std::byte>& bytes) {
  int most_rows = 0;
  const auto steps_of = [&](PreprocessDownTile& tile, const Range& range) {
    const int steps = RowSteps(tile, range);
    most_rows = std::max(most_rows, tile.rows);
    return steps;
  };
  WriteTiles<kDownTile, PreprocessDownTile>(
      windows, kStepFragmentBytes, bytes, steps_of,
      [&](PreprocessDownTile& tile, int target, int sample, double exact) {
        const int row = sample - tile.first;
        const uint16_t weight = FloatToHalf(static_cast<float>(exact));
        tile.sums[target] += HalfToFloat(weight);
        const size_t at = StepAt(tile, row / kRowStep, kStepFragmentBytes);
        PutAt(bytes, at + PlaceInA(target, row % kRowStep), weight);
      });
  return most_rows;
}

void WriteAcross(const FilterKey& key, const Windows& windows, std::vector<std::byte>& bytes) {
  constexpr size_t kGroupFragmentBytes = 256;
  const auto column = [&](int s) { return s * key.column_stride + key.column_offset; };
  WriteTiles<kAcrossTile, PreprocessAcrossTile>(
      windows, kGroupFragmentBytes, bytes,
      [&](auto& tile, const Range& range) { return ColumnSteps(tile, range, column); },
      [&](const PreprocessAcrossTile& tile, int target, int sample, double weight) {
        const int at = column(sample) - tile.first * kColumnGroup;
        PutAt(bytes,
              StepAt(tile, at / kColumnGroup, kGroupFragmentBytes) +
                  PlaceInB(key.sample_bytes, at % kColumnGroup, target),
              FloatToHalf(static_cast<float>(weight)));
      });
}

struct Digits {
  int high, low;
};

Digits DigitsOf(double weight) {
  constexpr int kHalf = 1 << (kFixedDigitBits - 1);
  const int32_t fixed = FixedWeight(weight);
  const int high = (fixed + kHalf) >> kFixedDigitBits;
  return {high, fixed - high * (1 << kFixedDigitBits)};
}

// Whether f16 represents every digit exactly, and f32 every possible sum of bytes times digits.
bool DigitsAreExact(const Windows& windows) {
  constexpr int64_t kHalfIntegers = 1 << 11, kFloatIntegers = 1 << 24;
  for (const Window& window : windows.targets) {
    int64_t high = 0, low = 0;
    for (int i = 0; i < window.count; ++i) {
      const Digits digits = DigitsOf(windows.weights[window.at + static_cast<size_t>(i)]);
      if (std::abs(digits.high) > kHalfIntegers) return false;
      high += std::abs(digits.high);
      low += std::abs(digits.low);
    }
    if (std::max(high, low) * 255 > kFloatIntegers) return false;
  }
  return true;
}

void PutDigits(std::vector<std::byte>& bytes, size_t high, size_t low, double weight) {
  const Digits digits = DigitsOf(weight);
  PutAt(bytes, high, FloatToHalf(static_cast<float>(digits.high)));
  PutAt(bytes, low, FloatToHalf(static_cast<float>(digits.low)));
}

void WriteExactDown(const Windows& windows, std::vector<std::byte>& bytes) {
  constexpr size_t kOperand = kStepFragmentBytes / 2, kStep = 4 * kOperand;
  WriteTiles<kDownTile, PreprocessDownTile>(
      windows, kStep, bytes, RowSteps,
      [&](const PreprocessDownTile& tile, int target, int sample, double weight) {
        const int row = sample - tile.first;
        const size_t at = StepAt(tile, row / kRowStep, kStep) +
                          static_cast<size_t>(target / 8) * 2 * kOperand +
                          PlaceInB(2, row % kRowStep, target % 8);
        PutDigits(bytes, at, at + kOperand, weight);
      });
}

// A lane has four neighbouring pixels of a group, in two registers.
int ColumnOfPixel(int pixel) { return pixel / 4 * 2 + pixel % 2 + pixel % 4 / 2 * 8; }

void WriteExactAcross(const Windows& windows, std::vector<std::byte>& bytes) {
  constexpr size_t kOperand = kStepFragmentBytes;
  WriteTiles<kDownTile, PreprocessAcrossTile>(
      windows, 2 * kOperand, bytes,
      [](auto& tile, const Range& range) {
        return ColumnSteps(tile, range, [](int pixel) { return pixel; });
      },
      [&](const PreprocessAcrossTile& tile, int target, int sample, double weight) {
        const int pixel = sample - tile.first * kColumnGroup;
        const size_t at = StepAt(tile, pixel / kColumnGroup, 2 * kOperand) +
                          PlaceInA(target, ColumnOfPixel(pixel % kColumnGroup));
        PutDigits(bytes, at, at + kOperand, weight);
      });
}

std::unique_ptr<Filter> MakeFilter(const FilterKey& key) {
  auto filter = std::make_unique<Filter>();
  filter->key = key;
  const Windows windows = WindowsOf(key);
  std::vector<std::byte>& bytes = filter->bytes;
  if (key.form == FilterForm::kDown) {
    filter->most_rows = WriteDown(windows, bytes);
  } else if (key.form == FilterForm::kAcross) {
    WriteAcross(key, windows, bytes);
  } else if (key.form == FilterForm::kExactDown || key.form == FilterForm::kExactAcross) {
    filter->exact = DigitsAreExact(windows);
    if (filter->exact && key.form == FilterForm::kExactDown) WriteExactDown(windows, bytes);
    if (filter->exact && key.form == FilterForm::kExactAcross) WriteExactAcross(windows, bytes);
  } else {
    WriteTaps(windows, key.form == FilterForm::kFixedTaps, bytes);
  }
  bytes.resize((bytes.size() + 15) / 16 * 16);
  return filter;
}

// Of a part of the key, enough that a full comparison is rarely in vain.
uint64_t HashOf(const FilterKey& key) {
  uint64_t hash = 0;
  for (const int64_t part :
       {static_cast<int64_t>(key.form), int64_t{key.start}, int64_t{key.extent}, int64_t{key.shift},
        key.resized, key.offset, int64_t{key.column_offset}, int64_t{key.flip}}) {
    hash = (hash ^ static_cast<uint64_t>(part)) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

ResampleAxis AxisOf(const FilterKey& key) {
  const FitAxis fit{key.resized, key.offset, key.begin, key.end};
  return MakeAxis(key.start, key.extent, key.shift, key.cosited, key.flip, fit, key.interpolation);
}

Filter& FilterCache::Find(const FilterKey& key, uint64_t batch) {
  const uint64_t hash = HashOf(key);
  auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& each) {
    return each.hash == hash && each.filter->key == key;
  });
  if (slot == slots_.end()) {
    auto filter = MakeFilter(key);
    if (slots_.size() < kMaxFilters) {
      slot = slots_.emplace(slots_.end());
    } else {
      slot = std::min_element(slots_.begin(), slots_.end(),
                              [](const Slot& a, const Slot& b) { return a.used_by < b.used_by; });
    }
    slot->filter = std::move(filter);
    slot->hash = hash;
  }
  slot->used_by = batch;
  return *slot->filter;
}

}  // namespace cliptag::cuda
