// Scores and hysteresis on hand-made cosines.
#include "plugin/engine/tag_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace cliptag {
namespace {

// Tags a, b; two background rows; b has one negative.  Row order: a, b, bg, bg, negative of b.
std::shared_ptr<PromptBank> MakeBank() {
  auto bank = std::make_shared<PromptBank>();
  bank->spec.tags = {{.label = "a"}, {.label = "b"}};
  bank->dim = 1;
  bank->rows.assign(5, 1.0f);
  bank->tags = 2;
  bank->background = 2;
  bank->negatives = {{5, 0}, {4, 1}};
  return bank;
}

constexpr float kCosines[] = {0.30f, 0.25f, 0.20f, 0.10f, 0.35f};

TEST(ScoreTags, ContrastIsSoftmaxAgainstBackgroundAndOwnNegatives) {
  std::vector<double> scores(2);
  ScoreTags(*MakeBank(), kCosines, Scoring::kContrast, 100.0, 0.0, scores);
  const double a = std::exp(30.0) / (std::exp(30.0) + std::exp(20.0) + std::exp(10.0));
  const double b =
      std::exp(25.0) / (std::exp(25.0) + std::exp(20.0) + std::exp(10.0) + std::exp(35.0));
  EXPECT_NEAR(scores[0], a, 1e-6);
  EXPECT_NEAR(scores[1], b, 1e-6);
}

TEST(ScoreTags, SoftmaxIsOverTagsAlone) {
  std::vector<double> scores(2);
  ScoreTags(*MakeBank(), kCosines, Scoring::kSoftmax, 100.0, 0.0, scores);
  EXPECT_NEAR(scores[0], 1.0 / (1.0 + std::exp(-5.0)), 1e-6);
  EXPECT_NEAR(scores[0] + scores[1], 1.0, 1e-12);
}

TEST(ScoreTags, SigmoidUsesScaleAndBias) {
  std::vector<double> scores(2);
  ScoreTags(*MakeBank(), kCosines, Scoring::kSigmoid, 10.0, -2.0, scores);
  EXPECT_NEAR(scores[0], 1.0 / (1.0 + std::exp(-1.0)), 1e-6);
  EXPECT_NEAR(scores[1], 1.0 / (1.0 + std::exp(-0.5)), 1e-6);
}

TEST(ScoreTags, CosineMapsToUnitInterval) {
  std::vector<double> scores(2);
  ScoreTags(*MakeBank(), kCosines, Scoring::kCosine, 10.0, -2.0, scores);
  EXPECT_NEAR(scores[0], 0.65, 1e-6);
}

TEST(ScoreTags, ExtremeScalesStayFinite) {
  const float cosines[] = {-1.0f, 1.0f, 1.0f, -1.0f, -1.0f};
  for (Scoring scoring : {Scoring::kContrast, Scoring::kSoftmax, Scoring::kSigmoid}) {
    std::vector<double> scores(2);
    ScoreTags(*MakeBank(), cosines, scoring, 1e6, 0.0, scores);
    for (double score : scores) EXPECT_TRUE(score >= 0.0 && score <= 1.0) << score;
  }
}

// --- exemplars

// Tags: words, pictures alone, both; one background row; one negative of "both"; the prototype of
// "both". Rows in that order.
std::shared_ptr<PromptBank> PicturedBank() {
  auto bank = std::make_shared<PromptBank>();
  bank->spec.tags = {{.label = "words"}, {.label = "pictures"}, {.label = "both"}};
  bank->dim = 1;
  bank->rows.assign(6, 1.0f);
  bank->tags = 3;
  bank->background = 1;
  bank->negatives = {{4, 0}, {4, 0}, {4, 1}};
  bank->exemplars = {{}, {1, 0.7, 20, true}, {5, 0.6, 10, false}};
  return bank;
}

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }

