#include "models/encoders/convolutional/fastvit_encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "models/encoders/blocks/prepared_encoder.h"
#include "models/encoders/blocks/transformer.h"
#include "models/encoders/convolutional/feature_maps.h"

namespace cliptag {
namespace {

constexpr float kLayerNormEpsilon = 1e-5f;

struct Squeeze {
  std::unique_ptr<Convolution> reduce, expand;  // null without
};

struct Block {
  bool attention = false, layer_norm = false;
  std::unique_ptr<Convolution> mixer;     // or, of attention,
  Norm norm;                              // with layer_norm
  std::unique_ptr<Convolution> qkv, out;  // of a pixel
  std::unique_ptr<Convolution> depthwise, fc1, fc2;
};

struct Stage {
  std::unique_ptr<Convolution> large, point;  // null in the first one
  Squeeze squeeze;
  std::unique_ptr<Convolution> position;  // null without attention
  std::vector<Block> blocks;
  int edge = 0;  // of its maps
};

// Where a run's maps lie; each holds maps of any shape.
struct Buffers {
  Matrix map;                   // a block's input and output
  Matrix mixed;                 // what its first half makes of it
  Matrix narrow, wide;          // in between: as many channels, and several times as many
  Matrix floats;                // f32: what a layer norm norms
  Matrix means, middle, gates;  // of a picture's channels
};

// The same memory as a square feature map of another shape.
FeatureMap Square(const Matrix& memory, int batch, int edge, int64_t channels) {
  return Shaped(memory, batch, edge, edge, channels);
}

// qkv of a batch norm's output: the norm's factors and offsets go into the weight and a bias.
FoldedConvolution FoldQkv(const FastVitBlockTensors& t) {
  const int64_t out = t.qkv.shape[0], in = t.qkv.shape[1];
  FoldedConvolution folded;
  folded.shape = {out, in, 1, 1};
  folded.weight.resize(static_cast<size_t>(out * in));
  folded.bias.resize(static_cast<size_t>(out));
  std::vector<Affine> norm;
  for (int64_t i = 0; i < in; ++i) norm.push_back(AffineOf(t.batch_norm, i));
  for (int64_t o = 0; o < out; ++o) {
    double bias = 0;
    for (int64_t i = 0; i < in; ++i) {
      const double w = ElementOf(t.qkv, o * in + i);
      folded.weight[o * in + i] = static_cast<float>(w * norm[i].factor);
      bias += w * norm[i].offset;
    }
    folded.bias[o] = static_cast<float>(bias);
  }
  return folded;
}

class FastVitEncoder : public PreparedEncoder {
 public:
  FastVitEncoder(Backend& backend, Workspace& workspace, const ModelConfig& config)
      : PreparedEncoder(backend, workspace, config),
        config_(std::get<FastVitConfig>(config.vision)),
        size_(config_.image_size),
        together_(std::max(1, backend.info().threads / 4)) {}

  Status Load(const FastVitTensors& tensors);

 private:
  size_t WorkspaceBytes(int max_batch) const override;
  Status SetupBatches(int max_batch) override;
  Status Forward(int batch, const Matrix& out) override;

  Status LoadSqueeze(const SqueezeTensors& tensors, Squeeze* squeeze);
  Result<Stage> LoadStage(const FastVitStageTensors& tensors, const FastVitConfig::Stage& config,
                          int edge);
  Result<Block> LoadBlock(const FastVitBlockTensors& tensors, bool attention);
  Result<std::unique_ptr<Convolution>> Pack(const BranchedConvolution& tensors, int stride = 1,
                                            Activation activation = Activation::kNone,
                                            int64_t in = 0);

  int first_attention() const;  // stage
  int64_t StageWidth(int stage) const { return config_.stages[stage].width; }
  // The last map of the stages before attention of all pictures, (batch) of them.
  Matrix TakeEntries(Arena* arena, int64_t batch) const;
  // What stages [first, end) of so many pictures need; with the stem, or else with the end.
  Buffers Plan(Arena* arena, int64_t pictures, int first, int end) const;

