// A stream of equal frames allocates nothing after its first: operator new is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "tests/preprocess/pictures.h"

namespace {

std::atomic<int> allocations{0};

void* Count(size_t bytes, size_t alignment) {
  ++allocations;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (block == nullptr) std::abort();
  return block;
}

}  // namespace

void* operator new(size_t bytes) { return Count(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t a) {
  return Count(bytes, static_cast<size_t>(a));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return Count(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept {
  return Count(bytes, static_cast<size_t>(a));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { std::free(block); }

namespace cliptag {
namespace {

TEST(SteadyState, EqualFramesAllocateNothing) {
  ThreadPool pool(2);
  CpuPreprocessor cpu(&pool);
  const PreprocessSpec spec = PlainSpec(64, 16, Fit::kCrop, Interpolation::kBicubic);
  std::vector<TestFrame> frames;
  std::vector<FrameView> views;
  for (const char* name : {"RGB", "NV12", "P010_10LE"}) {
    frames.push_back(MakeFrame(LayoutNamed(name), 200, 120, Noise(1, LayoutNamed(name), 200)));
    views.push_back(frames.back().view);
  }
  std::vector<float> out(3 * 16 * 768);
  const auto run = [&](size_t count) {
    const auto rows = static_cast<int64_t>(16 * count);
    return cpu.Run({views.data(), count}, spec, {out.data(), DType::kF32, rows, 768, 768});
  };
  const int before = allocations;
  ASSERT_TRUE(run(3).ok());
  EXPECT_GT(allocations, before);  // the counter counts
  const int settled = allocations;
  for (int i = 0; i < 20; ++i) {
    const bool ok = run(1 + i % 3).ok();
    ASSERT_TRUE(ok);
  }
  EXPECT_EQ(allocations, settled);
}

}  // namespace
}  // namespace cliptag
