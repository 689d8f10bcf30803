#include "kernels/cpu/cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/concat.h"
#include "kernels/base/log.h"
#include "kernels/checks.h"
#include "kernels/cpu/convolution/convolutions.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/preprocess/preprocess.h"
#include "kernels/cpu/products/cpu_gemm.h"
#include "kernels/cpu/products/onednn/product.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/simd/attention_tiles.h"
#include "kernels/cpu/simd/simd.h"
#include "kernels/host_memory.h"

namespace cliptag {
namespace {

float* Row(const Matrix& m, int64_t r) { return static_cast<float*>(m.data) + r * m.stride; }

// out (cols) = the mean of the rows of x, summed in double precision, a few columns at a time.
void AverageRows(const Matrix& x, float* out) {
  constexpr int64_t kColumns = 16;
  for (int64_t first = 0; first < x.cols; first += kColumns) {
    const int64_t count = std::min(kColumns, x.cols - first);
    double sums[kColumns] = {};
    for (int64_t r = 0; r < x.rows; ++r) {
      for (int64_t c = 0; c < count; ++c) sums[c] += Row(x, r)[first + c];
    }
    for (int64_t c = 0; c < count; ++c) {
      out[first + c] = static_cast<float>(sums[c] / static_cast<double>(x.rows));
    }
  }
}

class CpuBackend : public Backend {
 public:
  CpuBackend(BackendInfo info, DType compute_type, const SimdKernels& kernels,
             const PreprocessKernels& preprocess_kernels, std::unique_ptr<ThreadPool> pool,
             std::unique_ptr<CpuGemm> gemm, CpuLevel level)
      : info_(std::move(info)),
        compute_type_(compute_type),
        kernels_(kernels),
        pool_(std::move(pool)),
        gemm_(std::move(gemm)),
        convolutions_(level, compute_type, kernels, gemm_.get(), pool_.get()),
        preprocessor_(pool_.get(), preprocess_kernels),
        scratch_(pool_->size()) {}

  const BackendInfo& info() const override { return info_; }
  DType compute_type() const override { return compute_type_; }
  Status Supports(Feature) override { return {}; }

  Result<std::unique_ptr<Memory>> Allocate(size_t bytes) override { return AllocateHost(bytes); }
  Result<std::unique_ptr<Memory>> Upload(const HostTensor& tensor, DType type) override {
    return UploadToHost(tensor, type);
  }
  Result<std::unique_ptr<Linear>> PackLinear(const LinearSpec& spec) override {
    auto linear = gemm_->Pack(spec);
    info_.products = gemm_->products();
    return linear;
  }
  std::string choices() const override { return gemm_->choices(); }
  void SetChoices(const std::string& choices) override { gemm_->SetChoices(choices); }
  Status PrepareGemm(const Linear& linear, int64_t rows) override {
    return gemm_->Prepare(linear, rows);
  }

  Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                    const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckPreprocessOut(out, compute_type_));
    return preprocessor_.Run(frames, spec, out);
  }

