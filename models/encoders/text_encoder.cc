#include "models/encoders/text_encoder.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "models/encoders/blocks/transformer.h"
#include "models/weights/weights.h"

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
        max_rows_(int64_t{kFullTexts} * (config.text.context_length + 1)) {}

  Status Load(const TextTensors& tensors);
  Status Encode(std::span<const Tokens> texts, float* embeddings) override;

 private:
  // The tokens of a text that can matter to its embedding.
  struct Reading {
    std::vector<int32_t> ids;
    std::vector<int32_t> positions;  // with a class token; else they are 0, 1, 2 and so on
    int pooled = 0;                  // whose output is the embedding
    int keys = 0;                    // how many leading tokens it sees
  };
  struct Buffers {
    Matrix x;           // (rows, width) f32
    Matrix positions;   // (rows, width) f32, with a class token
    Matrix embeddings;  // (texts, embed_dim) f32
    Transformer::Scratch blocks;
  };
  Buffers Plan(Arena* arena, int64_t rows, int64_t texts) const;
  Status Check(const Tokens& tokens) const;
  // The token whose output is the text's embedding.
  int PooledToken(const Tokens& tokens) const;
  Reading Read(const Tokens& tokens) const;
  Reading ReadWithClassToken(const Tokens& tokens) const;
  Status LoadTable(const TextTensors& tensors);
  // The readings order[0..count), none longer than `length`, to rows of host_embeddings_.
  Status EncodeBatch(const std::vector<Reading>& readings, const size_t* order, int count,
                     int length);
  // Rows of ids and, with a class token, of positions, to the residual stream.
  Status Embed(const int32_t* ids, const int32_t* positions, int length, const Buffers& buffers);

  Backend& backend_;
  Workspace& workspace_;
  const TextConfig config_;
  const int64_t embed_dim_;
  const int64_t max_rows_;

  std::unique_ptr<Memory> table_, position_;
  std::unique_ptr<Memory> no_position_;  // (width) zeros, with a class token
  int64_t table_rows_ = 0;               // the vocabulary, and the class token
  DType table_type_ = DType::kF32;
  std::unique_ptr<Transformer> transformer_;
  Norm final_norm_;
  std::unique_ptr<Linear> projection_;  // null without one

  // int32 (2 max_rows_ + 2 kMaxTexts): ids, positions, pooled rows, key counts.
  std::unique_ptr<Memory> ids_;
  std::vector<int32_t> host_ids_;
  std::vector<float> host_embeddings_;
};

// As stored: rounding the table further would save nothing that counts.
Status ClipTextEncoder::LoadTable(const TextTensors& tensors) {
  table_type_ = tensors.token.type;
  table_rows_ = config_.vocab_size;
  if (!config_.class_token) {
    CLIPTAG_ASSIGN_OR_RETURN(table_, backend_.Upload(tensors.token, table_type_));
    return {};
  }
  // The class token is one more row.
  ++table_rows_;
  const int64_t width = config_.transformer.width;
  std::vector<float> values(static_cast<size_t>(table_rows_ * width));
  for (int64_t i = 0; i < table_rows_ * width; ++i) {
    const int64_t last = i - config_.vocab_size * width;
    const HostTensor& from = last < 0 ? tensors.token : tensors.class_token;
    values[i] = ElementOf(from, last < 0 ? i : last);
  }
  CLIPTAG_ASSIGN_OR_RETURN(
      table_, backend_.Upload({values.data(), DType::kF32, {table_rows_, width}}, table_type_));
  const std::vector<float> zeros(static_cast<size_t>(width), 0.0f);
  CLIPTAG_ASSIGN_OR_RETURN(no_position_,
                           backend_.Upload({zeros.data(), DType::kF32, {width}}, DType::kF32));
  return {};
}

Status ClipTextEncoder::Load(const TextTensors& tensors) {
  CLIPTAG_RETURN_IF_ERROR(LoadTable(tensors));
  CLIPTAG_ASSIGN_OR_RETURN(position_, backend_.Upload(tensors.position, DType::kF32));
  CLIPTAG_ASSIGN_OR_RETURN(
      final_norm_, Norm::Load(backend_, tensors.final_norm, config_.transformer.layer_norm_eps));
  CLIPTAG_ASSIGN_OR_RETURN(transformer_, Transformer::Load(backend_, config_.transformer,
                                                           tensors.blocks, /*pooled=*/true,
                                                           /*precise=*/true));
  CLIPTAG_ASSIGN_OR_RETURN(projection_, PackProjection(backend_, tensors.projection));
  host_ids_.resize(2 * static_cast<size_t>(max_rows_) + 2 * kMaxTexts);
  host_embeddings_.resize(static_cast<size_t>(kMaxTexts * embed_dim_));
  CLIPTAG_ASSIGN_OR_RETURN(ids_, backend_.Allocate(host_ids_.size() * sizeof(int32_t)));
  Arena size(nullptr);
  Plan(&size, max_rows_, kMaxTexts);
  return workspace_.Reserve(size.peak());
}

