// cuDNN's convolutions, as products of unfolded pictures with the filters.
#include "tests/cuda/standin/cudnn_objects.h"

using namespace cliptag::standin;  // NOLINT: implements cuDNN's names with it

namespace {

constexpr size_t kAlignment = 16;  // of workspaces and tensors, for whole-register accesses

struct Convolution {
  TensorDesc x, y, z, bias;
  FilterDesc w;
  ConvolutionDesc conv;
  Number type = Number::kF32;
  bool biased = false;  // cudnnConvolutionBiasActivationForward()
  Activation activation = Activation::kNone;
  float alpha = 1, beta = 0;  // beta: of z, which is y without a bias
  const void *x_data = nullptr, *w_data = nullptr, *z_data = nullptr, *bias_data = nullptr;
  void* y_data = nullptr;
};

cudnnStatus_t Describe(Runtime& runtime, DnnObjects& all, cudnnTensorDescriptor_t x,
                       cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t conv,
                       cudnnTensorDescriptor_t y, Convolution& c) {
  const TensorDesc* x_desc = all.tensors.Find(runtime, x);
  const TensorDesc* y_desc = all.tensors.Find(runtime, y);
  const FilterDesc* w_desc = all.filters.Find(runtime, w);
  const ConvolutionDesc* conv_desc = all.convolutions.Find(runtime, conv);
  if (x_desc == nullptr || y_desc == nullptr || w_desc == nullptr || conv_desc == nullptr ||
      !x_desc->set || !y_desc->set || !w_desc->set || !conv_desc->set) {
    return DnnMisuse(runtime, "cuDNN", "a descriptor that does not exist or was not set");
  }
  c.x = *x_desc;
  c.y = *y_desc;
  c.w = *w_desc;
  c.conv = *conv_desc;
  const int h = OutputLength(c.x.h, c.w.h, c.conv.pad_h, c.conv.stride_h, c.conv.dilation_h);
  const int width = OutputLength(c.x.w, c.w.w, c.conv.pad_w, c.conv.stride_w, c.conv.dilation_w);
  if (c.x.c != c.w.c * c.conv.groups || c.w.k % c.conv.groups != 0 || c.y.n != c.x.n ||
      c.y.c != c.w.k || h < 1 || width < 1 || c.y.h != h || c.y.w != width) {
    return DnnMisuse(runtime, "cuDNN", "the shapes of input, filter and output do not match");
  }
  if (c.x.type != c.w.type || c.x.type != c.y.type) {
    return DnnMisuse(runtime, "cuDNN", "input, filter and output are of several types");
  }
  const auto type = ToNumber(c.x.type);
  if (!type || c.conv.compute != CUDNN_DATA_FLOAT || c.conv.mode != CUDNN_CROSS_CORRELATION) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  c.type = *type;
  if (*type == Number::kBf16 && runtime.settings.major < 8) return CUDNN_STATUS_NOT_SUPPORTED;
  if (!c.x.IsPacked(c.w.format) || !c.y.IsPacked(c.w.format)) return CUDNN_STATUS_NOT_SUPPORTED;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t CheckAlgorithm(const Convolution& c, cudnnConvolutionFwdAlgo_t algo) {
  if (algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) return CUDNN_STATUS_SUCCESS;
  return algo == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM && c.w.format == CUDNN_TENSOR_NCHW
             ? CUDNN_STATUS_SUCCESS
             : CUDNN_STATUS_NOT_SUPPORTED;
}

// One has a table of offsets, the other nothing.
size_t WorkspaceOf(const Convolution& c, cudnnConvolutionFwdAlgo_t algo) {
  if (algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) return 0;
  const size_t table = size_t{4} * static_cast<size_t>(c.w.c * c.w.h * c.w.w + c.y.h * c.y.w);
  return (table + 255) / 256 * 256;
}

// The pictures under the filter, one row per output position: (h * w, filter elements of a group).
// Their order is that of the filter in memory.
std::vector<float> Unfold(const Convolution& c, const std::vector<float>& picture, int group) {
  const int depth = c.w.c * c.w.h * c.w.w;
  std::vector<float> rows(static_cast<size_t>(c.y.h * c.y.w) * static_cast<size_t>(depth));
  const bool last = c.w.format == CUDNN_TENSOR_NHWC;
  const int64_t channel_step = last ? 1 : c.w.h * c.w.w, tap_step = last ? c.w.c : 1;
  for (int oy = 0; oy < c.y.h; ++oy) {
    for (int ox = 0; ox < c.y.w; ++ox) {
      float* row = rows.data() + static_cast<int64_t>(oy * c.y.w + ox) * depth;
      for (int tap = 0; tap < c.w.h * c.w.w; ++tap) {
        const int iy = oy * c.conv.stride_h - c.conv.pad_h + tap / c.w.w * c.conv.dilation_h;
        const int ix = ox * c.conv.stride_w - c.conv.pad_w + tap % c.w.w * c.conv.dilation_w;
        if (iy < 0 || iy >= c.x.h || ix < 0 || ix >= c.x.w) continue;
        const int64_t from = int64_t{iy} * c.x.h_stride + int64_t{ix} * c.x.w_stride +
                             int64_t{group} * c.w.c * c.x.c_stride;
        for (int channel = 0; channel < c.w.c; ++channel) {
          row[tap * tap_step + channel * channel_step] =
              picture[from + int64_t{channel} * c.x.c_stride];
        }
      }
    }
  }
  return rows;
}

void StoreOutput(const Convolution& c, const std::vector<float>& sums, int n, int group) {
  const int filters = c.w.k / c.conv.groups;
  for (int position = 0; position < c.y.h * c.y.w; ++position) {
    for (int f = 0; f < filters; ++f) {
      const int k = group * filters + f;
      const int64_t at = int64_t{n} * c.y.n_stride + int64_t{position / c.y.w} * c.y.h_stride +
                         int64_t{position % c.y.w} * c.y.w_stride + int64_t{k} * c.y.c_stride;
      float value = c.alpha * sums[static_cast<size_t>(position) * filters + f];
      if (c.beta != 0) value += c.beta * Load(c.type, c.z_data, at);
      if (c.biased) value += Load(c.type, c.bias_data, k);
      Store(c.type, c.y_data, at, Activate(c.activation, value));
    }
  }
}

void Run(const Convolution& c) {
  const int64_t elements = c.x.Elements() / c.x.n, depth = int64_t{c.w.c} * c.w.h * c.w.w;
  const int64_t filters = c.w.k / c.conv.groups, positions = int64_t{c.y.h} * c.y.w;
  std::vector<float> picture(static_cast<size_t>(elements));
  for (int n = 0; n < c.x.n; ++n) {
    LoadMany(c.type, c.x_data, n * elements, 1, elements, picture.data());
    for (int group = 0; group < c.conv.groups; ++group) {
      const std::vector<float> rows = Unfold(c, picture, group);
      const char* filter = static_cast<const char*>(c.w_data) +
                           group * filters * depth * static_cast<int64_t>(SizeOf(c.type));
      StoreOutput(c,
                  Multiply({Number::kF32, rows.data(), positions, depth, depth, 1},
                           {c.type, filter, depth, filters, 1, depth}),
                  n, group);
    }
  }
}

size_t Bytes(const Convolution& c, int64_t elements) {
  return static_cast<size_t>(elements) * SizeOf(c.type);
}

// Checks memory and puts the work into the stream.
cudnnStatus_t Enqueue(Runtime& runtime, const std::shared_ptr<Stream>& stream, const char* function,
                      const Convolution& c, cudnnConvolutionFwdAlgo_t algo, void* workspace,
                      size_t workspace_bytes) {
  const size_t wanted = WorkspaceOf(c, algo);
  if (wanted > workspace_bytes) {
    return DnnMisuse(runtime, function,
                     "wants a workspace of " + std::to_string(wanted) + " bytes");
  }
  const Operand output{"y", c.y_data, Bytes(c, c.y.Elements())};
  const Operand residual{"z", c.z_data, output.bytes};
  const Operand scratch{"the workspace", wanted > 0 ? workspace : nullptr, wanted};
  std::vector<Operand> operands = {
      {"x", c.x_data, Bytes(c, c.x.Elements())},
      {"w", c.w_data, Bytes(c, int64_t{c.w.k} * c.w.c * c.w.h * c.w.w)},
  };
  if (c.biased) operands.push_back({"bias", c.bias_data, Bytes(c, c.w.k)});
  for (const Operand& operand : operands) {
    if (Overlap(output, operand) || Overlap(scratch, operand)) {
      return DnnMisuse(runtime, function, std::string(operand.name) + " would be written to");
    }
  }
  // The residual may be the output itself, not a part of it.
  if (Overlap(scratch, output) || Overlap(scratch, residual) ||
      (c.z_data != c.y_data && Overlap(residual, output))) {
    return DnnMisuse(runtime, function, "output, residual and workspace overlap");
  }
  operands.push_back(output);
  if (c.biased) operands.push_back(residual);
  std::vector<Operand> used = operands;
  if (wanted > 0) used.push_back(scratch);
  const std::string stray = FindStray(runtime, used, runtime.device());
  if (!stray.empty()) return DnnMisuse(runtime, function, stray);
  for (const Operand& operand : used) {
    if (reinterpret_cast<uintptr_t>(operand.data) % kAlignment != 0) {
      return DnnMisuse(runtime, function, std::string(operand.name) + " is misaligned");
    }
  }
  const cudaError_t error =
      EnqueueLibraryWork(runtime, stream, function, operands, workspace, wanted, [&runtime, c] {
        ++runtime.counters.convolutions;
        Run(c);
      });
  return error == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}

cudnnStatus_t CheckBias(Runtime& runtime, const Convolution& c, const ActivationDesc& activation,
                        cudnnConvolutionFwdAlgo_t algo) {
  const bool relu = activation.mode == CUDNN_ACTIVATION_RELU;
  if (!relu && activation.mode != CUDNN_ACTIVATION_IDENTITY) return CUDNN_STATUS_NOT_SUPPORTED;
  if (activation.nan != CUDNN_NOT_PROPAGATE_NAN) return CUDNN_STATUS_NOT_SUPPORTED;
  if (!relu && algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) {
    return CUDNN_STATUS_NOT_SUPPORTED;
  }
  if (!c.bias.set || !c.z.set || c.bias.n != 1 || c.bias.c != c.w.k || c.bias.h != 1 ||
      c.bias.w != 1 || c.bias.c_stride != 1 || c.bias.type != c.y.type || !c.z.SameShape(c.y) ||
      !c.z.IsPacked(c.w.format)) {
    return DnnMisuse(runtime, "cudnnConvolutionBiasActivationForward",
                     "bias or residual do not match the output", CUDNN_STATUS_NOT_SUPPORTED);
  }
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(const cudnnConvolutionDescriptor_t convDesc,
                                                    const cudnnTensorDescriptor_t inputTensorDesc,
                                                    const cudnnFilterDescriptor_t filterDesc,
                                                    int* n, int* c, int* h, int* w) {
  return DnnCall("cudnnGetConvolution2dForwardOutputDim", [&](Runtime& runtime, DnnObjects& all) {
    const ConvolutionDesc* conv = all.convolutions.Find(runtime, convDesc);
    const TensorDesc* x = all.tensors.Find(runtime, inputTensorDesc);
    const FilterDesc* filter = all.filters.Find(runtime, filterDesc);
    if (conv == nullptr || x == nullptr || filter == nullptr || !conv->set || !x->set ||
        !filter->set || x->c != filter->c * conv->groups) {
      return CUDNN_STATUS_BAD_PARAM;
    }
    *n = x->n;
    *c = filter->k;
    *h = OutputLength(x->h, filter->h, conv->pad_h, conv->stride_h, conv->dilation_h);
    *w = OutputLength(x->w, filter->w, conv->pad_w, conv->stride_w, conv->dilation_w);
    return *h > 0 && *w > 0 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
  });
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t xDesc, const cudnnFilterDescriptor_t wDesc,
    const cudnnConvolutionDescriptor_t convDesc, const cudnnTensorDescriptor_t yDesc,
    cudnnConvolutionFwdAlgo_t algo, size_t* sizeInBytes) {
  return DnnCall("cudnnGetConvolutionForwardWorkspaceSize", [&](Runtime& runtime, DnnObjects& all) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (FindHandleStream(runtime, all, handle, status) == nullptr) return status;
    Convolution c;
    status = Describe(runtime, all, xDesc, wDesc, convDesc, yDesc, c);
    if (status == CUDNN_STATUS_SUCCESS) status = CheckAlgorithm(c, algo);
    if (status == CUDNN_STATUS_SUCCESS) *sizeInBytes = WorkspaceOf(c, algo);
    return status;
  });
}

// All algorithms, best first, each with whether it can be used, as cuDNN lists them.
cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t srcDesc,
    const cudnnFilterDescriptor_t filterDesc, const cudnnConvolutionDescriptor_t convDesc,
    const cudnnTensorDescriptor_t destDesc, const int requestedAlgoCount, int* returnedAlgoCount,
    cudnnConvolutionFwdAlgoPerf_t* perfResults) {
  return DnnCall("cudnnGetConvolutionForwardAlgorithm_v7", [&](Runtime& runtime, DnnObjects& all) {
    if (returnedAlgoCount == nullptr || perfResults == nullptr || requestedAlgoCount < 1) {
      return CUDNN_STATUS_BAD_PARAM;
    }
    *returnedAlgoCount = 0;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (FindHandleStream(runtime, all, handle, status) == nullptr) return status;
    Convolution c;
    status = Describe(runtime, all, srcDesc, filterDesc, convDesc, destDesc, c);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    for (const int i : {1, 0, 2, 3, 4, 5, 6, 7}) {
      if (*returnedAlgoCount == requestedAlgoCount) break;
      const auto algo = static_cast<cudnnConvolutionFwdAlgo_t>(i);
      cudnnConvolutionFwdAlgoPerf_t& perf = perfResults[(*returnedAlgoCount)++];
      perf = {};
      perf.algo = algo;
      perf.status = CheckAlgorithm(c, algo);
      perf.time = -1;
      perf.memory = WorkspaceOf(c, algo);
      perf.determinism = CUDNN_DETERMINISTIC;
      perf.mathType = c.conv.math;
    }
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      const cudnnTensorDescriptor_t xDesc, const void* x,
                                      const cudnnFilterDescriptor_t wDesc, const void* w,
                                      const cudnnConvolutionDescriptor_t convDesc,
                                      cudnnConvolutionFwdAlgo_t algo, void* workSpace,
                                      size_t workSpaceSizeInBytes, const void* beta,
                                      const cudnnTensorDescriptor_t yDesc, void* y) {
  return DnnCall("cudnnConvolutionForward", [&](Runtime& runtime, DnnObjects& all) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    const auto stream = FindHandleStream(runtime, all, handle, status);
    if (stream == nullptr) return status;
    Convolution c;
    status = Describe(runtime, all, xDesc, wDesc, convDesc, yDesc, c);
    if (status == CUDNN_STATUS_SUCCESS) status = CheckAlgorithm(c, algo);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    if (alpha == nullptr || beta == nullptr) return CUDNN_STATUS_BAD_PARAM;
    c.alpha = *static_cast<const float*>(alpha);
    c.beta = *static_cast<const float*>(beta);
    c.x_data = x;
    c.w_data = w;
    c.z_data = y;
    c.y_data = y;
    return Enqueue(runtime, stream, "cudnnConvolutionForward", c, algo, workSpace,
                   workSpaceSizeInBytes);
  });
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha1, const cudnnTensorDescriptor_t xDesc, const void* x,
    const cudnnFilterDescriptor_t wDesc, const void* w, const cudnnConvolutionDescriptor_t convDesc,
    cudnnConvolutionFwdAlgo_t algo, void* workSpace, size_t workSpaceSizeInBytes,
    const void* alpha2, const cudnnTensorDescriptor_t zDesc, const void* z,
    const cudnnTensorDescriptor_t biasDesc, const void* bias,
    const cudnnActivationDescriptor_t activationDesc, const cudnnTensorDescriptor_t yDesc,
    void* y) {
  return DnnCall("cudnnConvolutionBiasActivationForward", [&](Runtime& runtime, DnnObjects& all) {
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    const auto stream = FindHandleStream(runtime, all, handle, status);
    if (stream == nullptr) return status;
    Convolution c;
    status = Describe(runtime, all, xDesc, wDesc, convDesc, yDesc, c);
    if (status == CUDNN_STATUS_SUCCESS) status = CheckAlgorithm(c, algo);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    const TensorDesc* z_desc = all.tensors.Find(runtime, zDesc);
    const TensorDesc* bias_desc = all.tensors.Find(runtime, biasDesc);
    const ActivationDesc* activation = all.activations.Find(runtime, activationDesc);
    if (alpha1 == nullptr || alpha2 == nullptr || z_desc == nullptr || bias_desc == nullptr ||
        activation == nullptr || !activation->set) {
      return CUDNN_STATUS_BAD_PARAM;
    }
    c.biased = true;
    c.z = *z_desc;
    c.bias = *bias_desc;
    status = CheckBias(runtime, c, *activation, algo);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    c.activation =
        activation->mode == CUDNN_ACTIVATION_RELU ? Activation::kRelu : Activation::kNone;
    c.alpha = *static_cast<const float*>(alpha1);
    c.beta = *static_cast<const float*>(alpha2);
    c.x_data = x;
    c.w_data = w;
    c.z_data = z;
    c.bias_data = bias;
    c.y_data = y;
    return Enqueue(runtime, stream, "cudnnConvolutionBiasActivationForward", c, algo, workSpace,
                   workSpaceSizeInBytes);
  });
}
