#include "models/encoders/convolutional/resnet_encoder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "models/encoders/blocks/prepared_encoder.h"
#include "models/encoders/convolutional/branched_convolution.h"
#include "models/encoders/convolutional/feature_maps.h"
#include "models/encoders/convolutional/map_pooling.h"

namespace cliptag {
namespace {

class ResNetEncoder : public PreparedEncoder {
 public:
  ResNetEncoder(Backend& backend, Workspace& workspace, const ModelConfig& config)
      : PreparedEncoder(backend, workspace, config),
        config_(std::get<ResNetConfig>(config.vision)),
        size_(config_.image_size),
        grid_(config_.grid()) {}

  Status Load(const ResNetTensors& tensors);

 private:
  struct Bottleneck {
    std::unique_ptr<Convolution> conv1, conv2, conv3;
    std::unique_ptr<Convolution> shortcut;  // null where the input itself is added
    int stride = 1;
  };
  // What a run carves from the workspace. The first five hold feature maps of any shape.
  struct Buffers {
    Matrix map, other;        // a block's input and output, in turn
    Matrix middle, filtered;  // after a block's first and second convolution
    Matrix shortcut;
    Matrix features;  // (max_batch + batch * places, features): means, then the last map
    Matrix tokens;    // (batch * tokens, features): mean and places of each picture
    Matrix placed;    // the same plus positions
    MapPooling::Scratch pooling;
  };

  int64_t places() const { return int64_t{grid_} * grid_; }
  int64_t tokens() const { return places() + 1; }
  int64_t width() const { return config_.features(); }
  size_t WorkspaceBytes(int max_batch) const override;
  Status SetupBatches(int max_batch) override;
  Status Forward(int batch, const Matrix& out) override;

  Result<std::unique_ptr<Convolution>> Pack(const NormedConvolutionTensors& tensors, int stride = 1,
                                            int64_t in = 0);
  Buffers Plan(Arena* arena, int64_t batch, int64_t max_batch) const;
  Result<FeatureMap> RunStem(int batch, Buffers* buffers);
  Result<FeatureMap> RunBlock(const Bottleneck& block, const FeatureMap& x, const Matrix& to,
                              const Buffers& buffers);
  Status RunPooling(int batch, const Buffers& buffers, const Matrix& out);
  Result<FeatureMap> Convolve(const FeatureMap& x, const Convolution& convolution,
                              const FeatureMap* residual, bool relu, const Matrix& to);
  Result<FeatureMap> Halve(const FeatureMap& x, const Matrix& to);

  const ResNetConfig config_;
  const int size_, grid_;

