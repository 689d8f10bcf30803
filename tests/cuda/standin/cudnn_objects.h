// What the stand-in's cuDNN handles stand for. Internal to it.
//
// Threads: guarded by the mutex of Runtime.
#pragma once

#include <cudnn.h>

#include <algorithm>
#include <optional>

#include "tests/cuda/standin/library.h"

namespace cliptag::standin {

struct DnnHandle {
  int device = 0;
  cudaStream_t stream = nullptr;
};

struct TensorDesc {
  bool set = false;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  int n = 0, c = 0, h = 0, w = 0;
  int n_stride = 0, c_stride = 0, h_stride = 0, w_stride = 0;

  // Without gaps, in that order.
  bool IsPacked(cudnnTensorFormat_t format) const {
    return format == CUDNN_TENSOR_NCHW
               ? w_stride == 1 && h_stride == w && c_stride == h * w && n_stride == c * h * w
               : c_stride == 1 && w_stride == c && h_stride == w * c && n_stride == h * w * c;
  }
  bool SameShape(const TensorDesc& o) const {
    return n == o.n && c == o.c && h == o.h && w == o.w && type == o.type;
  }
  int64_t Elements() const { return int64_t{n} * c * h * w; }
};

struct FilterDesc {
  bool set = false;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
  int k = 0, c = 0, h = 0, w = 0;
};

struct ConvolutionDesc {
  bool set = false;
  int pad_h = 0, pad_w = 0, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudnnDataType_t compute = CUDNN_DATA_FLOAT;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
  int groups = 1;
};

struct ActivationDesc {
  bool set = false;
  cudnnActivationMode_t mode = CUDNN_ACTIVATION_IDENTITY;
  cudnnNanPropagation_t nan = CUDNN_NOT_PROPAGATE_NAN;
};

struct PoolingDesc {
  bool set = false;
  cudnnPoolingMode_t mode = CUDNN_POOLING_MAX;
  int window_h = 1, window_w = 1, pad_h = 0, pad_w = 0, stride_h = 1, stride_w = 1;
};

struct DnnObjects {
  LibraryObjects<cudnnContext, DnnHandle> handles{9};
  LibraryObjects<cudnnTensorStruct, TensorDesc> tensors{10};
  LibraryObjects<cudnnFilterStruct, FilterDesc> filters{11};
  LibraryObjects<cudnnConvolutionStruct, ConvolutionDesc> convolutions{12};
  LibraryObjects<cudnnActivationStruct, ActivationDesc> activations{13};
  LibraryObjects<cudnnPoolingStruct, PoolingDesc> poolings{14};

  static DnnObjects& Get();
};

// The way of every cuDNN call: locks, counts.
template <typename Body>
cudnnStatus_t DnnCall(const char* function, Body body) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  const int injected = runtime.CountCall(function);
  if (injected != 0) return static_cast<cudnnStatus_t>(injected);
  return body(runtime, DnnObjects::Get());
}

inline cudnnStatus_t DnnMisuse(Runtime& runtime, const char* function, const std::string& text,
                               cudnnStatus_t status = CUDNN_STATUS_BAD_PARAM) {
  runtime.problems.push_back(std::string(function) + ": " + text);
  return status;
}

std::optional<Number> ToNumber(cudnnDataType_t type);

// The length of an output row or column; at most 0 where the window does not fit.
inline int OutputLength(int input, int window, int pad, int stride, int dilation) {
  const int room = input + 2 * pad - ((window - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

// The stream of a handle, or null and the status why not.
std::shared_ptr<Stream> FindHandleStream(Runtime& runtime, DnnObjects& all, cudnnHandle_t handle,
                                         cudnnStatus_t& status);

}  // namespace cliptag::standin
