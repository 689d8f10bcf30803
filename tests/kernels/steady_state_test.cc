// Operations do not allocate: after the first run of a shape the CPU backend's own operations make
// no call to operator new, on any thread. For products there is a bound instead, since oneDNN
// allocates a few small objects for each primitive that it runs.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <vector>

#include "kernels/backend.h"
#include "kernels/create_backend.h"
#include "tests/kernels/kernel_test_util.h"

namespace {

std::atomic<int64_t> allocations{0};

void* Allocate(size_t bytes, size_t alignment) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

void* AllocateOrThrow(size_t bytes, size_t alignment) {
  void* p = Allocate(bytes, alignment);
  if (!p) throw std::bad_alloc();
  return p;
}

}  // namespace

void* operator new(size_t bytes) { return AllocateOrThrow(bytes, 16); }
void* operator new(size_t bytes, std::align_val_t a) {
  return AllocateOrThrow(bytes, static_cast<size_t>(a));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return Allocate(bytes, 16); }
void* operator new(size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept {
  return Allocate(bytes, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }

namespace cliptag {
namespace {

// Calls to operator new that `operation` makes when it runs for the second time.
int64_t AllocationsOf(const std::function<Status()>& operation) {
  EXPECT_TRUE(operation().ok());
  const int64_t before = allocations.load();
  const bool ok = operation().ok();
  const int64_t made = allocations.load() - before;
  EXPECT_TRUE(ok);
  return made;
}

class SteadyState : public testing::TestWithParam<Precision> {};

TEST_P(SteadyState, OperationsDoNotAllocate) {
  auto made = CreateBackend({.kind = BackendKind::kCpu, .precision = GetParam(), .threads = 2});
  ASSERT_TRUE(made.ok()) << made.status().message();
  Backend& backend = **made;
  constexpr int kBatch = 2, kTokens = 70, kHeads = 3, kWidth = 192;
  std::mt19937 random(1);
  TestMatrix x(kBatch * kTokens, kWidth, DType::kF32), gamma(1, kWidth, DType::kF32);
  TestMatrix norm(kBatch * kTokens, kWidth, backend.compute_type());
  TestMatrix qkv(kBatch * kTokens, 3 * kWidth, backend.compute_type());
  TestMatrix position(kTokens, kWidth, DType::kF32), cosines(2, kTokens, DType::kF32);
  for (TestMatrix* m : {&x, &gamma, &norm, &qkv, &position}) m->Fill(random);
  const float* g = static_cast<float*>(gamma.get().data);
  const std::vector<int32_t> ids(kBatch * kTokens, 3);
  std::vector<float> host(kBatch * kTokens * kWidth);

  AttentionArgs a;
  a.q = qkv.get().Cols(0, kWidth);
  a.k = qkv.get().Cols(kWidth, kWidth);
  a.v = qkv.get().Cols(2 * kWidth, kWidth);
  a.out = norm;
  a.batch = kBatch, a.q_tokens = a.kv_tokens = kTokens, a.heads = kHeads, a.head_dim = 64;

  EXPECT_EQ(0, AllocationsOf([&] { return backend.LayerNorm(x, g, g, 1e-5f, norm); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.AddLayerNorm(norm, g, g, 1e-5f, x, norm); }));
  EXPECT_EQ(0, AllocationsOf([&] {
              return backend.Rope(qkv.get().Cols(0, 2 * kWidth), position.get().Cols(0, 64));
            }));
  EXPECT_EQ(0,
            AllocationsOf([&] { return backend.GatedSilu(qkv.get().Cols(0, 2 * kWidth), norm); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.Attention(a); }));
  EXPECT_EQ(
      0, AllocationsOf([&] { return backend.EmbedTokens(ids.data(), x, position, kTokens, x); }));
  EXPECT_EQ(
      0, AllocationsOf([&] { return backend.AssembleTokens(norm, nullptr, position, kBatch, x); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.GatherRows(x, ids.data(), x); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.AverageTokens(x, 1, x.get().Rows(0, kBatch)); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.NormalizeRows(x); }));
  EXPECT_EQ(
      0, AllocationsOf([&] { return backend.Similarity(x.get().Rows(0, 2), position, cosines); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.CopyToHost(x, host.data()); }));
}

// Windows are multiplied by own code where the machine has it; a window of a pixel may be oneDNN's.
TEST_P(SteadyState, ConvolutionsDoNotAllocate) {
  auto made = CreateBackend({.kind = BackendKind::kCpu, .precision = GetParam(), .threads = 2});
  ASSERT_TRUE(made.ok()) << made.status().message();
  Backend& backend = **made;
  if (backend.info().instructions == "baseline" || backend.info().instructions == "avx2") {
    GTEST_SKIP() << "oneDNN multiplies unrolled windows on this CPU";
  }
  std::mt19937 random(1);
  TestMatrix weight(40, 24 * 9, DType::kF32);
  weight.Fill(random);
  ConvolutionSpec spec;
  spec.weight = {weight.get().data, DType::kF32, {40, 24, 3, 3}};
  spec.padding = 1;
  const auto convolution = backend.PackConvolution(spec);
  ASSERT_TRUE(convolution.ok()) << convolution.status().message();
  TestMatrix x(2 * 100, 24, backend.compute_type()), out(2 * 100, 40, backend.compute_type());
  TestMatrix small(2 * 25, 40, backend.compute_type());
  x.Fill(random);
  const FeatureMap from{x, 2, 10, 10}, to{out, 2, 10, 10};
  EXPECT_EQ(0, AllocationsOf([&] { return backend.Convolve(from, **convolution, &to, true, to); }));
  EXPECT_EQ(0, AllocationsOf([&] { return backend.AveragePool(to, 2, {small, 2, 5, 5}); }));
  TestMatrix windows(40, 49, DType::kF32), gates(2, 40, backend.compute_type());
  windows.Fill(random);
  gates.Fill(random);
  spec.weight = {windows.get().data, DType::kF32, {40, 1, 7, 7}};
  spec.padding = 3;
  spec.groups = 40;
  const auto depthwise = backend.PackConvolution(spec);
  ASSERT_TRUE(depthwise.ok()) << depthwise.status().message();
  EXPECT_EQ(0,
            AllocationsOf([&] { return backend.Convolve(to, **depthwise, nullptr, false, to); }));
  EXPECT_EQ(0,
            AllocationsOf([&] { return backend.SqueezeExcite(to, gates, Activation::kGelu, to); }));
}

// A handful of objects of oneDNN's for each part of a product, whatever its size.
TEST_P(SteadyState, ProductsAllocateOnlyWhatOneDnnDoes) {
  auto made = CreateBackend({.kind = BackendKind::kCpu, .precision = GetParam(), .threads = 1});
  ASSERT_TRUE(made.ok()) << made.status().message();
  Backend& backend = **made;
  std::mt19937 random(1);
  TestMatrix weight(512, 64, DType::kF32);
  weight.Fill(random);
  auto linear = backend.PackLinear({{{weight.get().data, DType::kF32, {512, 64}}}});
  ASSERT_TRUE(linear.ok()) << linear.status().message();
  TestMatrix x(100, 64, backend.compute_type()), out(100, 512, DType::kF32);
  x.Fill(random);
  ASSERT_STATUS_OK(backend.PrepareGemm(**linear, 100));
  const int64_t first =
      AllocationsOf([&] { return backend.Gemm(x, **linear, Activation::kGelu, false, out); });
  const int64_t second =
      AllocationsOf([&] { return backend.Gemm(x, **linear, Activation::kGelu, false, out); });
  EXPECT_EQ(first, second);
  EXPECT_LE(first, 2 * 16) << "two row blocks of one column block";
  RecordProperty("allocations", static_cast<int>(first));
}

INSTANTIATE_TEST_SUITE_P(Cpu, SteadyState, testing::Values(Precision::kFp32, Precision::kBf16),
                         [](const auto& p) { return std::string(ToString(p.param)); });

}  // namespace
}  // namespace cliptag
