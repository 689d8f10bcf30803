// The reference backend: every operation written as its definition, with double precision inside
// and f32 at the interface. Slow on purpose: tests compare the other backends with it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numbers>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/checks.h"
#include "kernels/host_memory.h"
#include "kernels/ref/preprocess.h"

namespace cliptag {
namespace {

class RefLinear : public Linear {
 public:
  RefLinear(LinearShape shape, std::vector<float> weight, std::vector<float> bias)
      : shape_(shape), weight_(std::move(weight)), bias_(std::move(bias)) {}

  int64_t in() const override { return shape_.in; }
  int64_t out() const override { return shape_.out; }
  size_t bytes() const override { return (weight_.size() + bias_.size()) * sizeof(float); }

  const float* row(int64_t o) const { return &weight_[o * shape_.in]; }  // (out, in)
  double bias(int64_t o) const { return bias_.empty() ? 0.0 : bias_[o]; }

 private:
  LinearShape shape_;
  std::vector<float> weight_, bias_;
};

class RefConvolution : public Convolution {
 public:
  explicit RefConvolution(const ConvolutionSpec& spec)
      : Convolution(spec),
        groups_(spec.groups),
        weight_(ToFloats(spec.weight)),
        bias_(ToFloats(spec.bias)) {}

  // The inputs that an output depends on: [first, first + count).
  int first_input(int out) const { return out / (out_channels() / groups_) * input_count(); }
  int input_count() const { return in_channels() / groups_; }

  double weight(int64_t out, int in, int y, int x) const {
    return weight_[((out * input_count() + in) * kernel() + y) * kernel() + x];
  }
  double bias(int out) const { return bias_.empty() ? 0.0 : bias_[out]; }

 private:
  const int groups_;
  const std::vector<float> weight_, bias_;
};

// Channel `channel` of one pixel; zero outside the map.
double Pixel(const FeatureMap& map, int item, int y, int x, int channel) {
  if (y < 0 || y >= map.height || x < 0 || x >= map.width) return 0;
  const int64_t row = (int64_t{item} * map.height + y) * map.width + x;
  return static_cast<const float*>(map.pixels.data)[row * map.pixels.stride + channel];
}

// out = value(item, y, x, channel).
template <typename Value>
void FillMap(const FeatureMap& out, const Value& value) {
  float* to = static_cast<float*>(out.pixels.data);
  for (int item = 0; item < out.batch; ++item) {
    for (int y = 0; y < out.height; ++y) {
      for (int x = 0; x < out.width; ++x) {
        for (int c = 0; c < out.pixels.cols; ++c) {
          *to++ = static_cast<float>(value(item, y, x, c));
        }
      }
    }
  }
}

double Activate(double x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      break;
    case Activation::kGelu:
      return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
    case Activation::kQuickGelu:
      return x / (1.0 + std::exp(-1.702 * x));
    case Activation::kTanhGelu:  // (1 + tanh u) / 2 = sigmoid(2 u), without cancellation
      return x / (1.0 +
                  std::exp(-2.0 * std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  }
  return x;
}

float* Row(const Matrix& m, int64_t r) { return static_cast<float*>(m.data) + r * m.stride; }

class RefBackend : public Backend {
 public:
  RefBackend() {
    info_.kind = BackendKind::kRef;
    info_.description = "reference: one thread, double precision";
  }

  const BackendInfo& info() const override { return info_; }
  DType compute_type() const override { return DType::kF32; }
  Status Supports(Feature) override { return {}; }

  Result<std::unique_ptr<Memory>> Allocate(size_t bytes) override { return AllocateHost(bytes); }
  Result<std::unique_ptr<Memory>> Upload(const HostTensor& tensor, DType type) override {
    return UploadToHost(tensor, type);
  }

  Result<std::unique_ptr<Linear>> PackLinear(const LinearSpec& spec) override {
    CLIPTAG_ASSIGN_OR_RETURN(const LinearShape shape, CheckLinear(spec));
    std::vector<float> weight(shape.out * shape.in);
    int64_t first = 0;  // output of the stacked product
    for (const HostTensor& w : spec.weights) {
      const int64_t outs = w.elements() / shape.in;
      for (int64_t o = 0; o < outs; ++o) {
        for (int64_t i = 0; i < shape.in; ++i) {
          weight[(first + o) * shape.in + i] =
              LoadAsFloat(w.data, w.type, spec.transposed ? i * outs + o : o * shape.in + i);
        }
      }
      first += outs;
    }
    return std::unique_ptr<Linear>(
        std::make_unique<RefLinear>(shape, std::move(weight), BiasesOf(spec)));
  }

  Status PrepareGemm(const Linear& linear, int64_t rows) override {
    if (rows < 1) return InvalidArgument("PrepareGemm: rows must be positive.");
    return {};
  }

  Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec,
                    const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckPreprocessOut(out, DType::kF32));
    return RefPreprocess(frames, spec, out);
  }

