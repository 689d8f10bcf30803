// Raw formats to patches through Backend::Preprocess. Frames rotate, so that pixels come from
// memory as a decoder leaves them. CLIPTAG_CPU=avx2 (baseline, …) shows the other paths of this
// machine.
#include <map>

#include "tests/bench/bench.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::bench {
namespace {

struct Frames {
  const char* layout;
  int width, height, patch;
  Orientation orientation;
};

constexpr auto kUp = Orientation::kRotate0, kSide = Orientation::kRotate90;
constexpr Frames kFrames[] = {{"NV12", 1920, 1080, 32, kUp},   {"I420", 1920, 1080, 32, kUp},
                              {"RGB", 1920, 1080, 32, kUp},    {"RGBA", 1920, 1080, 32, kUp},
                              {"GRAY8", 1920, 1080, 32, kUp},  {"YUY2", 1920, 1080, 32, kUp},
                              {"NV12", 1920, 1080, 14, kUp},   {"P010_10LE", 1920, 1080, 32, kUp},
                              {"NV12", 1920, 1080, 32, kSide}, {"RGB", 1920, 1080, 32, kSide},
                              {"NV12", 640, 360, 32, kUp},     {"NV12", 3840, 2160, 32, kUp}};
constexpr Frames kSmall[] = {{"NV12", 64, 48, 16, kUp}, {"RGB", 64, 48, 16, kSide}};

Operation Make(const Options& options, Backend& backend, const Frames& f) {
  const Layout& layout = LayoutNamed(f.layout);
  // Noise is slow to make: one frame, and copies of it at other addresses.
  struct State {
    std::vector<TestFrame> frames;
    std::unique_ptr<Memory> memory;
    Matrix out;
  };
  auto state = std::make_shared<State>();
  size_t bytes = 0;
  for (int i = 0, count = 2; i < count; ++i) {
    state->frames.push_back(MakeFrame(layout, f.width, f.height, [](int c, int x, int y) {
      return static_cast<int>(Hash(static_cast<uint32_t>(c), static_cast<uint32_t>(x + 9973 * y))) &
             255;
    }));
    state->frames.back().view.orientation = f.orientation;
    bytes = static_cast<size_t>(f.width) * f.height * layout.bytes_per_sample * 3 / 2;
    count = std::min(ColdSets(options, bytes, 2), 24);
  }
  PreprocessSpec spec =
      PlainSpec(options.small ? 32 : 224, f.patch, Fit::kCrop, Interpolation::kBicubic);
  const int64_t grid = spec.size / spec.patch, cols = int64_t{3} * spec.patch * spec.patch;
  state->memory = Check(backend.Allocate(size_t(grid * grid * cols) * sizeof(float)));
  state->out = {state->memory->data(), backend.compute_type(), grid * grid, cols, cols};
  Operation op;
  op.sets = static_cast<int>(state->frames.size());
  op.run = [&backend, state, spec](int i) {
    CLIPTAG_RETURN_IF_ERROR(
        backend.Preprocess({&state->frames[static_cast<size_t>(i)].view, 1}, spec, state->out));
    return backend.Sync();
  };
  return op;
}

}  // namespace

std::vector<Case> PreprocessCases(const Options& options, Backend& backend) {
  const std::span<const Frames> frames =
      options.small ? std::span<const Frames>(kSmall) : std::span<const Frames>(kFrames);
  std::vector<Case> cases;
  for (const Frames& f : frames) {
    const std::string name = std::string("preprocess/") + f.layout + "/" + std::to_string(f.width) +
                             "x" + std::to_string(f.height) + "/patch" + std::to_string(f.patch) +
                             (f.orientation == kUp ? "" : "/side");
    cases.push_back({name, [&options, &backend, f] { return Make(options, backend, f); }});
  }
  return cases;
}

}  // namespace cliptag::bench
