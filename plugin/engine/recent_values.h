// The last few hundred of a measured quantity, for medians and the like.
//
// Thread safety: every method may be called from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace cliptag {

// The nearest-rank quantile: the smallest value that this share of all, 0..1, do not exceed. 0 of
// none.
template <typename T>
T Quantile(std::vector<T> values, double share) {
  if (values.empty()) return {};
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  const auto nth = values.begin() + static_cast<ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

class RecentValues {
 public:
  void Add(uint64_t value) {
    const std::lock_guard lock(mutex_);
    values_[count_++ % kSize] = value;
  }

  void Clear() {
    const std::lock_guard lock(mutex_);
    count_ = 0;
  }

  uint64_t Quantile(double share) const {
    std::vector<uint64_t> values;
    {
      const std::lock_guard lock(mutex_);
      values.assign(values_.begin(), values_.begin() + std::min<uint64_t>(count_, kSize));
    }
    return cliptag::Quantile(std::move(values), share);
  }

 private:
  static constexpr size_t kSize = 512;
  mutable std::mutex mutex_;
  std::array<uint64_t, kSize> values_{};
  uint64_t count_ = 0;
};

}  // namespace cliptag
