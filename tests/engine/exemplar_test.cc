// Exemplar pictures through the engine with the starter model: drawings as prompts tell drawings
// apart that they have not seen, and frames are served while many are encoded.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

#include "plugin/engine/engine.h"
#include "tests/engine/drawings.h"

namespace cliptag {
namespace {

constexpr Thing kThings[] = {Thing::kFace, Thing::kStar, Thing::kHeart, Thing::kClock};
const char* const kNames[] = {"face", "star", "heart", "clock"};

class ExemplarTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto engine =
        Engine::Create({.backend = {.precision = Precision::kFp32, .threads = 2}, .max_batch = 4});
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = engine.Take();
    stream_ = engine_->OpenStream();
    stream_->SetPolicy({.threshold = 0.5, .top_k = 0});
  }

  // A thing somewhere on some ground, or the ground alone.
  static Drawing Any(std::optional<Thing> thing, std::mt19937* random) {
    const auto uniform = [&](double low, double high) {
      return low + (high - low) * ((*random)() / 4294967296.0);
    };
    const auto colour = [&] { return Rgb{uniform(60, 200), uniform(60, 200), uniform(60, 200)}; };
    const Rgb top = colour(), bottom = colour();
    Drawing drawing(top, bottom);
    const Placement at{uniform(0.45, 0.55), uniform(0.45, 0.55), uniform(0.3, 0.42), 1};
    if (thing) drawing.Draw(*thing, at);
    drawing.Disturb(random, 8, 0);
    return drawing;
  }

  static TagSpec Tag(int which, int count, std::mt19937* random) {
    TagSpec tag;
    tag.label = kNames[which];
    for (int i = 0; i < count; ++i) {
      auto picture = std::make_shared<ExemplarPicture>();
      const FrameView view = Any(kThings[which], random).View(&picture->rgb);
      picture->width = view.width;
      picture->height = view.height;
      tag.images.push_back(tag.label + ".png");
      tag.pictures.push_back(std::move(picture));
    }
    return tag;
  }

  Status Set(PromptSpec spec) {
    std::promise<Status> told;
    stream_->SetPrompts(std::move(spec), [&](Status status, auto) { told.set_value(status); });
    return told.get_future().get();
  }

  std::vector<cliptag::Tag> Look(const Drawing& drawing) {
    std::vector<uint8_t> pixels;
    std::promise<InferenceResult> told;
    InferenceRequest request;
    request.frame = drawing.View(&pixels);
    request.batch_timeout_ns = 0;
    request.done = [&](InferenceResult result) { told.set_value(std::move(result)); };
    EXPECT_TRUE(stream_->Submit(std::move(request)).ok());
    InferenceResult result = told.get_future().get();
    EXPECT_TRUE(result.status.ok()) << result.status.message();
    return result.tags;
  }

  static double ScoreOf(const std::vector<cliptag::Tag>& tags, const std::string& label) {
    for (const auto& tag : tags) {
      if (tag.label == label) return tag.score;
    }
    ADD_FAILURE() << "no tag " << label;
    return 0;
  }

  // Shares of drawings that were not exemplars: of the thing and scored above one half, and of
  // another thing or nothing and scored below.
  std::pair<double, double> Separation(const std::vector<int>& tags, std::mt19937* random) {
    constexpr int kRounds = 10;
    int right = 0, wrong = 0, rights = 0, wrongs = 0;
    for (int round = 0; round < kRounds; ++round) {
      for (int shown = 0; shown <= 4; ++shown) {
        const auto scored =
            Look(Any(shown < 4 ? std::optional(kThings[shown]) : std::nullopt, random));
        for (const int tag : tags) {
          const double score = ScoreOf(scored, kNames[tag]);
          (tag == shown ? right : wrong) += tag == shown ? score > 0.5 : score < 0.5;
          ++(tag == shown ? rights : wrongs);
        }
      }
    }
    return {static_cast<double>(right) / rights, static_cast<double>(wrong) / wrongs};
  }

