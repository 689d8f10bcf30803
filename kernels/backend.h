// The interface of a device: memory, and coarse operations on row-major matrices. The encoders in
// models/ are written once against it. kernels/ref (naive, double precision), kernels/cpu and
// kernels/cuda implement it, and tests compare them operation by operation.
//
// Ownership: the caller owns Linear, Convolution, Memory and Graph, which must not outlive their
// Backend. A Matrix borrows. Thread safety: one thread at a time uses a Backend (the engine's
// worker); different Backends are independent. Operations run in the order of the calls and may be
// asynchronous until Sync(). Operations do not allocate: PrepareGemm sizes buffers for the largest
// case, and the first call with a new shape may plan it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/choice.h"
#include "kernels/base/function_ref.h"
#include "kernels/base/status.h"
#include "kernels/frame.h"
#include "kernels/tensor.h"

namespace cliptag {

enum class Precision : uint8_t { kAuto, kFp32, kBf16, kFp16, kInt8 };
inline constexpr Choice<Precision> kPrecisions[] = {
    {Precision::kAuto, "auto", "The fastest that keeps this model's tags right"},
    {Precision::kFp32, "fp32", "32-bit floating point"},
    {Precision::kBf16, "bf16", "bfloat16"},
    {Precision::kFp16, "fp16", "16-bit floating point"},
    {Precision::kInt8, "int8", "8-bit integers"}};
inline const char* ToString(Precision precision) { return NameOf(kPrecisions, precision); }

enum class BackendKind : uint8_t { kAuto, kCpu, kCuda, kRef };
inline constexpr Choice<BackendKind> kBackends[] = {
    {BackendKind::kAuto, "auto", "The best that this machine has"},
    {BackendKind::kCpu, "cpu", "The CPU"},
    {BackendKind::kCuda, "cuda", "An NVIDIA GPU"},
    {BackendKind::kRef, "ref", nullptr}};  // the reference, for tests
inline const char* ToString(BackendKind kind) { return NameOf(kBackends, kind); }

// Backend memory, 64-byte aligned (256 on CUDA). Frees itself.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* data() const = 0;
  virtual size_t bytes() const = 0;
};

// y = x W^T + b in whatever layout the backend multiplies fastest.
class Linear {
 public:
  virtual ~Linear() = default;
  virtual int64_t in() const = 0;
  virtual int64_t out() const = 0;
  virtual size_t bytes() const = 0;  // of the packed weights
};

struct LinearSpec {
  // One or several weights stacked along the output (Q, K and V in one product). Each is
  // (out, in), or (in, out) when `transposed`; more than two dimensions flatten into `in`.
  std::vector<HostTensor> weights;
  std::vector<HostTensor> biases;  // one per weight, or none
  bool transposed = false;
  bool precise = false;  // stays in compute_type when the backend quantizes other weights to int8
};

// Feature maps of a batch of pictures, channels last. A row of `pixels` holds the channels of one
// pixel; rows are ordered by picture, y and x, without gaps.
struct FeatureMap {
  Matrix pixels;  // (batch * height * width, channels), stride = channels
  int batch = 0, height = 0, width = 0;
};

struct ConvolutionSpec {
  HostTensor weight;  // (out, in, kernel, kernel), depthwise (out, 1, kernel, kernel)
  HostTensor bias;    // (out); null data = no bias
  int stride = 1, padding = 0;
  // 1, or the number of input channels: depthwise. The outputs of one input are neighbours.
  int groups = 1;
  Activation activation = Activation::kNone;  // with one there is neither residual nor ReLU
};

// y = activation(x * W + b), cross-correlation with square windows, packed as the backend likes it.
// In a depthwise one each input channel has out / in outputs, which depend on that channel alone.
class Convolution {
 public:
  explicit Convolution(const ConvolutionSpec& spec);
  virtual ~Convolution() = default;
  int in_channels() const { return in_channels_; }
  int out_channels() const { return out_channels_; }
  int kernel() const { return kernel_; }
  int stride() const { return stride_; }
  int padding() const { return padding_; }
  Activation activation() const { return activation_; }
  // Height (or width) of the output for an input of that height (width).
  int OutEdge(int edge) const { return (edge + 2 * padding_ - kernel_) / stride_ + 1; }

