// The whole way from a photo's file to the model's picture, against what PIL and torchvision made
// of it (tests/data/goldens/preprocess).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

TEST(PhotoGoldens, EveryPhotoIsPils) {
  const fs::path data = std::getenv("CLIPTAG_DATA");
  const fs::path goldens = data / "goldens/preprocess", photos = data / "photos";
  std::ifstream file(goldens / "index.json");
  const nlohmann::json index = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(index.is_array() && !index.empty());
  CpuPreprocessor cpu(nullptr);
  for (const auto& entry : index) {
    const std::string photo = entry["image"], mode = entry["mode"], expected = entry["expected"];
    const int size = entry["size"];
    SCOPED_TRACE(expected);
    // Colours as stored; OpenCV has them as B, G, R.
    const int flags = cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION;
    const cv::Mat picture = cv::imread((photos / photo).string(), flags);
    const cv::Mat want = cv::imread((goldens / expected).string(), flags);
    ASSERT_FALSE(picture.empty());
    ASSERT_EQ(want.cols, size);
    ASSERT_EQ(want.rows, size);
    const FrameView view = RgbView(picture.data, static_cast<ptrdiff_t>(picture.step), picture.cols,
                                   picture.rows, RgbOrder::kBgr);
    const PreprocessSpec spec = PlainSpec(size, size, mode == "squash" ? Fit::kSquash : Fit::kCrop,
                                          Interpolation::kBicubic);
    const int64_t pixels = int64_t{size} * size;
    std::vector<float> out(3 * pixels, NAN);
    const Status status =
        cpu.Run({&view, 1}, spec, {out.data(), DType::kF32, 1, 3 * pixels, 3 * pixels});
    ASSERT_TRUE(status.ok()) << status.message();

    int64_t different = 0, far = 0;
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; ++i) {
      const uint8_t* bgr = want.ptr(static_cast<int>(i / size)) + 3 * (i % size);
      for (int c = 0; c < 3; ++c) {
        const double d = std::abs(255.0 * out[c * pixels + i] - bgr[2 - c]);
        sum += d;
        if (!(d < 0.5)) ++different;
        if (!(d <= 4.0)) ++far;
      }
    }
    // A JPEG decoder may round otherwise than PIL's; a PNG has one reading.
    if (fs::path(photo).extension() == ".png") {
      EXPECT_EQ(different, 0);
    } else {
      EXPECT_LE(sum / (3.0 * pixels), 0.6);
      EXPECT_LE(far, 3 * pixels / 1000);
    }
    RecordProperty(expected, std::to_string(different));
  }
}

}  // namespace
}  // namespace cliptag
