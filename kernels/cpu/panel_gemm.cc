#include "kernels/cpu/panel_gemm.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/base/divide_up.h"
#include "kernels/base/half.h"
#include "kernels/base/row_stride.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

// What a task's weights, and beside them a block of its rows, may take of the second-level cache:
// together three quarters of the smallest that servers have (1 MB). Larger shares gained nothing on
// Zen 4, smaller ones read activations more often.
constexpr int64_t kTaskBytes = 384 << 10;
// Parts that each thread should get, so that one that was interrupted gives work away.
constexpr int64_t kTasksPerThread = 4;
// Fewer rows than that read a panel for too little.
constexpr int64_t kFewestRows = 32;

template <typename Value>
Value* As(const std::unique_ptr<Memory>& memory) {
  return static_cast<Value*>(memory->data());
}

Status Grow(std::unique_ptr<Memory>& memory, size_t bytes) {
  if (memory && memory->bytes() >= bytes) return {};
  CLIPTAG_ASSIGN_OR_RETURN(memory, AllocateHost(bytes));
  return {};
}

// Weights to bytes of -127..127; returns their sum. A row that holds NaN or infinity gets a scale
// of NaN.
int32_t RoundToBytes(const float* row, int64_t depth, int8_t* bytes, float* scale) {
  float largest = 0, poison = 0;
  for (int64_t k = 0; k < depth; ++k) {
    const float magnitude = std::abs(row[k]);
    largest = magnitude > largest ? magnitude : largest;
    poison += row[k] * 0.0f;  // 0, or NaN
  }
  *scale = largest / 127.0f + poison;
  // The reciprocal of a subnormal maximum would be infinite; such weights are as good as none.
  const float inverse = largest >= 0x1p-120f && poison == 0 ? 127.0f / largest : 0.0f;
  int32_t sum = 0;
  for (int64_t k = 0; k < depth; ++k) {
    // Adding 1.5 * 2^23 rounds to an integer, which the low bits of the mantissa then hold.
    const float shifted = (poison == 0 ? row[k] * inverse : 0.0f) + 12582912.0f;
    bytes[k] = static_cast<int8_t>(std::bit_cast<int32_t>(shifted) - 0x4b400000);
    sum += bytes[k];
  }
  return sum;
}

}  // namespace

