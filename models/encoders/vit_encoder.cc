#include "models/encoders/vit_encoder.h"

#include <utility>
#include <vector>

#include "models/encoders/attention_pool.h"
#include "models/encoders/blocks/prepared_encoder.h"
#include "models/encoders/blocks/rope.h"
#include "models/encoders/blocks/transformer.h"
#include "models/encoders/convolutional/conv_stem.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

class VitEncoder : public PreparedEncoder {
 public:
  VitEncoder(Backend& backend, Workspace& workspace, const ModelConfig& config)
      : PreparedEncoder(backend, workspace, config), config_(std::get<VitConfig>(config.vision)) {}

  Status Load(const VitTensors& tensors);

 private:
  // Everything a run carves from the workspace.
  struct Buffers {
    Matrix x;                        // (batch * tokens, width) f32
    Matrix patches;                  // (batch * patches, width) f32; dead once x is assembled
    ConvStem::Scratch stem;          // behind patches, and dead with them
    Transformer::Scratch blocks;     // overlays patches, but where tokens are assembled twice
    AttentionPooling::Scratch pool;  // overlays blocks
  };
  Buffers Plan(Arena* arena, int64_t batch) const;
  size_t WorkspaceBytes(int max_batch) const override;
  Status SetupBatches(int max_batch) override;
  Status Forward(int batch, const Matrix& out) override;
  Status LoadPatches(const VitTensors& tensors);
  Status LoadPositions(const VitTensors& tensors);
  Status UploadRows(int max_batch);
  // The residual stream to embeddings, not yet of unit length.
  Status PoolAndProject(const Matrix& x, const Buffers& buffers, int batch, const Matrix& out);
  // The pooled and normalised tokens: (batch, width) compute_type.
  Result<Matrix> Pool(const Matrix& x, const Buffers& buffers, int batch);
  Result<Matrix> PoolAverage(const Matrix& x, const Buffers& buffers, int batch);

  const VitConfig config_;

  std::unique_ptr<Linear> patch_, projection_;  // no projection with pooling_
  std::unique_ptr<ConvStem> stem_;              // in place of patch_, or null
  std::unique_ptr<Memory> class_token_, position_;
  std::unique_ptr<Memory> rope_;  // see models/encoders/blocks/rope.h; null without RoPE
  Norm pre_norm_, post_norm_;
  std::unique_ptr<Transformer> transformer_;
  std::unique_ptr<AttentionPooling> pooling_;  // null without

  // int32 rows in x: the class token of every picture, or every patch token when they are averaged.
  std::unique_ptr<Memory> pooled_rows_;
};

Status VitEncoder::LoadPatches(const VitTensors& tensors) {
  if (config_.conv_stem) {
    CLIPTAG_ASSIGN_OR_RETURN(stem_,
                             ConvStem::Load(backend_, config_, PaddedColumns(), tensors.stem));
    return {};
  }
  const int64_t columns = PatchColumns(), padded = PaddedColumns();
  LinearSpec patch{{tensors.patch}, {}};
  patch.precise = true;  // pixels are few and everything follows from them
  std::vector<char> bytes;
  if (padded != columns) {
    bytes = PadRows(tensors.patch, columns, padded);
    patch.weights = {
        {bytes.data(), tensors.patch.type, {tensors.patch.elements() / columns, padded}}};
  }
  if (tensors.patch_bias.data != nullptr) patch.biases = {tensors.patch_bias};
  CLIPTAG_ASSIGN_OR_RETURN(patch_, backend_.PackLinear(patch));
  return {};
}

Status VitEncoder::LoadPositions(const VitTensors& tensors) {
  if (!config_.class_token || config_.class_position) {
    CLIPTAG_ASSIGN_OR_RETURN(position_, backend_.Upload(tensors.position, DType::kF32));
    return {};
  }
  // The class token has no position embedding.
  const int64_t width = config_.transformer.width;
  std::vector<float> values(static_cast<size_t>(config_.tokens() * width), 0.0f);
  for (int64_t i = 0; i < config_.patches() * width; ++i) {
    values[width + i] = ElementOf(tensors.position, i);
  }
  CLIPTAG_ASSIGN_OR_RETURN(
      position_,
      backend_.Upload({values.data(), DType::kF32, {config_.tokens(), width}}, DType::kF32));
  return {};
}

