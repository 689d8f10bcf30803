#include "models/encoders/blocks/transformer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/row_stride.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

// Elements from row to row.
int64_t SpreadColumns(int64_t cols, DType type) {
  const int64_t size = static_cast<int64_t>(SizeOf(type));
  return SpreadStride(cols * size) / size;
}

// The same memory as a matrix of another, smaller shape, its rows spread.
Matrix Spread(const Matrix& m, int64_t rows, int64_t cols) {
  return {m.data, m.type, rows, cols, SpreadColumns(cols, m.type)};
}

// Likewise, without gaps.
Matrix Reshape(const Matrix& m, int64_t rows, int64_t cols) {
  return {m.data, m.type, rows, cols, cols};
}

// LayerScale multiplies a linear layer's output, so it can as well multiply its rows and bias.
// `storage` keeps the scaled numbers.
LinearSpec Scaled(const HostTensor& weight, const HostTensor& bias, const HostTensor& scale,
                  std::vector<float>* storage) {
  if (scale.data == nullptr) return {{weight}, {bias}};
  const int64_t out = weight.shape[0], in = weight.shape[1];
  storage->resize(static_cast<size_t>(out * in + out));
  for (int64_t o = 0; o < out; ++o) {
    const float factor = ElementOf(scale, o);
    for (int64_t i = 0; i < in; ++i) {
      (*storage)[o * in + i] = factor * ElementOf(weight, o * in + i);
    }
    (*storage)[out * in + o] = factor * ElementOf(bias, o);
  }
  return {{HostTensor{storage->data(), DType::kF32, {out, in}}},
          {HostTensor{storage->data() + out * in, DType::kF32, {out}}}};
}

}  // namespace

Result<std::unique_ptr<Transformer>> Transformer::Load(Backend& backend,
                                                       const TransformerConfig& config,
                                                       const std::vector<BlockTensors>& blocks,
                                                       bool pooled, bool precise) {
  std::unique_ptr<Transformer> transformer(new Transformer(backend, config));
  transformer->precise_ = precise;
  transformer->pooled_ = pooled;
  for (const BlockTensors& tensors : blocks) {
    const bool last = &tensors == &blocks.back();
    CLIPTAG_ASSIGN_OR_RETURN(Block block, transformer->LoadBlock(tensors, pooled && last));
    transformer->blocks_.push_back(std::move(block));
  }
  return transformer;
}

int64_t Transformer::MiddleColumns() const {
  const int64_t mlp = config_.mlp_width;
  return config_.gated_mlp ? (mlp + 7) / 8 * 8 : mlp;
}

Result<std::unique_ptr<Linear>> Transformer::Pack(LinearSpec spec) {
  spec.precise = precise_;
  return backend_.PackLinear(spec);
}

Result<Transformer::Block> Transformer::LoadBlock(const BlockTensors& t, bool pooled) {
  Block block;
  const float epsilon = config_.layer_norm_eps;
  CLIPTAG_ASSIGN_OR_RETURN(block.norm1, Norm::Load(backend_, t.norm1, epsilon));
  CLIPTAG_ASSIGN_OR_RETURN(block.norm2, Norm::Load(backend_, t.norm2, epsilon));
  if (config_.inner_norms) {
    CLIPTAG_ASSIGN_OR_RETURN(block.attention_norm, Norm::Load(backend_, t.attention_norm, epsilon));
    CLIPTAG_ASSIGN_OR_RETURN(block.mlp_norm, Norm::Load(backend_, t.mlp_norm, epsilon));
  }
  const std::vector<float> zeros(static_cast<size_t>(config_.width));
  HostTensor k_bias = t.qkv_bias[1];
  if (k_bias.data == nullptr) k_bias = {zeros.data(), DType::kF32, {config_.width}};
  if (pooled) {
    CLIPTAG_ASSIGN_OR_RETURN(block.q, Pack({{t.qkv[0]}, {t.qkv_bias[0]}}));
    CLIPTAG_ASSIGN_OR_RETURN(block.kv, Pack({{t.qkv[1], t.qkv[2]}, {k_bias, t.qkv_bias[2]}}));
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(
        block.qkv, Pack({{t.qkv[0], t.qkv[1], t.qkv[2]}, {t.qkv_bias[0], k_bias, t.qkv_bias[2]}}));
  }
  std::vector<float> storage;
  CLIPTAG_ASSIGN_OR_RETURN(block.out, Pack(Scaled(t.out, t.out_bias, t.scale1, &storage)));
  if (config_.gated_mlp) {
    CLIPTAG_RETURN_IF_ERROR(LoadGatedMlp(t, &block));
    return block;
  }
  CLIPTAG_ASSIGN_OR_RETURN(block.fc1, Pack({{t.fc1}, {t.fc1_bias}}));
  CLIPTAG_ASSIGN_OR_RETURN(block.fc2, Pack(Scaled(t.fc2, t.fc2_bias, t.scale2, &storage)));
  return block;
}

