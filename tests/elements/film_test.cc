// Films of drawings through the built plugin with the starter model: edges over time, and pictures
// as prompts.
#include <cmath>
#include <filesystem>
#include <optional>

#include "tests/elements/run_pipeline.h"
#include "tests/elements/temporary_folder.h"
#include "tests/engine/drawings.h"

static const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new cliptag::test::GstEnvironment());

namespace cliptag::test {
namespace {

constexpr Rgb kTop{150, 170, 190}, kBottom{90, 110, 80};

class FilmTest : public ::testing::Test {
 protected:
  // Ten frames a second of what each span shows (nothing: nullopt).
  struct Span {
    std::optional<Thing> thing;
    int frames;
  };
  void Shoot(const std::vector<Span>& spans) {
    std::string film;
    std::mt19937 random(1);
    for (const Span& span : spans) {
      for (int i = 0; i < span.frames; ++i) {
        Drawing drawing(kTop, kBottom);
        Placement at{0.46 + 0.02 * (i % 4), 0.5, 0.34 + 0.02 * (i % 3)};
        if (span.thing) drawing.Draw(*span.thing, at);
        drawing.Disturb(&random, 5, 0);
        std::vector<uint8_t> pixels;
        drawing.View(&pixels);
        film.append(pixels.begin(), pixels.end());
      }
    }
    folder_.Write("film.rgb", film);
  }
  std::string Film() const {
    const std::string size = std::to_string(Drawing::kSize);
    return "filesrc location=\"" + (folder_ / "film.rgb") +
           "\" ! rawvideoparse format=rgb width=" + size + " height=" + size +
           " framerate=10/1 ! videoconvert ! ";
  }
  // The film with this element in it.
  RunResult Play(const std::string& element) {
    RunResult run = RunPipeline(Film() + element + " ! fakesink");
    EXPECT_TRUE(run.eos) << run.error;
    EXPECT_TRUE(run.warnings.empty());
    return run;
  }
  // What is on the film, as pictures in a folder.
  void Pictures(const std::string& folder) {
    std::filesystem::create_directory(folder_ / folder);
    const RunResult run = RunPipeline(Film() + "pngenc ! multifilesink location=\"" +
                                      (folder_ / folder) + "/%d.png\"");
    ASSERT_TRUE(run.eos) << run.error;
  }
  TemporaryFolder folder_;
};

class EdgesTest : public FilmTest {
 protected:
  void SetUp() override {
    // A flash of 0.3 s, and a span of 2 s from 2.3 s on.
    Shoot({{std::nullopt, 10},
           {Thing::kFace, 3},
           {std::nullopt, 10},
           {Thing::kFace, 20},
           {std::nullopt, 10}});
  }
  const std::string kTag = "cliptag prompts=\"smiling face\" templates=\"an emoji of a {}.\"";
};

TEST_F(EdgesTest, EveryEdgeIsTold) {
  const RunResult run = Play(kTag);
  EXPECT_EQ(run.frames.size(), 53u);
  ASSERT_EQ(run.events.size(), 4u);
  EXPECT_EQ(run.events[0].pts, 1000 * GST_MSECOND);
  EXPECT_EQ(run.events[1].duration, 300 * GST_MSECOND);
  EXPECT_EQ(run.events[2].pts, 2300 * GST_MSECOND);
  EXPECT_EQ(run.events[3].duration, 2000 * GST_MSECOND);
}

TEST_F(EdgesTest, MinDurationLeavesOutTheFlash) {
  for (const char* most : {"1000000000", "1900000000"}) {
    const RunResult run = Play(kTag + " min-duration=" + most);
    ASSERT_EQ(run.events.size(), 2u) << most;
    EXPECT_TRUE(run.events[0].start);
    EXPECT_EQ(run.events[0].pts, 2300 * GST_MSECOND) << "where it reached the threshold";
    EXPECT_FALSE(run.events[1].start);
    EXPECT_EQ(run.events[1].pts, 4300 * GST_MSECOND);
    EXPECT_EQ(run.events[1].duration, 2000 * GST_MSECOND);
  }
  EXPECT_TRUE(Play(kTag + " min-duration=2500000000").events.empty());
}

TEST_F(EdgesTest, TheEndOfTheStreamEndsWhatHasHeldForLongEnough) {
  Shoot({{std::nullopt, 5}, {Thing::kFace, 15}});
  const RunResult run = Play(kTag + " min-duration=1000000000");
  ASSERT_EQ(run.events.size(), 2u);
  EXPECT_EQ(run.events[0].pts, 500 * GST_MSECOND);
  EXPECT_EQ(run.events[1].duration, 1400 * GST_MSECOND);
  EXPECT_TRUE(Play(kTag + " min-duration=1500000000").events.empty());
}

TEST_F(EdgesTest, SmoothingLeavesOutTheFlashAndIsLate) {
  const RunResult run = Play(kTag + " smoothing=500000000");
  ASSERT_EQ(run.events.size(), 2u);
  // 1 - exp(-0.4 / 0.5) is the first above one half.
  EXPECT_NEAR(static_cast<double>(run.events[0].pts), 2.6 * GST_SECOND, 0.11 * GST_SECOND);
  EXPECT_GT(run.events[1].pts, 4300 * GST_MSECOND);
  double largest_step = 0;
  for (size_t i = 1; i < run.frames.size(); ++i) {
    largest_step = std::max(largest_step, std::abs(run.frames[i].score - run.frames[i - 1].score));
  }
  EXPECT_LT(largest_step, 1 - std::exp(-0.2) + 0.01) << "the listed score is the smoothed one";
}

TEST_F(EdgesTest, APromptsFileSaysItPerTag) {
  folder_.Write("prompts.json", R"({"templates": ["an emoji of a {}."], "tags": [
      {"label": "smiling face", "min-duration": 1.5},
      {"label": "face", "prompts": ["smiling face"], "min-duration": 0}]})");
  const RunResult run =
      Play("cliptag prompts-file=\"" + (folder_ / "prompts.json") + "\" min-duration=60000000000");
  int flashes = 0, spans = 0;
  for (const EventResult& event : run.events) {
    if (event.start) ++(event.label == "face" ? flashes : spans);
  }
  EXPECT_EQ(flashes, 2);
  EXPECT_EQ(spans, 1);
}

