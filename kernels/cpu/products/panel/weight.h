// Weights packed into the panels of panel.h, 32 outputs each, with biases and quantization.
//
// Ownership: owns its memory. Thread safety: immutable once packed.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/base/divide_up.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/products/products.h"
#include "kernels/cpu/products/weight_rows.h"

namespace cliptag {

// The part of the L2 cache for a task's weights; a block of its rows gets as much. Together they
// are three quarters of the smallest L2 of servers (1 MB). Larger shares gained nothing on Zen 4,
// smaller ones read activations more often.
inline constexpr int64_t kPanelTaskBytes = 384 << 10;

// Tasks to split a product into: several per thread, so that others take over from a thread that
// was interrupted.
constexpr int64_t PanelTasks(int64_t threads) { return threads == 1 ? 1 : threads * 4; }

class PanelWeight : public PackedWeight {
 public:
  // With a kF32 kernel and a `compute_type` of bf16, weights are rounded to bf16, too.
  Status Pack(const LinearSpec& spec, const LinearShape& shape, const PanelKernel& kernel,
              DType compute_type, const SimdKernels& kernels, ThreadPool* pool);

  size_t bytes() const override {
    return panels->bytes() + bias.size() * sizeof(float) + scales.size() * sizeof(float) +
           sums.size() * sizeof(int32_t);
  }
  char* panel(int64_t index) const {
    return static_cast<char*>(panels->data()) + index * static_cast<int64_t>(panel_bytes);
  }
  // The number of outputs of a panel (the last one may have fewer), and their biases or null.
  int64_t columns(int64_t panel) const {
    const int64_t left = shape.out - panel * kPanelColumns;
    return left < kPanelColumns ? left : kPanelColumns;
  }
  const float* bias_of(int64_t panel) const {
    return bias.empty() ? nullptr : bias.data() + panel * kPanelColumns;
  }

  // Panels of a task, for at least `tasks` tasks.
  int64_t PanelsPerTask(int64_t tasks) const {
    const int64_t fit = kPanelTaskBytes / static_cast<int64_t>(panel_bytes);
    return std::max<int64_t>(1, std::min(fit, DivideUp(count, tasks)));
  }

  LinearShape shape;
  int64_t depth = 0;  // padded
  int64_t count = 0;  // panels
  size_t panel_bytes = 0;
  std::unique_ptr<Memory> panels;
  std::vector<float> bias;
  // kInt8, for every output of every panel.
  std::vector<float> scales;
  std::vector<int32_t> sums;

 private:
  struct Source;

  Status PackPanel(const Source& source, int64_t panel);
  void StoreOutput(const Source& source, const float* row, char* words, int column, int64_t panel);
};

}  // namespace cliptag
