#include "kernels/cpu/products/onednn/gemm.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/base/divide_up.h"
#include "kernels/base/half.h"
#include "kernels/cpu/products/weight_rows.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

// Rows multiplied at once. 64 rows reach oneDNN's full speed, and 64 x 512 results fit L2 beside
// the weights that are streamed through it.
constexpr int64_t kRowBlock = 64;
// oneDNN packs columns by 64; a block is a multiple of that.
constexpr int64_t kUnit = 64;
constexpr int64_t kLargestBlockUnits = 8;

// Width of the column blocks: the one with which all threads finish soonest; among equals the
// widest that still gives each thread two blocks, so that others take over from a thread that was
// interrupted.
int64_t BlockColumns(int64_t n, int threads) {
  const int64_t units = DivideUp(n, kUnit);
  int64_t best = 1, best_span = INT64_MAX;
  for (int64_t width = 1; width <= std::min(units, kLargestBlockUnits); ++width) {
    const int64_t blocks = DivideUp(units, width);
    const int64_t span = DivideUp(blocks, threads) * width;
    if (span < best_span || (span == best_span && (threads == 1 || blocks >= 2 * threads))) {
      best = width;
      best_span = span;
    }
  }
  return best * kUnit;
}

}  // namespace

class OneDnnGemm::Weight : public PackedWeight {
 public:
  struct Block {
    int64_t first = 0, cols = 0;  // outputs
    size_t offset = 0;            // in storage
    std::unique_ptr<OneDnn::PackedWeights> weights;
  };

  size_t bytes() const override { return storage->bytes() + bias.size() * sizeof(float); }

  LinearShape shape;
  std::unique_ptr<Memory> storage;
  std::vector<Block> blocks;  // all as wide as the first, save the last
  std::vector<float> bias;
};

// How a product of some number of rows is divided, and the plans of its parts.
struct OneDnnGemm::Split {
  int64_t row_block = 0, row_blocks = 0;  // blocks of row_block rows; the last may be shorter
  // [last column block][last row block]
  OneDnn::Plan* plans[2][2] = {};
};

OneDnnGemm::OneDnnGemm(DType compute_type, DType product_type, const SimdKernels& kernels,
                       ThreadPool* pool, std::unique_ptr<OneDnn> onednn)
    : compute_type_(compute_type),
      product_type_(product_type),
      kernels_(kernels),
      pool_(pool),
      onednn_(std::move(onednn)),
      scratch_(pool->size()) {}

Result<std::unique_ptr<OneDnnGemm>> OneDnnGemm::Create(CpuLevel level, DType compute_type,
                                                       const SimdKernels& kernels,
                                                       ThreadPool* pool) {
  CLIPTAG_ASSIGN_OR_RETURN(auto onednn, OneDnn::Create(level, pool->size()));
  const bool native = compute_type == DType::kBF16 && level >= CpuLevel::kAvx512Bf16;
  return std::unique_ptr<OneDnnGemm>(new OneDnnGemm(
      compute_type, native ? DType::kBF16 : DType::kF32, kernels, pool, std::move(onednn)));
}

Status OneDnnGemm::GrowScratch(int64_t block_cols, int64_t in) {
  const size_t block_bytes = kRowBlock * block_cols * sizeof(float);
  const size_t x_bytes = kRowBlock * in * SizeOf(product_type_);
  for (Scratch& scratch : scratch_) {
    CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch.block, block_bytes));
    CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch.x, x_bytes));
  }
  return {};
}

Result<std::unique_ptr<PackedWeight>> OneDnnGemm::Pack(const LinearSpec& spec,
                                                       const LinearShape& shape) {
  auto linear = std::make_unique<Weight>();
  linear->shape = shape;
  const int64_t width = BlockColumns(shape.out, pool_->size());
  size_t bytes = 0;
  for (int64_t first = 0; first < shape.out; first += width) {
    Weight::Block block;
    block.first = first;
    block.cols = std::min(width, shape.out - first);
    block.offset = bytes;
    CLIPTAG_ASSIGN_OR_RETURN(const size_t size,
                             onednn_->PackedBytes(product_type_, block.cols, shape.in));
    bytes += DivideUp(size, 64) * 64;
    linear->blocks.push_back(std::move(block));
  }
  CLIPTAG_RETURN_IF_ERROR(GrowScratch(linear->blocks.front().cols, shape.in));
  CLIPTAG_ASSIGN_OR_RETURN(linear->storage, AllocateHost(bytes));

  std::vector<Status> results(linear->blocks.size());
  pool_->Run(static_cast<int>(results.size()),
             [&](int block, int) { results[block] = PackBlock(spec, *linear, block); });
  for (const Status& result : results) CLIPTAG_RETURN_IF_ERROR(result);

  linear->bias = BiasesOf(spec);
  return std::unique_ptr<PackedWeight>(std::move(linear));
}

