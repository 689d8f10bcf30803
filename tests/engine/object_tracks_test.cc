// When an object is encoded again, and what becomes of its tags.
#include "plugin/engine/object_tracks.h"

#include <gtest/gtest.h>

namespace cliptag {
namespace {

constexpr Rect kArea{0, 0, 1000, 800};
constexpr uint64_t kSecond = 1'000'000'000;

std::vector<ObjectTracks::Sighting> SeeOne(ObjectTracks& tracks, Rect rect, int64_t id,
                                           uint64_t pts_ns) {
  const ObjectRegion object{rect, id, /*tracked=*/true};
  return tracks.See({&object, 1}, kArea, pts_ns);
}

TEST(ObjectTracks, ATrackIsEncodedOnceWhileItStaysAndIsFresh) {
  ObjectTracks tracks;
  EXPECT_TRUE(SeeOne(tracks, {10, 10, 100, 100}, 5, 0)[0].encode);
  EXPECT_FALSE(SeeOne(tracks, {12, 10, 100, 100}, 5, kSecond / 25)[0].encode);
  EXPECT_TRUE(SeeOne(tracks, {12, 10, 100, 100}, 6, kSecond / 25)[0].encode) << "another track";
  EXPECT_TRUE(SeeOne(tracks, {60, 10, 100, 100}, 5, 2 * kSecond / 25)[0].encode) << "moved";
  EXPECT_FALSE(SeeOne(tracks, {62, 10, 100, 100}, 5, kSecond)[0].encode);
  EXPECT_TRUE(SeeOne(tracks, {62, 10, 100, 100}, 5, 3 * kSecond)[0].encode) << "aged";
  EXPECT_TRUE(SeeOne(tracks, {62, 10, 100, 100}, 5, kSecond / 2)[0].encode) << "time went back";
}

TEST(ObjectTracks, AFailedEmbeddingIsTriedAgain) {
  ObjectTracks tracks;
  auto sighting = SeeOne(tracks, {10, 10, 100, 100}, 5, 0)[0];
  tracks.Encoded(sighting, {});
  EXPECT_EQ(tracks.EmbeddingOf(sighting), nullptr);
  sighting = SeeOne(tracks, {10, 10, 100, 100}, 5, 1)[0];
  EXPECT_TRUE(sighting.encode);
  const std::vector<float> embedding{0.6f, 0.8f};
  tracks.Encoded(sighting, embedding);
  ASSERT_NE(tracks.EmbeddingOf(sighting), nullptr);
  EXPECT_EQ(*tracks.EmbeddingOf(sighting), embedding);
}

TEST(ObjectTracks, ObjectsWithoutAnIdAreFoundAgainByTheirPlace) {
  ObjectTracks tracks;
  const ObjectRegion frame[] = {{{0, 0, 100, 100}, -1}, {{500, 0, 100, 100}, -1}};
  const auto first = tracks.See(frame, kArea, 0);
  const ObjectRegion moved[] = {{{505, 0, 100, 100}, -1}, {{5, 0, 100, 100}, -1}};
  const auto second = tracks.See(moved, kArea, kSecond / 25);
  EXPECT_EQ(second[0].track, first[1].track);
  EXPECT_EQ(second[1].track, first[0].track);
  EXPECT_FALSE(second[0].encode);
  // Two at one place are two.
  const ObjectRegion twins[] = {{{5, 0, 100, 100}, -1}, {{5, 0, 100, 100}, -1}};
  const auto third = tracks.See(twins, kArea, 2 * kSecond / 25);
  EXPECT_NE(third[0].track, third[1].track);
}

// As detectors of DL Streamer do that have no tracker behind them.
TEST(ObjectTracks, ADetectorsNewNumberInEachFrameIsNoNewObject) {
  ObjectTracks tracks;
  for (int n = 0; n < 30; ++n) {
    const ObjectRegion object{{100 + 4 * n, 150, 160, 160}, 4000 + n};
    const auto seen = tracks.See({&object, 1}, kArea, static_cast<uint64_t>(n) * kSecond / 10);
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].track, 0);
    EXPECT_EQ(seen[0].id, 4000) << "what was told first stays";
  }
  EXPECT_EQ(tracks.size(), 1u);
}

TEST(ObjectTracks, ADetectorsNumberThatPersistsFindsWhatHasMoved) {
  ObjectTracks tracks;
  const ObjectRegion here{{0, 0, 50, 50}, 7}, there{{600, 600, 50, 50}, 7};
  EXPECT_EQ(tracks.See({&here, 1}, kArea, 0)[0].track, 0);
  EXPECT_EQ(tracks.See({&there, 1}, kArea, kSecond / 10)[0].track, 0);
}

TEST(ObjectTracks, ANewNumberWhereAnotherOnePersistedIsAnotherObject) {
  ObjectTracks tracks;
  const auto see = [&](int64_t id, uint64_t n) {
    const ObjectRegion object{{0, 0, 100, 100}, id};
    return tracks.See({&object, 1}, kArea, n * kSecond / 25)[0];
  };
  EXPECT_EQ(see(7, 0).track, see(7, 1).track);
  const auto other = see(8, 2);
  EXPECT_EQ(other.track, 1);
  EXPECT_EQ(other.id, 8);
  EXPECT_TRUE(other.encode);
}