  Result<FeatureMap> RunStem(const Matrix& pixels, int pictures, const Buffers& b);
  // x to the stage's last map, in `to`.
  Status RunStage(int index, FeatureMap x, const Buffers& b, const Matrix& to);
  Result<FeatureMap> Halve(const Stage& stage, const FeatureMap& x, const Buffers& b);
  Status RunBlock(const Block& block, const FeatureMap& x, const Buffers& b, const Matrix& to);
  Result<FeatureMap> Attend(const Block& block, const FeatureMap& x, const Buffers& b);
  // In place.
  Status SqueezeExcite(const Squeeze& squeeze, const FeatureMap& x, const Buffers& b);
  Status RunEnd(const FeatureMap& x, const Buffers& b, const Matrix& out);
  Result<FeatureMap> Convolve(const FeatureMap& x, const Convolution& convolution, const Matrix& to,
                              const FeatureMap* residual = nullptr, bool relu = false);

  const FastVitConfig config_;
  const int size_;
  const int together_;  // pictures, before attention

  std::unique_ptr<Convolution> stem_[3];
  std::vector<Stage> stages_;
  std::unique_ptr<Convolution> last_;
  Squeeze last_squeeze_;
  std::unique_ptr<Linear> head_;
  std::unique_ptr<Memory> no_positions_;  // f32 zeros, as many as a map of attention has
};

Result<std::unique_ptr<Convolution>> FastVitEncoder::Pack(const BranchedConvolution& tensors,
                                                          int stride, Activation activation,
                                                          int64_t in) {
  const FoldedConvolution folded = Fold(tensors, in);
  return backend_.PackConvolution(folded.Spec(stride, activation));
}

Status FastVitEncoder::LoadSqueeze(const SqueezeTensors& t, Squeeze* squeeze) {
  CLIPTAG_ASSIGN_OR_RETURN(squeeze->reduce, Pack(t.reduce));
  CLIPTAG_ASSIGN_OR_RETURN(squeeze->expand, Pack(t.expand));
  return {};
}

Result<Block> FastVitEncoder::LoadBlock(const FastVitBlockTensors& t, bool attention) {
  Block block;
  block.attention = attention;
  block.layer_norm = config_.layer_norm;
  if (!attention) {
    CLIPTAG_ASSIGN_OR_RETURN(block.mixer, Pack(t.mixer));
  } else {
    const FoldedConvolution qkv = FoldQkv(t);
    CLIPTAG_ASSIGN_OR_RETURN(block.qkv, backend_.PackConvolution(qkv.Spec(1)));
    CLIPTAG_ASSIGN_OR_RETURN(block.out, Pack(t.out));
    if (block.layer_norm) {
      CLIPTAG_ASSIGN_OR_RETURN(block.norm, Norm::Load(backend_, t.layer_norm, kLayerNormEpsilon));
    }
  }
  CLIPTAG_ASSIGN_OR_RETURN(block.depthwise, Pack(t.depthwise));
  CLIPTAG_ASSIGN_OR_RETURN(block.fc1, Pack(t.fc1, 1, Activation::kGelu));
  CLIPTAG_ASSIGN_OR_RETURN(block.fc2, Pack(t.fc2));
  return block;
}

Result<Stage> FastVitEncoder::LoadStage(const FastVitStageTensors& t,
                                        const FastVitConfig::Stage& config, int edge) {
  Stage stage;
  stage.edge = edge;
  if (!t.large.branches.empty()) {
    const Activation activation = config.squeeze ? Activation::kNone : Activation::kGelu;
    CLIPTAG_ASSIGN_OR_RETURN(stage.large, Pack(t.large, 2, activation));
    CLIPTAG_ASSIGN_OR_RETURN(stage.point, Pack(t.point, 1, Activation::kGelu));
    if (config.squeeze) CLIPTAG_RETURN_IF_ERROR(LoadSqueeze(t.squeeze, &stage.squeeze));
    stage.edge = stage.large->OutEdge(edge);
  }
  if (config.attention) {
    CLIPTAG_ASSIGN_OR_RETURN(stage.position, Pack(t.position));
  }
  for (const FastVitBlockTensors& tensors : t.blocks) {
    CLIPTAG_ASSIGN_OR_RETURN(Block block, LoadBlock(tensors, config.attention));
    stage.blocks.push_back(std::move(block));
  }
  return stage;
}

Status FastVitEncoder::Load(const FastVitTensors& t) {
  // The prepared rows have more columns than a pixel has colours.
  CLIPTAG_ASSIGN_OR_RETURN(stem_[0], Pack(t.stem[0], 2, Activation::kGelu, PaddedColumns()));
  CLIPTAG_ASSIGN_OR_RETURN(stem_[1], Pack(t.stem[1], 2, Activation::kGelu));
  CLIPTAG_ASSIGN_OR_RETURN(stem_[2], Pack(t.stem[2], 1, Activation::kGelu));
  int edge = stem_[1]->OutEdge(stem_[0]->OutEdge(size_));
  for (size_t i = 0; i < t.stages.size(); ++i) {
    CLIPTAG_ASSIGN_OR_RETURN(Stage stage, LoadStage(t.stages[i], config_.stages[i], edge));
    edge = stage.edge;
    stages_.push_back(std::move(stage));
  }
  CLIPTAG_ASSIGN_OR_RETURN(last_, Pack(t.last));
  CLIPTAG_RETURN_IF_ERROR(LoadSqueeze(t.last_squeeze, &last_squeeze_));
  LinearSpec head{{t.head}, {t.head_bias}};
  head.precise = true;  // as the convolutions, which are most of the work
  CLIPTAG_ASSIGN_OR_RETURN(head_, backend_.PackLinear(head));
  return {};
}

int FastVitEncoder::first_attention() const {
  int stage = 0;
  while (!config_.stages[stage].attention) ++stage;
  return stage;
}

Matrix FastVitEncoder::TakeEntries(Arena* arena, int64_t batch) const {
  const int stage = first_attention() - 1;
  const int64_t edge = stages_[stage].edge;
  return arena->Take(batch * edge * edge, StageWidth(stage), backend_.compute_type());
}

Buffers FastVitEncoder::Plan(Arena* arena, int64_t pictures, int first, int end) const {
  const bool with_end = end == static_cast<int>(stages_.size());
  int64_t map = 0, wide = 0, normed = 0;  // elements a picture
  if (first == 0) {
    const int64_t half = stem_[0]->OutEdge(size_);
    wide = half * half * StageWidth(0);
  }
  for (int i = first; i < end; ++i) {
    const int64_t pixels = int64_t{stages_[i].edge} * stages_[i].edge;
    map = std::max(map, pixels * StageWidth(i));
    const int64_t most =
        config_.stages[i].attention ? std::max(3, config_.mlp_ratio) : config_.mlp_ratio;
    wide = std::max(wide, pixels * StageWidth(i) * most);
    if (config_.layer_norm && config_.stages[i].attention) normed = map;
    if (i + 1 == end && with_end) wide = std::max(wide, pixels * config_.features());
  }
  const DType type = backend_.compute_type();
  const int64_t channels = config_.features();  // no stage has more
  Buffers b;
  for (Matrix* same : {&b.map, &b.mixed, &b.narrow}) *same = arena->Take(pictures, map, type);
  b.wide = arena->Take(pictures, wide, type);
  b.floats = arena->Take(pictures, normed, DType::kF32);
  for (Matrix* same : {&b.means, &b.middle, &b.gates}) {
    *same = arena->Take(pictures, channels, type);
  }
  return b;
}

size_t FastVitEncoder::WorkspaceBytes(int max_batch) const {
  const int attention = first_attention();
  Arena size(nullptr);
  TakeEntries(&size, max_batch);
  const size_t mark = size.mark();
  Plan(&size, std::min(together_, max_batch), 0, attention);
  size.Rewind(mark);
  Plan(&size, max_batch, attention, static_cast<int>(stages_.size()));
  return size.peak();
}

Status FastVitEncoder::SetupBatches(int max_batch) {
  const int stage = first_attention();
  if (config_.layer_norm) {
    // The stages after it have half the edge and, at most, so many values.
    int64_t most = 0;
    for (size_t i = stage; i < stages_.size(); ++i) {
      most = std::max(most, int64_t{stages_[i].edge} * stages_[i].edge * config_.stages[i].width);
    }
    const std::vector<float> zeros(static_cast<size_t>(most), 0.0f);
    CLIPTAG_ASSIGN_OR_RETURN(no_positions_,
                             backend_.Upload({zeros.data(), DType::kF32, {most}}, DType::kF32));
  }
  for (int batch = 1; batch <= max_batch; ++batch) {
    CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*head_, batch));
  }
  return {};
}