  Status Gemm(const Matrix& x, const Linear& linear, Activation activation, bool accumulate,
              const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGemm(x, linear, accumulate, compute_type_, out));
    return gemm_->Run(x, linear, {activation, accumulate}, out);
  }

  Status LayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                   const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckLayerNorm(x, gamma, compute_type_, out));
    Norm(x, gamma, beta, epsilon, nullptr, out);
    return {};
  }
  Status AddLayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                      const Matrix& residual, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAddLayerNorm(x, gamma, compute_type_, residual, out));
    Norm(x, gamma, beta, epsilon, &residual, out);
    return {};
  }
  Status Rope(const Matrix& x, const Matrix& angles) override {
    CLIPTAG_RETURN_IF_ERROR(CheckRope(x, angles, compute_type_));
    pool_->RunEachRow(x.rows, x.cols, [&](int64_t r) {
      kernels_.rope(x.Rows(r, 1).data, IsBf16(x), x.cols, Row(angles, r % angles.rows),
                    angles.cols);
    });
    return {};
  }
  Status GatedSilu(const Matrix& x, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGatedSilu(x, compute_type_, out));
    pool_->RunEachRow(x.rows, x.cols, [&](int64_t r) {
      const Matrix row = x.Rows(r, 1);
      kernels_.gated_silu(row.data, row.Cols(out.cols, out.cols).data, IsBf16(x), out.cols,
                          out.Rows(r, 1).data);
    });
    return {};
  }

  Status Attention(const AttentionArgs& args) override;

  Status AssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                        int batch, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(
        CheckAssembleTokens(patches, class_token, position, batch, compute_type_, out));
    const int64_t tokens = out.rows / batch, extra = class_token ? 1 : 0;
    pool_->RunEachRow(out.rows, out.cols, [&](int64_t r) {
      const int64_t item = r / tokens, token = r % tokens;
      void* to = out.Rows(r, 1).data;
      if (token < extra) {
        kernels_.add(class_token, false, Row(position, token), out.cols, to, IsBf16(out));
      } else {
        const Matrix patch = patches.Rows(item * (tokens - extra) + token - extra, 1);
        kernels_.add(patch.data, IsBf16(patch), Row(position, token), out.cols, to, IsBf16(out));
      }
    });
    return {};
  }

  Status EmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                     const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckEmbedTokens(ids, table, position, tokens, out));
    pool_->RunEachRow(out.rows, out.cols, [&](int64_t r) {
      const Matrix token = table.Rows(ids[r], 1);
      const float* added = Row(position, r % tokens);
      if (table.type != DType::kF16) {
        return kernels_.add(token.data, IsBf16(table), added, out.cols, Row(out, r), false);
      }
      for (int64_t c = 0; c < out.cols; ++c) {
        Row(out, r)[c] = LoadAsFloat(token.data, token.type, c) + added[c];
      }
    });
    return {};
  }

  Status GatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGatherRows(x, indices, out));
    for (int64_t r = 0; r < out.rows; ++r) {
      std::memcpy(out.Rows(r, 1).data, x.Rows(indices[r], 1).data, x.cols * SizeOf(x.type));
    }
    return {};
  }

  Status AverageTokens(const Matrix& x, int skip, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAverageTokens(x, skip, out));
    const int64_t tokens = x.rows / out.rows;
    pool_->RunEachRow(out.rows, tokens * x.cols, [&](int64_t item) {
      AverageRows(x.Rows(item * tokens + skip, tokens - skip), Row(out, item));
    });
    return {};
  }

  Status NormalizeRows(const Matrix& x) override {
    CLIPTAG_RETURN_IF_ERROR(CheckNormalizeRows(x));
    pool_->RunEachRow(x.rows, x.cols, [&](int64_t r) { kernels_.normalize(Row(x, r), x.cols); });
    return {};
  }

  Status Similarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) override;

  Result<std::unique_ptr<Convolution>> PackConvolution(const ConvolutionSpec& spec) override {
    CLIPTAG_RETURN_IF_ERROR(CheckConvolutionSpec(spec));
    auto convolution = convolutions_.Pack(spec);
    info_.products = gemm_->products();
    return convolution;
  }
  Status Convolve(const FeatureMap& x, const Convolution& convolution, const FeatureMap* residual,
                  bool relu, const FeatureMap& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckConvolve(x, convolution, residual, relu, compute_type_, out));
    return convolutions_.Run(x, convolution, residual, relu, out);
  }
  Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAveragePool(x, window, compute_type_, out));
    convolutions_.AveragePool(x, window, out);
    return {};
  }
  Status SqueezeExcite(const FeatureMap& x, const Matrix& gates, Activation activation,
                       const FeatureMap& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckSqueezeExcite(x, gates, compute_type_, out));
    pool_->RunEachRow(x.pixels.rows, x.pixels.cols, [&](int64_t r) {
      const Matrix gate = gates.Rows(r / (int64_t{x.height} * x.width), 1);
      kernels_.squeeze_excite(x.pixels.Rows(r, 1).data, gate.data, IsBf16(gate), x.pixels.cols,
                              activation, out.pixels.Rows(r, 1).data);
    });
    return {};
  }

  Status CopyToHost(const Matrix& x, float* host) override {
    CLIPTAG_RETURN_IF_ERROR(CheckCopyToHost(x, host));
    CopyMatrixToFloat(x, host);
    return {};
  }
  Status CopyFromHost(const void* host, size_t bytes, void* device) override {
    CLIPTAG_RETURN_IF_ERROR(CheckCopyFromHost(host, bytes, device));
    if (bytes > 0) std::memcpy(device, host, bytes);
    return {};
  }
  Status Sync() override { return {}; }

 private:
  static bool IsBf16(const Matrix& m) { return m.type == DType::kBF16; }

  void Norm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
            const Matrix* residual, const Matrix& out);

  // Makes every worker's scratch hold at least that much; allocates when a shape is new.
  Status GrowScratch(size_t bytes) {
    for (auto& scratch : scratch_) CLIPTAG_RETURN_IF_ERROR(GrowHost(&scratch, bytes));
    return {};
  }

  BackendInfo info_;
  DType compute_type_;
  const SimdKernels& kernels_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<CpuGemm> gemm_;
  CpuConvolutions convolutions_;
  CpuPreprocessor preprocessor_;
  std::vector<std::unique_ptr<Memory>> scratch_;  // per worker
};

void CpuBackend::Norm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                      const Matrix* residual, const Matrix& out) {
  NormTask whole;
  whole.x_stride = x.stride;
  whole.x_bf16 = IsBf16(x);
  whole.cols = x.cols;
  whole.gamma = gamma;
  whole.beta = beta;
  whole.epsilon = epsilon;
  whole.out_stride = out.stride;
  whole.bf16 = IsBf16(out);
  pool_->RunRows(x.rows, x.cols, [&](int64_t first, int64_t rows, int) {
    NormTask t = whole;
    t.x = x.Rows(first, rows).data;
    t.rows = rows;
    if (residual != nullptr) {
      t.residual = Row(*residual, first);
      t.residual_stride = residual->stride;
    }
    t.out = out.Rows(first, rows).data;
    kernels_.layer_norm(t);
  });
}

