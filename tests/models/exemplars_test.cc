// Exemplar pictures: found, decoded, and made into prototypes, on embeddings made by hand.
#include "models/prompts/exemplars.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "tests/models/model_test.h"

namespace cliptag {
namespace {

using Strings = std::vector<std::string>;

PromptSpec SpecOf(const std::string& images, const std::string& more = "") {
  return Must(
      ParsePromptsFile(R"({"tags": [{"label": "mine", "images": )" + images + more + "}]}", "p"));
}

class FindExemplarsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_.File("fork/old.png"));  // a folder of that name
    for (const char* name : {"fork/b.JPG", "fork/a.png", "fork/c.webp", "fork/d.bmp", "fork/e.jpeg",
                             "fork/notes.txt", "fork/.a.png", "one.dat"}) {
      dir_.Write(name, "x");
    }
  }
  TempDir dir_;
};

TEST_F(FindExemplarsTest, FilesAndFoldersFromThePromptsFilesFolder) {
  PromptSpec spec = SpecOf(R"(["one.dat", "fork/"])");
  ASSERT_TRUE(FindExemplars(dir_.path(), &spec).ok());
  EXPECT_EQ(spec.tags[0].images,
            (Strings{dir_.File("one.dat"), dir_.File("fork/a.png"), dir_.File("fork/b.JPG"),
                     dir_.File("fork/c.webp"), dir_.File("fork/d.bmp"), dir_.File("fork/e.jpeg")}));
  spec = SpecOf("\"" + dir_.File("one.dat") + "\"");
  ASSERT_TRUE(FindExemplars("/elsewhere", &spec).ok()) << "an absolute path stays itself";
  EXPECT_EQ(spec.tags[0].images, (Strings{dir_.File("one.dat")}));
  dir_.Write("p.json", R"({"tags": [{"label": "mine", "images": "fork"}]})");
  spec = Must(ReadPromptsFile(dir_.File("p.json")));
  EXPECT_EQ(spec.tags[0].images.size(), 5u);
  EXPECT_TRUE(spec.tags[0].prompts.empty()) << "pictures alone";
}

TEST_F(FindExemplarsTest, ErrorsNameTheTagAndThePicture) {
  const auto find = [&](const std::string& images) {
    PromptSpec spec = SpecOf(images);
    return FindExemplars(dir_.path(), &spec);
  };
  ExpectError(find("\"none.jpg\""), StatusCode::kNotFound, {"'none.jpg'", "'mine'", dir_.path()});
  std::filesystem::create_directory(dir_.File("empty"));
  dir_.Write("empty/readme", "x");
  ExpectError(find("\"empty\""), StatusCode::kNotFound, {"'empty'", "'mine'", "no picture"});
  ExpectError(find("\"/dev/null\""), StatusCode::kInvalidArgument, {"/dev/null", "'mine'"});
}

TEST(ExemplarsFileTest, NegativesNeedPrompts) {
  ExpectError(ParsePromptsFile(R"({"tags": [{"label": "mine", "images": "a.png",
 "negative": ["a car"]}]})",
                               "p.json"),
              StatusCode::kInvalidArgument, {"p.json:2:2", "negative", "prompts"});
  const PromptSpec spec = SpecOf("\"a.png\"", R"(, "prompts": "x", "negative": "y")");
  EXPECT_EQ(spec.tags[0].prompts, (Strings{"x"}));
}

TEST(DecodeExemplarsTest, ErrorsNameTheTagAndTheReason) {
  PromptSpec spec = SpecOf("\"/pictures/a.jpg\"");
  const auto decode = [](const std::string& path) -> Result<ExemplarPicture> {
    return DataLoss("'" + path + "' is broken");
  };
  ExpectError(DecodeExemplars(decode, &spec), StatusCode::kDataLoss,
              {"/pictures/a.jpg", "'mine'", "is broken."});
}

