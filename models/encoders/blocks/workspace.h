// The memory that the encoders of a model run in: one block of backend memory, sized while they are
// set up, shared by both towers (they never run at once), and carved anew at every run.
//
// Ownership: Matrices carved from it borrow; Reserve invalidates them. Used by one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "kernels/backend.h"
#include "kernels/base/status.h"

namespace cliptag {

// Hands out aligned pieces of a block one after the other. Without a block it only counts, so that
// the same code that carves also says how much is needed.
class Arena {
 public:
  explicit Arena(void* base) : base_(static_cast<char*>(base)) {}

  Matrix Take(int64_t rows, int64_t cols, DType type) {
    constexpr size_t kAlignment = 256;
    Matrix m{base_ == nullptr ? nullptr : base_ + used_, type, rows, cols, cols};
    const size_t bytes = static_cast<size_t>(rows) * static_cast<size_t>(cols) * SizeOf(type);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    peak_ = std::max(peak_, used_);
    return m;
  }
  // What is taken after a mark may be used anew after Rewind to it.
  size_t mark() const { return used_; }
  void Rewind(size_t mark) { used_ = mark; }
  size_t peak() const { return peak_; }

 private:
  char* base_;
  size_t used_ = 0, peak_ = 0;
};

class Workspace {
 public:
  explicit Workspace(Backend& backend) : backend_(backend) {}

  Status Reserve(size_t bytes) {
    if (memory_ != nullptr && memory_->bytes() >= bytes) return {};
    // The old block goes only when there is a new one: the other tower may still run in it.
    CLIPTAG_ASSIGN_OR_RETURN(memory_, backend_.Allocate(bytes));
    return {};
  }
  Arena Carve() { return Arena(memory_->data()); }
  // Another address means that matrices carved before have moved.
  const void* data() const { return memory_ == nullptr ? nullptr : memory_->data(); }

 private:
  Backend& backend_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace cliptag