Result<FeatureMap> FastVitEncoder::Convolve(const FeatureMap& x, const Convolution& convolution,
                                            const Matrix& to, const FeatureMap* residual,
                                            bool relu) {
  return ConvolveInto(backend_, x, convolution, residual, relu, to);
}

Result<FeatureMap> FastVitEncoder::RunStem(const Matrix& pixels, int pictures, const Buffers& b) {
  CLIPTAG_ASSIGN_OR_RETURN(FeatureMap x,
                           Convolve({pixels, pictures, size_, size_}, *stem_[0], b.wide));
  CLIPTAG_ASSIGN_OR_RETURN(x, Convolve(x, *stem_[1], b.mixed));
  return Convolve(x, *stem_[2], b.map);
}

Status FastVitEncoder::SqueezeExcite(const Squeeze& squeeze, const FeatureMap& x,
                                     const Buffers& b) {
  const FeatureMap means = Square(b.means, x.batch, 1, x.pixels.cols);
  CLIPTAG_RETURN_IF_ERROR(backend_.AveragePool(x, x.height, means));
  CLIPTAG_ASSIGN_OR_RETURN(const FeatureMap middle,
                           Convolve(means, *squeeze.reduce, b.middle, nullptr, true));
  CLIPTAG_ASSIGN_OR_RETURN(const FeatureMap gates, Convolve(middle, *squeeze.expand, b.gates));
  return backend_.SqueezeExcite(x, gates.pixels, Activation::kGelu, x);
}