TEST(ScoreTags, ExemplarsInEveryScoring) {
  const float cosines[] = {0.30f, 0.75f, 0.28f, 0.25f, 0.26f, 0.80f};
  const auto bank = PicturedBank();
  std::vector<double> scores(3);
  const double z1 = 1.0, z2 = 2.0, scale = 100;
  ScoreTags(*bank, cosines, Scoring::kContrast, scale, 0, scores);
  EXPECT_NEAR(scores[0], SigmoidOf(scale * 0.05), 1e-5);
  EXPECT_NEAR(scores[1], SigmoidOf(z1), 1e-5);
  const double said = 28 - std::log(std::exp(25.0) + std::exp(26.0));
  EXPECT_NEAR(scores[2], SigmoidOf((said + z2) / 2), 1e-5);

  ScoreTags(*bank, cosines, Scoring::kSoftmax, scale, 0, scores);
  const double logits[] = {5, z1, (3 + z2) / 2};
  const double sum = std::exp(logits[0]) + std::exp(logits[1]) + std::exp(logits[2]);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(scores[i], std::exp(logits[i]) / sum, 1e-5) << i;

  ScoreTags(*bank, cosines, Scoring::kSigmoid, 10, -2, scores);
  EXPECT_NEAR(scores[0], SigmoidOf(1), 1e-5);
  EXPECT_NEAR(scores[1], SigmoidOf(z1), 1e-5);
  EXPECT_NEAR(scores[2], SigmoidOf((0.8 + z2) / 2), 1e-5);

  ScoreTags(*bank, cosines, Scoring::kCosine, scale, 0, scores);
  EXPECT_NEAR(scores[0], 0.65, 1e-6);
  EXPECT_NEAR(scores[1], 0.875, 1e-6);
  EXPECT_NEAR(scores[2], (0.54 + 1) / 2, 1e-6);
}

TEST(ScoreTags, NeitherWordsNorPicturesDecideAlone) {
  std::vector<double> scores(3);
  // What is said is certain, what is seen is as certain of the opposite; and both extreme.
  for (const float prototype : {0.0f, -1.0f}) {
    const float cosines[] = {0, 0, 0.9f, 0.0f, 0.0f, prototype};
    ScoreTags(*PicturedBank(), cosines, Scoring::kContrast, 1000, 0, scores);
    EXPECT_NEAR(scores[2], 0.5, 1e-9);
  }
  const float nothing[] = {-1, -1, -1, 1, 1, -1};
  for (const Scoring scoring : {Scoring::kContrast, Scoring::kSoftmax, Scoring::kSigmoid}) {
    ScoreTags(*PicturedBank(), nothing, scoring, 1e6, 0, scores);
    for (double score : scores) EXPECT_TRUE(score >= 0 && score <= 1) << score;
  }
}

TEST(ScoreTags, SoftmaxOfWordsIsTheSameBesidePictures) {
  // A bank with a picture that is far off: the words share as they would without it.
  auto bank = PicturedBank();
  bank->exemplars[2] = {};
  const float cosines[] = {0.30f, -1.0f, 0.28f, 0.25f, 0.26f, 0};
  std::vector<double> scores(3);
  ScoreTags(*bank, cosines, Scoring::kSoftmax, 100, 0, scores);
  EXPECT_NEAR(scores[0], SigmoidOf(2), 1e-4);
  EXPECT_NEAR(scores[2], SigmoidOf(-2), 1e-4);
}

class PolicyTest : public ::testing::Test {
 protected:
  // One inference in which tag a scores `a` and b scores 0 under cosine scoring.
  std::vector<Tag> Step(double a, double pts_s) {
    const float cosines[] = {static_cast<float>(2 * a - 1), -1.0f, 0, 0, 0};
    return policy_.Update(bank_, cosines, options_, 100.0, 0.0, static_cast<uint64_t>(pts_s * 1e9),
                          &events_);
  }

  std::shared_ptr<const PromptBank> bank_ = MakeBank();
  PolicyOptions options_{.scoring = Scoring::kCosine, .threshold = 0.5};
  TagPolicy policy_;
  std::vector<TagEvent> events_;
};