  std::unique_ptr<Convolution> stem_[3];
  std::vector<Bottleneck> blocks_;
  std::unique_ptr<Memory> position_;
  std::unique_ptr<MapPooling> pooling_;
  int max_batch_ = 0;
  std::unique_ptr<Memory> token_rows_;  // int32: which row of features each token is
};

Result<std::unique_ptr<Convolution>> ResNetEncoder::Pack(const NormedConvolutionTensors& tensors,
                                                         int stride, int64_t in) {
  const std::vector<int64_t>& shape = tensors.weight.shape;
  BranchedConvolution convolution{shape[0], shape[1], static_cast<int>(shape[2])};
  convolution.branches.push_back({tensors.weight, {}, tensors.norm});
  const FoldedConvolution folded = Fold(convolution, in);
  return backend_.PackConvolution(folded.Spec(stride));
}

Status ResNetEncoder::Load(const ResNetTensors& t) {
  // The prepared rows have more columns than a pixel has colours.
  CLIPTAG_ASSIGN_OR_RETURN(stem_[0], Pack(t.stem[0], 2, PaddedColumns()));
  CLIPTAG_ASSIGN_OR_RETURN(stem_[1], Pack(t.stem[1]));
  CLIPTAG_ASSIGN_OR_RETURN(stem_[2], Pack(t.stem[2]));
  for (const BottleneckTensors& tensors : t.blocks) {
    Bottleneck block;
    block.stride = tensors.stride;
    CLIPTAG_ASSIGN_OR_RETURN(block.conv1, Pack(tensors.conv1));
    CLIPTAG_ASSIGN_OR_RETURN(block.conv2, Pack(tensors.conv2));
    CLIPTAG_ASSIGN_OR_RETURN(block.conv3, Pack(tensors.conv3));
    if (tensors.shortcut.weight.data != nullptr) {
      CLIPTAG_ASSIGN_OR_RETURN(block.shortcut, Pack(tensors.shortcut));
    }
    blocks_.push_back(std::move(block));
  }
  CLIPTAG_ASSIGN_OR_RETURN(position_, backend_.Upload(t.position, DType::kF32));
  CLIPTAG_ASSIGN_OR_RETURN(pooling_, MapPooling::Load(backend_, config_.heads, t));
  return {};
}

ResNetEncoder::Buffers ResNetEncoder::Plan(Arena* arena, int64_t batch, int64_t max_batch) const {
  // The largest map that each has to hold, elements a picture. The stem's are width / 2 channels of
  // half the size, then width of them, then averaged.
  int64_t edge = (size_ + 1) / 2, channels = config_.width;
  int64_t map = edge * edge * channels, middle = map / 2 + 1, shortcut = 0;
  edge /= 2;
  for (const Bottleneck& block : blocks_) {
    const int64_t planes = block.conv1->out_channels(), before = edge * edge;
    edge /= block.stride;
    const int64_t after = edge * edge;
    middle = std::max(middle, std::max(before * planes, after * channels));
    channels = 4 * planes;
    map = std::max(map, after * channels);
    if (block.shortcut) shortcut = std::max(shortcut, after * channels);
  }
  const DType type = backend_.compute_type();
  Buffers b;
  b.map = arena->Take(batch, map, type);
  b.other = arena->Take(batch, map, type);
  b.middle = arena->Take(batch, middle, type);
  b.filtered = arena->Take(batch, middle, type);
  b.shortcut = arena->Take(batch, shortcut, type);
  b.features = arena->Take(max_batch + batch * places(), width(), type);
  b.tokens = arena->Take(batch * tokens(), width(), type);
  b.placed = arena->Take(batch * tokens(), width(), type);
  b.pooling = pooling_->Plan(arena, batch);
  return b;
}

size_t ResNetEncoder::WorkspaceBytes(int max_batch) const {
  Arena size(nullptr);
  Plan(&size, max_batch, max_batch);
  return size.peak();
}

Status ResNetEncoder::SetupBatches(int max_batch) {
  max_batch_ = max_batch;
  std::vector<int32_t> rows;
  for (int i = 0; i < max_batch; ++i) {
    rows.push_back(i);
    for (int64_t place = 0; place < places(); ++place) {
      rows.push_back(static_cast<int32_t>(max_batch + i * places() + place));
    }
  }
  const auto count = static_cast<int64_t>(rows.size());
  CLIPTAG_ASSIGN_OR_RETURN(token_rows_,
                           backend_.Upload({rows.data(), DType::kI32, {count}}, DType::kI32));
  for (int batch = 1; batch <= max_batch; ++batch) {
    CLIPTAG_RETURN_IF_ERROR(pooling_->Prepare(batch));
  }
  return {};
}

Result<FeatureMap> ResNetEncoder::Convolve(const FeatureMap& x, const Convolution& convolution,
                                           const FeatureMap* residual, bool relu,
                                           const Matrix& to) {
  return ConvolveInto(backend_, x, convolution, residual, relu, to);
}

Result<FeatureMap> ResNetEncoder::Halve(const FeatureMap& x, const Matrix& to) {
  const FeatureMap out = Shaped(to, x.batch, x.height / 2, x.width / 2, x.pixels.cols);
  CLIPTAG_RETURN_IF_ERROR(backend_.AveragePool(x, 2, out));
  return out;
}

Result<FeatureMap> ResNetEncoder::RunStem(int batch, Buffers* b) {
  const FeatureMap pixels{Pixels(batch), batch, size_, size_};
  CLIPTAG_ASSIGN_OR_RETURN(FeatureMap x, Convolve(pixels, *stem_[0], nullptr, true, b->middle));
  CLIPTAG_ASSIGN_OR_RETURN(x, Convolve(x, *stem_[1], nullptr, true, b->filtered));
  CLIPTAG_ASSIGN_OR_RETURN(x, Convolve(x, *stem_[2], nullptr, true, b->other));
  return Halve(x, b->map);
}

Result<FeatureMap> ResNetEncoder::RunBlock(const Bottleneck& block, const FeatureMap& x,
                                           const Matrix& to, const Buffers& b) {
  CLIPTAG_ASSIGN_OR_RETURN(FeatureMap y, Convolve(x, *block.conv1, nullptr, true, b.middle));
  CLIPTAG_ASSIGN_OR_RETURN(y, Convolve(y, *block.conv2, nullptr, true, b.filtered));
  FeatureMap residual = x;
  if (block.stride > 1) {
    CLIPTAG_ASSIGN_OR_RETURN(y, Halve(y, b.middle));
    CLIPTAG_ASSIGN_OR_RETURN(residual, Halve(x, b.filtered));
  }
  if (block.shortcut) {
    CLIPTAG_ASSIGN_OR_RETURN(residual,
                             Convolve(residual, *block.shortcut, nullptr, false, b.shortcut));
  }
  return Convolve(y, *block.conv3, &residual, true, to);
}

Status ResNetEncoder::Forward(int batch, const Matrix& out) {
  Arena arena = workspace_.Carve();
  Buffers buffers = Plan(&arena, batch, max_batch_);
  const Matrix means = buffers.features.Rows(0, batch);
  const Matrix places_of_all = buffers.features.Rows(max_batch_, batch * places());
  CLIPTAG_ASSIGN_OR_RETURN(FeatureMap x, RunStem(batch, &buffers));
  for (const Bottleneck& block : blocks_) {
    const Matrix& to = &block == &blocks_.back() ? places_of_all : buffers.other;
    CLIPTAG_ASSIGN_OR_RETURN(x, RunBlock(block, x, to, buffers));
    std::swap(buffers.map, buffers.other);
  }
  CLIPTAG_RETURN_IF_ERROR(backend_.AveragePool(x, grid_, {means, batch, 1, 1}));
  return RunPooling(batch, buffers, out);
}

Status ResNetEncoder::RunPooling(int batch, const Buffers& b, const Matrix& out) {
  const int64_t features = width();
  CLIPTAG_RETURN_IF_ERROR(
      backend_.GatherRows(b.features, static_cast<const int32_t*>(token_rows_->data()), b.tokens));
  CLIPTAG_RETURN_IF_ERROR(backend_.AssembleTokens(
      b.tokens, nullptr, {position_->data(), DType::kF32, tokens(), features, features}, batch,
      b.placed));
  CLIPTAG_RETURN_IF_ERROR(pooling_->Run(b.placed, batch, b.pooling, out));
  return backend_.NormalizeRows(out);
}

}  // namespace

Result<std::unique_ptr<ImageEncoder>> LoadEncoder(Backend& backend, Workspace& workspace,
                                                  const ModelConfig& config,
                                                  const ResNetTensors& tensors) {
  auto encoder = std::make_unique<ResNetEncoder>(backend, workspace, config);
  CLIPTAG_RETURN_IF_ERROR(encoder->Load(tensors));
  return std::unique_ptr<ImageEncoder>(std::move(encoder));
}

}  // namespace cliptag
