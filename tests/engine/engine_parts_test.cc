// Tiles, objects and still frames on one engine with the real starter model.
#include <cmath>
#include <map>

#include "plugin/engine/frame_parts.h"
#include "tests/engine/streams_fixture.h"

namespace cliptag::test {
namespace {

TEST_F(StreamsTest, TilesReportTheBestOneAndItsPlace) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes; dog");
  stream->SetPolicy({.scoring = Scoring::kCosine, .top_k = 0});
  InferenceRequest request = Request(3);
  request.tiles = true;
  request.tile_rows = 1;
  const InferenceResult result = Ask(*stream, std::move(request));
  ASSERT_TRUE(result.status.ok()) << result.status.message();
  EXPECT_TRUE(result.embedding.empty());
  ASSERT_EQ(result.tags.size(), 3u);

  // The same by hand, a crop at a time.
  const std::vector<Rect> tiles = TilesOf({0, 0, kWidth, kHeight}, 1);
  ASSERT_GT(tiles.size(), 1u);
  std::map<std::string, double> best;
  std::map<std::string, Rect> place;
  for (const Rect& tile : tiles) {
    InferenceRequest one = Request(4);
    one.frame.crop = tile;
    const InferenceResult answer = Ask(*stream, std::move(one));
    for (const Tag& tag : answer.tags) {
      EXPECT_EQ(tag.region.width, 0);
      if (best.contains(tag.label) && best[tag.label] >= tag.score) continue;
      best[tag.label] = tag.score;
      place[tag.label] = tile;
    }
  }
  for (const Tag& tag : result.tags) {
    EXPECT_NEAR(tag.score, best[tag.label], 1e-5) << tag.label;
    EXPECT_NEAR(tag.cosine, 2 * best[tag.label] - 1, 1e-5);
    EXPECT_EQ(tag.region, place[tag.label]) << tag.label;
  }
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == 2 * tiles.size(); }));
}

TEST_F(StreamsTest, TilesAndObjectsOfOneFrame) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes");
  stream->SetPolicy({.scoring = Scoring::kCosine, .top_k = 0});
  const std::vector<Rect> tiles = TilesOf({0, 0, kWidth, kHeight}, 1);
  Inbox inbox;
  // Of the second frame nothing is encoded: it is still, and its object has not moved.
  for (uint64_t n = 0; n < 2; ++n) {
    InferenceRequest request = Request(inbox, n);
    request.tiles = true;
    request.tile_rows = 1;
    request.regions = Regions::kBoth;
    request.still = n == 1;
    request.objects = {{{100, 5, 40, 60}, 2}};
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(2));
  for (const InferenceResult& result : inbox.Take()) {
    ASSERT_TRUE(result.status.ok()) << result.status.message();
    ASSERT_EQ(result.tags.size(), 4u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_FALSE(result.tags[i].of_object);
      EXPECT_NE(std::find(tiles.begin(), tiles.end(), result.tags[i].region), tiles.end());
      EXPECT_TRUE(result.tags[2 + i].of_object);
      EXPECT_EQ(result.tags[2 + i].region, (Rect{100, 5, 40, 60}));
    }
  }
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == tiles.size() + 1; }));
}

TEST_F(StreamsTest, MoreTilesThanABatchHolds) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes");
  Inbox inbox;
  for (uint64_t n = 0; n < 5; ++n) {
    InferenceRequest request = Request(inbox, n);
    if (n % 2 == 0) {
      request.tiles = true;
      request.tile_rows = 3;
    }
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(5));
  const auto results = inbox.Take();
  for (size_t n = 0; n < 5; ++n) {
    EXPECT_EQ(results[n].frame_number, n);
    EXPECT_TRUE(results[n].status.ok());
    EXPECT_EQ(results[n].tags.size(), 2u);
  }
}

