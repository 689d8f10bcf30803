// The kernels with an OS thread for each CUDA thread under ThreadSanitizer: an access to shared
// memory that no barrier orders ends the program with a report that names both sides. That it would
// is tested as well, on kernels that lack a barrier.
#include "kernels/cuda/rows/layer_norm.cuh"
#include "kernels/cuda/rows/similarity.cuh"
#include "tests/cuda/preprocess_support.h"
#include "tests/cuda/test_support.h"

namespace cliptag::cuda {
namespace {

constexpr int kRaceExit = 66;  // ThreadSanitizer's

// Reverses 64 numbers through shared memory; right only with the barrier.
void Reverse(const int* in, int* out, bool barrier) {
  int* shared = StaticShared<int, 64>();
  shared[threadIdx.x] = in[threadIdx.x];
  if (barrier) __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}

// The same with an asynchronous copy, which its own thread waits for.
void ReverseAsync(const int* in, int* out, bool barrier) {
  int* shared = StaticShared<int, 64>();
  CpAsync<4>(shared + threadIdx.x, in + threadIdx.x, 4);
  CpAsyncCommit();
  CpAsyncWait<0>();
  if (barrier) __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}

// Ends with 0 when the launch went well.
template <typename Kernel>
void RunAndExit(Kernel kernel, bool barrier) {
  std::vector<int> in(64, 3), out(64);
  const LaunchReport report =
      emulation::Launch({.threads = 64}, [&] { kernel(in.data(), out.data(), barrier); });
  std::exit(report.error.empty() && out == in ? 0 : 1);
}

class Threads : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
using ThreadsDeathTest = Threads;

TEST_F(ThreadsDeathTest, AMissingBarrierIsNamed) {
  EXPECT_EXIT(RunAndExit(Reverse, true), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(RunAndExit(Reverse, false), testing::ExitedWithCode(kRaceExit), "data race.*Reverse");
}

TEST_F(ThreadsDeathTest, AMissingBarrierAfterAnAsynchronousCopyIsNamed) {
  EXPECT_EXIT(RunAndExit(ReverseAsync, true), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(RunAndExit(ReverseAsync, false), testing::ExitedWithCode(kRaceExit), "data race");
}

TEST(ThreadsReport, DeadlockNamesTheThreads) {
  const LaunchReport report = emulation::Launch({.threads = 64}, [] {
    if (threadIdx.x >= 40) return;
    __syncthreads();
  });
  EXPECT_THAT(report.error, testing::HasSubstr("threads 0-39 wait at __syncthreads"));
  EXPECT_THAT(report.error, testing::HasSubstr("threads 40-63 have left the kernel"));
}

TEST(ThreadsRows, WideLayerNorm) {
  DeviceMatrix<float> x(2, 300, 300), gamma(1, 300, 300);
  DeviceMatrix<Half> out(2, 300, 300);
  Random random(1);
  x.Fill(random);
  gamma.Fill(random);
  LayerNormParams<Half, float> p;
  p.x = x.data();
  p.gamma = gamma.data();
  p.out = out.data();
  p.x_stride = p.out_stride = p.cols = 300;
  p.rows = 2;
  EmulatedLauncher launcher;
  launcher(LayerNormWideKernel<Half, float>, LaunchShape{2, 1, 1, kLayerNormWideThreads, 0}, p);
  ASSERT_EQ(launcher.report().error, "");
  std::vector<float> in = x.ToHost(), expected(600);
  ASSERT_TRUE(CreateRefBackend()
                  ->LayerNorm(HostMatrix(in, 2, 300), gamma.data(), nullptr, 0,
                              HostMatrix(expected, 2, 300))
                  .ok());
  EXPECT_LE(LargestError(out.ToHost(), expected), 4e-3);
}

TEST(ThreadsRows, Similarity) {
  constexpr int kN = 9, kM = 70, kDim = 140;
  DeviceMatrix<float> embeddings(kN, kDim, kDim), bank(kM, kDim, kDim), cosines(kN, kM, kM);
  Random random(1);
  embeddings.Fill(random, 0.1f);
  bank.Fill(random, 0.1f);
  const SimilarityParams p{
      embeddings.data(), bank.data(), cosines.data(), kDim, kDim, kM, kN, kM, kDim};
  EmulatedLauncher launcher;
  LaunchSimilarity(p, launcher);
  ASSERT_EQ(launcher.report().error, "");
  std::vector<float> e = embeddings.ToHost(), b = bank.ToHost(), expected(kN * kM);
  ASSERT_TRUE(CreateRefBackend()
                  ->Similarity(HostMatrix(e, kN, kDim), HostMatrix(b, kM, kDim),
                               HostMatrix(expected, kN, kM))
                  .ok());
  EXPECT_LE(LargestError(cosines.ToHost(), expected), 1e-6);
}

// The rings of warps with rows copied by 16, 4 and 1 bytes, and slabs of taps.
TEST(ThreadsPreprocess, AllPaths) {
  std::vector<TestFrame> frames;
  std::vector<FrameView> views;
  for (const char* name : {"NV12", "I420", "P010_10LE", "RGB"}) {
    const Layout& layout = LayoutNamed(name);
    frames.push_back(MakeFrame(layout, 144, 100, Noise(1, layout, 144)));
    views.push_back(frames.back().view);
  }
  frames.push_back(MakeFrame(LayoutNamed("NV12"), 145, 100, Noise(1, LayoutNamed("NV12"), 145)));
  views.push_back(frames.back().view);
  views.push_back(views[3]);  // sideways: by taps
  views.back().orientation = Orientation::kRotate90;
  ExpectCudaIsRef<Half>(views, ClipSpec(40, 8, Fit::kCrop, Interpolation::kBicubic));
}

}  // namespace
}  // namespace cliptag::cuda
