// Convolutions and pooling by cuDNN: channels last, 16-bit values, f32 sums, with bias, residual
// and ReLU in the same call. The first run of a shape plans it and may allocate a larger workspace:
// never during a capture, since the first run of a graph is an ordinary one.
//
// Ownership: borrows device and stream. Thread safety: used by one thread at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"

namespace cliptag::cuda {

class Convolutions {
 public:
  // Errors: cuDNN is not installed, or this was built without it.
  static Result<std::unique_ptr<Convolutions>> Create(const Device& device, DType compute_type,
                                                      cudaStream_t stream);
  virtual ~Convolutions() = default;

  // The caller checks all arguments.
  virtual Result<std::unique_ptr<Convolution>> Pack(const ConvolutionSpec& spec) = 0;
  virtual Status Run(const FeatureMap& x, const Convolution& convolution,
                     const FeatureMap* residual, bool relu, const FeatureMap& out) = 0;
  virtual Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) = 0;
};

}  // namespace cliptag::cuda
