// The card's limits, and each kernel beside them, by the card's clock.
#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cuda/attention/operation.h"
#include "kernels/cuda/libraries/products.h"
#include "kernels/cuda/operations.h"
#include "tests/gpu/bench/shapes.h"
#include "tests/gpu/bench/support.h"

namespace cliptag::bench {
namespace {

// Bytes moved at least, operations done, and how it is called with the i-th set of buffers.
struct Operation {
  std::string name;
  double bytes = 0, flops = 0;
  std::function<Status(int)> run;
};

void Report(const Options& options, StreamTimer& timer, const Operation& op, const Shape& shape,
            int batch) {
  const int calls = options.small ? 2 : 20;
  const Timing t = timer.Measure(options.seconds, calls, op.run);
  JsonLine line("op");
  line.Text("name", op.name).Text("model", shape.name).Number("batch", batch);
  line.Number("us", t.median * 1e6).Number("best_us", t.best * 1e6);
  line.Number("gb_s", op.bytes / t.median * 1e-9);
  if (op.flops > 0) line.Number("tflops", op.flops / t.median * 1e-12);
}

std::unique_ptr<Linear> RandomLinear(cuda::Products& products, int64_t out, int64_t in,
                                     DType type) {
  const std::vector<uint16_t> weights =
      RandomHalves(static_cast<size_t>(out * in), type, 0.5f / std::sqrt(static_cast<float>(in)));
  return Check(
      products.Pack({{{weights.data(), type, {out, in}}}, {{weights.data(), type, {out}}}, false}));
}

// One block of a model at one batch, every kernel of it.
class Block {
 public:
  Block(const Options& options, const Shape& shape, int batch)
      : options_(options),
        shape_(shape),
        batch_(batch),
        rows_(int64_t{batch} * shape.tokens()),
        products_(Check(cuda::Products::Create(timer_.device(), options.type, timer_.stream()))) {}

  void Run() {
    MeasureNorms();
    MeasureProducts();
    MeasurePooled();
    MeasureTexts();
    MeasureSimilarity();
  }

 private:
  std::vector<RandomMatrix> Sets(int64_t cols, DType type) const {
    std::vector<RandomMatrix> sets;
    const int count = options_.small ? 2 : Rotation(static_cast<size_t>(rows_ * cols) * 4);
    for (int i = 0; i < count; ++i) sets.emplace_back(rows_, cols, type);
    return sets;
  }
  static const Matrix& Of(const std::vector<RandomMatrix>& sets, int i) {
    return sets[static_cast<size_t>(i) % sets.size()];
  }
  void Time(const Operation& op) { Report(options_, timer_, op, shape_, batch_); }

  void MeasureNorms() {
    const int64_t w = shape_.width, patches = rows_ - batch_;
    const auto n = static_cast<double>(rows_ * w);
    const cudaStream_t stream = timer_.stream();
    const auto x = Sets(w, DType::kF32), y = Sets(w, options_.type);
    const RandomMatrix gamma(1, w, DType::kF32), position(shape_.tokens(), w, DType::kF32);
    const auto* vector = static_cast<const float*>(gamma.get().data);
    Time({"layer_norm", n * 6, 0, [&](int i) {
            return cuda::RunLayerNorm(stream, Of(x, i), vector, vector, 1e-5f, Of(y, i));
          }});
    Time({"assemble_tokens", static_cast<double>(patches * w) * 4 + n * 4, 0, [&](int i) {
            return cuda::RunAssembleTokens(stream, Of(x, i + 1).Rows(0, patches), vector, position,
                                           batch_, Of(x, i));
          }});
    const RandomMatrix embeddings(batch_, shape_.embed, DType::kF32);
    Time({"normalize_rows", 8.0 * batch_ * shape_.embed, 0,
          [&](int) { return cuda::RunNormalizeRows(stream, embeddings); }});
  }