  std::shared_ptr<Engine> engine_;
  std::unique_ptr<EngineStream> stream_;
};

TEST_F(ExemplarTest, PicturesAloneTellDrawingsApart) {
  std::mt19937 random(3);
  PromptSpec spec;
  for (int i = 0; i < 4; ++i) spec.tags.push_back(Tag(i, 5, &random));
  ASSERT_TRUE(Set(spec).ok());
  const auto [right, wrong] = Separation({0, 1, 2, 3}, &random);
  EXPECT_GE(right, 0.95);
  EXPECT_GE(wrong, 0.95);
}

TEST_F(ExemplarTest, ATagWithoutOthersToCompareItWith) {
  for (int tag = 0; tag < 4; ++tag) {
    std::mt19937 random(tag);
    PromptSpec spec;
    spec.tags = {Tag(tag, 5, &random)};
    ASSERT_TRUE(Set(spec).ok());
    const auto [right, wrong] = Separation({tag}, &random);
    EXPECT_GE(right, 0.9) << kNames[tag];
    EXPECT_GE(wrong, 0.9) << kNames[tag];
  }
}

TEST_F(ExemplarTest, OnePictureAndCopiesOfIt) {
  for (const size_t copies : {1, 3}) {
    std::mt19937 random(5);
    PromptSpec spec;
    spec.tags = {Tag(0, 1, &random), Tag(1, 1, &random)};
    for (TagSpec& tag : spec.tags) {
      tag.images.resize(copies, tag.images[0]);
      tag.pictures.resize(copies, tag.pictures[0]);
    }
    ASSERT_TRUE(Set(spec).ok());
    const auto [right, wrong] = Separation({0, 1}, &random);
    EXPECT_GE(wrong, 0.95) << copies;
    EXPECT_GE(right, 0.5) << copies;
  }
}

TEST_F(ExemplarTest, WordsBesidePictures) {
  std::mt19937 random(8);
  PromptSpec spec;
  spec.tags = {Tag(0, 3, &random), Tag(1, 3, &random), {.label = "clock", .prompts = {"clock"}}};
  spec.tags[0].prompts = {"smiling face"};
  spec.tags[1].prompts = {"star"};
  spec.templates = {"an emoji of a {}."};
  ASSERT_TRUE(Set(spec).ok());
  const auto [right, wrong] = Separation({0, 1}, &random);
  EXPECT_GE(right, 0.95);
  EXPECT_GE(wrong, 0.95);
}

TEST_F(ExemplarTest, FramesAreServedWhileManyPicturesAreEncoded) {
  std::mt19937 random(1);
  PromptSpec spec;
  spec.tags = {Tag(0, 1, &random)};
  ASSERT_TRUE(Set(spec).ok());
  spec.tags[0].images.resize(400, spec.tags[0].images[0]);
  spec.tags[0].pictures.resize(400, spec.tags[0].pictures[0]);
  std::promise<Status> told;
  std::atomic<bool> done{false};
  stream_->SetPrompts(spec, [&](Status status, auto) {
    done = true;
    told.set_value(status);
  });
  int served = 0;
  while (!done) {
    Look(Any(Thing::kFace, &random));
    served += !done;
  }
  EXPECT_TRUE(told.get_future().get().ok());
  EXPECT_GE(served, 5);
}

TEST_F(ExemplarTest, PicturesThatWereNotDecodedLeaveTheOldPrompts) {
  std::mt19937 random(1);
  PromptSpec spec;
  spec.tags = {Tag(0, 1, &random)};
  ASSERT_TRUE(Set(spec).ok());
  PromptSpec bad;
  bad.tags = {{.label = "mine", .images = {"a.png"}}};
  const Status status = Set(bad);
  EXPECT_NE(status.message().find("'mine'"), std::string::npos) << status.message();
  EXPECT_EQ(Look(Any(Thing::kFace, &random)).at(0).label, "face");
}

}  // namespace
}  // namespace cliptag
