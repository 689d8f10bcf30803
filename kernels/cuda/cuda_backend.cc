#include "kernels/cuda/cuda_backend.h"

#include <utility>

#include "kernels/base/concat.h"
#include "kernels/checks.h"
#include "kernels/cuda/attention/operation.h"
#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/libraries/convolutions.h"
#include "kernels/cuda/libraries/products.h"
#include "kernels/cuda/operations.h"
#include "kernels/cuda/preprocess/frame_staging.h"
#include "kernels/cuda/preprocess/operation.h"
#include "kernels/host_memory.h"
#include "kernels/shared/preprocess_check.h"

namespace cliptag::cuda {
namespace {

// Memory that a user of the backend owns: any thread may free it.
class UserMemory : public Memory {
 public:
  UserMemory(const Device& device, std::unique_ptr<DeviceMemory> memory)
      : device_(device), memory_(std::move(memory)) {}
  ~UserMemory() override { (void)device_.Enter(); }
  void* data() const override { return memory_->data(); }
  size_t bytes() const override { return memory_->bytes(); }

 private:
  const Device& device_;
  std::unique_ptr<DeviceMemory> memory_;
};

class CudaBackend : public Backend {
 public:
  static Result<std::unique_ptr<Backend>> Create(Device device, DType compute_type);
  ~CudaBackend() override { (void)device_.Enter(); }

  const BackendInfo& info() const override { return info_; }
  DType compute_type() const override { return compute_type_; }
  Status Supports(Feature feature) override;

  Result<std::unique_ptr<Memory>> Allocate(size_t bytes) override;
  Result<std::unique_ptr<Memory>> Upload(const HostTensor& tensor, DType type) override;
  Result<std::unique_ptr<Linear>> PackLinear(const LinearSpec& spec) override {
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return products_->Pack(spec);
  }
  Status PrepareGemm(const Linear& linear, int64_t rows) override {
    // products.h chooses an algorithm when a shape runs for the first time, since it depends on
    // strides, types and alignment of operands and output.
    return rows < 1 ? InvalidArgument("PrepareGemm: rows must be positive.") : Status();
  }

  Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                    const Matrix& out) override;
  Status Gemm(const Matrix& x, const Linear& linear, Activation activation, bool accumulate,
              const Matrix& out) override;
  Status LayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                   const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckLayerNorm(x, gamma, compute_type_, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunLayerNorm(stream_.get(), x, gamma, beta, epsilon, out);
  }
  Status AddLayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                      const Matrix& residual, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAddLayerNorm(x, gamma, compute_type_, residual, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunAddLayerNorm(stream_.get(), x, gamma, beta, epsilon, residual, out);
  }
  Status Rope(const Matrix& x, const Matrix& angles) override {
    CLIPTAG_RETURN_IF_ERROR(CheckRope(x, angles, compute_type_));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunRope(stream_.get(), x, angles);
  }
  Status GatedSilu(const Matrix& x, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGatedSilu(x, compute_type_, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunGatedSilu(stream_.get(), x, out);
  }
  Status Attention(const AttentionArgs& args) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAttention(args, compute_type_));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunAttention(stream_.get(), args);
  }
  Status AssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                        int batch, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(
        CheckAssembleTokens(patches, class_token, position, batch, compute_type_, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunAssembleTokens(stream_.get(), patches, class_token, position, batch, out);
  }
  Status EmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                     const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckEmbedTokens(ids, table, position, tokens, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunEmbedTokens(stream_.get(), ids, table, position, tokens, out);
  }
  Status GatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGatherRows(x, indices, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunGatherRows(stream_.get(), x, indices, out);
  }
  Status AverageTokens(const Matrix& x, int skip, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAverageTokens(x, skip, out));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunAverageTokens(stream_.get(), x, skip, out);
  }
  Status NormalizeRows(const Matrix& x) override {
    CLIPTAG_RETURN_IF_ERROR(CheckNormalizeRows(x));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunNormalizeRows(stream_.get(), x);
  }
  Status Similarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) override {
    CLIPTAG_RETURN_IF_ERROR(CheckSimilarity(embeddings, bank, cosines));
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    return RunSimilarity(stream_.get(), embeddings, bank, cosines);
  }

  Result<std::unique_ptr<Convolution>> PackConvolution(const ConvolutionSpec& spec) override;
  Status Convolve(const FeatureMap& x, const Convolution& convolution, const FeatureMap* residual,
                  bool relu, const FeatureMap& out) override;
  Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) override;

  std::unique_ptr<Graph> CreateGraph() override {
    return std::make_unique<CudaGraph>(device_, stream_.get());
  }

  Status CopyToHost(const Matrix& x, float* host) override;
  Status CopyFromHost(const void* host, size_t bytes, void* device) override;
  Status Sync() override {
    CLIPTAG_RETURN_IF_ERROR(device_.Enter());
    CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream_.get()), "it computed");
    return {};
  }

 private:
  CudaBackend(Device device, DType compute_type)
      : device_(std::move(device)), compute_type_(compute_type) {}

  // Opens cuDNN for the first model with convolutions.
  Status NeedConvolutions();

  Device device_;
  DType compute_type_;
  BackendInfo info_;
  Stream stream_;
  std::unique_ptr<Products> products_;
  std::unique_ptr<Convolutions> convolutions_;  // null until NeedConvolutions()
  std::unique_ptr<FrameStaging> staging_;
  std::unique_ptr<PinnedMemory> results_;  // staging for CopyToHost
};

