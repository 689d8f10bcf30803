#include "models/encoders/convolutional/conv_stem.h"

#include <string>
#include <vector>

#include "models/encoders/convolutional/branched_convolution.h"

namespace cliptag {
namespace {

// The weight with its batch norm, as rows of `columns` in the order of the rows that it multiplies:
// channel by channel as Preprocess has a patch, or else pixel by pixel.
Result<std::unique_ptr<Linear>> Pack(Backend& backend, const NormedConvolutionTensors& tensors,
                                     const HostTensor& bias, bool by_channel, int64_t columns) {
  const std::vector<int64_t>& shape = tensors.weight.shape;
  const int64_t out = shape[0], in = shape[1], area = shape[2] * shape[3];
  BranchedConvolution convolution{out, in, static_cast<int>(shape[2])};
  convolution.branches.push_back({tensors.weight, bias, tensors.norm});
  const FoldedConvolution folded = Fold(convolution);
  std::vector<float> rows(static_cast<size_t>(out * columns), 0.0f);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t at = 0; at < area; ++at) {
        rows[o * columns + (by_channel ? i * area + at : at * in + i)] =
            folded.weight[(o * in + i) * area + at];
      }
    }
  }
  LinearSpec spec{{{rows.data(), DType::kF32, {out, columns}}},
                  {{folded.bias.data(), DType::kF32, {out}}}};
  spec.precise = true;  // pixels are few and everything follows from them
  return backend.PackLinear(spec);
}

}  // namespace

Result<ConvStemTensors> GetConvStemTensors(const Weights& weights, const VitConfig& config) {
  const int64_t width = config.transformer.width, inner = width / 4;
  TensorReader reader(weights, "visual.trunk.patch_embed.backbone.");
  ConvStemTensors out;
  out.conv1 = {reader.Get("0.conv.weight", {inner, 3, 4, 4}), reader.BatchNorm("0.bn", inner)};
  out.conv2 = {reader.Get("1.conv.weight", {inner, inner, 2, 2}), reader.BatchNorm("1.bn", inner)};
  out.conv3 = reader.Get("2.conv.weight", {width, inner, 2, 2});
  out.bias = reader.Get("2.conv.bias", {width});
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

Result<std::unique_ptr<ConvStem>> ConvStem::Load(Backend& backend, const VitConfig& config,
                                                 int64_t columns, const ConvStemTensors& t) {
  std::unique_ptr<ConvStem> stem(new ConvStem(backend, config, columns));
  CLIPTAG_ASSIGN_OR_RETURN(stem->conv1_, Pack(backend, t.conv1, {}, /*by_channel=*/true, columns));
  CLIPTAG_ASSIGN_OR_RETURN(stem->conv2_,
                           Pack(backend, t.conv2, {}, /*by_channel=*/false, stem->width_));
  CLIPTAG_ASSIGN_OR_RETURN(
      stem->conv3_, Pack(backend, {t.conv3, {}}, t.bias, /*by_channel=*/false, stem->width_));
  return stem;
}

Status ConvStem::Setup(int max_batch) {
  std::vector<int32_t> rows;
  const int64_t grid = side_ / 4;
  for (int64_t token = 0; token < max_batch * tokens_; ++token) {
    const int64_t place = token % tokens_, top = place / grid * 4, left = place % grid * 4;
    // By windows of the second convolution, then of the first.
    for (int64_t window = 0; window < 16; ++window) {
      const int64_t y = top + window / 8 * 2 + window % 4 / 2;
      const int64_t x = left + window / 4 % 2 * 2 + window % 2;
      rows.push_back(static_cast<int32_t>((token / tokens_ * side_ + y) * side_ + x));
    }
  }
  const auto count = static_cast<int64_t>(rows.size());
  CLIPTAG_ASSIGN_OR_RETURN(rows_,
                           backend_.Upload({rows.data(), DType::kI32, {count}}, DType::kI32));
  return {};
}

Status ConvStem::Prepare(int batch) const {
  CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*conv1_, batch * tokens_ * 16));
  CLIPTAG_RETURN_IF_ERROR(backend_.PrepareGemm(*conv2_, batch * tokens_ * 4));
  return backend_.PrepareGemm(*conv3_, batch * tokens_);
}

ConvStem::Scratch ConvStem::Plan(Arena* arena, int64_t batch) const {
  const DType type = backend_.compute_type();
  Scratch s;
  s.gathered = arena->Take(batch * tokens_ * 16, columns_, type);
  s.quarter = arena->Take(batch * tokens_ * 16, width_ / 4, type);
  s.half = arena->Take(batch * tokens_ * 4, width_ / 4, type);
  return s;
}

Status ConvStem::Run(const Matrix& pixels, const Scratch& s, const Matrix& tokens) const {
  const auto fours = [this](const Matrix& m) {  // four rows as one
    return Matrix{m.data, m.type, m.rows / 4, width_, width_};
  };
  CLIPTAG_RETURN_IF_ERROR(
      backend_.GatherRows(pixels, static_cast<const int32_t*>(rows_->data()), s.gathered));
  CLIPTAG_RETURN_IF_ERROR(backend_.Gemm(s.gathered, *conv1_, Activation::kGelu, false, s.quarter));
  CLIPTAG_RETURN_IF_ERROR(
      backend_.Gemm(fours(s.quarter), *conv2_, Activation::kGelu, false, s.half));
  return backend_.Gemm(fours(s.half), *conv3_, Activation::kNone, false, tokens);
}

}  // namespace cliptag
