#include "models/text_encoder.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/transformer.h"

namespace cliptag {
namespace {

// Texts of a batch, and as many rows as this many full-length texts have: short prompts go in
// larger batches. More does not pay on any backend and costs workspace.
constexpr int kMaxTexts = 64;
constexpr int kFullTexts = 16;

class ClipTextEncoder : public TextEncoder {
 public:
  ClipTextEncoder(Backend& backend, Workspace& workspace, const ModelConfig& config)
      : backend_(backend),
        workspace_(workspace),
        config_(config.text),
        embed_dim_(config.embed_dim),
        max_rows_(int64_t{kFullTexts} * config.text.context_length) {}

  Status Load(const TextTensors& tensors);
  Status Encode(std::span<const Tokens> texts, float* embeddings) override;

 private:
  struct Buffers {
    Matrix x;           // (rows, width) f32
    Matrix embeddings;  // (texts, embed_dim) f32
    Transformer::Scratch blocks;
  };
  Buffers Plan(Arena* arena, int64_t rows, int64_t texts) const;
  Status Check(const Tokens& tokens) const;
  // The token whose output is the text's embedding.
  int PooledToken(const Tokens& tokens) const;
  // How many leading tokens can matter to it.
  int UsedTokens(int pooled) const { return config_.causal ? pooled + 1 : config_.context_length; }
  // The texts order[0..count), all with `length` tokens, to rows of host_embeddings_.
  Status EncodeBatch(std::span<const Tokens> texts, const size_t* order, int count, int length);

  Backend& backend_;
  Workspace& workspace_;
  const TextConfig config_;
  const int64_t embed_dim_;
  const int64_t max_rows_;

  std::unique_ptr<Memory> table_, position_;
  DType table_type_ = DType::kF32;
  std::unique_ptr<Transformer> transformer_;
  Norm final_norm_;
  std::unique_ptr<Linear> projection_;  // null without one

  std::unique_ptr<Memory> ids_;  // int32 (max_rows_ + 2 kMaxTexts): ids, pooled rows, key counts
  std::vector<int32_t> host_ids_;
  std::vector<float> host_embeddings_;
};

Status ClipTextEncoder::Load(const TextTensors& tensors) {
  table_type_ =
      tensors.token.type;  // as stored: rounding it further would save nothing that counts
  CLIPTAG_ASSIGN_OR_RETURN(table_, backend_.Upload(tensors.token, table_type_));
  CLIPTAG_ASSIGN_OR_RETURN(position_, backend_.Upload(tensors.position, DType::kF32));
  CLIPTAG_ASSIGN_OR_RETURN(
      final_norm_, Norm::Load(backend_, tensors.final_norm, config_.transformer.layer_norm_eps));
  CLIPTAG_ASSIGN_OR_RETURN(transformer_, Transformer::Load(backend_, config_.transformer,
                                                           tensors.blocks, /*pooled=*/true,
                                                           /*precise=*/true));
  CLIPTAG_ASSIGN_OR_RETURN(projection_, PackProjection(backend_, tensors.projection));
  host_ids_.resize(static_cast<size_t>(max_rows_) + 2 * kMaxTexts);
  host_embeddings_.resize(static_cast<size_t>(kMaxTexts * embed_dim_));
  CLIPTAG_ASSIGN_OR_RETURN(ids_, backend_.Allocate(host_ids_.size() * sizeof(int32_t)));
  Arena size(nullptr);
  Plan(&size, max_rows_, kMaxTexts);
  return workspace_.Reserve(size.peak());
}

ClipTextEncoder::Buffers ClipTextEncoder::Plan(Arena* arena, int64_t rows, int64_t texts) const {
  Buffers buffers;
  buffers.x = arena->Take(rows, config_.transformer.width, DType::kF32);
  buffers.embeddings = arena->Take(texts, embed_dim_, DType::kF32);
  buffers.blocks = transformer_->Plan(arena, rows, texts);
  return buffers;
}

Status ClipTextEncoder::Check(const Tokens& tokens) const {
  if (tokens.ids.size() != static_cast<size_t>(config_.context_length)) {
    return InvalidArgument("The text encoder takes " + std::to_string(config_.context_length) +
                           " tokens, not " + std::to_string(tokens.ids.size()) + ".");
  }
  for (int32_t id : tokens.ids) {
    if (id < 0 || id >= config_.vocab_size) {
      return InvalidArgument("The token " + std::to_string(id) + " is not in the vocabulary of " +
                             std::to_string(config_.vocab_size) + ".");
    }
  }
  return {};
}

int ClipTextEncoder::PooledToken(const Tokens& tokens) const {
  const std::vector<int32_t>& ids = tokens.ids;
  switch (config_.pooling) {
    case TextPooling::kFirst:
      return 0;
    case TextPooling::kLast:
      return config_.context_length - 1;
    case TextPooling::kArgmax:
      return static_cast<int>(std::max_element(ids.begin(), ids.end()) - ids.begin());
    case TextPooling::kEosId:
      break;
  }
  const auto it = std::find(ids.begin(), ids.end(), config_.eos_id);
  return it == ids.end() ? 0 : static_cast<int>(it - ids.begin());  // 0: as the references' argmax
}

Status ClipTextEncoder::Encode(std::span<const Tokens> texts, float* embeddings) {
  for (const Tokens& tokens : texts) CLIPTAG_RETURN_IF_ERROR(Check(tokens));
  // Texts of like length share a batch, which is as long as its longest.
  std::vector<int> used(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) used[i] = UsedTokens(PooledToken(texts[i]));
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return used[a] > used[b]; });