Result<std::unique_ptr<Backend>> CudaBackend::Create(Device device, DType compute_type) {
  std::unique_ptr<CudaBackend> backend(new CudaBackend(std::move(device), compute_type));
  CLIPTAG_ASSIGN_OR_RETURN(backend->stream_, Stream::Create());
  const cudaStream_t stream = backend->stream_.get();
  CLIPTAG_ASSIGN_OR_RETURN(backend->products_,
                           Products::Create(backend->device_, compute_type, stream));
  CLIPTAG_ASSIGN_OR_RETURN(backend->staging_, FrameStaging::Create(stream));
  const Device& d = backend->device_;
  BackendInfo& info = backend->info_;
  info.kind = BackendKind::kCuda;
  info.asynchronous = true;
  info.precision = compute_type == DType::kF16 ? Precision::kFp16 : Precision::kBf16;
  info.description = Concat(d.name, ", compute capability ", d.major, ".", d.minor, ", ",
                            d.memory_bytes >> 20, " MiB, cuBLASLt ", cublasLtGetVersion());
  return std::unique_ptr<Backend>(std::move(backend));
}

Result<std::unique_ptr<Memory>> CudaBackend::Allocate(size_t bytes) {
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  CLIPTAG_ASSIGN_OR_RETURN(auto memory, DeviceMemory::Allocate(bytes));
  return std::unique_ptr<Memory>(std::make_unique<UserMemory>(device_, std::move(memory)));
}

Result<std::unique_ptr<Memory>> CudaBackend::Upload(const HostTensor& tensor, DType type) {
  CLIPTAG_RETURN_IF_ERROR(CheckUpload(tensor, type));
  CLIPTAG_ASSIGN_OR_RETURN(const auto converted, UploadToHost(tensor, type));
  CLIPTAG_ASSIGN_OR_RETURN(auto memory, Allocate(converted->bytes()));
  CLIPTAG_RETURN_IF_ERROR(CopyFromHost(converted->data(), converted->bytes(), memory->data()));
  return memory;
}

Status CudaBackend::Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                               const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckPreprocessOut(out, compute_type_));
  CLIPTAG_RETURN_IF_ERROR(CheckFrames(frames, spec, out, /*cuda_memory=*/true));
  if (frames.empty()) return {};
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  CLIPTAG_ASSIGN_OR_RETURN(const FrameStaging::Batch batch, staging_->Stage(frames, spec));
  CLIPTAG_RETURN_IF_ERROR(RunPreprocess(stream_.get(), *batch.plan, batch.table, out));
  return staging_->Done(frames);
}