TEST(PictureFromTest, LargePicturesAreAveragedDown) {
  constexpr int kWidth = 1600, kHeight = 1100;  // by 2
  std::vector<uint8_t> bgr(size_t{3} * kWidth * kHeight);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      uint8_t* p = &bgr[size_t{3} * (y * kWidth + x)];
      p[0] = static_cast<uint8_t>(x % 2 * 100);
      p[1] = static_cast<uint8_t>(y / 8);
      p[2] = static_cast<uint8_t>(x / 8);
    }
  }
  const ExemplarPicture picture =
      PictureFrom(RgbView(bgr.data(), 3 * kWidth, kWidth, kHeight, RgbOrder::kBgr));
  ASSERT_EQ(picture.width, 800);
  ASSERT_EQ(picture.height, 550);
  const uint8_t* p = &picture.rgb[size_t{3} * (400 * 800 + 600)];
  EXPECT_EQ(p[0], 150);
  EXPECT_EQ(p[1], 100);
  EXPECT_EQ(p[2], 50);
  const ExemplarPicture small =
      PictureFrom(RgbView(bgr.data(), 3 * kWidth, 700, 1000, RgbOrder::kBgr));
  EXPECT_EQ(small.width, 700);
  EXPECT_EQ(small.rgb[3 * 699], 699 / 8);
}

// The embedding of a picture one pixel wide points where its three samples do; that of any other
// picture points along the third axis.
Status FakeEncode(std::span<const FrameView> views, float* rows) {
  for (const FrameView& view : views) {
    double v[3] = {0, 0, 1};
    if (view.width == 1) {
      for (int c = 0; c < 3; ++c) v[c] = view.component[c].data[0] - 128.0;
    }
    const double length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (double x : v) *rows++ = static_cast<float>(x / length);
  }
  return {};
}

// A spec whose tags have pictures of the samples given.
PromptSpec Pictured(const std::vector<std::vector<std::array<uint8_t, 3>>>& tags) {
  PromptSpec spec;
  for (const auto& pictures : tags) {
    TagSpec tag;
    tag.label = "tag " + std::to_string(spec.tags.size());
    for (const auto& samples : pictures) {
      tag.images.push_back("x.png");
      tag.pictures.push_back(std::make_shared<const ExemplarPicture>(
          ExemplarPicture{1, 1, std::vector<uint8_t>(samples.begin(), samples.end())}));
    }
    spec.tags.push_back(tag);
  }
  return spec;
}

double Level(const Prototype& prototype, double cosine) {
  return (cosine - prototype.midpoint) * prototype.scale;
}

TEST(PrototypesTest, LevelsAreThoseOfTheFormula) {
  // Two pictures 60 degrees apart: each is cos 60 from the other, and the prototype lies between.
  // The built-in ones lie at a right angle to it.
  const auto prototypes =
      Must(BuildPrototypes(Pictured({{{228, 128, 128}, {178, 215, 128}}}), 3, FakeEncode));
  ASSERT_EQ(prototypes.size(), 1u);
  const double p = 50 / std::sqrt(50.0 * 50 + 87 * 87), u = 0;
  EXPECT_NEAR(prototypes[0].row[0], std::cos(std::acos(p) / 2), 1e-5);
  EXPECT_NEAR(prototypes[0].row[2], 0, 1e-6);
  EXPECT_NEAR(prototypes[0].midpoint, (p + u) / 2, 1e-5);
  EXPECT_NEAR(Level(prototypes[0], p), 3, 1e-4);
  EXPECT_NEAR(Level(prototypes[0], u), -3, 1e-4);
}

TEST(PrototypesTest, OnePictureAloneAndDuplicates) {
  for (const int copies : {1, 4}) {
    const auto prototypes = Must(BuildPrototypes(
        Pictured({std::vector<std::array<uint8_t, 3>>(copies, {228, 128, 228})}), 3, FakeEncode));
    const double u = std::sqrt(0.5);
    const double p = copies == 1 ? (1 + u) / 2 : 1;
    EXPECT_NEAR(prototypes[0].midpoint, (p + u) / 2, 1e-5) << copies;
    EXPECT_NEAR(Level(prototypes[0], p), 3, 1e-3) << copies;
  }
}

