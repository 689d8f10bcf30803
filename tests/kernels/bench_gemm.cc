// How near the CPU backend's products come to the machine: ViT-B/32's four shapes with cold weights
// (12 layers in turn, as a forward pass meets them) and the whole transformer stack, beside what
// the machine can do. Not a test: run it by hand on an idle machine.
//
//   bench_gemm [threads [seconds per case]]
//
// One JSON object a line. `ms` is the median over passes of all layers, `best_ms` the fastest,
// `cpu_ms` the least CPU time of all threads together: the one number that a busy machine spoils
// little. `gflops` counts 2 rows n k over best_ms, `core_gflops` over cpu_ms; `weight_gbs` is the
// rate at which weights are read, once each.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"

namespace cliptag {
namespace {

constexpr int kLayers = 12;
constexpr int kTokens = 50, kWidth = 768, kHeads = 12, kMlp = 3072;

struct Timing {
  double median = 0, best = 0, cpu = 0;  // seconds
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double CpuNow() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

Timing Measure(double seconds, const std::function<void()>& pass) {
  pass();
  pass();
  std::vector<double> times;
  double cpu = 1e9;
  for (const double end = Now() + seconds; Now() < end || times.size() < 3;) {
    const double start = Now(), cpu_start = CpuNow();
    pass();
    times.push_back(Now() - start);
    cpu = std::min(cpu, CpuNow() - cpu_start);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), cpu};
}

void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}
template <typename T>
T Check(Result<T> result) {
  Check(result.ok() ? Status() : result.status());
  return result.Take();
}

struct Layer {
  std::unique_ptr<Linear> qkv, out, up, down;
};

class Bench {
 public:
  Bench(Precision precision, int threads, double seconds) : seconds_(seconds) {
    backend_ = Check(
        CreateBackend({.kind = BackendKind::kCpu, .precision = precision, .threads = threads}));
    std::vector<float> weight(size_t{kMlp} * kWidth);
    for (size_t i = 0; i < weight.size(); ++i) {
      weight[i] = 0.05f * std::sin(static_cast<float>(i % 10007));
    }
    const auto pack = [&](int64_t n, int64_t k) {
      return Check(backend_->PackLinear(
          {{{weight.data(), DType::kF32, {n, k}}}, {{weight.data(), DType::kF32, {n}}}}));
    };
    for (Layer& layer : layers_) {
      layer = {pack(3 * kWidth, kWidth), pack(kWidth, kWidth), pack(kMlp, kWidth),
               pack(kWidth, kMlp)};
    }
    gamma_.assign(kWidth, 1.0f);
  }

  void Run(int batch) {
    const int64_t rows = int64_t{batch} * kTokens;
    const DType type = backend_->compute_type();
    const Matrix x = New(rows, kWidth, DType::kF32), norm = New(rows, kWidth, type);
    const Matrix qkv = New(rows, 3 * kWidth, type), hidden = New(rows, kMlp, type);
    Product("qkv", rows, norm, &Layer::qkv, Activation::kNone, false, qkv);
    Product("out", rows, norm, &Layer::out, Activation::kNone, true, x);
    Product("up", rows, norm, &Layer::up, Activation::kQuickGelu, false, hidden);
    Product("down", rows, hidden, &Layer::down, Activation::kNone, true, x);
    Report("attention", batch, 12 * 4.0 * rows * kTokens * kWidth, 0, Measure(seconds_, [&] {
             for (int i = 0; i < kLayers; ++i) Check(Attend(batch, qkv, norm));
           }));
    Report("layer_norm", batch, 0, 0, Measure(seconds_, [&] {
             for (int i = 0; i < kLayers; ++i) Check(Normalise(x, norm));
           }));
    const Timing stack = Measure(seconds_ * 2, [&] {
      for (const Layer& layer : layers_) {
        Check(Normalise(x, norm));
        Check(backend_->Gemm(norm, *layer.qkv, Activation::kNone, false, qkv));
        Check(Attend(batch, qkv, norm));
        Check(backend_->Gemm(norm, *layer.out, Activation::kNone, true, x));
        Check(Normalise(x, norm));
        Check(backend_->Gemm(norm, *layer.up, Activation::kQuickGelu, false, hidden));
        Check(backend_->Gemm(hidden, *layer.down, Activation::kNone, true, x));
      }
    });
    std::printf(
        "{\"case\": \"stack\", \"precision\": \"%s\", \"batch\": %d, \"ms\": %.2f, "
        "\"best_ms\": %.2f, \"cpu_ms\": %.2f, \"images_per_second\": %.2f}\n",
        ToString(backend_->info().precision), batch, stack.median * 1e3, stack.best * 1e3,
        stack.cpu * 1e3, batch / stack.median);
  }

