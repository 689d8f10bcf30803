// Embeddings are the same to the bit whatever they are computed with: alone or in any batch, on any
// number of threads, by a model that is loaded again.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "models/config/find_model.h"
#include "models/load_model.h"

namespace cliptag {
namespace {

constexpr int kPictures = 7, kSide = 150;

std::vector<std::vector<uint8_t>> Pictures() {
  std::mt19937 random(27);
  std::vector<std::vector<uint8_t>> pictures(kPictures);
  for (int i = 0; i < kPictures; ++i) {
    // From flat to noise.
    std::uniform_int_distribution<int> value(0, 1 + 40 * i);
    pictures[i].resize(size_t{3} * kSide * kSide);
    for (uint8_t& sample : pictures[i]) sample = static_cast<uint8_t>(value(random));
  }
  return pictures;
}

const std::vector<std::string> kTexts = {"", "a dog", "a photo of a car on a wet street at night",
                                         "fire", "two people who cross a bridge in the rain"};

struct Embeddings {
  std::vector<float> pictures, texts;
};

// Encoded `batch` at a time by a model that is loaded for it.
Embeddings Encode(Precision precision, int threads, int batch) {
  BackendOptions options{.kind = BackendKind::kCpu, .precision = precision, .threads = threads};
  auto loaded = LoadModel(FindModel("starter").Take(), options,
                          [&](ClipModel& model) { return model.image().Setup(batch); });
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  ClipModel& model = *loaded->model;
  const auto dim = static_cast<size_t>(model.config().embed_dim);
  static const std::vector<std::vector<uint8_t>> pixels = Pictures();
  Embeddings out;
  out.pictures.resize(kPictures * dim);
  for (int first = 0; first < kPictures; first += batch) {
    std::vector<FrameView> views;
    for (int i = first; i < std::min(first + batch, kPictures); ++i)
      views.push_back(RgbView(pixels[i].data(), kSide * 3, kSide, kSide, RgbOrder::kRgb));
    const Status status =
        model.image().Encode(views, model.config().preprocess, out.pictures.data() + first * dim);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  out.texts.resize(kTexts.size() * dim);
  for (size_t first = 0; first < kTexts.size(); first += static_cast<size_t>(batch)) {
    const size_t n = std::min(static_cast<size_t>(batch), kTexts.size() - first);
    const Status status =
        model.EncodeTexts(std::span(kTexts).subspan(first, n), out.texts.data() + first * dim);
    EXPECT_TRUE(status.ok()) << status.message();
  }
  return out;
}

size_t Differing(const std::vector<float>& a, const std::vector<float>& b) {
  size_t differing = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    differing += std::memcmp(&a[i], &b[i], sizeof(float)) == 0 ? 0 : 1;
  return differing;
}

class SameBits : public ::testing::TestWithParam<Precision> {};

TEST_P(SameBits, OverBatchesThreadsAndLoads) {
  const Embeddings wanted = Encode(GetParam(), /*threads=*/1, /*batch=*/1);
  for (const int threads : {1, 2, 3}) {
    for (const int batch : {1, 2, 3, 7}) {
      SCOPED_TRACE(std::to_string(threads) + " threads, batch of " + std::to_string(batch));
      const Embeddings found = Encode(GetParam(), threads, batch);
      EXPECT_EQ(Differing(found.pictures, wanted.pictures), 0u);
      EXPECT_EQ(Differing(found.texts, wanted.texts), 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, SameBits,
                         ::testing::Values(Precision::kFp32, Precision::kBf16, Precision::kInt8),
                         [](const auto& info) { return std::string(ToString(info.param)); });

}  // namespace
}  // namespace cliptag