  for (size_t first = 0; first < order.size();) {
    const int length = used[order[first]];
    const int64_t fit = std::min<int64_t>(kMaxTexts, max_rows_ / length);
    const int count = static_cast<int>(std::min<int64_t>(fit, texts.size() - first));
    CLIPTAG_RETURN_IF_ERROR(EncodeBatch(texts, order.data() + first, count, length));
    for (int i = 0; i < count; ++i) {
      std::copy_n(host_embeddings_.data() + i * embed_dim_, embed_dim_,
                  embeddings + static_cast<int64_t>(order[first + i]) * embed_dim_);
    }
    first += count;
  }
  return {};
}

Status ClipTextEncoder::EncodeBatch(std::span<const Tokens> texts, const size_t* order, int count,
                                    int length) {
  const int64_t rows = int64_t{count} * length, width = config_.transformer.width;
  int32_t* pooled_rows = host_ids_.data() + rows;
  int32_t* key_counts = pooled_rows + count;
  for (int i = 0; i < count; ++i) {
    const Tokens& tokens = texts[order[i]];
    std::copy_n(tokens.ids.data(), length, host_ids_.data() + int64_t{i} * length);
    const int pooled = PooledToken(tokens);
    pooled_rows[i] = i * length + pooled;
    key_counts[i] = UsedTokens(pooled);
  }
  CLIPTAG_RETURN_IF_ERROR(
      backend_.CopyFromHost(host_ids_.data(), (rows + 2 * count) * sizeof(int32_t), ids_->data()));
  const auto* ids = static_cast<const int32_t*>(ids_->data());

  Arena arena = workspace_.Carve();
  const Buffers buffers = Plan(&arena, rows, count);
  CLIPTAG_RETURN_IF_ERROR(backend_.EmbedTokens(
      ids, {table_->data(), table_type_, config_.vocab_size, width, width},
      {position_->data(), DType::kF32, config_.context_length, width, width}, length, buffers.x));
  Transformer::Sequences sequences{count, length, config_.causal, ids + rows, ids + rows + count};
  CLIPTAG_ASSIGN_OR_RETURN(const Matrix pooled,
                           transformer_->Run(buffers.x, sequences, buffers.blocks));
  if (projection_ == nullptr) {
    CLIPTAG_RETURN_IF_ERROR(final_norm_.Run(backend_, pooled, buffers.embeddings));
  } else {
    const Matrix& norm = buffers.blocks.pooled_norm;
    CLIPTAG_RETURN_IF_ERROR(final_norm_.Run(backend_, pooled, norm));
    CLIPTAG_RETURN_IF_ERROR(
        backend_.Gemm(norm, *projection_, Activation::kNone, false, buffers.embeddings));
  }
  CLIPTAG_RETURN_IF_ERROR(backend_.NormalizeRows(buffers.embeddings));
  // Also waits, so that the next batch may overwrite host_ids_.
  return backend_.CopyToHost(buffers.embeddings, host_embeddings_.data());
}

}  // namespace

Result<std::unique_ptr<TextEncoder>> LoadTextEncoder(Backend& backend, Workspace& workspace,
                                                     const ModelConfig& config,
                                                     const TextTensors& tensors) {
  auto encoder = std::make_unique<ClipTextEncoder>(backend, workspace, config);
  CLIPTAG_RETURN_IF_ERROR(encoder->Load(tensors));
  return std::unique_ptr<TextEncoder>(std::move(encoder));
}

}  // namespace cliptag
