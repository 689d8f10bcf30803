#include "kernels/cuda/libraries/convolutions.h"

namespace cliptag::cuda {

Result<std::unique_ptr<Convolutions>> Convolutions::Create(const Device&, DType, cudaStream_t) {
  return Unsupported(
      "This model has convolutions, and this build of cliptag's CUDA backend has no cuDNN; build "
      "it where cudnn.h is installed, or use backend=cpu.");
}

}  // namespace cliptag::cuda
