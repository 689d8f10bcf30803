// The attention kernels against the oracle: every head size, token counts on both sides of every
// tile boundary, causal and not, lengths, batches.
#include "tests/cuda/attention_cases.h"

namespace cliptag::cuda {
namespace {

template <typename T>
class AttentionTest : public testing::Test {};
using Types = testing::Types<Half, BFloat16>;
TYPED_TEST_SUITE(AttentionTest, Types);

constexpr int kHeadDims[] = {32, 64, 72, 80, 88, 96, 104, 112, 128};

TYPED_TEST(AttentionTest, EveryHeadSize) {
  for (const int head_dim : kHeadDims) {
    RunAttentionCase<TypeParam>({.head_dim = head_dim, .heads = 2});
    RunAttentionCase<TypeParam>(
        {.head_dim = head_dim, .q_tokens = 77, .kv_tokens = 77, .causal = true, .order = 1});
  }
}

TYPED_TEST(AttentionTest, EveryHeadSizeOfOneQuery) {
  for (const int head_dim : kHeadDims) {
    RunAttentionCase<TypeParam>({.head_dim = head_dim, .q_tokens = 1, .kv_tokens = 77, .batch = 2});
  }
}

TYPED_TEST(AttentionTest, TokenCountsOfVisionTransformers) {
  for (const int head_dim : kHeadDims) {
    RunAttentionCase<TypeParam>({.head_dim = head_dim, .q_tokens = 197, .kv_tokens = 197});
    RunAttentionCase<TypeParam>(
        {.head_dim = head_dim, .q_tokens = 257, .kv_tokens = 257, .order = 2});
  }
  RunAttentionCase<TypeParam>({.q_tokens = 577, .kv_tokens = 577});
  RunAttentionCase<TypeParam>({.head_dim = 128, .q_tokens = 577, .kv_tokens = 577});
}

TYPED_TEST(AttentionTest, EveryHeadSizeInBatches) {
  for (const int head_dim : kHeadDims) {
    for (const int batch : {2, 3}) {
      RunAttentionCase<TypeParam>({.head_dim = head_dim, .batch = batch, .heads = 2});
    }
  }
}

TYPED_TEST(AttentionTest, AroundTileBoundaries) {
  for (const int tokens : {2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129}) {
    RunAttentionCase<TypeParam>({.q_tokens = tokens, .kv_tokens = tokens});
    RunAttentionCase<TypeParam>(
        {.head_dim = 72, .q_tokens = tokens, .kv_tokens = tokens, .causal = true});
  }
}

TYPED_TEST(AttentionTest, BatchesOfUnequalLengths) {
  RunAttentionCase<TypeParam>({.q_tokens = 77,
                               .kv_tokens = 77,
                               .batch = 3,
                               .heads = 2,
                               .causal = true,
                               .lengths = {77, 5, 64},
                               .order = 3});
  RunAttentionCase<TypeParam>(
      {.q_tokens = 70, .kv_tokens = 130, .batch = 3, .lengths = {1, 65, 200}});
  RunAttentionCase<TypeParam>(
      {.head_dim = 88, .q_tokens = 1, .kv_tokens = 77, .batch = 3, .lengths = {3, 77, 20}});
}

TYPED_TEST(AttentionTest, NothingSeenIsZero) {
  RunAttentionCase<TypeParam>(
      {.q_tokens = 20, .kv_tokens = 40, .batch = 3, .lengths = {0, 40, -7}});
  RunAttentionCase<TypeParam>(
      {.q_tokens = 1, .kv_tokens = 40, .batch = 3, .heads = 2, .lengths = {0, 40, -7}});
}

TYPED_TEST(AttentionTest, OneQueryOverManyKeys) {
  for (const int keys : {1, 2, 15, 16, 17, 63, 64, 65, 257, 577}) {
    RunAttentionCase<TypeParam>(
        {.q_tokens = 1, .kv_tokens = keys, .heads = 2, .order = static_cast<uint32_t>(keys)});
  }
}

TYPED_TEST(AttentionTest, LargeScoresStayFinite) {
  RunAttentionCase<TypeParam>({.q_tokens = 100, .kv_tokens = 100, .scale = 1, .spread = 50});
  RunAttentionCase<TypeParam>({.q_tokens = 1, .kv_tokens = 100, .scale = 1, .spread = 50});
}

TYPED_TEST(AttentionTest, UpToAThousandTokens) {
  RunAttentionCase<TypeParam>({.head_dim = 128, .q_tokens = 40, .kv_tokens = 1025});
  RunAttentionCase<TypeParam>({.q_tokens = 1025, .kv_tokens = 70});
}

template <typename T>
void RunGeneral(const AttentionCase& c) {
  RunAttentionCase<T, GeneralKernel<T>>(c);
}

TYPED_TEST(AttentionTest, AnyHeadSize) {
  for (const int head_dim : {1, 12, 16, 33, 64, 200, 256}) {
    RunGeneral<TypeParam>({.head_dim = head_dim, .q_tokens = 7, .kv_tokens = 50, .heads = 2});
    RunGeneral<TypeParam>({.head_dim = head_dim,
                           .q_tokens = 33,
                           .kv_tokens = 33,
                           .batch = 3,
                           .causal = true,
                           .lengths = {33, 5, 0},
                           .order = 4});
  }
  RunGeneral<TypeParam>({.head_dim = 16, .q_tokens = 5, .kv_tokens = 32});
  RunGeneral<TypeParam>({.head_dim = 16, .q_tokens = 1, .kv_tokens = 65, .batch = 2});
  RunGeneral<TypeParam>(
      {.head_dim = 40, .q_tokens = 9, .kv_tokens = 100, .scale = 1, .spread = 50});
}

TYPED_TEST(AttentionTest, AScaleOfZeroAverages) {
  RunGeneral<TypeParam>({.head_dim = 24, .q_tokens = 1, .kv_tokens = 49, .batch = 2, .scale = 0});
}

TEST(AttentionPlans, CoverEveryQueryOnce) {
  for (const int row_tiles : {1, 2}) {
    const int rows = 16 * row_tiles;
    for (int tokens = 1; tokens <= 1100; ++tokens) {
      const AttentionPlan plan = PlanAttention(tokens, row_tiles);
      ASSERT_GE(plan.blocks * plan.warps * rows, tokens);
      ASSERT_LT((plan.blocks - 1) * plan.warps * rows, tokens) << "a block without a query";
      ASSERT_GE(plan.warps, 1);
      ASSERT_LE(plan.warps, kAttentionMaxWarps);
    }
  }
  EXPECT_EQ(PlanAttention(257, 2).blocks, 3);
  EXPECT_EQ(PlanAttention(257, 2).warps, 3);
}

TEST(AttentionPlans, TwoRowTilesWhereTheyFillTheCard) {
  EXPECT_EQ(RowTilesFor(64, 257, 16, 1, 132), 1);
  EXPECT_EQ(RowTilesFor(64, 197, 12, 8, 132), 1);
  EXPECT_EQ(RowTilesFor(64, 257, 16, 8, 132), 2);
  EXPECT_EQ(RowTilesFor(64, 257, 16, 1, 16), 2);
  EXPECT_EQ(RowTilesFor(80, 257, 16, 64, 132), 1);
  for (const int head_dim : kHeadDims) {
    EXPECT_EQ(AttentionTileFor(head_dim, 1).row_tiles, 1);
    EXPECT_EQ(AttentionTileFor(head_dim, 2).row_tiles, 2);
  }
}

TEST(AttentionPlans, RefuseWhatHasNoKernel) {
  alignas(16) Half data[16];
  AttentionProblem problem;
  problem.params = {data, data, data, data, 8, 8, 8, 8, 1, 1, 1.0f, nullptr};
  problem.batch = problem.heads = 1;
  problem.head_dim = 64;
  EXPECT_TRUE(SupportsAttention(problem));
  const auto refused = [&](auto change) {
    AttentionProblem changed = problem;
    change(changed);
    const auto launch = [](auto...) { FAIL() << "launched"; };
    return !SupportsAttention(changed) && !LaunchAttention<Half>(changed, launch);
  };
  for (const int head_dim : {8, 40, 48, 63, 76, 120, 136, 256}) {
    EXPECT_TRUE(refused([&](AttentionProblem& p) { p.head_dim = head_dim; })) << head_dim;
  }
  EXPECT_TRUE(refused([&](AttentionProblem& p) { p.params.q = data + 1; }));
  EXPECT_TRUE(refused([&](AttentionProblem& p) { p.params.v_stride = 12; }));
  EXPECT_TRUE(refused([&](AttentionProblem& p) { p.params.scale_log2 = NAN; }));
  EXPECT_TRUE(refused([&](AttentionProblem& p) { p.params.scale_log2 = 0; }));
  EXPECT_TRUE(refused([&](AttentionProblem& p) { p.batch = 65536; }));
  EXPECT_TRUE(refused([&](AttentionProblem& p) {
    p.causal = true;
    p.params.q_tokens = 2;
  }));
}

}  // namespace
}  // namespace cliptag::cuda
