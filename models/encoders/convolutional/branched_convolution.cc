#include "models/encoders/convolutional/branched_convolution.h"

#include <cmath>
#include <utility>

namespace cliptag {
namespace {

constexpr double kNormEpsilon = 1e-5;  // of every batch norm; no configuration says another

// What a branch adds to the output `o`.
void AddBranch(const BranchedConvolution& c, const ConvolutionBranch& branch, int64_t o,
               int64_t stored, int64_t padded, FoldedConvolution* folded) {
  const Affine norm = AffineOf(branch.norm, o);
  double scale = branch.scale.data == nullptr ? 1.0 : ElementOf(branch.scale, o);
  if (branch.negative) scale = -scale;
  const double bias = branch.bias.data == nullptr ? 0.0 : ElementOf(branch.bias, o);
  folded->bias[o] += static_cast<float>(scale * (bias * norm.factor + norm.offset));
  const int64_t area = int64_t{c.kernel} * c.kernel;
  float* to = folded->weight.data() + o * padded * area;
  if (branch.weight.data == nullptr) {
    const int64_t same = c.groups == 1 ? o : 0;  // a depthwise output sees its input alone
    to[same * area + area / 2] += static_cast<float>(scale * norm.factor);
    return;
  }
  const int64_t edge = branch.weight.shape[2], inset = (c.kernel - edge) / 2;
  for (int64_t i = 0; i < stored; ++i) {
    for (int64_t y = 0; y < edge; ++y) {
      for (int64_t x = 0; x < edge; ++x) {
        const double w = ElementOf(branch.weight, ((o * stored + i) * edge + y) * edge + x);
        to[i * area + (y + inset) * c.kernel + x + inset] +=
            static_cast<float>(scale * norm.factor * w);
      }
    }
  }
}

}  // namespace

ConvolutionSpec FoldedConvolution::Spec(int stride, Activation activation) const {
  ConvolutionSpec spec;
  spec.weight = {weight.data(), DType::kF32, shape};
  spec.bias = {bias.data(), DType::kF32, {shape[0]}};
  spec.stride = stride;
  spec.padding = static_cast<int>(shape[2] / 2);
  spec.groups = groups;
  spec.activation = activation;
  return spec;
}

Affine AffineOf(const BatchNormTensors& norm, int64_t channel) {
  if (norm.gamma.data == nullptr) return {};
  const double factor =
      ElementOf(norm.gamma, channel) / std::sqrt(ElementOf(norm.variance, channel) + kNormEpsilon);
  return {factor, ElementOf(norm.beta, channel) - ElementOf(norm.mean, channel) * factor};
}

FoldedConvolution Fold(const BranchedConvolution& c, int64_t in) {
  const int64_t stored = c.in / c.groups, padded = in > 0 ? in : stored;
  FoldedConvolution folded;
  folded.groups = c.groups;
  folded.shape = {c.out, padded, c.kernel, c.kernel};
  folded.weight.assign(static_cast<size_t>(c.out * padded * c.kernel * c.kernel), 0.0f);
  folded.bias.assign(static_cast<size_t>(c.out), 0.0f);
  for (const ConvolutionBranch& branch : c.branches) {
    for (int64_t o = 0; o < c.out; ++o) AddBranch(c, branch, o, stored, padded, &folded);
  }
  return folded;
}

}  // namespace cliptag