 private:
  const int in_channels_, out_channels_, kernel_, stride_, padding_;
  const Activation activation_;
};

struct AttentionArgs {
  Matrix q;    // (batch * q_tokens, heads * head_dim); views into the packed QKV product
  Matrix k;    // (batch * kv_tokens, heads * head_dim)
  Matrix v;    // as k
  Matrix out;  // as q, compute_type
  int batch = 0, q_tokens = 0, kv_tokens = 0, heads = 0, head_dim = 0;
  float scale = 1.0f;   // of q k^T
  bool causal = false;  // token i attends to 0..i; needs q_tokens == kv_tokens
  // int32 per batch item in backend memory: the number of leading keys that are visible; null =
  // all. A query without visible keys gets zeros.
  const int32_t* kv_lengths = nullptr;
};

// A sequence of operations that is the same at every run: same operations, same matrices. The CUDA
// backend captures it as a CUDA graph and replays it at less cost; the CPU just runs it. The owner
// must drop it when a matrix moves.
class Graph {
 public:
  virtual ~Graph() = default;
  // `operations` calls only the operations from Gemm to SqueezeExcite (not Preprocess, whose frames
  // differ). A replay does not call it.
  virtual Status Run(FunctionRef<Status()> operations) = 0;
};

// What some backends, or some machines, do not have.
enum class Feature : uint8_t {
  kConvolutions,           // with a ReLU or nothing after them: CLIP's ResNets
  kDepthwiseConvolutions,  // and convolutions with an activation, and SqueezeExcite: FastViT
};

struct BackendInfo {
  BackendKind kind = BackendKind::kCpu;
  Precision precision = Precision::kFp32;
  int threads = 1;
  bool asynchronous = false;  // operations go on while the caller prepares the next ones
  std::string description;    // "AMD EPYC, 2 threads, AVX512-BF16, oneDNN 2.6.3"
  std::string instructions;   // "avx512_bf16": results depend on it and on the precision
  std::string machine;        // CPU and libraries: choices() depends on it
  // With precision=auto: one that is faster here than `precision`, but accurate enough for some
  // models only; models/auto_precision.h tries it on each model. kAuto: there is none.
  Precision quicker = Precision::kAuto;
  // One line per packed shape: which implementation multiplies it, where there was a choice.
  std::vector<std::string> products;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual const BackendInfo& info() const = 0;
  // The type that Gemm reads, and that LayerNorm, Attention and Preprocess write. The residual
  // stream is always f32.
  virtual DType compute_type() const = 0;
  // An error says what is missing, and what to do.
  virtual Status Supports(Feature feature) = 0;

  // --- memory and weights: at load time, may allocate -------------------------------------------
  virtual Result<std::unique_ptr<Memory>> Allocate(size_t bytes) = 0;
  // Copies a host tensor to backend memory, converted to `type`, contiguous.
  virtual Result<std::unique_ptr<Memory>> Upload(const HostTensor& tensor, DType type) = 0;
  virtual Result<std::unique_ptr<Linear>> PackLinear(const LinearSpec& spec) = 0;
  // The implementations that a backend has chosen by timing, as text; SetChoices makes it choose
  // the same without timing. The last bits of a product depend on the choice, so the first process
  // that runs a model stores it for later ones (models/product_choices.h). Empty by default.
  virtual std::string choices() const { return {}; }
  virtual void SetChoices(const std::string& choices) { (void)choices; }
  // Plans products with up to `rows` rows, so that Gemm need not.
  virtual Status PrepareGemm(const Linear& linear, int64_t rows) = 0;