  void MeasureProducts() {
    const int64_t w = shape_.width, mlp = shape_.mlp();
    const cudaStream_t stream = timer_.stream();
    const auto x = Sets(w, options_.type), residual = Sets(w, DType::kF32);
    const auto wide = Sets(std::max(3 * w, mlp), options_.type);
    const auto columns = [&](int i, int64_t cols) {
      Matrix m = Of(wide, i);
      m.cols = m.stride = cols;
      return m;
    };
    const auto product = [&](const char* name, int64_t out, int64_t in, bool accumulate) {
      const auto linear = RandomLinear(*products_, out, in, options_.type);
      const double written = static_cast<double>(rows_ * out) * (accumulate ? 8 : 2);
      Time({name, static_cast<double>(rows_ * in + out * in) * 2 + written, 2.0 * rows_ * out * in,
            [&](int i) {
              return products_->Run(in == w ? Of(x, i) : columns(i, in), *linear, true, accumulate,
                                    accumulate ? Of(residual, i) : columns(i, out));
            }});
    };
    product("product_qkv", 3 * w, w, false);
    product("product_out", w, w, true);
    product("product_up", mlp, w, false);
    product("product_down", w, mlp, true);
    const RandomMatrix bias(1, mlp, DType::kF32);
    Time({"activation", static_cast<double>(rows_ * mlp) * 4, 0, [&](int i) {
            return cuda::RunActivation(stream, shape_.activation,
                                       static_cast<const float*>(bias.get().data), columns(i, mlp));
          }});
  }

  // Row i of a matrix of `rows`, over and over; read as the i-th of something.
  std::unique_ptr<cuda::DeviceMemory> Indices(int64_t count, int64_t step, int64_t rows) const {
    std::vector<int32_t> indices;
    for (int64_t i = 0; i < count; ++i) indices.push_back(static_cast<int32_t>(i * step % rows));
    const size_t bytes = indices.size() * sizeof(int32_t);
    auto memory = Check(cuda::DeviceMemory::Allocate(bytes));
    Check(cudaMemcpy(memory->data(), indices.data(), bytes, cudaMemcpyHostToDevice));
    Check(cudaDeviceSynchronize());  // the timer's stream waits for no other
    return memory;
  }

  // What the last block has of its own: one token of each picture.
  void MeasurePooled() {
    const int64_t w = shape_.width;
    const cudaStream_t stream = timer_.stream();
    const auto x = Sets(w, DType::kF32), keys = Sets(2 * w, options_.type);
    const RandomMatrix picked(batch_, w, DType::kF32), q(batch_, w, options_.type);
    const RandomMatrix out(batch_, w, options_.type);
    const auto rows = Indices(batch_, shape_.tokens(), rows_);
    Time({"gather_rows", 8.0 * batch_ * w, 0, [&](int i) {
            return cuda::RunGatherRows(stream, Of(x, i), static_cast<const int32_t*>(rows->data()),
                                       picked);
          }});
    AttentionArgs args = Attention(shape_.tokens(), shape_.heads);
    args.q_tokens = 1;
    args.q = q;
    args.out = out;
    Time({"attention_pooled", 4.0 * rows_ * w, 4.0 * rows_ * w, [&](int i) {
            args.k = Of(keys, i).Cols(0, w);
            args.v = Of(keys, i).Cols(w, w);
            return cuda::RunAttention(stream, args);
          }});
  }
  AttentionArgs Attention(int tokens, int heads) const {
    AttentionArgs args;
    args.batch = batch_;
    args.q_tokens = args.kv_tokens = tokens;
    args.heads = heads;
    args.head_dim = 64;
    args.scale = 0.125f;
    return args;
  }

  // The text tower beside an image tower: as wide as the embedding, 77 tokens, causal.
  void MeasureTexts() {
    constexpr int kTokens = 77, kVocabulary = 49408;
    const int64_t w = shape_.embed, rows = int64_t{batch_} * kTokens;
    const cudaStream_t stream = timer_.stream();
    const RandomMatrix table(kVocabulary, w, options_.type), position(kTokens, w, DType::kF32);
    const RandomMatrix tokens(rows, w, DType::kF32), packed(rows, 3 * w, options_.type);
    const RandomMatrix out(rows, w, options_.type);
    const auto ids = Indices(rows, 7919, kVocabulary);
    Time({"embed_tokens", static_cast<double>(rows * w) * 6, 0, [&](int) {
            return cuda::RunEmbedTokens(stream, static_cast<const int32_t*>(ids->data()), table,
                                        position, kTokens, tokens);
          }});
    AttentionArgs args = Attention(kTokens, static_cast<int>(w / 64));
    args.causal = true;
    args.q = packed.get().Cols(0, w);
    args.k = packed.get().Cols(w, w);
    args.v = packed.get().Cols(2 * w, w);
    args.out = out;
    Time({"attention_text", static_cast<double>(rows * w) * 8, 2.0 * rows * kTokens * w,
          [&](int) { return cuda::RunAttention(stream, args); }});
  }

