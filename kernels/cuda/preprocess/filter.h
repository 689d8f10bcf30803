// The filters of kernels/cuda/preprocess/table.h, built from the windows and weights of resample.h
// in the form that one of the kernel's paths reads; and their cache, since streams repeat their
// geometry with every batch. Host code.
//
// Ownership: the cache owns what it returns, until the next call. Thread safety: used by one thread
// at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cuda/preprocess/table.h"
#include "kernels/shared/resample.h"

namespace cliptag::cuda {

enum class FilterForm : uint8_t {
  kFixedTaps,
  kRealTaps,
  kDown,
  kAcross,
  kExactDown,
  kExactAcross,
};

// Exactly what a filter depends on.
struct FilterKey {
  FilterForm form = FilterForm::kRealTaps;
  Interpolation interpolation = Interpolation::kBicubic;
  // The arguments of MakeAxis.
  int start = 0, extent = 0, shift = 0;
  bool cosited = false, flip = false;
  int64_t resized = 0, offset = 0;
  int begin = 0, end = 0;
  int used = 0;  // targets, bars included
  // kAcross: sample s is column s * column_stride + column_offset, of `sample_bytes` bytes.
  int column_stride = 0, column_offset = 0, sample_bytes = 0;

  bool operator==(const FilterKey&) const = default;
};

struct Filter {
  FilterKey key;
  std::vector<std::byte> bytes;  // a multiple of 16
  int most_rows = 0;             // kDown: under any tile
  bool exact = false;            // kExact…: whether f32 represents every sum exactly
  // Its place in the table of this batch.
  uint64_t batch = 0;
  uint32_t placed_at = 0;
};

ResampleAxis AxisOf(const FilterKey& key);

class FilterCache {
 public:
  static constexpr size_t kMaxFilters = 512;

  // May throw std::bad_alloc. `batch` marks the filter as in use by that batch.
  Filter& Find(const FilterKey& key, uint64_t batch);

 private:
  struct Slot {
    std::unique_ptr<Filter> filter;
    uint64_t hash = 0;
    uint64_t used_by = 0;  // the latest batch
  };
  std::vector<Slot> slots_;
};

}  // namespace cliptag::cuda
