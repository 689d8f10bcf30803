#include "kernels/cpu/products/panel/gemm.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/base/divide_up.h"
#include "kernels/base/row_stride.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

constexpr int64_t kFewestRows = 32;  // of a task: fewer are not worth reading a panel for

template <typename Value>
Value* As(const std::unique_ptr<Memory>& memory) {
  return static_cast<Value*>(memory->data());
}

}  // namespace

// How a product is divided.
struct PanelGemm::Split {
  int64_t panels_per_task = 1, column_tasks = 1, row_tasks = 1, row_block = 1;
};

Result<std::unique_ptr<PackedWeight>> PanelGemm::Pack(const LinearSpec& spec,
                                                      const LinearShape& shape) {
  auto weight = std::make_unique<Weight>();
  CLIPTAG_RETURN_IF_ERROR(weight->Pack(spec, shape, kernel_, compute_type_, kernels_, pool_));
  return std::unique_ptr<PackedWeight>(std::move(weight));
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
  CLIPTAG_RETURN_IF_ERROR(GrowHost(&operand_, rows * OperandStride(weight)));
  if (kernel_.type != PanelType::kInt8) return {};
  return GrowHost(&quantization_, rows * sizeof(RowQuantization));
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
  pool_->RunEachRow(x.rows, x.cols, [&](int64_t r) { CopyRow(x, r, weight); });
  return {As<char>(operand_), OperandStride(weight),
          kernel_.type == PanelType::kInt8 ? As<RowQuantization>(quantization_) : nullptr};
}

PanelGemm::Split PanelGemm::SplitOf(const Weight& weight, int64_t rows) const {
  const int64_t threads = pool_->size();
  Split split;
  split.panels_per_task = weight.PanelsPerTask(PanelTasks(threads));
  split.column_tasks = DivideUp(weight.count, split.panels_per_task);
  if (threads > 1 && split.column_tasks < 2 * threads) {
    split.row_tasks =
        std::clamp<int64_t>(rows / kFewestRows, 1, DivideUp(2 * threads, split.column_tasks));
  }
  const int64_t row_bytes = weight.depth * static_cast<int64_t>(kernel_.element_bytes());
  split.row_block = std::max<int64_t>(kFewestRows, kPanelTaskBytes / row_bytes);
  return split;
}

Status PanelGemm::Run(const Matrix& x, const PackedWeight& packed, const ProductFinish& finish,
                      const Matrix& out) {
  const auto& weight = static_cast<const Weight&>(packed);
  CLIPTAG_RETURN_IF_ERROR(Prepare(weight, x.rows));
  const Operand operand = PrepareOperand(x, weight);
  const Split split = SplitOf(weight, x.rows);
  PanelTask whole;
  whole.x_stride = operand.stride;
  whole.depth = weight.depth;
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
    task.finish.cols = weight.columns(panel);
    task.finish.bias = weight.bias_of(panel);
    SetFinish(finish, out, first_row, column, &task.finish);
    kernel_.multiply(task);
  };
  pool_->Run(static_cast<int>(split.column_tasks * split.row_tasks), [&](int task, int) {
    const int64_t first_panel = task / split.row_tasks * split.panels_per_task;
    const int64_t end_panel = std::min(first_panel + split.panels_per_task, weight.count);
    // The thread that finishes this task will probably claim one as many tasks ahead as there are
    // other threads.
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
