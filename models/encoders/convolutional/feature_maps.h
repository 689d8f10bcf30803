// What convolutional image towers do alike with feature maps that lie in planned memory.
#pragma once

#include "kernels/backend.h"
#include "kernels/base/status.h"

namespace cliptag {

// The same memory as a feature map of another shape.
inline FeatureMap Shaped(const Matrix& memory, int batch, int height, int width, int64_t channels) {
  return {{memory.data, memory.type, int64_t{batch} * height * width, channels, channels},
          batch,
          height,
          width};
}

// Into the memory of `to`, whatever shape that has.
inline Result<FeatureMap> ConvolveInto(Backend& backend, const FeatureMap& x,
                                       const Convolution& convolution, const FeatureMap* residual,
                                       bool relu, const Matrix& to) {
  const FeatureMap out = Shaped(to, x.batch, convolution.OutEdge(x.height),
                                convolution.OutEdge(x.width), convolution.out_channels());
  CLIPTAG_RETURN_IF_ERROR(backend.Convolve(x, convolution, residual, relu, out));
  return out;
}

}  // namespace cliptag
