#include "kernels/cuda/preprocess_filter.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/half.h"

namespace cliptag::cuda {
namespace {

constexpr int kLanes = 32;

// A target's samples and weights by ascending stored index; none outside of the picture.
struct Window {
  int first = 0;
  std::vector<double> weights;

  int end() const { return first + static_cast<int>(weights.size()); }
  double At(int sample) const {
    return sample < first || sample >= end() ? 0.0 : weights[static_cast<size_t>(sample - first)];
  }
};

std::vector<Window> WindowsOf(const FilterKey& key) {
  const ResampleAxis axis = AxisOf(key);
  std::vector<Window> windows(static_cast<size_t>(key.used));
  for (int target = key.begin; target < key.end; ++target) {
    const ResampleWindow upright = WindowAt(axis, target);
    Window& window = windows[static_cast<size_t>(target)];
    window.first = StoredIndex(axis, axis.flip ? upright.first + upright.count - 1 : upright.first);
    const double sum = SumOfWeights(axis, upright);
    for (int i = 0; i < upright.count; ++i) {
      window.weights.push_back(RawWeight(axis, upright, i) / sum);
    }
    if (axis.flip) std::reverse(window.weights.begin(), window.weights.end());
  }
  return windows;
}

// The samples under targets [begin, end); empty where these are bars.
struct Range {
  int first = 0, end = 0;
};

Range SamplesUnder(const std::vector<Window>& windows, int begin, int end) {
  Range range;
  for (int i = begin; i < std::min(end, static_cast<int>(windows.size())); ++i) {
    const Window& window = windows[static_cast<size_t>(i)];
    if (window.weights.empty()) continue;
    range.first = range.end == 0 ? window.first : std::min(range.first, window.first);
    range.end = std::max(range.end, window.end());
  }
  return range;
}

// Appends to a filter's bytes.
class Writer {
 public:
  explicit Writer(std::vector<std::byte>& bytes) : bytes_(bytes) {}

