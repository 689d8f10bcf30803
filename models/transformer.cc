#include "models/transformer.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/row_stride.h"
#include "models/weights.h"

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

Result<Norm> Norm::Load(Backend& backend, const NormTensors& tensors, float epsilon) {
  Norm norm;
  CLIPTAG_ASSIGN_OR_RETURN(norm.gamma_, backend.Upload(tensors.gamma, DType::kF32));
  CLIPTAG_ASSIGN_OR_RETURN(norm.beta_, backend.Upload(tensors.beta, DType::kF32));
  norm.epsilon_ = epsilon;
  return norm;
}

AttentionArgs QueryEach(const Matrix& q, const Matrix& kv, int batch, int64_t tokens, int64_t heads,
                        const Matrix& out) {
  AttentionArgs args;
  args.q = q;
  args.k = kv.Cols(0, q.cols);
  args.v = kv.Cols(q.cols, q.cols);
  args.out = out;
  args.batch = batch;
  args.q_tokens = 1;
  args.kv_tokens = static_cast<int>(tokens);
  args.heads = static_cast<int>(heads);
  args.head_dim = static_cast<int>(q.cols / heads);
  args.scale = 1.0f / std::sqrt(static_cast<float>(args.head_dim));
  return args;
}

Result<std::unique_ptr<Linear>> PackProjection(Backend& backend, const ProjectionTensors& tensors) {
  if (tensors.weight.data == nullptr) return std::unique_ptr<Linear>();
  LinearSpec spec{{tensors.weight}, {}, tensors.transposed, /*precise=*/true};
  if (tensors.bias.data != nullptr) spec.biases = {tensors.bias};
  return backend.PackLinear(spec);
}

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

Result<Transformer::Block> Transformer::LoadBlock(const BlockTensors& t, bool pooled) {
  Block block;
  const float epsilon = config_.layer_norm_eps;
  CLIPTAG_ASSIGN_OR_RETURN(block.norm1, Norm::Load(backend_, t.norm1, epsilon));
  CLIPTAG_ASSIGN_OR_RETURN(block.norm2, Norm::Load(backend_, t.norm2, epsilon));
  const auto pack = [&](LinearSpec spec) {
    spec.precise = precise_;
    return backend_.PackLinear(spec);
  };
  if (pooled) {
    CLIPTAG_ASSIGN_OR_RETURN(block.q, pack({{t.qkv[0]}, {t.qkv_bias[0]}}));
    CLIPTAG_ASSIGN_OR_RETURN(block.kv,
                             pack({{t.qkv[1], t.qkv[2]}, {t.qkv_bias[1], t.qkv_bias[2]}}));
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(block.qkv, pack({{t.qkv[0], t.qkv[1], t.qkv[2]},
                                              {t.qkv_bias[0], t.qkv_bias[1], t.qkv_bias[2]}}));
  }
  std::vector<float> storage;
  CLIPTAG_ASSIGN_OR_RETURN(block.out, pack(Scaled(t.out, t.out_bias, t.scale1, &storage)));
  CLIPTAG_ASSIGN_OR_RETURN(block.fc1, pack({{t.fc1}, {t.fc1_bias}}));
  CLIPTAG_ASSIGN_OR_RETURN(block.fc2, pack(Scaled(t.fc2, t.fc2_bias, t.scale2, &storage)));
  return block;
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
  const int64_t width = config_.width, mlp = config_.mlp_width;
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
  CLIPTAG_RETURN_IF_ERROR(block.norm1.Run(backend_, x, norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.qkv, Activation::kNone, false, qkv));
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
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.out, Activation::kNone, true, x));

  const Matrix middle = Spread(scratch.wide, rows, config_.mlp_width);
  CLIPTAG_RETURN_IF_ERROR(block.norm2.Run(backend_, x, norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.fc1, config_.activation, false, middle));
  return backend_.Gemm(middle, *block.fc2, Activation::kNone, true, x);
}

Status Transformer::RunPooledBlock(const Block& block, const Matrix& x, const Sequences& s,
                                   const Scratch& scratch) const {
  const int64_t rows = x.rows, batch = s.batch, width = config_.width;
  const Matrix norm = Spread(scratch.norm, rows, width);
  const Matrix kv = Reshape(scratch.wide, rows, 2 * width);
  const Matrix pooled = Reshape(scratch.pooled, batch, width);
  const Matrix pooled_norm = Spread(scratch.pooled_norm, batch, width);
  const Matrix q = Reshape(scratch.pooled_wide, batch, width);
  CLIPTAG_RETURN_IF_ERROR(block.norm1.Run(backend_, x, norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(norm, *block.kv, Activation::kNone, false, kv));
  CLIPTAG_RETURN_IF_ERROR(backend_.GatherRows(norm, s.pooled_rows, pooled_norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(pooled_norm, *block.q, Activation::kNone, false, q));
  AttentionArgs args = QueryEach(q, kv, s.batch, s.tokens, config_.heads, pooled_norm);
  args.kv_lengths = s.pooled_lengths;  // all that a causal query at that place sees
  CLIPTAG_RETURN_IF_ERROR(backend_.Attention(args));
  CLIPTAG_RETURN_IF_ERROR(backend_.GatherRows(x, s.pooled_rows, pooled));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(pooled_norm, *block.out, Activation::kNone, true, pooled));

  const Matrix middle = Spread(scratch.pooled_wide, batch, config_.mlp_width);
  CLIPTAG_RETURN_IF_ERROR(block.norm2.Run(backend_, pooled, pooled_norm));
  CLIPTAG_RETURN_IF_ERROR(
      backend_.Gemm(pooled_norm, *block.fc1, config_.activation, false, middle));
  return backend_.Gemm(middle, *block.fc2, Activation::kNone, true, pooled);
}

}  // namespace cliptag
