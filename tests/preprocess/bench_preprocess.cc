// Milliseconds per frame on one thread, from raw formats to 224x224 patches, at every instruction
// set of this machine. Not a test. Frames rotate through 8 buffers (25 MB of 1080p NV12), so that
// pixels come from memory as a decoder leaves them, not from a warm cache.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/cpu/preprocess.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

struct Case {
  const char* layout;
  int width, height, patch;
  Orientation orientation;
  bool bf16;
};

void Preprocess(benchmark::State& state, const Case& c, const PreprocessKernels& kernels) {
  constexpr int kFrames = 8;
  const Layout& layout = LayoutNamed(c.layout);
  std::vector<TestFrame> frames;
  for (int i = 0; i < kFrames; ++i) {
    frames.push_back(MakeFrame(layout, c.width, c.height, Noise(i, layout, c.width)));
    frames.back().view.orientation = c.orientation;
  }
  const PreprocessSpec spec = PlainSpec(224, c.patch, Fit::kCrop, Interpolation::kBicubic);
  const int64_t grid = spec.size / spec.patch, cols = int64_t{3} * spec.patch * spec.patch;
  std::vector<float> out(grid * grid * cols);
  const Matrix matrix{out.data(), c.bf16 ? DType::kBF16 : DType::kF32, grid * grid, cols, cols};
  CpuPreprocessor cpu(nullptr, kernels);
  int next = 0;
  for (auto _ : state) {
    const Status status = cpu.Run({&frames[next++ % kFrames].view, 1}, spec, matrix);
    if (!status.ok()) state.SkipWithError(status.message().c_str());
  }
}

}  // namespace
}  // namespace cliptag

int main(int argc, char** argv) {
  using cliptag::Case;
  constexpr auto kUp = cliptag::Orientation::kRotate0, kSide = cliptag::Orientation::kRotate90;
  static constexpr Case kCases[] = {
      {"RGB", 1920, 1080, 32, kUp, false},       {"RGBA", 1920, 1080, 32, kUp, false},
      {"GRAY8", 1920, 1080, 32, kUp, false},     {"NV12", 1920, 1080, 32, kUp, false},
      {"I420", 1920, 1080, 32, kUp, false},      {"YUY2", 1920, 1080, 32, kUp, false},
      {"P010_10LE", 1920, 1080, 32, kUp, false}, {"NV12", 1920, 1080, 14, kUp, true},
      {"NV12", 1920, 1080, 32, kSide, false},    {"RGB", 1920, 1080, 32, kSide, false},
      {"NV12", 640, 360, 32, kUp, false},        {"NV12", 3840, 2160, 32, kUp, false},
  };
  using cliptag::CpuLevel;
  for (const CpuLevel level : {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (level > cliptag::DetectCpuLevel()) break;
    const cliptag::PreprocessKernels& kernels = cliptag::PreprocessKernelsFor(level);
    for (const Case& c : kCases) {
      const std::string name = std::string(c.layout) + "/" + std::to_string(c.width) + "x" +
                               std::to_string(c.height) + "/patch" + std::to_string(c.patch) +
                               (c.bf16 ? "/bf16" : "/f32") + (c.orientation == kUp ? "" : "/side") +
                               "/" + kernels.name;
      benchmark::RegisterBenchmark(name.c_str(), cliptag::Preprocess, c, kernels)
          ->Unit(benchmark::kMillisecond);
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