Status CpuBackend::Attention(const AttentionArgs& a) {
  CLIPTAG_RETURN_IF_ERROR(CheckAttention(a, compute_type_));
  CLIPTAG_RETURN_IF_ERROR(GrowScratch(AttentionScratchFloats(a.head_dim) * sizeof(float)));
  // A task is a head, or a part of its queries if there are too few heads for the threads. Parts
  // smaller than 32 queries would spend their time copying keys.
  const int heads = a.batch * a.heads;
  const int wanted = (2 * pool_->size() + heads - 1) / heads;
  const int parts = std::clamp(a.q_tokens / 32, 1, wanted);
  pool_->Run(heads * parts, [&](int task, int worker) {
    const int part = task % parts, head = task / parts % a.heads, item = task / parts / a.heads;
    const auto at = [&](const Matrix& m, int tokens) {
      return m.Rows(int64_t{item} * tokens, 1).Cols(int64_t{head} * a.head_dim, a.head_dim).data;
    };
    AttentionTask t;
    t.q = at(a.q, a.q_tokens);
    t.k = at(a.k, a.kv_tokens);
    t.v = at(a.v, a.kv_tokens);
    t.out = at(a.out, a.q_tokens);
    t.q_stride = a.q.stride;
    t.k_stride = a.k.stride;
    t.v_stride = a.v.stride;
    t.out_stride = a.out.stride;
    t.bf16 = compute_type_ == DType::kBF16;
    t.q_first = a.q_tokens * part / parts;
    t.q_count = a.q_tokens * (part + 1) / parts - t.q_first;
    t.keys = a.kv_lengths ? std::clamp(a.kv_lengths[item], 0, a.kv_tokens) : a.kv_tokens;
    t.head_dim = a.head_dim;
    t.causal = a.causal;
    t.scale = a.scale;
    t.scratch = static_cast<float*>(scratch_[worker]->data());
    kernels_.attention(t);
  });
  return {};
}

Status CpuBackend::Similarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) {
  CLIPTAG_RETURN_IF_ERROR(CheckSimilarity(embeddings, bank, cosines));
  // A task keeps its share of the bank in cache for all embeddings.
  pool_->RunRows(bank.rows, bank.cols * embeddings.rows, [&](int64_t first, int64_t rows, int) {
    for (int64_t e = 0; e < embeddings.rows; ++e) {
      kernels_.dot_rows(Row(embeddings, e), Row(bank, first), bank.stride, rows, bank.cols,
                        Row(cosines, e) + first);
    }
  });
  return {};
}

}  // namespace

Result<std::unique_ptr<Backend>> CreateCpuBackend(const BackendOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(const CpuLevel level, ChooseCpuLevel());
  if (options.precision == Precision::kFp16) {
    return Unsupported("The CPU backend has no fp16; use precision=bf16, int8, fp32 or auto.");
  }
  const bool native = level >= CpuLevel::kAvx512Bf16;
  const bool int8 = options.precision == Precision::kInt8;
  const bool bf16 = options.precision == Precision::kBf16 ||
                    ((options.precision == Precision::kAuto || int8) && native);
  if (int8 && !HasFastInt8(level)) {
    Log(LogLevel::kInfo,
        "This CPU has no int8 instructions (AVX512-VNNI or AMX): precision=int8 gives the same "
        "results here, but is slower than precision=fp32.");
  }
  if (bf16 && !native) {
    Log(LogLevel::kInfo,
        "This CPU has no bf16 instructions (AVX512-BF16 or AMX): values are stored as bf16 and "
        "multiplied as fp32, which is no faster than precision=fp32.");
  }
  auto pool = std::make_unique<ThreadPool>(options.threads);
  const SimdKernels& kernels = SimdKernelsFor(level);
  const DType compute_type = bf16 ? DType::kBF16 : DType::kF32;
  CLIPTAG_ASSIGN_OR_RETURN(auto gemm,
                           CpuGemm::Create(level, compute_type, int8, kernels, pool.get()));
  BackendInfo info;
  info.kind = BackendKind::kCpu;
  info.precision = int8 ? Precision::kInt8 : bf16 ? Precision::kBf16 : Precision::kFp32;
  info.instructions = ToString(level);
  info.machine = CpuName() + ", " + OneDnn::Version();
  if (options.precision == Precision::kAuto && HasFastInt8(level)) {
    info.quicker = Precision::kInt8;
  }
  info.threads = pool->size();
  info.description =
      Concat(CpuName(), ", ", info.threads, info.threads == 1 ? " thread, " : " threads, ",
             ToString(level), ", ", OneDnn::Version());
  return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(
      std::move(info), compute_type, kernels, PreprocessKernelsFor(level), std::move(pool),
      std::move(gemm), level));
}

}  // namespace cliptag