TEST_F(StreamsTest, ObjectsHaveTagsOfTheirOwnAndAreEncodedOnce) {
  auto stream = engine().OpenStream();
  Set(*stream, "red; stripes");
  stream->SetPolicy({.scoring = Scoring::kCosine, .top_k = 0});
  Inbox inbox;
  for (uint64_t n = 0; n < 6; ++n) {
    InferenceRequest request = Request(inbox, n);
    request.regions = Regions::kBoth;
    request.objects = {{{5, 5, 40, 40}, 1}, {{100, 5, 40, 60}, 2}};
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(6));
  const auto results = inbox.Take();
  for (const InferenceResult& result : results) {
    ASSERT_TRUE(result.status.ok()) << result.status.message();
    ASSERT_EQ(result.tags.size(), 6u);
    EXPECT_FALSE(result.embedding.empty()) << "the frame's";
    for (size_t i = 2; i < 6; ++i) {
      EXPECT_TRUE(result.tags[i].of_object);
      EXPECT_EQ(result.tags[i].id, i < 4 ? 1 : 2);
      EXPECT_EQ(result.tags[i].region, i < 4 ? (Rect{5, 5, 40, 40}) : (Rect{100, 5, 40, 60}));
    }
    // From the first frame's embedding, by the same prompts.
    for (size_t i = 2; i < 6; ++i) {
      const auto same =
          std::find_if(results[0].tags.begin() + 2, results[0].tags.end(), [&](const Tag& tag) {
            return tag.id == result.tags[i].id && tag.label == result.tags[i].label;
          });
      ASSERT_NE(same, results[0].tags.end());
      EXPECT_NEAR(same->cosine, result.tags[i].cosine, 1e-5);
    }
  }
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == 6 + 2; }));
  EXPECT_TRUE(Eventually([&] { return stream->stats().objects_reused == 10; }));

  // An object's tags are those of the square around it.
  InferenceRequest square = Request(9);
  square.frame.crop = {90, 5, 60, 60};
  const InferenceResult answer = Ask(*stream, std::move(square));
  for (const Tag& tag : answer.tags) {
    for (size_t i = 4; i < 6; ++i) {
      if (results[0].tags[i].label != tag.label) continue;
      EXPECT_NEAR(results[0].tags[i].cosine, tag.cosine, 1e-4);
    }
  }
}

// A frame that shows what the one before it did is not encoded, but time goes on.
TEST_F(StreamsTest, OnAStillPictureTimeGoesOnAndNewPromptsApply) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  stream->SetPolicy({.scoring = Scoring::kCosine, .threshold = 0, .min_duration_ns = 100'000'000});
  const auto infer = [&](uint64_t n, bool still, Fit fit = Fit::kModel) {
    InferenceRequest request = Request(n);
    request.still = still;
    request.fit = fit;
    return Ask(*stream, std::move(request));
  };
  const InferenceResult first = infer(0, true);
  EXPECT_FALSE(first.still) << "there is nothing that could stand";
  EXPECT_FALSE(first.tags[0].active);
  for (uint64_t n = 1; n < 6; ++n) {
    const InferenceResult result = infer(n, true);
    EXPECT_TRUE(result.still);
    ASSERT_EQ(result.tags.size(), 1u);
    EXPECT_NEAR(result.tags[0].cosine, first.tags[0].cosine, 1e-6);
    EXPECT_EQ(result.tags[0].active, n >= 3) << n;
    EXPECT_EQ(result.events.size(), n == 3 ? 1u : 0u) << n;
    EXPECT_EQ(result.embedding, first.embedding);
  }
  Set(*stream, "stripes; red");
  const InferenceResult other = infer(6, true);
  EXPECT_TRUE(other.still);
  EXPECT_EQ(other.tags.size(), 2u);
  EXPECT_TRUE(Eventually([&] { return stream->stats().inferred == 1; }));
  EXPECT_EQ(stream->stats().pictures, 1u);
  EXPECT_EQ(stream->stats().submitted, 1u);
  EXPECT_FALSE(infer(7, true, Fit::kSquash).still) << "that part of it was never seen";
  EXPECT_TRUE(Eventually([&] { return stream->stats().pictures == 2; }));
  stream->Flush();
  EXPECT_FALSE(infer(8, true, Fit::kSquash).still);
}