Status Transformer::LoadGatedMlp(const BlockTensors& t, Block* block) {
  const int64_t width = config_.width, mlp = config_.mlp_width, more = MiddleColumns() - mlp;
  LinearSpec halves;
  const std::vector<float> zeros(static_cast<size_t>(more * width));
  for (const auto& [weight, bias] :
       {std::pair(t.gate, t.gate_bias), std::pair(t.fc1, t.fc1_bias)}) {
    halves.weights.push_back(weight);
    halves.biases.push_back(bias);
    if (more == 0) continue;
    halves.weights.push_back({zeros.data(), DType::kF32, {more, width}});
    halves.biases.push_back({zeros.data(), DType::kF32, {more}});
  }
  CLIPTAG_ASSIGN_OR_RETURN(block->fc1, Pack(std::move(halves)));
  const std::vector<char> rows = PadRows(t.fc2, mlp, mlp + more);
  const HostTensor fc2{rows.data(), t.fc2.type, {width, mlp + more}};
  CLIPTAG_ASSIGN_OR_RETURN(block->fc2, Pack({{fc2}, {t.fc2_bias}}));
  return {};
}

Status Transformer::Prepare(int batch, int tokens) const {
  const int64_t rows = int64_t{batch} * tokens;
  for (const Block& block : blocks_) {
    const int64_t own = block.q != nullptr ? batch : rows;  // rows of what follows attention
    if (block.q != nullptr) {
      CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*block.q, batch));
      CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*block.kv, rows));
    } else {
      CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*block.qkv, rows));
    }
    for (const Linear* linear : {block.out.get(), block.fc1.get(), block.fc2.get()}) {
      CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*linear, own));
    }
  }
  return {};
}

Transformer::Scratch Transformer::Plan(Arena* arena, int64_t rows, int64_t batch) const {
  const DType type = backend_.compute_type();
  const int64_t width = config_.width, mlp = (config_.gated_mlp ? 2 : 1) * MiddleColumns();
  Scratch s;
  s.norm = Spread(arena->Take(rows, SpreadColumns(width, type), type), rows, width);
  s.wide = arena->Take(rows, std::max(3 * width, SpreadColumns(mlp, type)), type);
  s.pooled = arena->Take(batch, width, DType::kF32);
  s.pooled_norm = Spread(arena->Take(batch, SpreadColumns(width, type), type), batch, width);
  s.pooled_wide = arena->Take(batch, std::max(width, SpreadColumns(mlp, type)), type);
  return s;
}

Result<Matrix> Transformer::Run(const Matrix& x, const Sequences& sequences,
                                const Scratch& scratch) const {
  for (const Block& block : blocks_) {
    CLIPTAG_RETURN_IF_ERROR(block.q != nullptr ? RunPooledBlock(block, x, sequences, scratch)
                                               : RunBlock(block, x, sequences, scratch));
  }
  return pooled_ ? Reshape(scratch.pooled, sequences.batch, config_.width) : x;
}

Status Transformer::RunBlock(const Block& block, const Matrix& x, const Sequences& s,
                             const Scratch& scratch) const {
  const int64_t rows = x.rows, width = config_.width;
  const Matrix norm = Spread(scratch.norm, rows, width);
  const Matrix qkv = Reshape(scratch.wide, rows, 3 * width);
  if (!config_.post_norm) CLIPTAG_RETURN_IF_ERROR(block.norm1.Run(backend_, x, norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.qkv, Activation::kNone, false, qkv));
  if (s.angles.data != nullptr) {
    CLIPTAG_RETURN_IF_ERROR(backend_.Rope(qkv.Cols(0, 2 * width), s.angles));
  }
  AttentionArgs args;
  args.batch = s.batch;
  args.q_tokens = args.kv_tokens = s.tokens;
  args.heads = config_.heads;
  args.head_dim = config_.head_dim();
  args.scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim()));
  args.q = qkv.Cols(0, width);
  args.k = qkv.Cols(width, width);
  args.v = qkv.Cols(2 * width, width);
  args.out = norm;
  args.causal = s.causal;
  args.kv_lengths = s.lengths;
  CLIPTAG_RETURN_IF_ERROR(backend_.Attention(args));
  return FinishBlock(block, x, norm, scratch.wide);
}