  // To a thousand prompts.
  void MeasureSimilarity() {
    constexpr int kPrompts = 1000;
    const int64_t w = shape_.embed;
    const RandomMatrix embeddings(batch_, w, DType::kF32), bank(kPrompts, w, DType::kF32);
    const RandomMatrix cosines(batch_, kPrompts, DType::kF32);
    const double bytes = 4.0 * (w * (batch_ + kPrompts) + batch_ * kPrompts);
    Time({"similarity", bytes, 2.0 * batch_ * kPrompts * w,
          [&](int) { return cuda::RunSimilarity(timer_.stream(), embeddings, bank, cosines); }});
  }

  const Options& options_;
  const Shape shape_;
  const int batch_;
  const int64_t rows_;
  StreamTimer timer_;
  std::unique_ptr<cuda::Products> products_;
};

void MeasureAttentionOf(const Options& options, const Shape& shape, int batch) {
  StreamTimer timer;
  const int64_t rows = int64_t{batch} * shape.tokens(), w = shape.width;
  const int head_dim = shape.width / shape.heads;
  const int count = options.small ? 2 : Rotation(static_cast<size_t>(rows * w) * 8);
  std::vector<RandomMatrix> packed, out;
  for (int i = 0; i < count; ++i) {
    packed.emplace_back(rows, 3 * w, options.type);
    out.emplace_back(rows, w, options.type);
  }
  const auto run = [&](int i) {
    const Matrix& qkv = packed[static_cast<size_t>(i) % packed.size()];
    AttentionArgs args;
    args.q = qkv.Cols(0, w);
    args.k = qkv.Cols(w, w);
    args.v = qkv.Cols(2 * w, w);
    args.out = out[static_cast<size_t>(i) % out.size()];
    args.batch = batch;
    args.q_tokens = args.kv_tokens = shape.tokens();
    args.heads = shape.heads;
    args.head_dim = head_dim;
    args.scale = 1.0f / std::sqrt(static_cast<float>(args.head_dim));
    return cuda::RunAttention(timer.stream(), args);
  };
  const Timing t = timer.Measure(options.seconds, options.small ? 2 : 20, run);
  JsonLine("attention")
      .Text("engine", "cliptag")
      .Number("tokens", shape.tokens())
      .Number("heads", shape.heads)
      .Number("head_dim", head_dim)
      .Number("batch", batch)
      .Number("us", t.median * 1e6)
      .Number("best_us", t.best * 1e6)
      .Number("gb_s", static_cast<double>(rows * w) * 8 / t.median * 1e-9)
      .Number("tflops", 4.0 * rows * shape.tokens() * w / t.median * 1e-12);
}

}  // namespace

void MeasureLimits(const Options& options) {
  StreamTimer timer;
  const size_t bytes = options.small ? 4096 : size_t{1} << 30;
  const RandomMatrix from(1, static_cast<int64_t>(bytes / 2), options.type);
  const RandomMatrix to(1, static_cast<int64_t>(bytes / 2), options.type);
  const Timing copy = timer.Measure(options.seconds, 4, [&](int) {
    return cuda::FromCuda(cudaMemcpyAsync(to.get().data, from.get().data, bytes,
                                          cudaMemcpyDeviceToDevice, timer.stream()),
                          "it copied");
  });
  JsonLine("limit").Text("name", "copy").Number("gb_s", 2.0 * bytes / copy.best * 1e-9);

  const auto products = Check(cuda::Products::Create(timer.device(), options.type, timer.stream()));
  double best = 0;
  const std::vector<int64_t> sizes =
      options.small ? std::vector<int64_t>{16} : std::vector<int64_t>{4096, 8192, 16384};
  for (const int64_t n : sizes) {
    const RandomMatrix x(n, n, options.type), y(n, n, options.type);
    const auto linear = RandomLinear(*products, n, n, options.type);
    const Timing t = timer.Measure(options.seconds, options.small ? 1 : 4,
                                   [&](int) { return products->Run(x, *linear, false, false, y); });
    best = std::max(best, 2.0 * n * n * n / t.median * 1e-12);
  }
  JsonLine("limit").Text("name", "product").Number("tflops", best);
}

void MeasureOperations(const Options& options) {
  const std::vector<Shape> shapes =
      options.small ? Shapes(true) : std::vector{ShapeNamed("ViT-B/32"), ShapeNamed("ViT-L/14")};
  for (const Shape& shape : shapes) {
    for (const int batch : options.small ? std::vector{2} : std::vector{1, 64}) {
      Block(options, shape, batch).Run();
    }
  }
}

void MeasureAttention(const Options& options) {
  for (const Shape& shape : Shapes(options.small)) {
    for (const int batch : options.small ? std::vector{2} : std::vector{1, 8, 64}) {
      MeasureAttentionOf(options, shape, batch);
    }
  }
}

}  // namespace cliptag::bench
