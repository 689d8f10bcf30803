// Accuracy and recall by hand, and against counting it all out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "models/prompts/prompts.h"
#include "plugin/cli/eval/measures/metrics.h"

namespace cliptag {
namespace {

TEST(Dot, AnyLength) {
  for (size_t n : {1, 15, 16, 17, 100}) {
    std::vector<float> a(n), b(n);
    double expected = 0;
    for (size_t i = 0; i < n; ++i) {
      a[i] = static_cast<float>(i + 1);
      b[i] = static_cast<float>(i % 3) - 1;
      expected += a[i] * b[i];
    }
    EXPECT_FLOAT_EQ(static_cast<float>(expected), Dot(a.data(), b.data(), n)) << n;
  }
}

TEST(Rank, TheFirstOfEqualsIsTheAnswer) {
  const std::vector<float> scores = {0.1f, 0.5f, 0.5f, 0.2f};
  EXPECT_EQ(1, Rank(scores, 1).answer);
  EXPECT_EQ(1, Rank(scores, 1).rank);
  EXPECT_EQ(1, Rank(scores, 2).answer);
  EXPECT_EQ(2, Rank(scores, 2).rank);
  EXPECT_EQ(3, Rank(scores, 3).rank);
  EXPECT_EQ(4, Rank(scores, 0).rank);
}

TEST(Accuracy, CountsPicturesAndClasses) {
  Accuracy accuracy(3);
  EXPECT_EQ(0, accuracy.top1());
  accuracy.Add(0, {0, 1});
  accuracy.Add(0, {0, 1});
  accuracy.Add(0, {1, 2});
  accuracy.Add(2, {0, 6});
  EXPECT_EQ(4, accuracy.count());
  EXPECT_DOUBLE_EQ(0.5, accuracy.top1());
  EXPECT_DOUBLE_EQ(0.75, accuracy.top5());
  EXPECT_DOUBLE_EQ(2.0 / 3, accuracy.top1_of(0));
  EXPECT_DOUBLE_EQ(1, accuracy.top5_of(0));
  EXPECT_DOUBLE_EQ(0, accuracy.top1_of(1));
  // The class without a picture counts for nothing.
  EXPECT_DOUBLE_EQ((2.0 / 3 + 0) / 2, accuracy.mean_per_class());
  EXPECT_EQ(1, accuracy.confusion(0, 1));
  EXPECT_EQ(1, accuracy.confusion(2, 0));
  EXPECT_EQ(0, accuracy.confusion(1, 0));
}

TEST(RecallOf, SharesAndTheMedian) {
  const Recall odd = RecallOf({1, 3, 11});
  EXPECT_EQ(3u, odd.queries);
  EXPECT_DOUBLE_EQ(1.0 / 3, odd.at1);
  EXPECT_DOUBLE_EQ(2.0 / 3, odd.at5);
  EXPECT_DOUBLE_EQ(2.0 / 3, odd.at10);
  EXPECT_DOUBLE_EQ(3, odd.median_rank);
  EXPECT_DOUBLE_EQ(3.5, RecallOf({10, 1, 2, 5}).median_rank);
  EXPECT_EQ(0, RecallOf({}).at1);
}

// Several captions to a picture: the first right one counts, whichever it is.
TEST(Retrieve, SeveralCaptionsOfAPicture) {
  PairedEmbeddings paired;
  paired.dim = 2;
  paired.pictures = {1, 0, 0, 1};
  paired.texts = {0.8f, 0.6f, 0.9f, 0.436f, 0.6f, 0.8f};
  paired.pairs = {{0, 0}, {0, 2}, {1, 1}};
  const RetrievalResult result = Retrieve(paired, [](size_t) {});
  // Picture 0 sees text 1 first and its own text 0 next; picture 1 its text last of all.
  EXPECT_EQ(2u, result.image_to_text.queries);
  EXPECT_DOUBLE_EQ(0, result.image_to_text.at1);
  EXPECT_DOUBLE_EQ(2.5, result.image_to_text.median_rank);
  // Text 0 sees its picture first, text 2 sees the other one, text 1 too.
  EXPECT_DOUBLE_EQ(1.0 / 3, result.text_to_image.at1);
  EXPECT_DOUBLE_EQ(1, result.text_to_image.at5);
}

// Ranks by sorting everything, as the definition says.
std::vector<size_t> SortedRanks(const PairedEmbeddings& p, bool of_pictures) {
  const size_t dim = p.dim, pictures = p.pictures.size() / dim, texts = p.texts.size() / dim;
  std::vector<size_t> ranks;
  for (size_t query = 0; query < (of_pictures ? pictures : texts); ++query) {
    std::vector<std::pair<float, size_t>> order;
    for (size_t other = 0; other < (of_pictures ? texts : pictures); ++other) {
      const size_t picture = of_pictures ? query : other, text = of_pictures ? other : query;
      order.emplace_back(-Dot(&p.pictures[picture * dim], &p.texts[text * dim], dim), other);
    }
    std::sort(order.begin(), order.end());
    for (size_t rank = 1;; ++rank) {
      const size_t other = order[rank - 1].second;
      if (std::any_of(p.pairs.begin(), p.pairs.end(), [&](const PairedEmbeddings::Pair& pair) {
            return of_pictures ? pair.picture == query && pair.text == other
                               : pair.text == query && pair.picture == other;
          })) {
        ranks.push_back(rank);
        break;
      }
    }
  }
  return ranks;
}

TEST(Retrieve, AsSortingSays) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 20; ++round) {
    PairedEmbeddings paired;
    paired.dim = 5;
    const size_t pictures = 5 + random() % 20;
    size_t texts = 0;
    for (size_t picture = 0; picture < pictures; ++picture) {
      // Whole numbers, so that there are ties; some captions are shared.
      for (int i = 0; i < 5; ++i) paired.pictures.push_back(std::round(2 * normal(random)));
      const size_t own = 1 + random() % 3;
      for (size_t c = 0; c < own; ++c) {
        paired.pairs.push_back({picture, texts++});
        for (int i = 0; i < 5; ++i) paired.texts.push_back(std::round(2 * normal(random)));
      }
      if (random() % 3 == 0) paired.pairs.push_back({picture, random() % texts});
    }
    const RetrievalResult result = Retrieve(paired, [](size_t) {});
    for (const bool of_pictures : {true, false}) {
      const Recall expected = RecallOf(SortedRanks(paired, of_pictures));
      const Recall& got = of_pictures ? result.image_to_text : result.text_to_image;
      EXPECT_EQ(expected.queries, got.queries);
      EXPECT_DOUBLE_EQ(expected.at1, got.at1);
      EXPECT_DOUBLE_EQ(expected.at5, got.at5);
      EXPECT_DOUBLE_EQ(expected.median_rank, got.median_rank);
    }
  }
}

}  // namespace
}  // namespace cliptag
