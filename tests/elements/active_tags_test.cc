// Tags that have begun get their end, each object's its own.
#include "plugin/elements/cliptag/output/active_tags.h"

#include <gtest/gtest.h>

namespace cliptag {
namespace {

InferenceResult At(uint64_t time_ns) {
  InferenceResult result;
  result.at = time_ns;
  return result;
}

TEST(ActiveTagsTest, EndsWhatHasBegunWhenItWasLastSeen) {
  ActiveTags active;
  InferenceResult first = At(100);
  first.events = {{.label = "cat", .start = true, .at = 60, .score = 0.6, .peak = 0.7},
                  {.label = "dog", .start = true, .at = 100, .score = 0.5, .peak = 0.5}};
  active.Follow(first);
  InferenceResult second = At(200);
  second.tags = {{.label = "cat", .score = 0.9}, {.label = "bird", .score = 0.8}};
  second.events = {{.label = "dog", .at = 200}};
  active.Follow(second);
  active.Follow(At(300));  // without the cat
  const std::vector<TagEvent> ends = active.End();
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].label, "cat");
  EXPECT_FALSE(ends[0].start);
  EXPECT_EQ(ends[0].at.time_ns, 200u);
  EXPECT_EQ(ends[0].duration_ns, 140u);
  EXPECT_EQ(ends[0].score, 0.9);
  EXPECT_EQ(ends[0].peak, 0.9);
  EXPECT_TRUE(active.End().empty());
}

TEST(ActiveTagsTest, ALabelOfTheFrameAndOfTwoObjectsAreThree) {
  ActiveTags active;
  InferenceResult result = At(5);
  result.events = {
      {.label = "red", .start = true, .at = 5},
      {.label = "red", .of_object = true, .id = 7, .track = 0, .start = true, .at = 5},
      {.label = "red", .of_object = true, .id = 7, .track = 1, .start = true, .at = 5}};
  active.Follow(result);
  InferenceResult end = At(6);
  end.events = {{.label = "red", .of_object = true, .id = 7, .track = 0, .at = 6}};
  active.Follow(end);
  const std::vector<TagEvent> ends = active.End();
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_FALSE(ends[0].of_object);
  EXPECT_EQ(ends[1].track, 1);
  EXPECT_EQ(ends[1].id, 7);
}

}  // namespace
}  // namespace cliptag
