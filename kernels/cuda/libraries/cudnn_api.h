// The functions of cuDNN that the backend calls, looked up when a model has convolutions, so that
// vision transformers do not need cuDNN. (cudnn_api_dynamic.cc opens the library;
// cudnn_api_linked.cc is linked with the tests' stand-in.)
//
// Thread safety: any thread.
#pragma once

#include <cudnn.h>

#include "kernels/base/status.h"

namespace cliptag::cuda {

#define CLIPTAG_CUDNN_FUNCTIONS(F)           \
  F(cudnnCreate)                             \
  F(cudnnDestroy)                            \
  F(cudnnSetStream)                          \
  F(cudnnGetErrorString)                     \
  F(cudnnCreateTensorDescriptor)             \
  F(cudnnDestroyTensorDescriptor)            \
  F(cudnnSetTensor4dDescriptor)              \
  F(cudnnCreateFilterDescriptor)             \
  F(cudnnDestroyFilterDescriptor)            \
  F(cudnnSetFilter4dDescriptor)              \
  F(cudnnCreateConvolutionDescriptor)        \
  F(cudnnDestroyConvolutionDescriptor)       \
  F(cudnnSetConvolution2dDescriptor)         \
  F(cudnnSetConvolutionMathType)             \
  F(cudnnGetConvolutionForwardWorkspaceSize) \
  F(cudnnConvolutionBiasActivationForward)   \
  F(cudnnCreateActivationDescriptor)         \
  F(cudnnDestroyActivationDescriptor)        \
  F(cudnnSetActivationDescriptor)            \
  F(cudnnCreatePoolingDescriptor)            \
  F(cudnnDestroyPoolingDescriptor)           \
  F(cudnnSetPooling2dDescriptor)             \
  F(cudnnPoolingForward)

struct CudnnApi {
#define CLIPTAG_CUDNN_MEMBER(name) decltype(&::name) name = nullptr;
  CLIPTAG_CUDNN_FUNCTIONS(CLIPTAG_CUDNN_MEMBER)
#undef CLIPTAG_CUDNN_MEMBER
};

// Error: cuDNN of the version that this was built with is not installed.
Result<const CudnnApi*> OpenCudnn();

}  // namespace cliptag::cuda
