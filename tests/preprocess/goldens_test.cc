// The oracle and the CPU against PIL itself: pictures whose results were made by make_goldens.py
// must come out equal, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

std::string DataFolder() {
  const char* data = std::getenv("CLIPTAG_DATA");
  return std::string(data == nullptr ? "tests/data" : data) + "/preprocess/";
}

// `out` (3, size, size) in 0..1 against PIL's (size, size, 3) bytes.
void ExpectBytes(const std::vector<float>& out, const char* bytes, int size, const char* whose) {
  int different = 0;
  for (int i = 0; i < size * size; ++i) {
    for (int c = 0; c < 3; ++c) {
      const float got = out[c * size * size + i] * 255;
      const int want = static_cast<uint8_t>(bytes[3 * i + c]);
      if (!(std::abs(got - want) <= 0.01f) && ++different == 1) {
        ADD_FAILURE() << "channel " << c << " of pixel (" << i % size << ", " << i / size << ") is "
                      << got << " from " << whose << ", " << want << " from PIL";
      }
    }
  }
  EXPECT_EQ(different, 0) << "bytes of " << whose;
}

TEST(PilGoldens, EveryCaseIsEqualBitForBit) {
  std::ifstream index(DataFolder() + "index.txt");
  std::ifstream file(DataFolder() + "pil.bin", std::ios::binary);
  const std::vector<char> pixels{std::istreambuf_iterator<char>(file), {}};
  ASSERT_TRUE(index.is_open() && !pixels.empty()) << "nothing to read in " << DataFolder();

  CpuPreprocessor cpu(nullptr);
  std::string line;
  size_t at = 0;
  int cases = 0;
  while (std::getline(index, line)) {
    SCOPED_TRACE(line);
    std::istringstream fields(line);
    uint32_t seed = 0;
    int width = 0, height = 0, channels = 0, orientation = 0, size = 0;
    Rect crop;
    std::string fit, filter;
    fields >> seed >> width >> height >> channels >> orientation >> crop.x >> crop.y >>
        crop.width >> crop.height >> fit >> filter >> size;
    ASSERT_FALSE(fields.fail());
    const Layout& layout = LayoutNamed(channels == 1 ? "GRAY8" : "RGB");
    TestFrame frame = MakeFrame(layout, width, height, Noise(seed, layout, width));
    frame.view.crop = crop;
    frame.view.orientation = static_cast<Orientation>(orientation);
    PreprocessSpec spec =
        PlainSpec(size, size,
                  fit == "crop"     ? Fit::kCrop
                  : fit == "squash" ? Fit::kSquash
                                    : Fit::kLetterbox,
                  filter == "bicubic" ? Interpolation::kBicubic : Interpolation::kBilinear);
    for (int c = 0; c < 3; ++c)
      spec.fill[c] = (channels == 1 ? 128 : c * 127.5f + c % 2 * 0.5f) / 255;

    // One patch: (3, size, size).
    const std::vector<float> out = RunRef(frame.view, spec);
    ASSERT_LE(at + out.size(), pixels.size());
    std::vector<float> cpu_out(out.size(), NAN);
    const auto values = static_cast<int64_t>(out.size());
    const Status status =
        cpu.Run({&frame.view, 1}, spec, {cpu_out.data(), DType::kF32, 1, values, values});
    ASSERT_TRUE(status.ok()) << status.message();
    ExpectBytes(out, &pixels[at], size, "the oracle");
    ExpectBytes(cpu_out, &pixels[at], size, "the CPU");
    at += out.size();
    ++cases;
  }
  EXPECT_EQ(at, pixels.size());
  EXPECT_EQ(cases, 29);
}

}  // namespace
}  // namespace cliptag