Status CudaBackend::Gemm(const Matrix& x, const Linear& linear, Activation activation,
                         bool accumulate, const Matrix& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckGemm(x, linear, accumulate, compute_type_, out));
  const bool plain = activation == Activation::kNone;
  if (accumulate && !plain) {
    return Unsupported("The CUDA backend has no residual after an activation.");
  }
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  CLIPTAG_RETURN_IF_ERROR(products_->Run(x, linear, plain, accumulate, out));
  return plain ? Status() : RunActivation(stream_.get(), activation, Products::Bias(linear), out);
}

Status CudaBackend::NeedConvolutions() {
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  if (convolutions_) return {};
  CLIPTAG_ASSIGN_OR_RETURN(convolutions_,
                           Convolutions::Create(device_, compute_type_, stream_.get()));
  return {};
}

Status CudaBackend::Supports(Feature feature) {
  if (feature == Feature::kConvolutions) return NeedConvolutions();
  return Unsupported(
      "The CUDA backend has no depthwise convolutions and none with GELU, which MobileCLIP's "
      "FastViT towers need; use backend=cpu.");
}

Result<std::unique_ptr<Convolution>> CudaBackend::PackConvolution(const ConvolutionSpec& spec) {
  CLIPTAG_RETURN_IF_ERROR(CheckConvolutionSpec(spec));
  const bool plain = spec.groups == 1 && spec.activation == Activation::kNone;
  CLIPTAG_RETURN_IF_ERROR(
      Supports(plain ? Feature::kConvolutions : Feature::kDepthwiseConvolutions));
  return convolutions_->Pack(spec);
}

Status CudaBackend::Convolve(const FeatureMap& x, const Convolution& convolution,
                             const FeatureMap* residual, bool relu, const FeatureMap& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckConvolve(x, convolution, residual, relu, compute_type_, out));
  CLIPTAG_RETURN_IF_ERROR(NeedConvolutions());
  return convolutions_->Run(x, convolution, residual, relu, out);
}

Status CudaBackend::AveragePool(const FeatureMap& x, int window, const FeatureMap& out) {
  CLIPTAG_RETURN_IF_ERROR(CheckAveragePool(x, window, compute_type_, out));
  CLIPTAG_RETURN_IF_ERROR(NeedConvolutions());
  return convolutions_->AveragePool(x, window, out);
}

Status CudaBackend::CopyToHost(const Matrix& x, float* host) {
  CLIPTAG_RETURN_IF_ERROR(CheckCopyToHost(x, host));
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  const size_t row = static_cast<size_t>(x.cols) * SizeOf(x.type);
  CLIPTAG_RETURN_IF_ERROR(Grow(results_, row * static_cast<size_t>(x.rows)));
  CLIPTAG_RETURN_IF_CUDA_ERROR(
      cudaMemcpy2DAsync(results_->data(), row, x.data,
                        static_cast<size_t>(x.stride) * SizeOf(x.type), row,
                        static_cast<size_t>(x.rows), cudaMemcpyDeviceToHost, stream_.get()),
      "results were copied from it");
  CLIPTAG_RETURN_IF_ERROR(Sync());
  CopyMatrixToFloat({results_->data(), x.type, x.rows, x.cols, x.cols}, host);
  return {};
}

Status CudaBackend::CopyFromHost(const void* host, size_t bytes, void* device) {
  CLIPTAG_RETURN_IF_ERROR(CheckCopyFromHost(host, bytes, device));
  if (bytes == 0) return {};
  CLIPTAG_RETURN_IF_ERROR(device_.Enter());
  return CopyToDevice(device, host, bytes, stream_.get());
}

}  // namespace

Result<std::unique_ptr<Backend>> CreateDeviceBackend(const BackendOptions& options) {
  const Precision precision = options.precision;
  if (precision == Precision::kFp32 || precision == Precision::kInt8) {
    return Unsupported(Concat("The CUDA backend has no ", ToString(precision),
                              "; use precision=fp16, bf16 or auto, or backend=cpu."));
  }
  CLIPTAG_ASSIGN_OR_RETURN(Device device, OpenDevice(options.device, options.cuda_context));
  return CudaBackend::Create(std::move(device),
                             precision == Precision::kBf16 ? DType::kBF16 : DType::kF16);
}

}  // namespace cliptag::cuda
