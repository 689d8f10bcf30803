// What an encoder needs from a device: memory, and coarse operations on row-major matrices. The
// encoders in models/ are written once against this interface; kernels/ref (naive, double
// precision), kernels/cpu and kernels/cuda implement it, and tests compare them operation by
// operation.
//
// Ownership: the caller owns Linear, Convolution, Memory and Graph, which must not outlive their
// Backend. A Matrix borrows. Thread safety: a Backend is used by one thread at a time (the engine's
// worker); different Backends are independent. Operations are ordered as called and may be
// asynchronous until Sync(). Running never allocates: Prepare* calls size everything for the
// largest case; the first call of a new shape may plan it.
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
  virtual size_t bytes() const = 0;  // memory that it holds
};

struct LinearSpec {
  // One or several weights stacked along the output (Q, K and V in one product). Each is
  // (out, in), or (in, out) when `transposed`; more than two dimensions flatten into `in`.
  std::vector<HostTensor> weights;
  std::vector<HostTensor> biases;  // one per weight, or none
  bool transposed = false;
  bool precise = false;  // kept in compute_type by a backend that multiplies others as bytes
};

// Feature maps of a batch of pictures, channels last: a row of `pixels` is a pixel's channels, rows
// go by picture, y and x, without gaps.
struct FeatureMap {
  Matrix pixels;  // (batch * height * width, channels), stride = channels
  int batch = 0, height = 0, width = 0;
};

// y = activation(x * W + b), cross-correlation with square windows, in whatever layout the backend
// wants. Depthwise ones have out / in outputs of each input channel, which alone they see.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual int in_channels() const = 0;
  virtual int out_channels() const = 0;
  virtual int kernel() const = 0;
  virtual int stride() const = 0;
  virtual int padding() const = 0;
  virtual Activation activation() const { return Activation::kNone; }
  // Pixels of an edge of the output.
  int OutEdge(int edge) const { return (edge + 2 * padding() - kernel()) / stride() + 1; }
};

struct ConvolutionSpec {
  HostTensor weight;  // (out, in, kernel, kernel), depthwise (out, 1, kernel, kernel)
  HostTensor bias;    // (out); no data without
  int stride = 1, padding = 0;
  int groups = 1;  // or as many as inputs: depthwise; those of an input lie side by side
  Activation activation = Activation::kNone;  // with one there is neither residual nor ReLU
};

struct AttentionArgs {
  Matrix q;    // (batch * q_tokens, heads * head_dim); views into the packed QKV product
  Matrix k;    // (batch * kv_tokens, heads * head_dim)
  Matrix v;    // as k
  Matrix out;  // as q, compute_type
  int batch = 0, q_tokens = 0, kv_tokens = 0, heads = 0, head_dim = 0;
  float scale = 1.0f;   // of q k^T
  bool causal = false;  // token i sees 0..i; needs q_tokens == kv_tokens
  // int32 per batch item in backend memory: how many leading keys are seen; null = all. A query
  // that sees none gets zeros.
  const int32_t* kv_lengths = nullptr;
};