  const BackendInfo& info() const { return backend_->info(); }

 private:
  Matrix New(int64_t rows, int64_t cols, DType type) {
    memory_.push_back(Check(backend_->Allocate(rows * cols * SizeOf(type))));
    char* bytes = static_cast<char*>(memory_.back()->data());
    std::fill(bytes, bytes + memory_.back()->bytes(), '\0');
    return {bytes, type, rows, cols, cols};
  }

  Status Normalise(const Matrix& x, const Matrix& out) {
    return backend_->LayerNorm(x, gamma_.data(), nullptr, 1e-5f, out);
  }

  Status Attend(int batch, const Matrix& qkv, const Matrix& out) {
    AttentionArgs a;
    a.q = qkv.Cols(0, kWidth);
    a.k = qkv.Cols(kWidth, kWidth);
    a.v = qkv.Cols(2 * kWidth, kWidth);
    a.out = out;
    a.batch = batch;
    a.q_tokens = a.kv_tokens = kTokens;
    a.heads = kHeads;
    a.head_dim = kWidth / kHeads;
    a.scale = 0.125f;
    return backend_->Attention(a);
  }

  void Product(const char* name, int64_t rows, const Matrix& x,
               std::unique_ptr<Linear> Layer::*linear, Activation activation, bool accumulate,
               const Matrix& out) {
    const Linear& first = *(layers_[0].*linear);
    const double flops = 2.0 * rows * first.in() * first.out() * kLayers;
    const double bytes = static_cast<double>(first.bytes()) * kLayers;
    Report(name, static_cast<int>(rows / kTokens), flops, bytes, Measure(seconds_, [&] {
             for (const Layer& layer : layers_) {
               Check(backend_->Gemm(x, *(layer.*linear), activation, accumulate, out));
             }
           }));
  }

  void Report(const char* name, int batch, double flops, double bytes, const Timing& t) {
    std::printf(
        "{\"case\": \"%s\", \"precision\": \"%s\", \"batch\": %d, \"ms\": %.3f, "
        "\"best_ms\": %.3f, \"cpu_ms\": %.3f, \"gflops\": %.1f, \"core_gflops\": %.1f, "
        "\"weight_gbs\": %.2f}\n",
        name, ToString(backend_->info().precision), batch, t.median * 1e3, t.best * 1e3,
        t.cpu * 1e3, flops / t.best / 1e9, flops / t.cpu / 1e9, bytes / t.best / 1e9);
  }

  double seconds_;
  std::unique_ptr<Backend> backend_;
  std::vector<std::unique_ptr<Memory>> memory_;
  Layer layers_[kLayers];
  std::vector<float> gamma_;
};

}  // namespace
}  // namespace cliptag

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
  for (cliptag::Precision precision :
       {cliptag::Precision::kFp32, cliptag::Precision::kBf16, cliptag::Precision::kInt8}) {
    cliptag::Bench bench(precision, threads, seconds);
    std::printf("{\"machine\": \"%s\"}\n", bench.info().description.c_str());
    for (const auto& line : bench.info().products) std::printf("%s\n", line.c_str());
    for (int batch : {1, 8}) bench.Run(batch);
  }
  return 0;
}