TEST(PrototypesTest, OtherTagsCountWhereTheyAreNearer) {
  // The second tag's pictures are at 45 degrees to the first's; the built-in ones at 90.
  const auto prototypes = Must(BuildPrototypes(
      Pictured({{{228, 128, 128}, {228, 128, 128}}, {}, {{228, 228, 128}}}), 3, FakeEncode));
  EXPECT_TRUE(prototypes[1].row.empty());
  EXPECT_NEAR(Level(prototypes[0], std::sqrt(0.5)), -3, 1e-3);
  EXPECT_NEAR(Level(prototypes[0], 1), 3, 1e-3);
}

TEST(PrototypesTest, WhatIsNoMoreAlikeThanOthersStaysFinite) {
  // Both tags have the same picture, and the built-in ones are the same, too.
  const auto prototypes = Must(BuildPrototypes(
      Pictured({{{128, 128, 228}, {128, 128, 228}}, {{128, 128, 228}}}), 3, FakeEncode));
  for (const Prototype& prototype : prototypes) {
    EXPECT_NEAR(prototype.scale, 150, 1e-6);
    EXPECT_NEAR(Level(prototype, 1), 3, 1e-3);
  }
  ExpectError(BuildPrototypes(Pictured({{{228, 128, 128}, {28, 128, 128}}}), 3, FakeEncode),
              StatusCode::kInvalidArgument, {"'tag 0'", "cancel"});
}

TEST(PrototypesTest, WhatGoesWrongIsToldAndNothingIsEncodedForNothing) {
  const auto fail = [](std::span<const FrameView>, float*) -> Status {
    return Internal("No encoder.");
  };
  EXPECT_EQ(Must(BuildPrototypes(Pictured({{}}), 3, fail)).size(), 1u);
  ExpectError(BuildPrototypes(Pictured({{{1, 2, 3}}}), 3, fail), StatusCode::kInternal,
              {"No encoder"});
  ExpectError(BuildPrototypes(Pictured({{{1, 2, 3}}}), 3, nullptr), StatusCode::kInternal, {});
  const auto nan = [](std::span<const FrameView> views, float* rows) -> Status {
    std::fill_n(rows, 3 * views.size(), std::nanf(""));
    return {};
  };
  ExpectError(BuildPrototypes(Pictured({{{1, 2, 3}}}), 3, nan), StatusCode::kInternal, {"NaN"});
}

TEST(ExemplarBankTest, RowsOfWordsOfPicturesAndOfBoth) {
  PromptSpec spec = Pictured({{{228, 128, 128}}, {{128, 228, 128}}, {}});
  spec.tags[1].prompts = {"said"};
  spec.tags[1].negatives = {"not"};
  spec.background = {"bg"};
  const auto words = [](std::span<const std::string> texts, float* rows, Strings*) -> Status {
    for (size_t i = 0; i < texts.size(); ++i)
      rows[3 * i] = rows[3 * i + 1] = 0, rows[3 * i + 2] = 1;
    return {};
  };
  EXPECT_EQ(CountTexts(spec), 4u) << "said, not, the third tag's label, and bg";
  const auto bank = Must(BuildPromptBank(spec, 3, words, FakeEncode));
  ASSERT_EQ(bank->row_count(), 6) << "three tags, bg, not, and the second's prototype";
  EXPECT_FLOAT_EQ(bank->row(0)[0], 1) << "the prototype in the place of words";
  EXPECT_FLOAT_EQ(bank->row(1)[2], 1);
  EXPECT_FLOAT_EQ(bank->row(5)[1], 1);
  ASSERT_EQ(bank->exemplars.size(), 3u);
  EXPECT_TRUE(bank->exemplars[0].alone);
  EXPECT_EQ(bank->exemplars[0].row, 0);
  EXPECT_FALSE(bank->exemplars[1].alone);
  EXPECT_EQ(bank->exemplars[1].row, 5);
  EXPECT_EQ(bank->exemplars[2].row, -1);
  EXPECT_EQ(bank->spec.tags[2].prompts, (Strings{"tag 2"}));
  for (const TagSpec& tag : bank->spec.tags) EXPECT_TRUE(tag.pictures.empty()) << "not kept";
  spec.tags[0].pictures.clear();
  ExpectError(BuildPromptBank(spec, 3, words, FakeEncode), StatusCode::kInternal,
              {"'tag 0'", "decoded"});
}

}  // namespace
}  // namespace cliptag
