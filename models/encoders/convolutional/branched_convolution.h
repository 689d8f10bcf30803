// Convolutions as trainings have them, in parallel branches with batch norms and layer scales, and
// the one convolution that all of them together are.
//
// Ownership: the tensors borrow from Weights; what is folded is its own. Plain data.
#pragma once

#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/encoders/blocks/block_tensors.h"

namespace cliptag {

// What it adds: scale * norm(weight * x + bias).
struct ConvolutionBranch {
  HostTensor weight;      // (out, in / groups, edge, edge); no data: x itself
  HostTensor bias;        // (out); no data without
  BatchNormTensors norm;  // no data without
  HostTensor scale;       // (out); no data without
  bool negative = false;  // it is subtracted
};

// Branches with windows smaller than `kernel` look at its middle.
struct BranchedConvolution {
  int64_t out = 0, in = 0;
  int kernel = 1, groups = 1;
  std::vector<ConvolutionBranch> branches;
};

struct FoldedConvolution {
  std::vector<float> weight, bias;
  std::vector<int64_t> shape;
  int groups = 1;

  // Borrows from this; windows lie about their pixel.
  ConvolutionSpec Spec(int stride, Activation activation = Activation::kNone) const;
};

// Inputs are padded with zeros to `in` channels, where that is given.
FoldedConvolution Fold(const BranchedConvolution& convolution, int64_t in = 0);

// What a batch norm multiplies a channel by, and then adds.
struct Affine {
  double factor = 1, offset = 0;
};
Affine AffineOf(const BatchNormTensors& norm, int64_t channel);

}  // namespace cliptag
