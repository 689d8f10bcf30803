// A Backend that does nothing but ask another, and keeps the time that each operation took: where a
// forward pass spends its time.
//
// Asynchronous backends are waited for after every operation, so that the sum is more than a pass
// of their own takes. Graphs are not used: their replays would be one operation.
//
// Ownership: borrows the other Backend; what it hands out is the other's. Thread safety: as that.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "kernels/backend.h"
#include "tests/bench/bench.h"

namespace cliptag::bench {

class TimedBackend final : public Backend {
 public:
  struct Total {
    double seconds = 0, cpu = 0;
    int64_t calls = 0;
  };
  // What a product is called: by its shape, and whether it adds to what is there.
  using NameProduct = std::function<std::string(const Linear&, bool accumulate)>;

  TimedBackend(Backend& inner, NameProduct name) : inner_(inner), name_(std::move(name)) {}

  const std::map<std::string, Total>& totals() const { return totals_; }
  void Clear() { totals_.clear(); }

  const BackendInfo& info() const override { return inner_.info(); }
  DType compute_type() const override { return inner_.compute_type(); }
  Status Supports(Feature feature) override { return inner_.Supports(feature); }
  Result<std::unique_ptr<Memory>> Allocate(size_t bytes) override { return inner_.Allocate(bytes); }
  Result<std::unique_ptr<Memory>> Upload(const HostTensor& tensor, DType type) override {
    return inner_.Upload(tensor, type);
  }
  Result<std::unique_ptr<Linear>> PackLinear(const LinearSpec& spec) override {
    return inner_.PackLinear(spec);
  }
  Status PrepareGemm(const Linear& linear, int64_t rows) override {
    return inner_.PrepareGemm(linear, rows);
  }
  Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                    const Matrix& out) override {
    return Time("preprocess", [&] { return inner_.Preprocess(frames, spec, out); });
  }
  Status Gemm(const Matrix& x, const Linear& linear, Activation activation, bool accumulate,
              const Matrix& out) override {
    return Time(name_(linear, accumulate),
                [&] { return inner_.Gemm(x, linear, activation, accumulate, out); });
  }
  Status LayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                   const Matrix& out) override {
    return Time("norms", [&] { return inner_.LayerNorm(x, gamma, beta, epsilon, out); });
  }
  Status AddLayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                      const Matrix& residual, const Matrix& out) override {
    return Time("norms",
                [&] { return inner_.AddLayerNorm(x, gamma, beta, epsilon, residual, out); });
  }
  Status Rope(const Matrix& x, const Matrix& angles) override {
    return Time("rotations", [&] { return inner_.Rope(x, angles); });
  }
  Status GatedSilu(const Matrix& x, const Matrix& out) override {
    return Time("gates", [&] { return inner_.GatedSilu(x, out); });
  }
  Status Attention(const AttentionArgs& args) override {
    return Time("attention", [&] { return inner_.Attention(args); });
  }
  Status AssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                        int batch, const Matrix& out) override {
    return Time("rest",
                [&] { return inner_.AssembleTokens(patches, class_token, position, batch, out); });
  }
  Status EmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                     const Matrix& out) override {
    return Time("rest", [&] { return inner_.EmbedTokens(ids, table, position, tokens, out); });
  }
  Status GatherRows(const Matrix& x, const int32_t* indices, const Matrix& out) override {
    return Time("rest", [&] { return inner_.GatherRows(x, indices, out); });
  }
  Status AverageTokens(const Matrix& x, int skip, const Matrix& out) override {
    return Time("averages", [&] { return inner_.AverageTokens(x, skip, out); });
  }
  Status NormalizeRows(const Matrix& x) override {
    return Time("rest", [&] { return inner_.NormalizeRows(x); });
  }
  Status Similarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) override {
    return Time("similarity", [&] { return inner_.Similarity(embeddings, bank, cosines); });
  }
  Result<std::unique_ptr<Convolution>> PackConvolution(const ConvolutionSpec& spec) override {
    return inner_.PackConvolution(spec);
  }
  Status Convolve(const FeatureMap& x, const Convolution& convolution, const FeatureMap* residual,
                  bool relu, const FeatureMap& out) override {
    return Time(NameOf(convolution, out),
                [&] { return inner_.Convolve(x, convolution, residual, relu, out); });
  }
  Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) override {
    return Time("averages", [&] { return inner_.AveragePool(x, window, out); });
  }
  Status SqueezeExcite(const FeatureMap& x, const Matrix& gates, Activation activation,
                       const FeatureMap& out) override {
    return Time("gates", [&] { return inner_.SqueezeExcite(x, gates, activation, out); });
  }
  Status CopyToHost(const Matrix& x, float* host) override {
    return Time("copies", [&] { return inner_.CopyToHost(x, host); });
  }
  Status CopyFromHost(const void* host, size_t bytes, void* device) override {
    return Time("copies", [&] { return inner_.CopyFromHost(host, bytes, device); });
  }
  Status Sync() override { return inner_.Sync(); }

 private:
  // "3x3 64>64 at 56".
  static std::string NameOf(const Convolution& convolution, const FeatureMap& out) {
    const std::string edge = std::to_string(convolution.kernel());
    return edge + "x" + edge + " " + std::to_string(convolution.in_channels()) + ">" +
           std::to_string(convolution.out_channels()) + " at " + std::to_string(out.width);
  }

  template <typename F>
  Status Time(const std::string& name, const F& call) {
    const double wall = NowSeconds(), cpu = CpuSeconds();
    Status status = call();
    if (status.ok() && inner_.info().asynchronous) status = inner_.Sync();
    Total& total = totals_[name];
    total.seconds += NowSeconds() - wall;
    total.cpu += CpuSeconds() - cpu;
    ++total.calls;
    return status;
  }

  Backend& inner_;
  const NameProduct name_;
  std::map<std::string, Total> totals_;
};

}  // namespace cliptag::bench