Status Transformer::RunPooledBlock(const Block& block, const Matrix& x, const Sequences& s,
                                   const Scratch& scratch) const {
  const int64_t rows = x.rows, batch = s.batch, width = config_.width;
  const Matrix norm = Spread(scratch.norm, rows, width);
  const Matrix kv = Reshape(scratch.wide, rows, 2 * width);
  const Matrix pooled = Reshape(scratch.pooled, batch, width);
  const Matrix pooled_norm = Spread(scratch.pooled_norm, batch, width);
  const Matrix q = Reshape(scratch.pooled_wide, batch, width);
  if (!config_.post_norm) CLIPTAG_RETURN_IF_ERROR(block.norm1.Run(backend_, x, norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.kv, Activation::kNone, false, kv));
  if (s.angles.data != nullptr) {
    CLIPTAG_RETURN_IF_ERROR(backend_.Rope(kv.Cols(0, width), s.angles));
  }
  CLIPTAG_RETURN_IF_ERROR(backend_.GatherRows(norm, s.pooled_rows, pooled_norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(pooled_norm, *block.q, Activation::kNone, false, q));
  AttentionArgs args = QueryEach(q, kv, s.batch, s.tokens, config_.heads, pooled_norm);
  args.kv_lengths = s.pooled_lengths;  // all that a causal query at that place sees
  CLIPTAG_RETURN_IF_ERROR(backend_.Attention(args));
  CLIPTAG_RETURN_IF_ERROR(backend_.GatherRows(x, s.pooled_rows, pooled));
  return FinishBlock(block, pooled, pooled_norm, scratch.pooled_wide);
}

Status Transformer::FinishBlock(const Block& block, const Matrix& x, const Matrix& norm,
                                const Matrix& wide) const {
  if (config_.inner_norms) CLIPTAG_RETURN_IF_ERROR(block.attention_norm.Run(backend_, norm, norm));
  if (config_.post_norm) {
    const Matrix answers = Reshape(wide, x.rows, config_.width);
    CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.out, Activation::kNone, false, answers));
    CLIPTAG_RETURN_IF_ERROR(block.norm1.Add(backend_, answers, x, norm));
    CLIPTAG_ASSIGN_OR_RETURN(const Matrix middle, RunMiddle(block, norm, wide));
    CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(middle, *block.fc2, Activation::kNone, false, norm));
    return block.norm2.Add(backend_, norm, x, norm);
  }
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.out, Activation::kNone, true, x));
  CLIPTAG_RETURN_IF_ERROR(block.norm2.Run(backend_, x, norm));
  CLIPTAG_ASSIGN_OR_RETURN(const Matrix middle, RunMiddle(block, norm, wide));
  return backend_.Gemm(middle, *block.fc2, Activation::kNone, true, x);
}

Result<Matrix> Transformer::RunMiddle(const Block& block, const Matrix& norm,
                                      const Matrix& wide) const {
  const int64_t rows = norm.rows, columns = MiddleColumns();
  if (!config_.gated_mlp) {
    const Matrix middle = Spread(wide, rows, columns);
    CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.fc1, config_.activation, false, middle));
    return middle;
  }
  const Matrix halves = Spread(wide, rows, 2 * columns), middle = halves.Cols(0, columns);
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.fc1, Activation::kNone, false, halves));
  CLIPTAG_RETURN_IF_ERROR(backend_.GatedSilu(halves, middle));
  if (config_.inner_norms) {  // zeros beyond the MLP's width are none of its values
    const Matrix values = middle.Cols(0, config_.mlp_width);
    CLIPTAG_RETURN_IF_ERROR(block.mlp_norm.Run(backend_, values, values));
  }
  return middle;
}

}  // namespace cliptag
