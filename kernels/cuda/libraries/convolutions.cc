#include "kernels/cuda/libraries/convolutions.h"

#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels/base/concat.h"
#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/device/weights.h"
#include "kernels/cuda/libraries/cudnn_api.h"
#include "kernels/host_memory.h"

namespace cliptag::cuda {
namespace {

// The only algorithm that supports channels last and fuses a bias without ReLU.
constexpr auto kAlgorithm = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;

class Packed : public Convolution {
 public:
  Packed(const ConvolutionSpec& spec, const CudnnApi& api, const Device& device)
      : Convolution(spec), api_(api), device_(device) {}
  ~Packed() override {
    (void)device_.Enter();
    if (filter != nullptr) (void)api_.cudnnDestroyFilterDescriptor(filter);
    if (descriptor != nullptr) (void)api_.cudnnDestroyConvolutionDescriptor(descriptor);
  }

  cudnnFilterDescriptor_t filter = nullptr;
  cudnnConvolutionDescriptor_t descriptor = nullptr;
  std::unique_ptr<DeviceMemory> weights;  // (out, kernel, kernel, in)
  std::unique_ptr<DeviceMemory> bias;     // (out)

 private:
  const CudnnApi& api_;
  const Device& device_;
};

class CudnnConvolutions : public Convolutions {
 public:
  CudnnConvolutions(const CudnnApi& api, const Device& device, DType compute_type,
                    cudaStream_t stream);
  ~CudnnConvolutions() override;
  Status SetUp();

  Result<std::unique_ptr<Convolution>> Pack(const ConvolutionSpec& spec) override;
  Status Run(const FeatureMap& x, const Convolution& convolution, const FeatureMap* residual,
             bool relu, const FeatureMap& out) override;
  Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) override;

 private:
  // The size of a workspace depends on the input's batch, height and width; channels in and out,
  // window, stride and padding.
  using Key = std::tuple<int, int, int, int, int, int, int, int>;

  Status Check(cudnnStatus_t status, const char* doing) const;
  Status Describe(cudnnTensorDescriptor_t tensor, const FeatureMap& map) const;
  Status ReserveWorkspace(const FeatureMap& x, const Packed& packed);

  const CudnnApi& api_;
  const Device& device_;
  cudnnDataType_t type_;
  DType compute_type_;
  cudaStream_t stream_;
  cudnnHandle_t library_ = nullptr;
  cudnnTensorDescriptor_t x_ = nullptr, out_ = nullptr, bias_ = nullptr;
  cudnnActivationDescriptor_t relu_ = nullptr, identity_ = nullptr;
  cudnnPoolingDescriptor_t pooling_ = nullptr;
  // The last is the largest and in use; captured graphs may still use the others.
  std::vector<std::unique_ptr<DeviceMemory>> workspaces_;
  std::map<Key, size_t> planned_;
};

CudnnConvolutions::CudnnConvolutions(const CudnnApi& api, const Device& device, DType compute_type,
                                     cudaStream_t stream)
    : api_(api),
      device_(device),
      type_(compute_type == DType::kF16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16),
      compute_type_(compute_type),
      stream_(stream) {}

CudnnConvolutions::~CudnnConvolutions() {
  for (cudnnTensorDescriptor_t tensor : {x_, out_, bias_}) {
    if (tensor != nullptr) (void)api_.cudnnDestroyTensorDescriptor(tensor);
  }
  for (cudnnActivationDescriptor_t activation : {relu_, identity_}) {
    if (activation != nullptr) (void)api_.cudnnDestroyActivationDescriptor(activation);
  }
  if (pooling_ != nullptr) (void)api_.cudnnDestroyPoolingDescriptor(pooling_);
  if (library_ != nullptr) (void)api_.cudnnDestroy(library_);
}

Status CudnnConvolutions::Check(cudnnStatus_t status, const char* doing) const {
  if (status == CUDNN_STATUS_SUCCESS) return {};
  return Internal(Concat("cuDNN failed while ", doing, ": ", api_.cudnnGetErrorString(status),
                         "; start the pipeline again, or use backend=cpu."));
}

Status CudnnConvolutions::SetUp() {
  CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnCreate(&library_), "it started"));
  CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnSetStream(library_, stream_), "it was given a stream"));
  for (cudnnTensorDescriptor_t* tensor : {&x_, &out_, &bias_}) {
    CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnCreateTensorDescriptor(tensor), "it started"));
  }
  CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnCreatePoolingDescriptor(&pooling_), "it started"));
  for (auto [activation, mode] : {std::pair{&relu_, CUDNN_ACTIVATION_RELU},
                                  std::pair{&identity_, CUDNN_ACTIVATION_IDENTITY}}) {
    CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnCreateActivationDescriptor(activation), "it started"));
    CLIPTAG_RETURN_IF_ERROR(
        Check(api_.cudnnSetActivationDescriptor(*activation, mode, CUDNN_NOT_PROPAGATE_NAN, 0),
              "it started"));
  }
  return {};
}

Status CudnnConvolutions::Describe(cudnnTensorDescriptor_t tensor, const FeatureMap& map) const {
  return Check(
      api_.cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NHWC, type_, map.batch,
                                      static_cast<int>(map.pixels.cols), map.height, map.width),
      "a feature map was described");
}