class PanelGemm::Weight : public PackedWeight {
 public:
  size_t bytes() const override {
    return panels->bytes() + bias.size() * sizeof(float) + scales.size() * sizeof(float) +
           sums.size() * sizeof(int32_t);
  }
  char* panel(int64_t index) const {
    return As<char>(panels) + index * static_cast<int64_t>(panel_bytes);
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
};

// How a product of that many rows is divided.
struct PanelGemm::Split {
  int64_t panels_per_task = 1, column_tasks = 1, row_tasks = 1, row_block = 1;
};

Result<std::unique_ptr<PackedWeight>> PanelGemm::Pack(const LinearSpec& spec,
                                                      const LinearShape& shape) {
  auto weight = std::make_unique<Weight>();
  weight->shape = shape;
  weight->depth = kernel_.PaddedDepth(shape.in);
  weight->count = DivideUp(shape.out, kPanelColumns);
  weight->panel_bytes = kernel_.PanelBytes(shape.in);
  CLIPTAG_ASSIGN_OR_RETURN(weight->panels, AllocateHost(weight->count * weight->panel_bytes));
  if (kernel_.type == PanelType::kInt8) {
    weight->scales.assign(weight->count * kPanelColumns, 0.0f);
    weight->sums.assign(weight->count * kPanelColumns, 0);
  }
  const WeightRows rows(spec, shape, kernels_);
  weight->bias = rows.Biases();
  std::vector<Status> results(weight->count);
  pool_->Run(static_cast<int>(weight->count),
             [&](int panel, int) { results[panel] = PackPanel(rows, *weight, panel); });
  for (const Status& result : results) CLIPTAG_RETURN_IF_ERROR(result);
  return std::unique_ptr<PackedWeight>(std::move(weight));
}

Status PanelGemm::PackPanel(const WeightRows& rows, Weight& weight, int64_t panel) const {
  CLIPTAG_ASSIGN_OR_RETURN(const auto memory, AllocateHost(2 * weight.depth * sizeof(float)));
  float* row = As<float>(memory);
  char* words = reinterpret_cast<char*>(row + weight.depth);
  std::fill(row, row + weight.depth, 0.0f);
  const int64_t first = panel * kPanelColumns;
  for (int column = 0; column < kPanelColumns; ++column) {
    if (first + column < weight.shape.out) {
      rows.Read(first + column, row);
    } else {
      std::fill(row, row + weight.depth, 0.0f);
    }
    StoreOutput(row, words, column, weight, panel);
  }
  return {};
}

// The row as words of four bytes, one for each step of the panel. `words` has room for (depth)
// floats.
void PanelGemm::StoreOutput(const float* row, char* words, int column, Weight& weight,
                            int64_t panel) const {
  const int64_t depth = weight.depth;
  switch (kernel_.type) {
    case PanelType::kF32: {
      float* floats = reinterpret_cast<float*>(words);
      const bool round = compute_type_ == DType::kBF16;  // to bf16 values, kept as floats
      for (int64_t k = 0; k < depth; ++k) {
        floats[k] = round ? Bf16ToFloat(FloatToBf16(row[k])) : row[k];
      }
      break;
    }
    case PanelType::kBf16:
      kernels_.to_bf16(row, depth, reinterpret_cast<uint16_t*>(words));
      break;
    case PanelType::kInt8: {
      const int64_t index = panel * kPanelColumns + column;
      weight.sums[index] =
          RoundToBytes(row, depth, reinterpret_cast<int8_t*>(words), &weight.scales[index]);
    }
  }
  char* to = weight.panel(panel) + column * 4;
  for (int64_t w = 0; w < depth / kernel_.group; ++w) {
    std::memcpy(to + w * 4 * kPanelColumns, words + 4 * w, 4);
  }
}

bool PanelGemm::CopiesOperand(const Weight& weight) const {
  return kernel_.type == PanelType::kInt8 || weight.depth != weight.shape.in ||
         SizeOf(compute_type_) != kernel_.element_bytes();
}

int64_t PanelGemm::OperandStride(const Weight& weight) const {
  return SpreadStride(weight.depth * static_cast<int64_t>(kernel_.element_bytes()));
}

Status PanelGemm::Prepare(const PackedWeight& packed, int64_t rows) {
  if (rows < 1) return InvalidArgument("PrepareGemm: rows must be positive.");
  const auto& weight = static_cast<const Weight&>(packed);
  if (!CopiesOperand(weight)) return {};
  CLIPTAG_RETURN_IF_ERROR(Grow(operand_, rows * OperandStride(weight)));
  if (kernel_.type != PanelType::kInt8) return {};
  return Grow(quantization_, rows * sizeof(RowQuantization));
}

void PanelGemm::CopyRow(const Matrix& x, int64_t row, const Weight& weight) {
  const void* from = x.Rows(row, 1).data;
  char* to = As<char>(operand_) + row * OperandStride(weight);
  if (kernel_.type == PanelType::kInt8) {
    RowQuantization& q = As<RowQuantization>(quantization_)[row];
    kernels_.quantize(from, x.type == DType::kBF16, x.cols, weight.depth,
                      reinterpret_cast<uint8_t*>(to), &q.scale, &q.zero);
    return;
  }
  const size_t element = kernel_.element_bytes();
  if (SizeOf(x.type) == element) {
    std::memcpy(to, from, x.cols * element);
  } else {
    kernels_.from_bf16(static_cast<const uint16_t*>(from), x.cols, reinterpret_cast<float*>(to));
  }
  std::memset(to + x.cols * element, 0, (weight.depth - x.cols) * element);
}

PanelGemm::Operand PanelGemm::PrepareOperand(const Matrix& x, const Weight& weight) {
  if (!CopiesOperand(weight)) {
    return {static_cast<const char*>(x.data), x.stride * static_cast<int64_t>(SizeOf(x.type)),
            nullptr};
  }
  // As the backend's other loops over rows: not worth a second thread below 8192 elements.
  const int64_t wanted = std::max<int64_t>(1, x.rows * x.cols / 8192);
  const int64_t tasks = std::min({wanted, x.rows, int64_t{2} * pool_->size()});
  pool_->Run(static_cast<int>(tasks), [&](int task, int) {
    for (int64_t r = x.rows * task / tasks; r < x.rows * (task + 1) / tasks; ++r) {
      CopyRow(x, r, weight);
    }
  });
  return {As<char>(operand_), OperandStride(weight),
          kernel_.type == PanelType::kInt8 ? As<RowQuantization>(quantization_) : nullptr};
}

PanelGemm::Split PanelGemm::SplitOf(const Weight& weight, int64_t rows) const {
  const int64_t threads = pool_->size(), panel_bytes = static_cast<int64_t>(weight.panel_bytes);
  const int64_t tasks = threads == 1 ? 1 : threads * kTasksPerThread;
  Split split;
  split.panels_per_task =
      std::max<int64_t>(1, std::min(kTaskBytes / panel_bytes, DivideUp(weight.count, tasks)));
  split.column_tasks = DivideUp(weight.count, split.panels_per_task);
  if (threads > 1 && split.column_tasks < 2 * threads) {
    split.row_tasks =
        std::clamp<int64_t>(rows / kFewestRows, 1, DivideUp(2 * threads, split.column_tasks));
  }
  const int64_t row_bytes = weight.depth * static_cast<int64_t>(kernel_.element_bytes());
  split.row_block = std::max<int64_t>(kFewestRows, kTaskBytes / row_bytes);
  return split;
}

Status PanelGemm::Run(const Matrix& x, const PackedWeight& packed, Activation activation,
                      bool accumulate, const Matrix& out) {
  const auto& weight = static_cast<const Weight&>(packed);
  CLIPTAG_RETURN_IF_ERROR(Prepare(weight, x.rows));
  const Operand operand = PrepareOperand(x, weight);
  const Split split = SplitOf(weight, x.rows);
  PanelTask whole;
  whole.x_stride = operand.stride;
  whole.depth = weight.depth;
  whole.finish.activation = activation;
  whole.finish.accumulate = accumulate;
  whole.finish.out_stride = out.stride;
  whole.finish.bf16 = out.type == DType::kBF16;
  whole.epilogue = kernels_.epilogue;
  const auto multiply = [&](int64_t panel, int64_t next, int64_t first_row, int64_t rows) {
    const int64_t column = panel * kPanelColumns;
    PanelTask task = whole;
    task.x = operand.data + first_row * operand.stride;
    task.rows = rows;
    task.panel = weight.panel(panel);
    task.next = weight.panel(next < weight.count ? next : panel);
    if (operand.quantization != nullptr) {
      task.row_quantization = operand.quantization + first_row;
      task.column_scales = weight.scales.data() + column;
      task.column_sums = weight.sums.data() + column;
    }
    task.finish.cols = std::min<int64_t>(kPanelColumns, weight.shape.out - column);
    task.finish.bias = weight.bias.empty() ? nullptr : weight.bias.data() + column;
    task.finish.out = out.Rows(first_row, 1).Cols(column, 1).data;
    kernel_.multiply(task);
  };
  pool_->Run(static_cast<int>(split.column_tasks * split.row_tasks), [&](int task, int) {
    const int64_t first_panel = task / split.row_tasks * split.panels_per_task;
    const int64_t end_panel = std::min(first_panel + split.panels_per_task, weight.count);
    // Who finishes this task claims one some tasks on.
    const int64_t next_task = end_panel + (pool_->size() - 1) * split.panels_per_task;
    const int64_t part = task % split.row_tasks;
    const int64_t end_row = x.rows * (part + 1) / split.row_tasks;
    for (int64_t row = x.rows * part / split.row_tasks; row < end_row; row += split.row_block) {
      const int64_t rows = std::min(split.row_block, end_row - row);
      for (int64_t panel = first_panel; panel < end_panel; ++panel) {
        const int64_t following = row + rows < end_row ? first_panel : next_task;
        multiply(panel, panel + 1 < end_panel ? panel + 1 : following, row, rows);
      }
    }
  });
  return {};
}

}  // namespace cliptag