// A sequence of operations that is the same at every run: same operations, same matrices. A backend
// may record it as a CUDA graph and replay that at less cost; the CPU just runs it. Its owner drops
// it when a matrix moves.
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
  // Of the CPU, "avx512_bf16": what numbers may depend on beside the precision.
  std::string instructions;
  std::string machine;  // CPU and libraries: what choices() depends on
  // Where the precision was left open: one that is quicker here than the one above, but right for
  // some models only, and to be tried on each model (models/auto_precision.h). kAuto: none.
  Precision quicker = Precision::kAuto;
  // What multiplies the shapes packed so far, a line each, where the backend had a choice.
  std::vector<std::string> products;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual const BackendInfo& info() const = 0;
  // What Gemm reads and LayerNorm, Attention and Preprocess write; the residual stream is always
  // f32.
  virtual DType compute_type() const = 0;
  // An error says what is missing, and what to do.
  virtual Status Supports(Feature feature) = 0;

  // --- memory and weights: loading time, may allocate -------------------------------------------
  virtual Result<std::unique_ptr<Memory>> Allocate(size_t bytes) = 0;
  // Copies a host tensor to backend memory, converted to `type`, contiguous.
  virtual Result<std::unique_ptr<Memory>> Upload(const HostTensor& tensor, DType type) = 0;
  virtual Result<std::unique_ptr<Linear>> PackLinear(const LinearSpec& spec) = 0;
  // Which of several implementations a backend has chosen by timing them, as text, and those that
  // it is to choose again without timing: the last bits of a product depend on them, so that what a
  // first process chose is kept for later ones (models/product_choices.h). None by default.
  virtual std::string choices() const { return {}; }
  virtual void SetChoices(const std::string& choices) { (void)choices; }
  // Plans the products of `linear` with that many rows, so that running does not.
  virtual Status PrepareGemm(const Linear& linear, int64_t rows) = 0;

  // --- operations -------------------------------------------------------------------------------
  // Frames to the normalised tensor: out (frames * patches, 3 * patch * patch) of compute_type, a
  // row per patch in reading order, columns ordered (channel, y, x) as in a convolution's weight.
  virtual Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                            const Matrix& out) = 0;
  // out = activation(x W^T + b), added to what `out` holds when `accumulate` (residual; f32 only,
  // and on CUDA without an activation).
  // x: compute_type; out: compute_type or f32.
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
  // out (n, width) f32 = table[ids[i]] + position[i % tokens]; ids in backend memory, already
  // checked.
  virtual Status EmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position,
                             int tokens, const Matrix& out) = 0;
  // out row i = x row indices[i]; indices in backend memory; same type.
  virtual Status GatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) = 0;
  // out (batch, width) f32 = the mean of each item's tokens in x (batch * tokens, width) f32,
  // without its first `skip` ones.
  virtual Status AverageTokens(const Matrix& x, int skip, const Matrix& out) = 0;
  // Every row (f32) to unit length in place; a zero row stays zero.
  virtual Status NormalizeRows(const Matrix& x) = 0;
  // cosines (n, m) f32 = embeddings (n, dim) f32 times bank (m, dim) f32 transposed.
  virtual Status Similarity(const Matrix& embeddings, const Matrix& bank,
                            const Matrix& cosines) = 0;

  // --- operations of EVA's blocks ---------------------------------------------------------------
  // Rotary position embedding, in place: columns 2 i and 2 i + 1 of each head of x (batch * tokens,
  // heads * head_dim) of compute_type become (a cos - b sin, b cos + a sin) of row r % tokens of
  // `angles` (tokens, head_dim) f32, which holds cos and sin there.
  virtual Status Rope(const Matrix& x, const Matrix& angles) = 0;
  // out (rows, n) = silu of the first n columns of x (rows, 2 n), times the others; both
  // compute_type. out may be those first columns.
  virtual Status GatedSilu(const Matrix& x, const Matrix& out) = 0;
  // residual (f32) += LayerNorm of x; out = residual, rounded. x and out: compute_type; out may be
  // x itself.
  virtual Status AddLayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                              const Matrix& residual, const Matrix& out) = 0;

  // --- operations of convolutional encoders -----------------------------------------------------
  virtual Result<std::unique_ptr<Convolution>> PackConvolution(const ConvolutionSpec& spec) = 0;
  // out = relu(x * W + b + residual); `residual` (as out) may be null, relu may be off. All of
  // compute_type.
  virtual Status Convolve(const FeatureMap& x, const Convolution& convolution,
                          const FeatureMap* residual, bool relu, const FeatureMap& out) = 0;
  // The mean of every window x window square that lies inside, side by side.
  virtual Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) = 0;
  // The end of a squeeze-excite block: out = activation(x * sigmoid(gates)), a gate for each
  // channel of a picture, (batch, channels) of compute_type. `out` may be x itself.
  virtual Status SqueezeExcite(const FeatureMap& x, const Matrix& gates, Activation activation,
                               const FeatureMap& out);

  virtual std::unique_ptr<Graph> CreateGraph();

  virtual Status CopyToHost(const Matrix& x, float* host) = 0;  // any type; contiguous f32; syncs
  virtual Status CopyFromHost(const void* host, size_t bytes, void* device) = 0;
  virtual Status Sync() = 0;
};

struct BackendOptions {
  BackendKind kind = BackendKind::kAuto;
  int device = 0;  // of the CUDA devices
  // A CUcontext of that device whose memory frames lie in; null = its primary one.
  void* cuda_context = nullptr;
  Precision precision = Precision::kAuto;
  int threads = 0;  // 0 = every core this process may use
};

// Whether these options may lead to the CUDA backend: its module is installed, and neither the kind
// nor the precision rules it out.
bool MayUseCuda(const BackendOptions& options);

// The oracle: naive, double precision inside, f32 at its edges. For tests.
std::unique_ptr<Backend> CreateRefBackend();

}  // namespace cliptag
