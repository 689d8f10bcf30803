// cuDNN's handles and descriptors.
#include <cstdio>

#include "tests/cuda/standin/cudnn_objects.h"

using namespace cliptag::standin;  // NOLINT: implements cuDNN's names with it

namespace cliptag::standin {

DnnObjects& DnnObjects::Get() {
  static auto* objects = new DnnObjects;
  return *objects;
}

std::optional<Number> ToNumber(cudnnDataType_t type) {
  switch (type) {
    case CUDNN_DATA_FLOAT:
      return Number::kF32;
    case CUDNN_DATA_HALF:
      return Number::kF16;
    case CUDNN_DATA_BFLOAT16:
      return Number::kBf16;
    default:
      return std::nullopt;
  }
}

std::shared_ptr<Stream> FindHandleStream(Runtime& runtime, DnnObjects& all, cudnnHandle_t handle,
                                         cudnnStatus_t& status) {
  const DnnHandle* found = all.handles.Find(runtime, handle);
  if (found == nullptr) {
    status = DnnMisuse(runtime, "cuDNN", "no such handle", CUDNN_STATUS_NOT_INITIALIZED);
    return nullptr;
  }
  if (runtime.Check(kPlain) != cudaSuccess) {
    status = CUDNN_STATUS_EXECUTION_FAILED;
    return nullptr;
  }
  auto stream = runtime.FindStream(found->stream);
  if (found->device != runtime.device() || stream == nullptr || stream->device != found->device) {
    status =
        DnnMisuse(runtime, "cuDNN", "handle, stream and current device do not belong together");
    return nullptr;
  }
  return stream;
}

}  // namespace cliptag::standin

namespace {

template <typename Objects, typename Handle>
cudnnStatus_t Create(const char* function, Objects DnnObjects::*objects, Handle** handle) {
  return DnnCall(function, [&](Runtime& runtime, DnnObjects& all) {
    if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
    *handle = (all.*objects).Add(runtime);
    return CUDNN_STATUS_SUCCESS;
  });
}

template <typename Objects, typename Handle>
cudnnStatus_t Destroy(const char* function, Objects DnnObjects::*objects, Handle* handle) {
  return DnnCall(function, [&](Runtime& runtime, DnnObjects& all) {
    if (handle == nullptr || (all.*objects).Remove(runtime, handle)) return CUDNN_STATUS_SUCCESS;
    return DnnMisuse(runtime, function, "no such object, or destroyed before");
  });
}

// set(descriptor) writes it and says whether the values make sense.
template <typename Objects, typename Handle, typename SetFields>
cudnnStatus_t Set(const char* function, Objects DnnObjects::*objects, Handle* handle,
                  SetFields set) {
  return DnnCall(function, [&](Runtime& runtime, DnnObjects& all) {
    auto* object = (all.*objects).Find(runtime, handle);
    if (object == nullptr) return DnnMisuse(runtime, function, "no such descriptor");
    object->set = set(*object);
    return object->set ? CUDNN_STATUS_SUCCESS
                       : DnnMisuse(runtime, function, "values that make no sense");
  });
}

}  // namespace

size_t cudnnGetVersion() { return 91900; }
size_t cudnnGetCudartVersion() { return CUDART_VERSION; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED:
      return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_INTERNAL_ERROR:
      return "CUDNN_STATUS_INTERNAL_ERROR";
    case CUDNN_STATUS_EXECUTION_FAILED:
      return "CUDNN_STATUS_EXECUTION_FAILED";
    default:
      return "CUDNN_STATUS_OTHER";
  }
}