  Status Gemm(const Matrix& x, const Linear& linear, Activation activation, bool accumulate,
              const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGemm(x, linear, accumulate, DType::kF32, out));
    const auto& weight = static_cast<const RefLinear&>(linear);
    std::vector<double> in(x.cols);
    for (int64_t r = 0; r < x.rows; ++r) {
      std::copy_n(Row(x, r), x.cols, in.begin());
      for (int64_t o = 0; o < out.cols; ++o) {
        const float* w = weight.row(o);
        double sum = weight.bias(o);
        for (int64_t i = 0; i < x.cols; ++i) sum += in[i] * w[i];
        sum = Activate(sum, activation);
        Row(out, r)[o] = static_cast<float>(accumulate ? Row(out, r)[o] + sum : sum);
      }
    }
    return {};
  }

  Status LayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                   const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckLayerNorm(x, gamma, DType::kF32, out));
    Normalised(x, gamma, beta, epsilon,
               [&](int64_t r, int64_t c, double y) { Row(out, r)[c] = static_cast<float>(y); });
    return {};
  }

  Status AddLayerNorm(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                      const Matrix& residual, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAddLayerNorm(x, gamma, DType::kF32, residual, out));
    Normalised(x, gamma, beta, epsilon, [&](int64_t r, int64_t c, double y) {
      Row(out, r)[c] = Row(residual, r)[c] = static_cast<float>(Row(residual, r)[c] + y);
    });
    return {};
  }

  Status Rope(const Matrix& x, const Matrix& angles) override {
    CLIPTAG_RETURN_IF_ERROR(CheckRope(x, angles, DType::kF32));
    for (int64_t r = 0; r < x.rows; ++r) {
      const float* token = Row(angles, r % angles.rows);
      for (int64_t c = 0; c < x.cols; c += 2) {
        float* pair = Row(x, r) + c;
        const double a = pair[0], b = pair[1];
        const double cosine = token[c % angles.cols], sine = token[c % angles.cols + 1];
        pair[0] = static_cast<float>(a * cosine - b * sine);
        pair[1] = static_cast<float>(b * cosine + a * sine);
      }
    }
    return {};
  }

  Status GatedSilu(const Matrix& x, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckGatedSilu(x, DType::kF32, out));
    for (int64_t r = 0; r < out.rows; ++r) {
      for (int64_t c = 0; c < out.cols; ++c) {
        const double gate = Row(x, r)[c];
        Row(out, r)[c] =
            static_cast<float>(gate / (1.0 + std::exp(-gate)) * Row(x, r)[out.cols + c]);
      }
    }
    return {};
  }

  Status Attention(const AttentionArgs& a) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAttention(a, DType::kF32));
    for (int item = 0; item < a.batch; ++item) {
      const int visible =
          a.kv_lengths ? std::clamp(a.kv_lengths[item], 0, a.kv_tokens) : a.kv_tokens;
      for (int head = 0; head < a.heads; ++head) {
        for (int i = 0; i < a.q_tokens; ++i) {
          AttendOne(a, item, head, i, a.causal ? std::min(visible, i + 1) : visible);
        }
      }
    }
    return {};
  }

  Status AssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                        int batch, const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(
        CheckAssembleTokens(patches, class_token, position, batch, DType::kF32, out));
    const int64_t tokens = out.rows / batch, extra = class_token ? 1 : 0;
    for (int64_t r = 0; r < out.rows; ++r) {
      const int64_t item = r / tokens, token = r % tokens;
      const float* from =
          token < extra ? class_token : Row(patches, item * (tokens - extra) + token - extra);
      for (int64_t c = 0; c < out.cols; ++c) Row(out, r)[c] = from[c] + Row(position, token)[c];
    }
    return {};
  }

  Status EmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                     const Matrix& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckEmbedTokens(ids, table, position, tokens, out));
    for (int64_t r = 0; r < out.rows; ++r) {
      const Matrix from = table.Rows(ids[r], 1);
      for (int64_t c = 0; c < out.cols; ++c) {
        Row(out, r)[c] = LoadAsFloat(from.data, from.type, c) + Row(position, r % tokens)[c];
      }
    }
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
    for (int64_t item = 0; item < out.rows; ++item) {
      for (int64_t c = 0; c < out.cols; ++c) {
        double sum = 0;
        for (int64_t t = skip; t < tokens; ++t) sum += Row(x, item * tokens + t)[c];
        Row(out, item)[c] = static_cast<float>(sum / static_cast<double>(tokens - skip));
      }
    }
    return {};
  }

  Status NormalizeRows(const Matrix& x) override {
    CLIPTAG_RETURN_IF_ERROR(CheckNormalizeRows(x));
    for (int64_t r = 0; r < x.rows; ++r) {
      double squares = 0;
      for (int64_t c = 0; c < x.cols; ++c) squares += double{Row(x, r)[c]} * Row(x, r)[c];
      if (squares == 0) continue;
      const double scale = 1.0 / std::sqrt(squares);
      for (int64_t c = 0; c < x.cols; ++c) {
        Row(x, r)[c] = static_cast<float>(Row(x, r)[c] * scale);
      }
    }
    return {};
  }

  Result<std::unique_ptr<Convolution>> PackConvolution(const ConvolutionSpec& spec) override {
    CLIPTAG_RETURN_IF_ERROR(CheckConvolutionSpec(spec));
    return std::unique_ptr<Convolution>(std::make_unique<RefConvolution>(spec));
  }

  Status Convolve(const FeatureMap& x, const Convolution& convolution, const FeatureMap* residual,
                  bool relu, const FeatureMap& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckConvolve(x, convolution, residual, relu, DType::kF32, out));
    const auto& w = static_cast<const RefConvolution&>(convolution);
    FillMap(out, [&](int item, int y, int column, int channel) {
      double sum = w.bias(channel) + (residual ? Pixel(*residual, item, y, column, channel) : 0);
      const int first = w.first_input(channel);
      for (int c = 0; c < w.input_count(); ++c) {
        for (int i = 0; i < w.kernel(); ++i) {
          for (int j = 0; j < w.kernel(); ++j) {
            sum += w.weight(channel, c, i, j) * Pixel(x, item, y * w.stride() + i - w.padding(),
                                                      column * w.stride() + j - w.padding(),
                                                      first + c);
          }
        }
      }
      sum = Activate(sum, w.activation());
      return relu ? std::max(sum, 0.0) : sum;
    });
    return {};
  }

  Status AveragePool(const FeatureMap& x, int window, const FeatureMap& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckAveragePool(x, window, DType::kF32, out));
    FillMap(out, [&](int item, int y, int column, int channel) {
      double sum = 0;
      for (int i = 0; i < window; ++i) {
        for (int j = 0; j < window; ++j) {
          sum += Pixel(x, item, y * window + i, column * window + j, channel);
        }
      }
      return sum / (window * window);
    });
    return {};
  }

  Status SqueezeExcite(const FeatureMap& x, const Matrix& gates, Activation activation,
                       const FeatureMap& out) override {
    CLIPTAG_RETURN_IF_ERROR(CheckSqueezeExcite(x, gates, DType::kF32, out));
    FillMap(out, [&](int item, int y, int column, int channel) {
      const double gate = 1.0 / (1.0 + std::exp(-double{Row(gates, item)[channel]}));
      return Activate(Pixel(x, item, y, column, channel) * gate, activation);
    });
    return {};
  }

  Status Similarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines) override {
    CLIPTAG_RETURN_IF_ERROR(CheckSimilarity(embeddings, bank, cosines));
    for (int64_t r = 0; r < embeddings.rows; ++r) {
      float* scores = Row(cosines, r);
      for (int64_t m = 0; m < bank.rows; ++m) {
        double dot = 0;
        for (int64_t c = 0; c < bank.cols; ++c)
          dot += double{Row(embeddings, r)[c]} * Row(bank, m)[c];
        scores[m] = static_cast<float>(dot);
      }
    }
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
  // Calls take(row, column, value) for every element of the layer norm of x. It may write to x.
  template <typename Take>
  static void Normalised(const Matrix& x, const float* gamma, const float* beta, float epsilon,
                         const Take& take) {
    for (int64_t r = 0; r < x.rows; ++r) {
      const float* in = Row(x, r);
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < x.cols; ++c) mean += in[c];
      mean /= static_cast<double>(x.cols);
      for (int64_t c = 0; c < x.cols; ++c) variance += (in[c] - mean) * (in[c] - mean);
      variance /= static_cast<double>(x.cols);
      const double scale = 1.0 / std::sqrt(variance + epsilon);
      for (int64_t c = 0; c < x.cols; ++c) {
        take(r, c, (in[c] - mean) * scale * gamma[c] + (beta ? beta[c] : 0.0));
      }
    }
  }

  // softmax(scale * q K^T) V of one query over the first `visible` keys; zeros if there are none.
  static void AttendOne(const AttentionArgs& a, int item, int head, int query, int visible) {
    const int64_t column = int64_t{head} * a.head_dim;
    const float* q = Row(a.q, int64_t{item} * a.q_tokens + query) + column;
    float* out = Row(a.out, int64_t{item} * a.q_tokens + query) + column;
    std::vector<double> weight(visible), sum(a.head_dim, 0.0);
    double largest = -INFINITY, total = 0;
    for (int j = 0; j < visible; ++j) {
      const float* k = Row(a.k, int64_t{item} * a.kv_tokens + j) + column;
      double dot = 0;
      for (int d = 0; d < a.head_dim; ++d) dot += double{q[d]} * k[d];
      weight[j] = dot * a.scale;
      largest = std::max(largest, weight[j]);
    }
    for (double& w : weight) total += w = std::exp(w - largest);
    for (int j = 0; j < visible; ++j) {
      const float* v = Row(a.v, int64_t{item} * a.kv_tokens + j) + column;
      for (int d = 0; d < a.head_dim; ++d) sum[d] += weight[j] / total * v[d];
    }
    for (int d = 0; d < a.head_dim; ++d) out[d] = static_cast<float>(sum[d]);
  }

  BackendInfo info_;
};

}  // namespace

std::unique_ptr<Backend> CreateRefBackend() { return std::make_unique<RefBackend>(); }

}  // namespace cliptag
