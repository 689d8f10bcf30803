// The functions of cuDNN that the backend calls, found when a model asks for convolutions: whoever
// tags with a vision transformer needs no cuDNN. (cudnn_api_dynamic.cc opens the library; the
// tests' stand-in is linked, cudnn_api_linked.cc.)
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

// Error: no cuDNN of the version that this was built with.
Result<const CudnnApi*> OpenCudnn();

}  // namespace cliptag::cuda