Result<FeatureMap> FastVitEncoder::Halve(const Stage& stage, const FeatureMap& x,
                                         const Buffers& b) {
  CLIPTAG_ASSIGN_OR_RETURN(const FeatureMap y, Convolve(x, *stage.large, b.mixed));
  if (stage.squeeze.reduce) CLIPTAG_RETURN_IF_ERROR(SqueezeExcite(stage.squeeze, y, b));
  return Convolve(y, *stage.point, stage.position ? b.narrow : b.map);
}

Status FastVitEncoder::RunStage(int index, FeatureMap x, const Buffers& b, const Matrix& to) {
  const Stage& stage = stages_[index];
  if (stage.large) {
    CLIPTAG_ASSIGN_OR_RETURN(x, Halve(stage, x, b));
  }
  if (stage.position) {
    CLIPTAG_ASSIGN_OR_RETURN(x, Convolve(x, *stage.position, b.map));
  }
  for (const Block& block : stage.blocks) {
    const bool last = &block == &stage.blocks.back();
    CLIPTAG_RETURN_IF_ERROR(RunBlock(block, x, b, last ? to : b.map));
  }
  return {};
}

Status FastVitEncoder::RunBlock(const Block& block, const FeatureMap& x, const Buffers& b,
                                const Matrix& to) {
  CLIPTAG_ASSIGN_OR_RETURN(const FeatureMap y, block.attention
                                                   ? Attend(block, x, b)
                                                   : Convolve(x, *block.mixer, b.mixed));
  CLIPTAG_ASSIGN_OR_RETURN(FeatureMap z, Convolve(y, *block.depthwise, b.narrow));
  CLIPTAG_ASSIGN_OR_RETURN(z, Convolve(z, *block.fc1, b.wide));
  return Convolve(z, *block.fc2, to, &y).status();
}