Result<std::unique_ptr<Convolution>> CudnnConvolutions::Pack(const ConvolutionSpec& spec) {
  auto packed = std::make_unique<Packed>(spec, api_, device_);
  const auto check = [this](cudnnStatus_t status) {
    return Check(status, "a convolution was described");
  };
  CLIPTAG_RETURN_IF_ERROR(check(api_.cudnnCreateFilterDescriptor(&packed->filter)));
  CLIPTAG_RETURN_IF_ERROR(check(api_.cudnnSetFilter4dDescriptor(
      packed->filter, type_, CUDNN_TENSOR_NHWC, packed->out_channels(), packed->in_channels(),
      packed->kernel(), packed->kernel())));
  CLIPTAG_RETURN_IF_ERROR(check(api_.cudnnCreateConvolutionDescriptor(&packed->descriptor)));
  CLIPTAG_RETURN_IF_ERROR(check(api_.cudnnSetConvolution2dDescriptor(
      packed->descriptor, spec.padding, spec.padding, spec.stride, spec.stride, 1, 1,
      CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT)));
  CLIPTAG_RETURN_IF_ERROR(
      check(api_.cudnnSetConvolutionMathType(packed->descriptor, CUDNN_TENSOR_OP_MATH)));
  std::vector<float> bias = ToFloats(spec.bias);
  bias.resize(static_cast<size_t>(packed->out_channels()), 0.0f);
  CLIPTAG_ASSIGN_OR_RETURN(packed->weights,
                           ToDevice(RoundAll(compute_type_, ChannelsLast(spec.weight)), stream_));
  CLIPTAG_ASSIGN_OR_RETURN(packed->bias, ToDevice(RoundAll(compute_type_, bias), stream_));
  return std::unique_ptr<Convolution>(std::move(packed));
}

Status CudnnConvolutions::ReserveWorkspace(const FeatureMap& x, const Packed& p) {
  const Key key{x.batch,          x.height,   x.width,    p.in_channels(),
                p.out_channels(), p.kernel(), p.stride(), p.padding()};
  if (planned_.contains(key)) return {};
  size_t bytes = 0;
  CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnGetConvolutionForwardWorkspaceSize(
                                    library_, x_, p.filter, p.descriptor, out_, kAlgorithm, &bytes),
                                "a convolution was planned"));
  if (workspaces_.empty() || workspaces_.back()->bytes() < bytes) {
    CLIPTAG_ASSIGN_OR_RETURN(auto workspace, DeviceMemory::Allocate(bytes));
    workspaces_.push_back(std::move(workspace));
  }
  planned_[key] = bytes;
  return {};
}

Status CudnnConvolutions::Run(const FeatureMap& x, const Convolution& convolution,
                              const FeatureMap* residual, bool relu, const FeatureMap& out) {
  const auto& packed = static_cast<const Packed&>(convolution);
  CLIPTAG_RETURN_IF_ERROR(Describe(x_, x));
  CLIPTAG_RETURN_IF_ERROR(Describe(out_, out));
  CLIPTAG_RETURN_IF_ERROR(ReserveWorkspace(x, packed));
  CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnSetTensor4dDescriptor(bias_, CUDNN_TENSOR_NHWC, type_, 1,
                                                                packed.out_channels(), 1, 1),
                                "a bias was described"));
  // Without a residual the factor is 0, and the output serves as the operand that is not read.
  const float one = 1, factor = residual == nullptr ? 0.0f : 1.0f;
  const void* z = residual == nullptr ? out.pixels.data : residual->pixels.data;
  return Check(api_.cudnnConvolutionBiasActivationForward(
                   library_, &one, x_, x.pixels.data, packed.filter, packed.weights->data(),
                   packed.descriptor, kAlgorithm, workspaces_.back()->data(),
                   workspaces_.back()->bytes(), &factor, out_, z, bias_, packed.bias->data(),
                   relu ? relu_ : identity_, out_, out.pixels.data),
               "a convolution was started");
}

Status CudnnConvolutions::AveragePool(const FeatureMap& x, int window, const FeatureMap& out) {
  CLIPTAG_RETURN_IF_ERROR(Describe(x_, x));
  CLIPTAG_RETURN_IF_ERROR(Describe(out_, out));
  CLIPTAG_RETURN_IF_ERROR(Check(api_.cudnnSetPooling2dDescriptor(
                                    pooling_, CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING,
                                    CUDNN_NOT_PROPAGATE_NAN, window, window, 0, 0, window, window),
                                "a pooling was described"));
  const float one = 1, zero = 0;
  return Check(api_.cudnnPoolingForward(library_, pooling_, &one, x_, x.pixels.data, &zero, out_,
                                        out.pixels.data),
               "a pooling was started");
}

}  // namespace

Result<std::unique_ptr<Convolutions>> Convolutions::Create(const Device& device, DType compute_type,
                                                           cudaStream_t stream) {
  CLIPTAG_ASSIGN_OR_RETURN(const CudnnApi* api, OpenCudnn());
  auto convolutions = std::make_unique<CudnnConvolutions>(*api, device, compute_type, stream);
  CLIPTAG_RETURN_IF_ERROR(convolutions->SetUp());
  return std::unique_ptr<Convolutions>(std::move(convolutions));
}

}  // namespace cliptag::cuda
