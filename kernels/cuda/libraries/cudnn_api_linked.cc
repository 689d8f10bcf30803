#include "kernels/cuda/libraries/cudnn_api.h"

namespace cliptag::cuda {

Result<const CudnnApi*> OpenCudnn() {
#define CLIPTAG_CUDNN_ADDRESS(name) &::name,
  static const CudnnApi api{CLIPTAG_CUDNN_FUNCTIONS(CLIPTAG_CUDNN_ADDRESS)};
#undef CLIPTAG_CUDNN_ADDRESS
  return &api;
}

}  // namespace cliptag::cuda
