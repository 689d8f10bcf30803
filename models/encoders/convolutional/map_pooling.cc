#include "models/encoders/convolutional/map_pooling.h"

#include <cmath>

#include "models/encoders/blocks/transformer.h"

namespace cliptag {
namespace {

// The rows of a matrix, or elements of a vector, that belong to one of `heads`.
HostTensor OfHead(const HostTensor& tensor, int64_t head, int64_t heads) {
  HostTensor part = tensor;
  part.shape[0] /= heads;
  part.data = static_cast<const char*>(tensor.data) + head * part.elements() * SizeOf(tensor.type);
  return part;
}

}  // namespace

MapPooling::MapPooling(Backend& backend, int heads, const ResNetTensors& tensors)
    : backend_(backend),
      tokens_(tensors.position.shape[0]),
      width_(tensors.position.shape[1]),
      heads_(heads) {}

Result<std::unique_ptr<MapPooling>> MapPooling::Load(Backend& backend, int heads,
                                                     const ResNetTensors& t) {
  std::unique_ptr<MapPooling> pooling(new MapPooling(backend, heads, t));
  const auto pack = [&](LinearSpec spec) {
    spec.precise = true;  // as the convolutions, which are most of the work
    return backend.PackLinear(spec);
  };
  CLIPTAG_ASSIGN_OR_RETURN(pooling->query_, pack({{t.q}, {t.q_bias}}));
  CLIPTAG_ASSIGN_OR_RETURN(pooling->out_, pack({{t.out}, {t.out_bias}}));
  if (!backend.info().asynchronous) {
    CLIPTAG_RETURN_IF_ERROR(pooling->LoadHeads(t));
    return pooling;
  }
  CLIPTAG_ASSIGN_OR_RETURN(pooling->kv_, pack({{t.k, t.v}, {t.k_bias, t.v_bias}}));
  return pooling;
}

Status MapPooling::LoadHeads(const ResNetTensors& t) {
  for (int64_t head = 0; head < heads_; ++head) {
    // Stored as (features of the head, features): the question's inputs first.
    const LinearSpec ask{{OfHead(t.k, head, heads_)}, {}, /*transposed=*/true, /*precise=*/true};
    CLIPTAG_ASSIGN_OR_RETURN(auto linear, backend_.PackLinear(ask));
    ask_.push_back(std::move(linear));
    LinearSpec answer{{OfHead(t.v, head, heads_)}, {OfHead(t.v_bias, head, heads_)}};
    answer.precise = true;
    CLIPTAG_ASSIGN_OR_RETURN(linear, backend_.PackLinear(answer));
    answer_.push_back(std::move(linear));
  }
  return {};
}

Status MapPooling::Prepare(int batch) const {
  CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*query_, batch));
  CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*out_, batch));
  if (kv_) return backend_.PrepareGemm(*kv_, batch * tokens_);
  for (int64_t head = 0; head < heads_; ++head) {
    CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*ask_[head], batch));
    CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*answer_[head], batch));
  }
  return {};
}

MapPooling::Scratch MapPooling::Plan(Arena* arena, int64_t batch) const {
  const DType type = backend_.compute_type();
  Scratch s;
  s.query = arena->Take(batch, width_, type);
  s.pooled = arena->Take(batch, width_, type);
  if (kv_) {
    s.kv = arena->Take(batch * tokens_, 2 * width_, type);
  } else {
    s.questions = arena->Take(batch, heads_ * width_, type);
    s.answers = arena->Take(batch, heads_ * width_, type);
  }
  return s;
}

Status MapPooling::Run(const Matrix& x, int batch, const Scratch& s, const Matrix& out) const {
  const Matrix means{x.data, x.type, batch, width_, tokens_ * width_};
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(means, *query_, Activation::kNone, false, s.query));
  if (kv_) {
    CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(x, *kv_, Activation::kNone, false, s.kv));
    CLIPTAG_RETURN_IF_ERROR(
        backend_.Attention(QueryEach(s.query, s.kv, batch, tokens_, heads_, s.pooled)));
  } else {
    CLIPTAG_RETURN_IF_ERROR(RunHeads(x, batch, s));
  }
  return backend_.Gemm(s.pooled, *out_, Activation::kNone, false, out);
}

Status MapPooling::RunHeads(const Matrix& x, int batch, const Scratch& s) const {
  const int64_t head_dim = width_ / heads_;
  for (int64_t head = 0; head < heads_; ++head) {
    CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(s.query.Cols(head * head_dim, head_dim), *ask_[head],
                                          Activation::kNone, false,
                                          s.questions.Cols(head * width_, width_)));
  }
  // All heads ask the same tokens: as so many queries of one head.
  AttentionArgs args;
  args.q = {s.questions.data, s.questions.type, batch * heads_, width_, width_};
  args.out = {s.answers.data, s.answers.type, batch * heads_, width_, width_};
  args.k = args.v = x;
  args.batch = batch;
  args.q_tokens = static_cast<int>(heads_);
  args.kv_tokens = static_cast<int>(tokens_);
  args.heads = 1;
  args.head_dim = static_cast<int>(width_);
  args.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  CLIPTAG_RETURN_IF_ERROR(backend_.Attention(args));
  for (int64_t head = 0; head < heads_; ++head) {
    CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(s.answers.Cols(head * width_, width_), *answer_[head],
                                          Activation::kNone, false,
                                          s.pooled.Cols(head * head_dim, head_dim)));
  }
  return {};
}

}  // namespace cliptag