TEST_F(StreamsTest, OnAStillPictureObjectsThatAreNewOrMovedAreLookedAt) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  const auto infer = [&](uint64_t n, std::vector<ObjectRegion> objects) {
    InferenceRequest request = Request(n);
    request.regions = Regions::kBoth;
    request.objects = std::move(objects);
    request.still = n > 0;
    return Ask(*stream, std::move(request));
  };
  const auto pictures = [&](uint64_t n) {
    return Eventually([&] { return stream->stats().pictures == n; });
  };
  const ObjectRegion one{{5, 5, 40, 40}, 1}, two{{100, 5, 40, 60}, 2}, moved{{60, 5, 40, 60}, 2};
  EXPECT_EQ(infer(0, {one}).tags.size(), 2u);
  EXPECT_TRUE(infer(1, {one}).still);
  EXPECT_TRUE(infer(80, {one}).still) << "on a still picture no embedding ages";
  EXPECT_TRUE(pictures(2));
  const InferenceResult with_two = infer(81, {one, two});
  EXPECT_FALSE(with_two.still);
  EXPECT_EQ(with_two.tags.size(), 3u);
  EXPECT_TRUE(pictures(3));
  EXPECT_TRUE(infer(82, {two, one}).still);
  EXPECT_FALSE(infer(83, {one, moved}).still);
  EXPECT_TRUE(pictures(4));
  const InferenceResult gone = infer(84, {one});
  EXPECT_FALSE(gone.still) << "there is something to tell";
  EXPECT_EQ(gone.tags.size(), 2u);
  EXPECT_TRUE(infer(85, {one}).still);
  EXPECT_TRUE(pictures(4));
}

TEST_F(StreamsTest, AStillFrameNeverTakesThePlaceOfOneToBeLookedAt) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  Inbox inbox;
  const auto submit = [&](uint64_t n, bool still) {
    InferenceRequest request = Request(inbox, n, 60'000'000'000);
    request.replace = true;
    request.still = still;
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  };
  submit(0, false);
  submit(1, true);
  ASSERT_TRUE(inbox.WaitFor(1));
  const auto cancelled = inbox.Take();
  EXPECT_EQ(cancelled[0].frame_number, 1u);
  EXPECT_EQ(cancelled[0].status.code(), StatusCode::kCancelled);
  submit(2, false);
  stream->Hurry();
  ASSERT_TRUE(inbox.WaitFor(2));
  auto results = inbox.Take();
  EXPECT_EQ(results[0].frame_number, 0u);
  EXPECT_EQ(results[1].frame_number, 2u);
  EXPECT_TRUE(results[1].status.ok());
}

TEST_F(StreamsTest, NewPromptsAreAppliedToObjectsThatAreNotEncodedAgain) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  const auto infer = [&](uint64_t n) {
    InferenceRequest request = Request(n);
    request.regions = Regions::kObjects;
    request.objects = {{{5, 5, 40, 40}, 1}};
    return Ask(*stream, std::move(request));
  };
  EXPECT_EQ(infer(0).tags.size(), 1u);
  Set(*stream, "stripes; dog");
  const InferenceResult result = infer(1);
  ASSERT_EQ(result.tags.size(), 2u);
  EXPECT_NE(result.tags[0].label, "red");
  EXPECT_TRUE(result.embedding.empty());
  EXPECT_TRUE(Eventually([&] { return stream->stats().objects_reused == 1; }));
  EXPECT_EQ(stream->stats().pictures, 1u);
}

TEST_F(StreamsTest, AFrameWithoutObjectsIsAnsweredInItsTurn) {
  auto stream = engine().OpenStream();
  Set(*stream, "red");
  Inbox inbox;
  for (uint64_t n = 0; n < 40; ++n) {
    InferenceRequest request = Request(inbox, n);
    request.regions = n % 3 == 0 ? Regions::kFrame : Regions::kObjects;
    if (n % 3 == 1)
      request.objects = {{{5, 5, 40, 40}, static_cast<int64_t>(n)}, {{50, 5, 40, 40}, 500}};
    ASSERT_TRUE(stream->Submit(std::move(request)).ok());
  }
  ASSERT_TRUE(inbox.WaitFor(40));
  const auto results = inbox.Take();
  for (uint64_t n = 0; n < 40; ++n) {
    EXPECT_EQ(results[n].frame_number, n);
    EXPECT_TRUE(results[n].status.ok());
    EXPECT_EQ(results[n].tags.empty(), n % 3 == 2);
  }
}

}  // namespace
}  // namespace cliptag::test
