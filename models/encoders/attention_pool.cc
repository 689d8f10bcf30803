#include "models/encoders/attention_pool.h"

#include <cmath>

#include "models/weights/weights.h"

namespace cliptag {
namespace {

// CoCa's norms of queries and keys are PyTorch's own, whatever the configuration says of others.
constexpr float kPoolerEpsilon = 1e-5f;

// The first `n` values of x, normalised where there is a norm.
std::vector<double> Normalised(const HostTensor& x, int64_t n, const NormTensors& norm,
                               double epsilon) {
  std::vector<double> out(static_cast<size_t>(n));
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += (out[i] = ElementOf(x, i)) / static_cast<double>(n);
  if (norm.gamma.data == nullptr) return out;
  for (double v : out) variance += (v - mean) * (v - mean) / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = (out[i] - mean) / std::sqrt(variance + epsilon) * ElementOf(norm.gamma, i) +
             ElementOf(norm.beta, i);
  }
  return out;
}

}  // namespace

AttentionPooling::AttentionPooling(Backend& backend, const VitConfig& config, int64_t embed_dim)
    : backend_(backend),
      tokens_(config.tokens()),
      width_(config.transformer.width),
      inner_(embed_dim),  // SigLIP's width is its embedding's
      heads_(config.attention_pool == AttentionPool::kProbe ? config.transformer.heads
                                                            : config.pool_heads),
      mlp_width_(config.transformer.mlp_width),
      epsilon_(config.transformer.layer_norm_eps),
      probe_(config.attention_pool == AttentionPool::kProbe),
      activation_(config.transformer.activation) {}

Result<std::unique_ptr<AttentionPooling>> AttentionPooling::Load(Backend& backend,
                                                                 const VitConfig& config,
                                                                 int64_t embed_dim,
                                                                 const VitTensors& tensors) {
  std::unique_ptr<AttentionPooling> pooling(new AttentionPooling(backend, config, embed_dim));
  AttentionPooling& p = *pooling;
  const AttentionPoolTensors& t = tensors.pool;
  // Rows of pictures, not of tokens, are multiplied by most of these: bytes would save nothing.
  const auto pack = [&](LinearSpec spec) {
    spec.precise = true;
    return backend.PackLinear(spec);
  };
  CLIPTAG_RETURN_IF_ERROR(p.LoadQuery(t));
  CLIPTAG_ASSIGN_OR_RETURN(p.kv_, pack({{t.qkv[1], t.qkv[2]}, {t.qkv_bias[1], t.qkv_bias[2]}}));
  CLIPTAG_ASSIGN_OR_RETURN(p.out_, pack({{t.out}, {t.out_bias}}));
  CLIPTAG_ASSIGN_OR_RETURN(p.key_norm_, p.probe_
                                            ? Norm::Load(backend, tensors.post_norm, p.epsilon_)
                                            : Norm::Load(backend, t.key_norm, kPoolerEpsilon));
  CLIPTAG_ASSIGN_OR_RETURN(p.norm_,
                           Norm::Load(backend, p.probe_ ? t.norm : tensors.post_norm, p.epsilon_));
  if (p.probe_) {
    CLIPTAG_ASSIGN_OR_RETURN(p.fc1_, pack({{t.fc1}, {t.fc1_bias}}));
    CLIPTAG_ASSIGN_OR_RETURN(p.fc2_, pack({{t.fc2}, {t.fc2_bias}}));
  } else {
    CLIPTAG_ASSIGN_OR_RETURN(p.projection_, PackProjection(backend, tensors.projection));
  }
  return pooling;
}

Status AttentionPooling::LoadQuery(const AttentionPoolTensors& pool) {
  const std::vector<double> query = Normalised(pool.query, inner_, pool.query_norm, kPoolerEpsilon);
  query_.resize(static_cast<size_t>(inner_));
  for (int64_t o = 0; o < inner_; ++o) {
    double sum = ElementOf(pool.qkv_bias[0], o);
    for (int64_t i = 0; i < inner_; ++i) sum += ElementOf(pool.qkv[0], o * inner_ + i) * query[i];
    query_[o] = static_cast<float>(sum);
  }
  return {};
}

Status AttentionPooling::Setup(int max_batch) {
  std::vector<float> rows;
  rows.reserve(query_.size() * static_cast<size_t>(max_batch));
  for (int i = 0; i < max_batch; ++i) rows.insert(rows.end(), query_.begin(), query_.end());
  CLIPTAG_ASSIGN_OR_RETURN(
      queries_,
      backend_.Upload({rows.data(), DType::kF32, {max_batch, inner_}}, backend_.compute_type()));
  return {};
}

Status AttentionPooling::Prepare(int batch) const {
  CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*kv_, batch * tokens_));
  for (const Linear* linear : {out_.get(), fc1_.get(), fc2_.get(), projection_.get()}) {
    if (linear != nullptr) CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*linear, batch));
  }
  return {};
}

AttentionPooling::Scratch AttentionPooling::Plan(Arena* arena, int64_t batch) const {
  const DType type = backend_.compute_type();
  Scratch s;
  s.norm = arena->Take(batch * tokens_, width_, type);
  s.kv = arena->Take(batch * tokens_, 2 * inner_, type);
  s.answer = arena->Take(batch, inner_, type);
  s.pooled = arena->Take(batch, inner_, DType::kF32);
  s.middle = arena->Take(batch, mlp_width_, type);
  return s;
}

Status AttentionPooling::Run(const Matrix& x, int batch, const Scratch& s,
                             const Matrix& out) const {
  CLIPTAG_RETURN_IF_ERROR(key_norm_.Run(backend_, x, s.norm));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(s.norm, *kv_, Activation::kNone, false, s.kv));
  const Matrix queries{queries_->data(), backend_.compute_type(), batch, inner_, inner_};
  CLIPTAG_RETURN_IF_ERROR(
      backend_.Attention(QueryEach(queries, s.kv, batch, tokens_, heads_, s.answer)));
  const Matrix& pooled = probe_ ? out : s.pooled;
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(s.answer, *out_, Activation::kNone, false, pooled));
  CLIPTAG_RETURN_IF_ERROR(norm_.Run(backend_, pooled, s.answer));
  if (!probe_) return backend_.Gemm(s.answer, *projection_, Activation::kNone, false, out);
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(s.answer, *fc1_, activation_, false, s.middle));
  return backend_.Gemm(s.middle, *fc2_, Activation::kNone, true, out);
}

}  // namespace cliptag
