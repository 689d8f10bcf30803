// Writes runs of finished pixels to the output of Backend::Preprocess: in patch order, as f32 or
// bf16.
//
// Ownership: borrows the output and a line of scratch. Thread safety: writers of one output may run
// at the same time as long as their pixels differ.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/backend.h"
#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {

class PatchWriter {
 public:
  // `line`: scratch for the bf16 values of a run, as long as the longest run.
  PatchWriter(const PreprocessSpec& spec, const PreprocessKernels& kernels, const Matrix& out,
              uint16_t* line)
      : patch_(spec.patch),
        grid_(spec.size / spec.patch),
        kernels_(kernels),
        out_(out),
        line_(line) {}

  // Pixels (x, y), (x + 1, y), … of one channel, normalised.
  void Run(int channel, int y, int x, int count, const float* values) const {
    if (out_.type == DType::kF32) {
      Scatter(channel, y, x, count, values);
    } else {
      kernels_.f32_to_bf16(values, count, line_);
      Scatter(channel, y, x, count, line_);
    }
  }

 private:
  template <typename T>
  void Scatter(int channel, int y, int x, int count, const T* values) const {
    const int64_t column = (static_cast<int64_t>(channel) * patch_ + y % patch_) * patch_;
    const int64_t first_patch = static_cast<int64_t>(y / patch_) * grid_;
    if (patch_ == 1) {  // pixels, for convolutions
      T* to = static_cast<T*>(out_.data) + (first_patch + x) * out_.stride + column;
      for (int i = 0; i < count; ++i) to[i * out_.stride] = values[i];
      return;
    }
    while (count > 0) {
      const int in_patch = x % patch_;
      const int run = std::min(count, patch_ - in_patch);
      T* to =
          static_cast<T*>(out_.data) + (first_patch + x / patch_) * out_.stride + column + in_patch;
      std::memcpy(to, values, run * sizeof(T));
      values += run;
      x += run;
      count -= run;
    }
  }

  int patch_, grid_;
  const PreprocessKernels& kernels_;
  Matrix out_;
  uint16_t* line_;
};

}  // namespace cliptag
