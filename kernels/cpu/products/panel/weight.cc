#include "kernels/cpu/products/panel/weight.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/base/divide_up.h"
#include "kernels/base/half.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

// Quantizes weights to -127..127 and returns the sum. A row with NaN or infinity gets a scale of
// NaN.
int32_t RoundToBytes(const float* row, int64_t depth, int8_t* bytes, float* scale) {
  float largest = 0, poison = 0;
  for (int64_t k = 0; k < depth; ++k) {
    const float magnitude = std::abs(row[k]);
    largest = magnitude > largest ? magnitude : largest;
    poison += row[k] * 0.0f;  // 0, or NaN
  }
  *scale = largest / 127.0f + poison;
  // The reciprocal of a subnormal maximum would be infinite; such weights count as zeros.
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

struct PanelWeight::Source {
  const LinearSpec& spec;
  const PanelKernel& kernel;
  DType compute_type;
  const SimdKernels& kernels;
};

Status PanelWeight::Pack(const LinearSpec& spec, const LinearShape& of, const PanelKernel& kernel,
                         DType compute_type, const SimdKernels& kernels, ThreadPool* pool) {
  shape = of;
  depth = kernel.PaddedDepth(shape.in);
  count = DivideUp(shape.out, kPanelColumns);
  panel_bytes = kernel.PanelBytes(shape.in);
  CLIPTAG_ASSIGN_OR_RETURN(panels, AllocateHost(count * panel_bytes));
  if (kernel.type == PanelType::kInt8) {
    scales.assign(count * kPanelColumns, 0.0f);
    sums.assign(count * kPanelColumns, 0);
  }
  bias = BiasesOf(spec);
  const Source source{spec, kernel, compute_type, kernels};
  std::vector<Status> results(count);
  pool->Run(static_cast<int>(count),
            [&](int panel, int) { results[panel] = PackPanel(source, panel); });
  for (const Status& result : results) CLIPTAG_RETURN_IF_ERROR(result);
  return {};
}

Status PanelWeight::PackPanel(const Source& source, int64_t panel) {
  CLIPTAG_ASSIGN_OR_RETURN(const auto memory, AllocateHost(2 * depth * sizeof(float)));
  float* row = static_cast<float*>(memory->data());
  char* words = reinterpret_cast<char*>(row + depth);
  std::fill(row, row + depth, 0.0f);
  const int64_t first = panel * kPanelColumns;
  for (int column = 0; column < kPanelColumns; ++column) {
    if (first + column < shape.out) {
      ReadWeightRow(source.spec, shape.in, first + column, source.kernels, row);
    } else {
      std::fill(row, row + depth, 0.0f);
    }
    StoreOutput(source, row, words, column, panel);
  }
  return {};
}

// Converts the row to the kernel's type, in `words` (room for `depth` floats), and writes it to the
// panel, four bytes at each step.
void PanelWeight::StoreOutput(const Source& source, const float* row, char* words, int column,
                              int64_t panel) {
  switch (source.kernel.type) {
    case PanelType::kF32: {
      float* floats = reinterpret_cast<float*>(words);
      const bool round = source.compute_type == DType::kBF16;  // to bf16 values, stored as floats
      for (int64_t k = 0; k < depth; ++k) {
        floats[k] = round ? Bf16ToFloat(FloatToBf16(row[k])) : row[k];
      }
      break;
    }
    case PanelType::kBf16:
      source.kernels.to_bf16(row, depth, reinterpret_cast<uint16_t*>(words));
      break;
    case PanelType::kInt8: {
      const int64_t index = panel * kPanelColumns + column;
      sums[index] = RoundToBytes(row, depth, reinterpret_cast<int8_t*>(words), &scales[index]);
    }
  }
  char* to = this->panel(panel) + column * 4;
  for (int64_t w = 0; w < depth / source.kernel.group; ++w) {
    std::memcpy(to + w * 4 * kPanelColumns, words + 4 * w, 4);
  }
}

}  // namespace cliptag