void cudnnGetLastErrorString(char* message, size_t max_size) {
  if (message != nullptr && max_size > 0) std::snprintf(message, max_size, "see TakeProblems()");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  return DnnCall("cudnnCreate", [&](Runtime& runtime, DnnObjects& all) {
    if (handle == nullptr) return CUDNN_STATUS_BAD_PARAM;
    *handle = nullptr;
    // It allocates on the device.
    if (runtime.Check(kUnsafe) != cudaSuccess) return CUDNN_STATUS_NOT_INITIALIZED;
    *handle = all.handles.Add(runtime);
    all.handles.Find(runtime, *handle)->device = runtime.device();
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  return Destroy("cudnnDestroy", &DnnObjects::handles, handle);
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t streamId) {
  return DnnCall("cudnnSetStream", [&](Runtime& runtime, DnnObjects& all) {
    DnnHandle* found = all.handles.Find(runtime, handle);
    const auto stream = runtime.FindStream(streamId);
    if (found == nullptr || stream == nullptr || stream->device != found->device) {
      return DnnMisuse(runtime, "cudnnSetStream", "no such handle, or no stream of its device");
    }
    found->stream = streamId;
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* streamId) {
  return DnnCall("cudnnGetStream", [&](Runtime& runtime, DnnObjects& all) {
    const DnnHandle* found = all.handles.Find(runtime, handle);
    if (found == nullptr || streamId == nullptr) return CUDNN_STATUS_BAD_PARAM;
    *streamId = found->stream;
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* tensorDesc) {
  return Create("cudnnCreateTensorDescriptor", &DnnObjects::tensors, tensorDesc);
}
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensorDesc) {
  return Destroy("cudnnDestroyTensorDescriptor", &DnnObjects::tensors, tensorDesc);
}
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensorDesc,
                                         cudnnTensorFormat_t format, cudnnDataType_t dataType,
                                         int n, int c, int h, int w) {
  return format == CUDNN_TENSOR_NHWC ? cudnnSetTensor4dDescriptorEx(tensorDesc, dataType, n, c, h,
                                                                    w, h * w * c, 1, w * c, c)
                                     : cudnnSetTensor4dDescriptorEx(tensorDesc, dataType, n, c, h,
                                                                    w, c * h * w, h * w, w, 1);
}
cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t tensorDesc,
                                           cudnnDataType_t dataType, int n, int c, int h, int w,
                                           int nStride, int cStride, int hStride, int wStride) {
  return Set("cudnnSetTensor4dDescriptor", &DnnObjects::tensors, tensorDesc, [&](TensorDesc& t) {
    t = {true, dataType, n, c, h, w, nStride, cStride, hStride, wStride};
    return std::min({n, c, h, w, nStride, cStride, hStride, wStride}) > 0;
  });
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* filterDesc) {
  return Create("cudnnCreateFilterDescriptor", &DnnObjects::filters, filterDesc);
}
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t filterDesc) {
  return Destroy("cudnnDestroyFilterDescriptor", &DnnObjects::filters, filterDesc);
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filterDesc,
                                         cudnnDataType_t dataType, cudnnTensorFormat_t format,
                                         int k, int c, int h, int w) {
  return Set("cudnnSetFilter4dDescriptor", &DnnObjects::filters, filterDesc, [&](FilterDesc& f) {
    f = {true, dataType, format, k, c, h, w};
    return std::min({k, c, h, w}) > 0;
  });
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* convDesc) {
  return Create("cudnnCreateConvolutionDescriptor", &DnnObjects::convolutions, convDesc);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t convDesc) {
  return Destroy("cudnnDestroyConvolutionDescriptor", &DnnObjects::convolutions, convDesc);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convDesc, int pad_h,
                                              int pad_w, int u, int v, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t computeType) {
  return Set("cudnnSetConvolution2dDescriptor", &DnnObjects::convolutions, convDesc,
             [&](ConvolutionDesc& d) {
               d = {true, pad_h, pad_w, u, v, dilation_h, dilation_w, mode, computeType};
               return std::min(pad_h, pad_w) >= 0 && std::min({u, v, dilation_h, dilation_w}) > 0;
             });
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t convDesc, int groupCount) {
  return Set("cudnnSetConvolutionGroupCount", &DnnObjects::convolutions, convDesc,
             [&](ConvolutionDesc& d) {
               d.groups = groupCount;
               return d.set && groupCount > 0;  // after the shape, which resets it
             });
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convDesc,
                                          cudnnMathType_t mathType) {
  return Set("cudnnSetConvolutionMathType", &DnnObjects::convolutions, convDesc,
             [&](ConvolutionDesc& d) {
               d.math = mathType;
               return d.set && mathType >= CUDNN_DEFAULT_MATH && mathType <= CUDNN_FMA_MATH;
             });
}

cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t* activationDesc) {
  return Create("cudnnCreateActivationDescriptor", &DnnObjects::activations, activationDesc);
}
cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t activationDesc) {
  return Destroy("cudnnDestroyActivationDescriptor", &DnnObjects::activations, activationDesc);
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t activationDesc,
                                           cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t reluNanOpt, double /*coef*/) {
  return Set("cudnnSetActivationDescriptor", &DnnObjects::activations, activationDesc,
             [&](ActivationDesc& d) {
               d = {true, mode, reluNanOpt};
               return mode >= CUDNN_ACTIVATION_SIGMOID && mode <= CUDNN_ACTIVATION_SWISH;
             });
}

cudnnStatus_t cudnnCreatePoolingDescriptor(cudnnPoolingDescriptor_t* poolingDesc) {
  return Create("cudnnCreatePoolingDescriptor", &DnnObjects::poolings, poolingDesc);
}
cudnnStatus_t cudnnDestroyPoolingDescriptor(cudnnPoolingDescriptor_t poolingDesc) {
  return Destroy("cudnnDestroyPoolingDescriptor", &DnnObjects::poolings, poolingDesc);
}
cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t poolingDesc,
                                          cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t /*maxpoolingNanOpt*/,
                                          int windowHeight, int windowWidth, int verticalPadding,
                                          int horizontalPadding, int verticalStride,
                                          int horizontalStride) {
  return Set("cudnnSetPooling2dDescriptor", &DnnObjects::poolings, poolingDesc,
             [&](PoolingDesc& d) {
               d = {true,
                    mode,
                    windowHeight,
                    windowWidth,
                    verticalPadding,
                    horizontalPadding,
                    verticalStride,
                    horizontalStride};
               // A window that lies in the padding alone would have no average.
               return std::min({windowHeight, windowWidth, verticalStride, horizontalStride}) > 0 &&
                      std::min(verticalPadding, horizontalPadding) >= 0 &&
                      verticalPadding < windowHeight && horizontalPadding < windowWidth;
             });
}