  uint32_t size() const { return static_cast<uint32_t>(bytes_.size()); }
  template <typename T>
  void Put(const T& value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  template <typename T>
  void Replace(size_t index, const T& record) {
    std::memcpy(bytes_.data() + index * sizeof(T), &record, sizeof(T));
  }
  void Fill(size_t bytes) { bytes_.resize(bytes_.size() + bytes); }
  void Align() { bytes_.resize((bytes_.size() + 15) / 16 * 16); }

 private:
  std::vector<std::byte>& bytes_;
};

void WriteTaps(const std::vector<Window>& windows, bool fixed, Writer& writer) {
  auto at = static_cast<int32_t>(windows.size() * sizeof(PreprocessTaps) / 4);
  for (const Window& window : windows) {
    const auto count = static_cast<int32_t>(window.weights.size());
    writer.Put(PreprocessTaps{window.first, count, at});
    at += count;
  }
  for (const Window& window : windows) {
    for (const double weight : window.weights) {
      if (fixed) {
        writer.Put(FixedWeight(weight));
      } else {
        writer.Put(static_cast<float>(weight));
      }
    }
  }
}

uint16_t HalfWeight(const Window& window, int sample) {
  return FloatToHalf(static_cast<float>(window.At(sample)));
}

// "Matrix Fragments for mma.m16n8k16": lane 4 g + t holds of A rows g and g + 8, columns 2 t,
// 2 t + 1 and those plus 8.
int WriteDown(const std::vector<Window>& windows, Writer& writer) {
  const int used = static_cast<int>(windows.size());
  const int tiles = (used + kDownTile - 1) / kDownTile;
  const Window none;
  int most_rows = 0;
  writer.Fill(static_cast<size_t>(tiles) * sizeof(PreprocessDownTile));
  for (int i = 0; i < tiles; ++i) {
    const auto window = [&](int row) -> const Window& {
      const int target = i * kDownTile + row;
      return target < used ? windows[static_cast<size_t>(target)] : none;
    };
    const Range range = SamplesUnder(windows, i * kDownTile, (i + 1) * kDownTile);
    PreprocessDownTile tile;
    tile.first = range.first;
    tile.rows = range.end - range.first;
    tile.fragments = writer.size();
    for (int step = 0; step < tile.rows; step += kRowStep) {
      for (int lane = 0; lane < kLanes; ++lane) {
        for (int i16 = 0; i16 < 8; ++i16) {
          const int row = lane / 4 + i16 / 2 % 2 * 8;
          const int column = lane % 4 * 2 + i16 % 2 + i16 / 4 * 8;
          const uint16_t weight = HalfWeight(window(row), tile.first + step + column);
          tile.sums[row] += HalfToFloat(weight);
          writer.Put(weight);
        }
      }
    }
    writer.Replace(static_cast<size_t>(i), tile);
    most_rows = std::max(most_rows, tile.rows);
  }
  return most_rows;
}

// Lane 4 g + t holds of B column g, rows 2 t, 2 t + 1 and those plus 8. Which of the group's
// columns these are follows from how the down pass leaves them in registers: bytes come in two
// products, one for the even columns and one for the odd.
int ColumnOf(int sample_bytes, int t, int i) {
  return sample_bytes == 1 ? 4 * t + i % 2 * 2 + i / 2 : 2 * t + i % 2 + i / 2 * 8;
}

void WriteAcross(const FilterKey& key, const std::vector<Window>& windows, Writer& writer) {
  const int tiles = (key.used + kAcrossTile - 1) / kAcrossTile;
  const Window none;
  writer.Fill(static_cast<size_t>(tiles) * sizeof(PreprocessAcrossTile));
  for (int i = 0; i < tiles; ++i) {
    const Range range = SamplesUnder(windows, i * kAcrossTile, (i + 1) * kAcrossTile);
    PreprocessAcrossTile tile;
    if (range.end > range.first) {
      const auto column = [&](int s) { return s * key.column_stride + key.column_offset; };
      tile.first = column(range.first) / kColumnGroup;
      tile.count = column(range.end - 1) / kColumnGroup + 1 - tile.first;
    }
    tile.fragments = writer.size();
    for (int group = tile.first; group < tile.first + tile.count; ++group) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const int target = i * kAcrossTile + lane / 4;
        const Window& window = target < key.used ? windows[static_cast<size_t>(target)] : none;
        for (int i16 = 0; i16 < 4; ++i16) {
          const int column = group * kColumnGroup + ColumnOf(key.sample_bytes, lane % 4, i16);
          const int from_first = column - key.column_offset;
          const bool own = from_first >= 0 && from_first % key.column_stride == 0;
          writer.Put(own ? HalfWeight(window, from_first / key.column_stride) : uint16_t{0});
        }
      }
    }
    writer.Replace(static_cast<size_t>(i), tile);
  }
}

std::unique_ptr<Filter> MakeFilter(const FilterKey& key) {
  auto filter = std::make_unique<Filter>();
  filter->key = key;
  const std::vector<Window> windows = WindowsOf(key);
  Writer writer(filter->bytes);
  if (key.form == FilterForm::kDown) {
    filter->most_rows = WriteDown(windows, writer);
  } else if (key.form == FilterForm::kAcross) {
    WriteAcross(key, windows, writer);
  } else {
    WriteTaps(windows, key.form == FilterForm::kFixedTaps, writer);
  }
  writer.Align();
  return filter;
}

}  // namespace

ResampleAxis AxisOf(const FilterKey& key) {
  const FitAxis fit{key.resized, key.offset, key.begin, key.end};
  return MakeAxis(key.start, key.extent, key.shift, key.cosited, key.flip, fit, key.interpolation);
}

Filter& FilterCache::Find(const FilterKey& key, uint64_t batch) {
  auto slot = std::find_if(slots_.begin(), slots_.end(),
                           [&](const Slot& each) { return each.filter->key == key; });
  if (slot == slots_.end()) {
    auto filter = MakeFilter(key);
    if (slots_.size() < kMaxFilters) {
      slot = slots_.emplace(slots_.end());
    } else {
      slot = std::min_element(slots_.begin(), slots_.end(),
                              [](const Slot& a, const Slot& b) { return a.used_by < b.used_by; });
    }
    slot->filter = std::move(filter);
  }
  slot->used_by = batch;
  return *slot->filter;
}

}  // namespace cliptag::cuda