Status VitEncoder::Load(const VitTensors& tensors) {
  CLIPTAG_RETURN_IF_ERROR(LoadPatches(tensors));
  if (config_.class_token) {
    CLIPTAG_ASSIGN_OR_RETURN(class_token_, backend_.Upload(tensors.class_token, DType::kF32));
  }
  CLIPTAG_RETURN_IF_ERROR(LoadPositions(tensors));
  if (config_.rope_reference > 0) {
    const std::vector<float> angles = RopeAngles(config_);
    const HostTensor table{
        angles.data(), DType::kF32, {config_.tokens(), config_.transformer.head_dim()}};
    CLIPTAG_ASSIGN_OR_RETURN(rope_, backend_.Upload(table, DType::kF32));
  }
  const float epsilon = config_.transformer.layer_norm_eps;
  if (config_.pre_norm) {
    CLIPTAG_ASSIGN_OR_RETURN(pre_norm_, Norm::Load(backend_, tensors.pre_norm, epsilon));
  }
  const bool attends = config_.attention_pool != AttentionPool::kNone;
  CLIPTAG_ASSIGN_OR_RETURN(transformer_,
                           Transformer::Load(backend_, config_.transformer, tensors.blocks,
                                             !config_.average_pool && !attends, /*precise=*/false));
  if (attends) {
    CLIPTAG_ASSIGN_OR_RETURN(pooling_,
                             AttentionPooling::Load(backend_, config_, embed_dim_, tensors));
    return {};
  }
  CLIPTAG_ASSIGN_OR_RETURN(post_norm_, Norm::Load(backend_, tensors.post_norm, epsilon));
  CLIPTAG_ASSIGN_OR_RETURN(projection_, PackProjection(backend_, tensors.projection));
  return {};
}

VitEncoder::Buffers VitEncoder::Plan(Arena* arena, int64_t batch) const {
  Buffers buffers;
  const int64_t width = config_.transformer.width;
  buffers.x = arena->Take(batch * config_.tokens(), width, DType::kF32);
  const size_t mark = arena->mark();
  buffers.patches = arena->Take(batch * config_.patches(), width, DType::kF32);
  if (stem_ != nullptr) buffers.stem = stem_->Plan(arena, batch);
  if (!config_.transformer.post_norm) arena->Rewind(mark);
  buffers.blocks = transformer_->Plan(arena, batch * config_.tokens(), batch);
  if (pooling_ != nullptr) {
    arena->Rewind(mark);
    buffers.pool = pooling_->Plan(arena, batch);
  }
  return buffers;
}

size_t VitEncoder::WorkspaceBytes(int max_batch) const {
  Arena size(nullptr);
  Plan(&size, max_batch);
  return size.peak();
}

Status VitEncoder::UploadRows(int max_batch) {
  std::vector<int32_t> rows;
  for (int i = 0; i < max_batch; ++i) {
    const int first = i * config_.tokens();
    const int begin = config_.average_pool ? 1 : 0;
    const int end = config_.average_pool ? config_.tokens() : 1;
    for (int token = begin; token < end; ++token) rows.push_back(first + token);
  }
  const auto count = static_cast<int64_t>(rows.size());
  CLIPTAG_ASSIGN_OR_RETURN(pooled_rows_,
                           backend_.Upload({rows.data(), DType::kI32, {count}}, DType::kI32));
  return {};
}

Status VitEncoder::SetupBatches(int max_batch) {
  CLIPTAG_RETURN_IF_ERROR(UploadRows(max_batch));
  if (pooling_ != nullptr) CLIPTAG_RETURN_IF_ERROR(pooling_->Setup(max_batch));
  if (stem_ != nullptr) CLIPTAG_RETURN_IF_ERROR(stem_->Setup(max_batch));
  for (int batch = 1; batch <= max_batch; ++batch) {
    CLIPTAG_RETURN_IF_ERROR(
        stem_ != nullptr ? stem_->Prepare(batch)
                         : backend_.PrepareGemm(*patch_, int64_t{batch} * config_.patches()));
    CLIPTAG_RETURN_IF_ERROR(transformer_->Prepare(batch, config_.tokens()));
    CLIPTAG_RETURN_IF_ERROR(pooling_ != nullptr ? pooling_->Prepare(batch)
                                                : backend_.PrepareGemm(*projection_, batch));
  }
  return {};
}