  // --- operations -------------------------------------------------------------------------------
  // Frames to the normalised input tensor: out (frames * patches, 3 * patch * patch) of
  // compute_type, a row per patch in reading order, columns ordered (channel, y, x) as in a
  // convolution's weight.
  virtual Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                            const Matrix& out) = 0;
  // out = activation(x W^T + b); with `accumulate` out += that (residual; f32 only, and on CUDA
  // without an activation). x: compute_type; out: compute_type or f32.
  virtual Status Gemm(const Matrix& x, const Linear& linear, Activation activation, bool accumulate,
                      const Matrix& out) = 0;
  // Rows of x normalised, times gamma plus beta (f32 vectors; beta may be null).
  // x: f32, and out: compute_type or f32; or both compute_type. out may be x itself.
  virtual Status LayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                           const Matrix& out) = 0;
  virtual Status Attention(const AttentionArgs& args) = 0;
  // Patch rows to token rows: out (batch * (patches + 1), width), f32 or compute_type, = class
  // token, then patches, all plus position (patches + 1, width). Without a class token (null):
  // patches alone.
  virtual Status AssembleTokens(const Matrix& patches, const float* class_token,
                                const Matrix& position, int batch, const Matrix& out) = 0;
  // out (n, width) f32 = table[ids[i]] + position[i % tokens]; ids in backend memory, within range.
  virtual Status EmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position,
                             int tokens, const Matrix& out) = 0;
  // out row i = x row indices[i]; indices in backend memory; same type.
  virtual Status GatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) = 0;
  // out (batch, width) f32 = the mean over the tokens of each item of x (batch * tokens, width)
  // f32, without the first `skip` tokens.
  virtual Status AverageTokens(const Matrix& x, int skip, const Matrix& out) = 0;
  // Scales every row (f32) to unit length, in place; a zero row stays zero.
  virtual Status NormalizeRows(const Matrix& x) = 0;
  // cosines (n, m) f32 = embeddings (n, dim) f32 times bank (m, dim) f32 transposed.
  virtual Status Similarity(const Matrix& embeddings, const Matrix& bank,
                            const Matrix& cosines) = 0;

  // --- operations of EVA's blocks ---------------------------------------------------------------
  // Rotary position embedding (RoPE), in place: columns 2 i and 2 i + 1 of each head of x
  // (batch * tokens, heads * head_dim) of compute_type become (a cos - b sin, b cos + a sin). Cos
  // and sin are in the same columns of row r % tokens of `angles` (tokens, head_dim) f32.
  virtual Status Rope(const Matrix& x, const Matrix& angles) = 0;
  // out (rows, n) = silu(first n columns of x (rows, 2 n)) * the others; both compute_type. out may
  // be those first columns.
  virtual Status GatedSilu(const Matrix& x, const Matrix& out) = 0;
  // residual (f32) += LayerNorm of x; out = residual, rounded. x and out: compute_type; out may be
  // x itself.
  virtual Status AddLayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                              const Matrix& residual, const Matrix& out) = 0;

  // --- operations of convolutional encoders -----------------------------------------------------
  virtual Result<std::unique_ptr<Convolution>> PackConvolution(const ConvolutionSpec& spec) = 0;
  // out = relu(x * W + b + residual), all of compute_type. Both `residual` (null) and `relu` are
  // optional.
  virtual Status Convolve(const FeatureMap& x, const Convolution& convolution,
                          const FeatureMap* residual, bool relu, const FeatureMap& out) = 0;
  // Means over window x window squares, stride = window, without padding.
  virtual Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) = 0;
  // The end of a squeeze-excite block: out = activation(x * sigmoid(gates)), with one gate per
  // picture and channel: (batch, channels) of compute_type. `out` may be x itself.
  virtual Status SqueezeExcite(const FeatureMap& x, const Matrix& gates, Activation activation,
                               const FeatureMap& out);

  virtual std::unique_ptr<Graph> CreateGraph();

  virtual Status CopyToHost(const Matrix& x, float* host) = 0;  // any type; contiguous f32; syncs
  virtual Status CopyFromHost(const void* host, size_t bytes, void* device) = 0;
  virtual Status Sync() = 0;
};

struct BackendOptions {
  BackendKind kind = BackendKind::kAuto;
  int device = 0;  // CUDA device index
  // The CUcontext that frames in CUDA memory belong to; null = the device's primary context.
  void* cuda_context = nullptr;
  Precision precision = Precision::kAuto;
  int threads = 0;  // 0 = every core this process may use
};

// Whether these options may lead to the CUDA backend: its module is installed, and neither the kind
// nor the precision rules it out.
bool MayUseCuda(const BackendOptions& options);

// The reference backend, for tests: naive, double precision inside, f32 at its interface.
std::unique_ptr<Backend> CreateRefBackend();

}  // namespace cliptag