Result<FeatureMap> FastVitEncoder::Attend(const Block& block, const FeatureMap& x,
                                          const Buffers& b) {
  const int64_t width = x.pixels.cols, rows = x.pixels.rows;
  const int tokens = x.height * x.width;
  FeatureMap normed = x;
  if (block.layer_norm) {
    // Norms read f32, which tokens become when their positions are added: none.
    const Matrix floats{b.floats.data, DType::kF32, rows, width, width};
    CLIPTAG_RETURN_IF_ERROR(backend_.AssembleTokens(
        x.pixels, nullptr, {no_positions_->data(), DType::kF32, tokens, width, width}, x.batch,
        floats));
    normed = Square(b.narrow, x.batch, x.height, width);
    CLIPTAG_RETURN_IF_ERROR(block.norm.Run(backend_, floats, normed.pixels));
  }
  CLIPTAG_ASSIGN_OR_RETURN(const FeatureMap qkv, Convolve(normed, *block.qkv, b.wide));
  const FeatureMap answer = Square(b.narrow, x.batch, x.height, width);
  AttentionArgs args;
  args.q = qkv.pixels.Cols(0, width);
  args.k = qkv.pixels.Cols(width, width);
  args.v = qkv.pixels.Cols(2 * width, width);
  args.out = answer.pixels;
  args.batch = x.batch;
  args.q_tokens = args.kv_tokens = tokens;
  args.head_dim = FastVitConfig::kHeadWidth;
  args.heads = static_cast<int>(width) / args.head_dim;
  args.scale = 1.0f / std::sqrt(static_cast<float>(args.head_dim));
  CLIPTAG_RETURN_IF_ERROR(backend_.Attention(args));
  return Convolve(answer, *block.out, b.mixed, &x);
}

Status FastVitEncoder::RunEnd(const FeatureMap& x, const Buffers& b, const Matrix& out) {
  CLIPTAG_ASSIGN_OR_RETURN(const FeatureMap y, Convolve(x, *last_, b.wide));
  CLIPTAG_RETURN_IF_ERROR(SqueezeExcite(last_squeeze_, y, b));
  const FeatureMap means = Square(b.means, x.batch, 1, config_.features());
  CLIPTAG_RETURN_IF_ERROR(backend_.AveragePool(y, y.height, means));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(means.pixels, *head_, Activation::kNone, false, out));
  return backend_.NormalizeRows(out);
}

Status FastVitEncoder::Forward(int batch, const Matrix& out) {
  const int attention = first_attention(), end = static_cast<int>(stages_.size());
  Arena arena = workspace_.Carve();
  const Matrix entries = TakeEntries(&arena, batch);
  const size_t mark = arena.mark();
  Buffers b = Plan(&arena, std::min(together_, batch), 0, attention);
  const int64_t places = entries.rows / batch;
  for (int first = 0; first < batch; first += together_) {
    const int pictures = std::min(together_, batch - first);
    const Matrix pixels =
        Pixels(batch).Rows(int64_t{first} * size_ * size_, int64_t{pictures} * size_ * size_);
    CLIPTAG_ASSIGN_OR_RETURN(FeatureMap x, RunStem(pixels, pictures, b));
    for (int i = 0; i < attention; ++i) {
      const Matrix to =
          i + 1 == attention ? entries.Rows(first * places, pictures * places) : b.map;
      CLIPTAG_RETURN_IF_ERROR(RunStage(i, x, b, to));
      x = Square(to, pictures, stages_[i].edge, StageWidth(i));
    }
  }
  arena.Rewind(mark);
  b = Plan(&arena, batch, attention, end);
  FeatureMap x = Square(entries, batch, stages_[attention - 1].edge, StageWidth(attention - 1));
  for (int i = attention; i < end; ++i) {
    CLIPTAG_RETURN_IF_ERROR(RunStage(i, x, b, b.map));
    x = Square(b.map, batch, stages_[i].edge, StageWidth(i));
  }
  return RunEnd(x, b, out);
}

}  // namespace

Result<std::unique_ptr<ImageEncoder>> LoadEncoder(Backend& backend, Workspace& workspace,
                                                  const ModelConfig& config,
                                                  const FastVitTensors& tensors) {
  auto encoder = std::make_unique<FastVitEncoder>(backend, workspace, config);
  CLIPTAG_RETURN_IF_ERROR(encoder->Load(tensors));
  return std::unique_ptr<ImageEncoder>(std::move(encoder));
}

}  // namespace cliptag