Status OneDnnGemm::PackBlock(const LinearSpec& from, Weight& linear, size_t index) {
  Weight::Block& block = linear.blocks[index];
  const int64_t in = linear.shape.in;
  const size_t row_bytes = in * SizeOf(product_type_);
  CLIPTAG_ASSIGN_OR_RETURN(const auto rows, AllocateHost(block.cols * row_bytes));
  CLIPTAG_ASSIGN_OR_RETURN(const auto floats, AllocateHost(in * sizeof(float)));
  float* row = static_cast<float*>(floats->data());
  for (int64_t o = 0; o < block.cols; ++o) {
    ReadWeightRow(from, in, block.first + o, kernels_, row);
    char* to = static_cast<char*>(rows->data()) + o * row_bytes;
    if (product_type_ == DType::kBF16) {
      kernels_.to_bf16(row, in, reinterpret_cast<uint16_t*>(to));
      continue;
    }
    if (compute_type_ == DType::kBF16) {  // bf16 values, stored as floats
      for (int64_t i = 0; i < in; ++i) row[i] = Bf16ToFloat(FloatToBf16(row[i]));
    }
    std::memcpy(to, row, row_bytes);
  }
  CLIPTAG_ASSIGN_OR_RETURN(
      block.weights, onednn_->Pack(product_type_, block.cols, in, rows->data(),
                                   static_cast<char*>(linear.storage->data()) + block.offset));
  return {};
}

Result<OneDnnGemm::Split> OneDnnGemm::Plan(const Weight& linear, int64_t rows) {
  Split split;
  split.row_blocks = DivideUp(rows, kRowBlock);
  split.row_block = DivideUp(rows, split.row_blocks);
  split.row_blocks = DivideUp(rows, split.row_block);
  const int64_t row_counts[] = {split.row_block, rows - (split.row_blocks - 1) * split.row_block};
  const int64_t widths[] = {linear.blocks.front().cols, linear.blocks.back().cols};
  for (int c = 0; c < 2; ++c) {
    for (int r = 0; r < 2; ++r) {
      CLIPTAG_ASSIGN_OR_RETURN(split.plans[c][r], onednn_->FindPlan(product_type_, row_counts[r],
                                                                    widths[c], linear.shape.in));
    }
  }
  return split;
}

Status OneDnnGemm::Prepare(const PackedWeight& linear, int64_t rows) {
  if (rows < 1) return InvalidArgument("PrepareGemm: rows must be positive.");
  return Plan(static_cast<const Weight&>(linear), rows).status();
}

const void* OneDnnGemm::Operand(const Matrix& x, int worker) {
  const bool same_type = compute_type_ == product_type_;
  if (same_type && (x.stride == x.cols || x.rows == 1)) return x.data;
  char* copy = static_cast<char*>(scratch_[worker].x->data());
  const size_t row_bytes = x.cols * SizeOf(product_type_);
  for (int64_t r = 0; r < x.rows; ++r) {
    const void* row = x.Rows(r, 1).data;
    if (same_type) {
      std::memcpy(copy + r * row_bytes, row, row_bytes);
    } else {
      kernels_.from_bf16(static_cast<const uint16_t*>(row), x.cols,
                         reinterpret_cast<float*>(copy + r * row_bytes));
    }
  }
  return copy;
}

Status OneDnnGemm::Run(const Matrix& x, const PackedWeight& linear, const ProductFinish& finish,
                       const Matrix& out) {
  const auto& packed = static_cast<const Weight&>(linear);
  CLIPTAG_ASSIGN_OR_RETURN(const Split split, Plan(packed, x.rows));
  const int64_t blocks = static_cast<int64_t>(packed.blocks.size());
  const int64_t groups = std::min(split.row_blocks, DivideUp(2 * int64_t{pool_->size()}, blocks));
  std::atomic<bool> failed{false};
  pool_->Run(static_cast<int>(blocks * groups), [&](int task, int worker) {
    const Weight::Block& block = packed.blocks[task / groups];
    const bool last_column = task / groups == blocks - 1;
    const int64_t group = task % groups;
    float* products = static_cast<float*>(scratch_[worker].block->data());
    for (int64_t r = split.row_blocks * group / groups; r < split.row_blocks * (group + 1) / groups;
         ++r) {
      const int64_t first = r * split.row_block;
      const int64_t rows = std::min(split.row_block, x.rows - first);
      OneDnn::Plan& plan = *split.plans[last_column][r == split.row_blocks - 1];
      if (!onednn_->Run(plan, *block.weights, Operand(x.Rows(first, rows), worker), products,
                        worker)) {
        failed.store(true, std::memory_order_relaxed);
        return;
      }
      EpilogueTask epilogue;
      epilogue.block = products;
      epilogue.block_stride = block.cols;
      epilogue.rows = rows;
      epilogue.cols = block.cols;
      epilogue.bias = packed.bias.empty() ? nullptr : packed.bias.data() + block.first;
      SetFinish(finish, out, first, block.first, &epilogue);
      kernels_.epilogue(epilogue);
    }
  });
  if (failed.load(std::memory_order_relaxed)) return Internal("Gemm: oneDNN failed to multiply.");
  return {};
}

}  // namespace cliptag