TEST(ObjectTracks, WhatTheTrackerLosesForAWhileStaysTheSameByItsPlace) {
  ObjectTracks tracks;
  int64_t track = -1;
  for (int n = 0; n < 30; ++n) {
    // The detector numbers each detection anew, as gvadetect does.
    const bool lost = n >= 5 && n < 10;
    const ObjectRegion object[] = {{{14 * n, 0, 160, 160}, lost ? 100 + n : 1, !lost}};
    const auto seen = tracks.See(object, kArea, {static_cast<uint64_t>(n) * kSecond / 25});
    if (n == 0) track = seen[0].track;
    EXPECT_EQ(seen[0].track, track) << n;
    EXPECT_EQ(seen[0].id, 1) << n;
  }
}

TEST(ObjectTracks, CountedAnewInEachFrameThePlaceDecides) {
  ObjectTracks tracks;
  const ObjectRegion both[] = {{{0, 0, 100, 100}, 1}, {{500, 0, 100, 100}, 2}};
  tracks.See(both, kArea, 0);
  const ObjectRegion swapped[] = {{{500, 0, 100, 100}, 1}, {{0, 0, 100, 100}, 2}};
  const auto second = tracks.See(swapped, kArea, kSecond / 10);
  EXPECT_EQ(second[0].track, 1);
  EXPECT_EQ(second[1].track, 0);
  const ObjectRegion alone[] = {{{505, 0, 100, 100}, 1}};
  EXPECT_EQ(tracks.See(alone, kArea, kSecond / 5)[0].track, 1);
}

TEST(ObjectTracks, OneIdTwiceInAFrameIsTwoObjects) {
  for (const bool tracked : {false, true}) {
    ObjectTracks tracks;
    const ObjectRegion first[] = {{{0, 0, 100, 100}, 7, tracked}, {{500, 0, 100, 100}, 7, tracked}};
    const auto seen = tracks.See(first, kArea, 0);
    EXPECT_NE(seen[0].track, seen[1].track);
    EXPECT_EQ(seen[0].id, 7);
    EXPECT_EQ(seen[1].id, -1) << "so that what is told of the two is told apart";
    const ObjectRegion moved[] = {{{510, 0, 100, 100}, 7, tracked}, {{9, 0, 100, 100}, 7, tracked}};
    const auto again = tracks.See(moved, kArea, kSecond / 10);
    EXPECT_EQ(again[0].track, seen[1].track);
    EXPECT_EQ(again[1].track, seen[0].track);
    EXPECT_EQ(tracks.size(), 2u);
  }
}

TEST(ObjectTracks, TwoFramesOfOneTimeAreOfTheSameObjects) {
  ObjectTracks tracks;
  const ObjectRegion object{{0, 0, 100, 100}, -1};
  EXPECT_EQ(tracks.See({&object, 1}, kArea, kSecond)[0].track, 0);
  EXPECT_EQ(tracks.See({&object, 1}, kArea, kSecond)[0].track, 0);
}

TEST(ObjectTracks, WhatLiesOutsideIsLeftOutAndTheRestIsCut) {
  ObjectTracks tracks;
  EXPECT_TRUE(SeeOne(tracks, {2000, 0, 10, 10}, 1, 0).empty());
  EXPECT_TRUE(SeeOne(tracks, {10, 10, 0, 0}, 1, 0).empty());
  const auto cut = SeeOne(tracks, {950, 700, 100, 200}, 1, 0);
  EXPECT_EQ(cut[0].rect, (Rect{950, 700, 50, 100}));
  EXPECT_EQ(cut[0].marked.rect, (Rect{950, 700, 100, 200}));
}

TEST(ObjectTracks, ActiveTagsOfATrackThatIsGoneEnd) {
  auto bank = std::make_shared<PromptBank>();
  bank->spec.tags.push_back({.label = "helmet", .prompts = {"helmet"}});
  bank->dim = 2;
  bank->tags = 1;
  bank->rows = {1, 0};
  bank->negatives.resize(1);
  ObjectTracks tracks;
  const auto sighting = SeeOne(tracks, {0, 0, 50, 50}, 9, 0)[0];
  std::vector<TagEvent> events;
  const float cosine = 0.9f;
  PolicyOptions options;
  options.scoring = Scoring::kCosine;
  tracks.PolicyOf(sighting)->Update(bank, {&cosine, 1}, options, 1, 0, kSecond, &events);
  ASSERT_EQ(events.size(), 1u);
  events.clear();
  tracks.Forget(4 * kSecond, &events);
  EXPECT_TRUE(events.empty());
  tracks.Forget(6 * kSecond, &events);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_FALSE(events[0].start);
  EXPECT_TRUE(events[0].of_object);
  EXPECT_EQ(events[0].id, 9);
  EXPECT_EQ(tracks.size(), 0u);
}

TEST(ObjectTracks, ATrackerThatNumbersAnewWithEveryFrameDoesNotGrowWithoutBound) {
  ObjectTracks tracks;
  std::vector<TagEvent> events;
  for (int64_t id = 0; id < 5000; ++id) {
    SeeOne(tracks, {0, 0, 50, 50}, id, static_cast<uint64_t>(id));
    tracks.Forget(static_cast<uint64_t>(id), &events);
  }
  EXPECT_LE(tracks.size(), 1024u);
}

}  // namespace
}  // namespace cliptag