ClipTextEncoder::Buffers ClipTextEncoder::Plan(Arena* arena, int64_t rows, int64_t texts) const {
  Buffers buffers;
  buffers.x = arena->Take(rows, config_.transformer.width, DType::kF32);
  if (config_.class_token) {
    buffers.positions = arena->Take(rows, config_.transformer.width, DType::kF32);
  }
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

ClipTextEncoder::Reading ClipTextEncoder::Read(const Tokens& tokens) const {
  if (config_.class_token) return ReadWithClassToken(tokens);
  Reading reading;
  reading.pooled = PooledToken(tokens);
  reading.keys = config_.causal ? reading.pooled + 1 : config_.context_length;
  reading.ids.assign(tokens.ids.begin(), tokens.ids.begin() + reading.keys);
  return reading;
}

// Padding is masked for everybody, so that a text is read without it. The mask that published
// models were trained with is shifted by the class token, whose own place it hides from itself
// unless the text fills the context, and shows the first token of padding in its stead.
ClipTextEncoder::Reading ClipTextEncoder::ReadWithClassToken(const Tokens& tokens) const {
  Reading reading;
  const std::vector<int32_t>& ids = tokens.ids;
  const int shift = config_.correct_class_mask ? 0 : 1, context = config_.context_length;
  for (int i = 0; i < context; ++i) {
    if (i >= shift && ids[i - shift] == config_.pad_id) continue;
    reading.ids.push_back(ids[i]);
    reading.positions.push_back(i);
  }
  reading.pooled = static_cast<int>(reading.ids.size());
  const bool sees_itself = config_.correct_class_mask || ids[context - 1] != config_.pad_id;
  reading.keys = reading.pooled + (sees_itself ? 1 : 0);
  reading.ids.push_back(config_.vocab_size);  // its row in the table
  reading.positions.push_back(context);
  return reading;
}

Status ClipTextEncoder::Encode(std::span<const Tokens> texts, float* embeddings) {
  std::vector<Reading> readings;
  for (const Tokens& tokens : texts) {
    CLIPTAG_RETURN_IF_ERROR(Check(tokens));
    readings.push_back(Read(tokens));
  }
  // Texts of like length share a batch, which is as long as its longest.
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return readings[a].ids.size() > readings[b].ids.size();
  });

  for (size_t first = 0; first < order.size();) {
    const int length = static_cast<int>(readings[order[first]].ids.size());
    const int64_t fit = std::min<int64_t>(kMaxTexts, max_rows_ / length);
    const int count = static_cast<int>(std::min<int64_t>(fit, texts.size() - first));
    CLIPTAG_RETURN_IF_ERROR(EncodeBatch(readings, order.data() + first, count, length));
    for (int i = 0; i < count; ++i) {
      std::copy_n(host_embeddings_.data() + i * embed_dim_, embed_dim_,
                  embeddings + static_cast<int64_t>(order[first + i]) * embed_dim_);
    }
    first += count;
  }
  return {};
}

Status ClipTextEncoder::Embed(const int32_t* ids, const int32_t* positions, int length,
                              const Buffers& buffers) {
  const int64_t width = config_.transformer.width;
  const Matrix table{table_->data(), table_type_, table_rows_, width, width};
  const int64_t places = config_.context_length + (config_.class_token ? 1 : 0);
  const Matrix position{position_->data(), DType::kF32, places, width, width};
  if (!config_.class_token) return backend_.EmbedTokens(ids, table, position, length, buffers.x);
  // Tokens lie elsewhere than their positions: the positions are looked up, too.
  const Matrix none{no_position_->data(), DType::kF32, 1, width, width};
  CLIPTAG_RETURN_IF_ERROR(backend_.EmbedTokens(positions, position, none, 1, buffers.positions));
  return backend_.EmbedTokens(ids, table, buffers.positions, static_cast<int>(buffers.x.rows),
                              buffers.x);
}

Status ClipTextEncoder::EncodeBatch(const std::vector<Reading>& readings, const size_t* order,
                                    int count, int length) {
  const int64_t rows = int64_t{count} * length;
  int32_t* pooled_rows = host_ids_.data() + 2 * rows;
  int32_t* key_counts = pooled_rows + count;
  std::fill_n(host_ids_.data(), 2 * rows, 0);  // what nobody sees
  for (int i = 0; i < count; ++i) {
    const Reading& reading = readings[order[i]];
    std::copy(reading.ids.begin(), reading.ids.end(), host_ids_.data() + int64_t{i} * length);
    std::copy(reading.positions.begin(), reading.positions.end(),
              host_ids_.data() + rows + int64_t{i} * length);
    pooled_rows[i] = i * length + reading.pooled;
    key_counts[i] = reading.keys;
  }
  CLIPTAG_RETURN_IF_ERROR(backend_.CopyFromHost(
      host_ids_.data(), (2 * rows + 2 * count) * sizeof(int32_t), ids_->data()));
  const auto* ids = static_cast<const int32_t*>(ids_->data());
  const int32_t* pooled_ids = ids + 2 * rows;

  Arena arena = workspace_.Carve();
  const Buffers buffers = Plan(&arena, rows, count);
  CLIPTAG_RETURN_IF_ERROR(Embed(ids, ids + rows, length, buffers));
  Transformer::Sequences sequences{count, length, config_.causal, pooled_ids, pooled_ids + count};
  if (config_.class_token) sequences.lengths = sequences.pooled_lengths;
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
