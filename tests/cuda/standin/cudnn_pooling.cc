// cuDNN's pooling. NaN always gets through, so that poison shows.
#include <cmath>
#include <limits>

#include "tests/cuda/standin/cudnn_objects.h"

using namespace cliptag::standin;  // NOLINT: implements cuDNN's names with it

namespace {

struct Pooling {
  TensorDesc x, y;
  PoolingDesc window;
  Number type = Number::kF32;
  float alpha = 1, beta = 0;
  const void* x_data = nullptr;
  void* y_data = nullptr;
};

int64_t At(const TensorDesc& t, int n, int c, int h, int w) {
  return int64_t{n} * t.n_stride + int64_t{c} * t.c_stride + int64_t{h} * t.h_stride +
         int64_t{w} * t.w_stride;
}

float Pool(const Pooling& p, int n, int c, int oy, int ox) {
  const bool average = p.window.mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING ||
                       p.window.mode == CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING;
  float result = average ? 0 : -std::numeric_limits<float>::infinity();
  int count = 0;
  for (int i = 0; i < p.window.window_h * p.window.window_w; ++i) {
    const int y = oy * p.window.stride_h - p.window.pad_h + i / p.window.window_w;
    const int x = ox * p.window.stride_w - p.window.pad_w + i % p.window.window_w;
    if (y < 0 || y >= p.x.h || x < 0 || x >= p.x.w) continue;
    const float value = Load(p.type, p.x_data, At(p.x, n, c, y, x));
    ++count;
    if (average) {
      result += value;
    } else if (!(value <= result)) {
      result = std::isnan(result) ? result : value;
    }
  }
  if (p.window.mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING) {
    count = p.window.window_h * p.window.window_w;
  }
  return average ? result / static_cast<float>(count) : result;
}

void Run(const Pooling& p) {
  for (int n = 0; n < p.y.n; ++n) {
    for (int h = 0; h < p.y.h; ++h) {
      for (int w = 0; w < p.y.w; ++w) {
        for (int c = 0; c < p.y.c; ++c) {
          const int64_t at = At(p.y, n, c, h, w);
          float value = p.alpha * Pool(p, n, c, h, w);
          if (p.beta != 0) value += p.beta * Load(p.type, p.y_data, at);
          Store(p.type, p.y_data, at, value);
        }
      }
    }
  }
}

cudnnStatus_t Check(Runtime& runtime, Pooling& p) {
  const int h = OutputLength(p.x.h, p.window.window_h, p.window.pad_h, p.window.stride_h, 1);
  const int w = OutputLength(p.x.w, p.window.window_w, p.window.pad_w, p.window.stride_w, 1);
  if (!p.x.set || !p.y.set || !p.window.set || p.y.n != p.x.n || p.y.c != p.x.c || p.y.h != h ||
      p.y.w != w || p.x.type != p.y.type) {
    return DnnMisuse(runtime, "cudnnPoolingForward", "the descriptors do not match");
  }
  const auto type = ToNumber(p.x.type);
  const bool packed = (p.x.IsPacked(CUDNN_TENSOR_NCHW) && p.y.IsPacked(CUDNN_TENSOR_NCHW)) ||
                      (p.x.IsPacked(CUDNN_TENSOR_NHWC) && p.y.IsPacked(CUDNN_TENSOR_NHWC));
  if (!type || !packed) return CUDNN_STATUS_NOT_SUPPORTED;
  p.type = *type;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t cudnnGetPooling2dForwardOutputDim(const cudnnPoolingDescriptor_t poolingDesc,
                                                const cudnnTensorDescriptor_t inputTensorDesc,
                                                int* n, int* c, int* h, int* w) {
  return DnnCall("cudnnGetPooling2dForwardOutputDim", [&](Runtime& runtime, DnnObjects& all) {
    const PoolingDesc* pooling = all.poolings.Find(runtime, poolingDesc);
    const TensorDesc* x = all.tensors.Find(runtime, inputTensorDesc);
    if (pooling == nullptr || x == nullptr || !pooling->set || !x->set) {
      return CUDNN_STATUS_BAD_PARAM;
    }
    *n = x->n;
    *c = x->c;
    *h = OutputLength(x->h, pooling->window_h, pooling->pad_h, pooling->stride_h, 1);
    *w = OutputLength(x->w, pooling->window_w, pooling->pad_w, pooling->stride_w, 1);
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t poolingDesc,
                                  const void* alpha, const cudnnTensorDescriptor_t xDesc,
                                  const void* x, const void* beta,
                                  const cudnnTensorDescriptor_t yDesc, void* y) {
  return DnnCall("cudnnPoolingForward", [&](Runtime& runtime, DnnObjects& all) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    const auto stream = FindHandleStream(runtime, all, handle, status);
    if (stream == nullptr) return status;
    const PoolingDesc* pooling = all.poolings.Find(runtime, poolingDesc);
    const TensorDesc* x_desc = all.tensors.Find(runtime, xDesc);
    const TensorDesc* y_desc = all.tensors.Find(runtime, yDesc);
    if (pooling == nullptr || x_desc == nullptr || y_desc == nullptr || alpha == nullptr ||
        beta == nullptr) {
      return CUDNN_STATUS_BAD_PARAM;
    }
    Pooling p{*x_desc,
              *y_desc,
              *pooling,
              Number::kF32,
              *static_cast<const float*>(alpha),
              *static_cast<const float*>(beta),
              x,
              y};
    status = Check(runtime, p);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    const std::vector<Operand> operands = {
        {"x", x, static_cast<size_t>(p.x.Elements()) * SizeOf(p.type)},
        {"y", y, static_cast<size_t>(p.y.Elements()) * SizeOf(p.type)}};
    const std::string stray = FindStray(runtime, operands, runtime.device());
    if (!stray.empty()) return DnnMisuse(runtime, "cudnnPoolingForward", stray);
    if (Overlap(operands[0], operands[1])) {
      return DnnMisuse(runtime, "cudnnPoolingForward", "y lies on x");
    }
    const cudaError_t error = EnqueueLibraryWork(runtime, stream, "cudnnPoolingForward", operands,
                                                 nullptr, 0, [&runtime, p] {
                                                   ++runtime.counters.poolings;
                                                   Run(p);
                                                 });
    return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
  });
}
