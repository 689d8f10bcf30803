// The last few hundred of a measured quantity, for medians and the like.
//
// Thread safety: every method may be called from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace cliptag {

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

  // The value below which that share of them lies, 0..1; 0 if it is empty.
  uint64_t Quantile(double share) const {
    std::array<uint64_t, kSize> sorted;
    size_t n = 0;
    {
      const std::lock_guard lock(mutex_);
      n = std::min<uint64_t>(count_, kSize);
      std::copy_n(values_.begin(), n, sorted.begin());
    }
    if (n == 0) return 0;
    const size_t rank = std::min(n - 1, static_cast<size_t>(share * static_cast<double>(n)));
    std::nth_element(sorted.begin(), sorted.begin() + rank, sorted.begin() + n);
    return sorted[rank];
  }

 private:
  static constexpr size_t kSize = 512;
  mutable std::mutex mutex_;
  std::array<uint64_t, kSize> values_{};
  uint64_t count_ = 0;
};

}  // namespace cliptag