// Anamorphic video: stored narrower or lower than it is seen.
TEST_F(FilmTest, PixelsThatAreNotSquareAreSeenAsTheyAreShown) {
  Shoot({{Thing::kFace, 2}});
  const std::string tag =
      "cliptag prompts=\"smiling face\" templates=\"an emoji of a {}.\" attach-embedding=true";
  const RunResult square = Play(tag);
  ASSERT_EQ(square.frames.size(), 2u);
  const auto cosine_of = [&](const std::string& caps) {
    const RunResult run = Play("videoscale add-borders=false ! video/x-raw," + caps + " ! " + tag);
    EXPECT_EQ(run.frames.size(), 2u) << caps;
    double sum = 0;
    for (size_t i = 0; i < run.frames.at(0).embedding.size(); ++i)
      sum += run.frames[0].embedding[i] * square.frames[0].embedding[i];
    return sum;
  };
  for (const char* caps :
       {"width=56,height=112,pixel-aspect-ratio=2/1", "width=112,height=56,pixel-aspect-ratio=1/2",
        "width=84,height=112,pixel-aspect-ratio=4/3"}) {
    EXPECT_TRUE(cosine_of(caps) >= 0.97) << caps << ": " << cosine_of(caps);
  }
  // The test can tell: half as wide to the eye, too, it is another picture.
  EXPECT_TRUE(cosine_of("width=56,height=112,pixel-aspect-ratio=1/1") < 0.9);
}

TEST_F(FilmTest, AFolderOfPicturesBecomesATag) {
  Shoot({{Thing::kFace, 5}});
  Pictures("faces");
  Shoot({{Thing::kClock, 5}});
  Pictures("clocks");
  Shoot({{Thing::kClock, 8}, {Thing::kFace, 8}, {std::nullopt, 8}});
  folder_.Write("prompts.json", R"({"tags": [{"label": "mine", "images": "faces"},
                                             {"label": "yours", "images": ["clocks/"]}]})");
  const RunResult run = Play("cliptag prompts-file=\"" + (folder_ / "prompts.json") + "\"");
  ASSERT_EQ(run.frames.size(), 24u);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(run.frames[i].best, i < 8 ? "yours" : "mine") << i;
    EXPECT_GT(run.frames[i].score, 0.5) << i;
  }
  for (int i = 16; i < 24; ++i) EXPECT_LT(run.frames[i].score, 0.5) << i;
  ASSERT_EQ(run.events.size(), 4u);
  EXPECT_EQ(run.events[0].label, "yours");
  EXPECT_EQ(run.events[0].pts, 0u);
}

}  // namespace
}  // namespace cliptag::test