Status VitEncoder::Forward(int batch, const Matrix& out) {
  Arena arena = workspace_.Carve();
  const Buffers buffers = Plan(&arena, batch);
  const int64_t width = config_.transformer.width;
  CLIPTAG_RETURN_IF_ERROR(
      stem_ != nullptr
          ? stem_->Run(Pixels(batch), buffers.stem, buffers.patches)
          : backend_.Gemm(Pixels(batch), *patch_, Activation::kNone, false, buffers.patches));
  const auto assemble = [&](const Matrix& tokens) {
    return backend_.AssembleTokens(
        buffers.patches, class_token_ ? static_cast<const float*>(class_token_->data()) : nullptr,
        {position_->data(), DType::kF32, config_.tokens(), width, width}, batch, tokens);
  };
  CLIPTAG_RETURN_IF_ERROR(assemble(buffers.x));
  if (config_.transformer.post_norm) CLIPTAG_RETURN_IF_ERROR(assemble(buffers.blocks.norm));
  if (config_.pre_norm) {
    CLIPTAG_RETURN_IF_ERROR(pre_norm_.Run(backend_, buffers.x, buffers.x));
  }
  Transformer::Sequences sequences{batch, config_.tokens()};
  sequences.pooled_rows = static_cast<const int32_t*>(pooled_rows_->data());
  if (rope_ != nullptr) {
    const int64_t head_dim = config_.transformer.head_dim();
    sequences.angles = {rope_->data(), DType::kF32, config_.tokens(), head_dim, head_dim};
  }
  CLIPTAG_ASSIGN_OR_RETURN(const Matrix x, transformer_->Run(buffers.x, sequences, buffers.blocks));
  CLIPTAG_RETURN_IF_ERROR(PoolAndProject(x, buffers, batch, out));
  return backend_.NormalizeRows(out);
}

Status VitEncoder::PoolAndProject(const Matrix& x, const Buffers& buffers, int batch,
                                  const Matrix& out) {
  if (pooling_ != nullptr) return pooling_->Run(x, batch, buffers.pool, out);
  CLIPTAG_ASSIGN_OR_RETURN(const Matrix pooled, Pool(x, buffers, batch));
  return backend_.Gemm(pooled, *projection_, Activation::kNone, false, out);
}

Result<Matrix> VitEncoder::Pool(const Matrix& x, const Buffers& buffers, int batch) {
  if (config_.average_pool) return PoolAverage(x, buffers, batch);
  // Norming one token is the same before and after it is picked.
  const Matrix pooled = buffers.blocks.pooled_norm;
  CLIPTAG_RETURN_IF_ERROR(post_norm_.Run(backend_, x, pooled));
  return pooled;
}

Result<Matrix> VitEncoder::PoolAverage(const Matrix& x, const Buffers& buffers, int batch) {
  const int64_t width = config_.transformer.width, patches = config_.patches();
  const Matrix& out = buffers.blocks.pooled_norm;
  if (!config_.final_norm_after_pool) {
    // Attention to all keys alike is an average: norm, drop the class tokens, attend with scale 0.
    const Matrix& norm = buffers.blocks.norm;
    const Matrix& wide = buffers.blocks.wide;
    const Matrix tokens{wide.data, wide.type, batch * patches, width, width};
    CLIPTAG_RETURN_IF_ERROR(post_norm_.Run(backend_, x, norm));
    CLIPTAG_RETURN_IF_ERROR(
        backend_.GatherRows(norm, static_cast<const int32_t*>(pooled_rows_->data()), tokens));
    AttentionArgs args;
    args.q = norm.Rows(0, batch);
    args.k = args.v = tokens;
    args.out = out;
    args.batch = batch;
    args.q_tokens = 1;
    args.kv_tokens = static_cast<int>(patches);
    args.heads = config_.transformer.heads;
    args.head_dim = config_.transformer.head_dim();
    args.scale = 0;
    CLIPTAG_RETURN_IF_ERROR(backend_.Attention(args));
    return out;
  }
  const Matrix& mean = buffers.blocks.pooled;
  CLIPTAG_RETURN_IF_ERROR(backend_.AverageTokens(x, 1, mean));
  CLIPTAG_RETURN_IF_ERROR(post_norm_.Run(backend_, mean, out));
  return out;
}

}  // namespace

Result<std::unique_ptr<ImageEncoder>> LoadEncoder(Backend& backend, Workspace& workspace,
                                                  const ModelConfig& config,
                                                  const VitTensors& tensors) {
  auto encoder = std::make_unique<VitEncoder>(backend, workspace, config);
  CLIPTAG_RETURN_IF_ERROR(encoder->Load(tensors));
  return std::unique_ptr<ImageEncoder>(std::move(encoder));
}

}  // namespace cliptag