TEST_F(PolicyTest, HysteresisKeepsATagBetweenTheThresholds) {
  EXPECT_FALSE(Step(0.45, 0)[0].active);  // above off, below on: not yet
  EXPECT_TRUE(Step(0.55, 1)[0].active);
  EXPECT_TRUE(Step(0.45, 2)[0].active);  // 0.8 x 0.5 = 0.4 < 0.45
  EXPECT_TRUE(Step(0.70, 3)[0].active);
  EXPECT_FALSE(Step(0.39, 4)[0].active);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_TRUE(events_[0].start);
  EXPECT_EQ(events_[0].label, "a");
  EXPECT_EQ(events_[0].at.pts_ns, 1'000'000'000u);
  EXPECT_FALSE(events_[1].start);
  EXPECT_EQ(events_[1].at.pts_ns, 4'000'000'000u);
  EXPECT_EQ(events_[1].duration_ns, 3'000'000'000u);
  EXPECT_NEAR(events_[1].peak, 0.70, 1e-6);
}

TEST_F(PolicyTest, ExplicitOffThresholdAndPerTagThresholds) {
  options_.off_threshold = 0.2;
  Step(0.6, 0);
  EXPECT_TRUE(Step(0.25, 1)[0].active);
  EXPECT_FALSE(Step(0.15, 2)[0].active);

  auto bank = MakeBank();
  bank->spec.tags[0].threshold = 0.9;
  bank->spec.tags[0].off_threshold = 0.8;
  bank_ = bank;
  EXPECT_FALSE(Step(0.85, 3)[0].active);
  EXPECT_TRUE(Step(0.95, 4)[0].active);
  EXPECT_FALSE(Step(0.79, 5)[0].active);
}

TEST_F(PolicyTest, TopKListsBestFirstAndActiveOnesBeside) {
  options_.top_k = 1;
  const float both[] = {0.2f, 0.4f, 0, 0, 0};  // scores 0.6 and 0.7: both active
  auto tags = policy_.Update(bank_, both, options_, 100.0, 0.0, 0, nullptr);
  ASSERT_EQ(tags.size(), 2u);
  EXPECT_EQ(tags[0].label, "b");
  EXPECT_NEAR(tags[0].cosine, 0.4, 1e-6);
  const float one[] = {-0.9f, 0.4f, 0, 0, 0};
  tags = policy_.Update(bank_, one, options_, 100.0, 0.0, 0, nullptr);
  ASSERT_EQ(tags.size(), 1u);
  EXPECT_EQ(tags[0].label, "b");
  options_.top_k = 0;
  EXPECT_EQ(policy_.Update(bank_, one, options_, 100.0, 0.0, 0, nullptr).size(), 2u);
}

TEST_F(PolicyTest, TemperatureReplacesTheLogitScale) {
  options_.scoring = Scoring::kContrast;
  options_.temperature = 0.05;
  const auto tags = policy_.Update(bank_, kCosines, options_, 100.0, 0.0, 0, nullptr);
  const double a = 1.0 / (1.0 + std::exp(-2.0) + std::exp(-4.0));
  EXPECT_NEAR(tags[0].score, a, 1e-6);
}

TEST_F(PolicyTest, NewBankKeepsCommonLabelsAndEndsTheOthers) {
  Step(0.9, 1);
  auto bank = MakeBank();
  bank->spec.tags = {{.label = "c"}, {.label = "a"}};
  events_.clear();
  const float cosines[] = {-1.0f, -0.1f, 0, 0, 0};  // a: 0.45, kept by hysteresis
  auto tags = policy_.Update(bank, cosines, options_, 100.0, 0.0, 2'000'000'000, &events_);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(tags[0].label, "a");
  EXPECT_TRUE(tags[0].active);

  auto other = MakeBank();
  other->spec.tags = {{.label = "x"}, {.label = "y"}};
  policy_.Update(other, cosines, options_, 100.0, 0.0, 5'000'000'000, &events_);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].label, "a");
  EXPECT_FALSE(events_[0].start);
  EXPECT_EQ(events_[0].duration_ns, 4'000'000'000u);
}

TEST_F(PolicyTest, ALabelThatOccursTwiceKeepsTheStateOfEach) {
  auto bank = MakeBank();
  bank->spec.tags = {{.label = "a"}, {.label = "a"}};
  const float first[] = {-1.0f, 0.8f, 0, 0, 0};
  policy_.Update(bank, first, options_, 100.0, 0.0, 0, &events_);
  events_.clear();
  auto other = MakeBank();
  other->spec.tags = {{.label = "a"}, {.label = "a"}};
  const float second[] = {-0.1f, -0.1f, 0, 0, 0};  // both 0.45: active only where it was
  const auto tags = policy_.Update(other, second, options_, 100.0, 0.0, 1, &events_);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(tags[0].active + tags[1].active, 1);

  auto one = MakeBank();
  one->tags = 1;
  one->spec.tags = {{.label = "a"}};
  policy_.Update(one, second, options_, 100.0, 0.0, 2, &events_);
  ASSERT_EQ(events_.size(), 1u);  // the second "a" ends: it was the active one
  EXPECT_FALSE(events_[0].start);
}

TEST_F(PolicyTest, ResetEndsWhatIsActive) {
  Step(0.9, 1);
  events_.clear();
  policy_.Reset(3'000'000'000, &events_);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].duration_ns, 2'000'000'000u);
  EXPECT_FALSE(Step(0.45, 4)[0].active);
}

// --- smoothing

TEST_F(PolicyTest, SmoothingIsAnExponentialMeanOverIrregularTime) {
  options_.smoothing_ns = 2'000'000'000;
  options_.threshold = 0.9;
  double mean = 0.8, last = 1.0;
  EXPECT_NEAR(Step(0.8, 1.0)[0].score, mean, 1e-6) << "the first starts the mean";
  for (const auto& [score, pts] : {std::pair{0.2, 1.04}, {0.9, 1.5}, {0.1, 6.5}, {0.4, 6.6}}) {
    mean += (score - mean) * (1 - std::exp(-(pts - last) / 2));
    last = pts;
    const Tag tag = Step(score, pts)[0];
    EXPECT_NEAR(tag.score, mean, 1e-6) << pts;
    EXPECT_NEAR(tag.cosine, 2 * score - 1, 1e-6) << "the cosine stays raw";
  }
}

TEST_F(PolicyTest, TheSmoothedScoreDecidesAndSortsAndPeaks) {
  options_.smoothing_ns = 1'000'000'000;
  Step(0.0, 0);
  EXPECT_FALSE(Step(1.0, 0.1)[0].active) << "one high score among low ones";
  std::vector<Tag> tags;
  double pts = 0.1;
  while (pts < 5 && (tags.empty() || !tags[0].active)) tags = Step(1.0, pts += 0.1);
  EXPECT_NEAR(pts, 0.7, 0.01) << "1 - exp(-0.7) is just above one half";
  EXPECT_NEAR(events_.at(0).score, tags[0].score, 1e-12);
  Step(0.0, 20);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_NEAR(events_[1].peak, tags[0].score, 1e-12) << "of what was listed";
  EXPECT_LT(events_[1].score, 0.01);
}

TEST_F(PolicyTest, ABackwardsJumpAndAResetStartTheMeanAnew) {
  options_.smoothing_ns = 10'000'000'000;
  Step(0.9, 100);
  EXPECT_NEAR(Step(0.1, 50)[0].score, 0.1, 1e-6);
  EXPECT_NEAR(Step(0.7, 50)[0].score, 0.1, 1e-6) << "no time has passed";
  EXPECT_NEAR(Step(0.7, 55)[0].score, 0.7 - 0.6 * std::exp(-0.5), 1e-6);
  policy_.Reset(0, nullptr);
  EXPECT_NEAR(Step(0.2, 53)[0].score, 0.2, 1e-6);
}

TEST_F(PolicyTest, ANewBankKeepsTheMeanOfCommonLabels) {
  options_.smoothing_ns = 1'000'000'000;
  Step(0.8, 1);
  auto bank = MakeBank();
  bank->spec.tags = {{.label = "c"}, {.label = "a"}};
  const float cosines[] = {0.2f, -1.0f, 0, 0, 0};  // c: 0.6, a: 0
  const auto tags = policy_.Update(bank, cosines, options_, 100.0, 0.0, 2'000'000'000, nullptr);
  ASSERT_EQ(tags[0].label, "c");
  EXPECT_NEAR(tags[0].score, 0.6, 1e-6) << "new: its first score starts its mean";
  EXPECT_NEAR(tags[1].score, 0.8 * std::exp(-1.0), 1e-6);
}

TEST_F(PolicyTest, SmoothingChangesWhilePlaying) {
  Step(0.8, 1);
  EXPECT_NEAR(Step(0.2, 2)[0].score, 0.2, 1e-6);
  options_.smoothing_ns = 1'000'000'000;
  EXPECT_NEAR(Step(0.8, 3)[0].score, 0.8 - 0.6 * std::exp(-1.0), 1e-6) << "from where it was";
  options_.smoothing_ns = 0;
  EXPECT_NEAR(Step(0.3, 4)[0].score, 0.3, 1e-6);
}

// --- min-duration

TEST_F(PolicyTest, ATagIsActiveOnlyOnceItHasHeldForLongEnough) {
  options_.min_duration_ns = 2'000'000'000;
  EXPECT_FALSE(Step(0.6, 1)[0].active);
  EXPECT_FALSE(Step(0.45, 2)[0].active) << "above the off-threshold: the wait goes on";
  EXPECT_FALSE(Step(0.9, 2.9)[0].active);
  EXPECT_TRUE(events_.empty());
  EXPECT_TRUE(Step(0.45, 3)[0].active);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_TRUE(events_[0].start);
  EXPECT_EQ(events_[0].at.pts_ns, 1'000'000'000u) << "where the threshold was reached";
  EXPECT_NEAR(events_[0].score, 0.6, 1e-6);
  EXPECT_NEAR(events_[0].peak, 0.9, 1e-6);
  Step(0.1, 4);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[1].duration_ns, 3'000'000'000u);
  EXPECT_NEAR(events_[1].peak, 0.9, 1e-6) << "also from before it was told";
}

TEST_F(PolicyTest, ShorterSpansAreNeverTold) {
  options_.min_duration_ns = 2'000'000'000;
  Step(0.9, 1);
  Step(0.9, 2.9);
  Step(0.1, 3.5);  // 2.5 s after, but never seen above for 2 s
  Step(0.9, 4);
  Step(0.1, 5);
  Step(0.9, 6);
  policy_.Reset(9'000'000'000, &events_);
  EXPECT_TRUE(events_.empty());
}

TEST_F(PolicyTest, ATagsOwnMinDurationWins) {
  auto bank = MakeBank();
  bank->spec.tags[0].min_duration_s = 0.5;
  bank_ = bank;
  options_.min_duration_ns = 60'000'000'000;
  Step(0.9, 1);
  EXPECT_TRUE(Step(0.9, 1.5)[0].active);
  bank = MakeBank();
  bank->spec.tags[0].min_duration_s = 0;
  bank_ = bank;
  policy_.Reset(0, nullptr);
  EXPECT_TRUE(Step(0.9, 2)[0].active);
}

TEST_F(PolicyTest, ABackwardsJumpStartsTheWaitAnewAndANewBankDoesNot) {
  options_.min_duration_ns = 2'000'000'000;
  Step(0.9, 100);
  EXPECT_FALSE(Step(0.9, 50)[0].active);
  bank_ = MakeBank();
  EXPECT_FALSE(Step(0.9, 51.9)[0].active);
  EXPECT_TRUE(Step(0.9, 52)[0].active);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].at.pts_ns, 50'000'000'000u);
}

TEST_F(PolicyTest, TimeCountsAndPtsAreTold) {
  options_.min_duration_ns = 6'000'000'000;
  const auto step = [&](double a, uint64_t time_s, uint64_t pts_s) {
    const float cosines[] = {static_cast<float>(2 * a - 1), -1.0f, 0, 0, 0};
    return policy_.Update(bank_, cosines, options_, 100.0, 0.0,
                          {time_s * 1'000'000'000, pts_s * 1'000'000'000}, &events_);
  };
  step(0.9, 0, 0);
  EXPECT_FALSE(step(0.9, 4, 0)[0].active) << "another clip, whose pts begin anew";
  EXPECT_TRUE(step(0.9, 6, 2)[0].active);
  step(0.1, 9, 1);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[0].at.pts_ns, 0u);
  EXPECT_EQ(events_[1].at.pts_ns, 1'000'000'000u);
  EXPECT_EQ(events_[1].duration_ns, 9'000'000'000u);
}

TEST_F(PolicyTest, MinDurationChangesWhilePlaying) {
  options_.min_duration_ns = 10'000'000'000;
  Step(0.9, 1);
  EXPECT_FALSE(Step(0.9, 3)[0].active);
  options_.min_duration_ns = 2'000'000'000;
  EXPECT_TRUE(Step(0.9, 3.1)[0].active);
  options_.min_duration_ns = 10'000'000'000;
  EXPECT_TRUE(Step(0.9, 3.2)[0].active) << "what is active stays so";
}

TEST_F(PolicyTest, NanNeverActivates) {
  EXPECT_FALSE(Step(std::numeric_limits<double>::quiet_NaN(), 0)[0].active);
  EXPECT_TRUE(events_.empty());
}

}  // namespace
}  // namespace cliptag
