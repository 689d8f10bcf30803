// The attention kernels in few and small cases, of a head size with a tail and one without: what
// ThreadSanitizer (cuda_threads) and the mutants (tests/mutate_kernels.sh) can afford.
#include "tests/cuda/attention_cases.inc"

namespace cliptag::cuda {
namespace {

void Check(const AttentionCase& c) { RunAttentionCase<Half, HeadDims<Half, 64, 72>>(c); }

TEST(SmallAttention, TwoBlocksOverThreeTiles) {
  // K and V tiles reused; with two row tiles 64 has two blocks of three warps and tiles of 32 keys,
  // 72 has a tail of eight columns.
  Check({.head_dim = 64, .q_tokens = 161, .kv_tokens = 161, .order = emulation::kLatestFirst});
  Check({.head_dim = 72, .q_tokens = 70, .kv_tokens = 70, .order = 2});
  // Four warps, whose outputs take the place of V with two row tiles, and a last tile that is full.
  Check({.head_dim = 64, .q_tokens = 128, .kv_tokens = 96, .order = emulation::kLatestFirst});
}

TEST(SmallAttention, Causal) {
  Check({.head_dim = 64, .q_tokens = 130, .kv_tokens = 130, .causal = true});
  Check({.head_dim = 72, .q_tokens = 65, .kv_tokens = 65, .causal = true, .order = 2});
}

TEST(SmallAttention, LengthsAndBatches) {
  Check({.q_tokens = 20, .kv_tokens = 70, .batch = 4, .heads = 2, .lengths = {99, 3, 0, -7}});
}

TEST(SmallAttention, OneQuery) {
  Check({.q_tokens = 1, .kv_tokens = 150, .batch = 2, .heads = 2, .lengths = {150, 9}});
  Check({.head_dim = 72, .q_tokens = 1, .kv_tokens = 77});
}

TEST(SmallAttention, LargeScores) {
  Check({.q_tokens = 40, .kv_tokens = 150, .order = 3, .scale = 1, .spread = 30});
}

TEST(SmallAttention, General) {
  const auto check = [](const AttentionCase& c) { RunAttentionCase<Half, GeneralKernel<Half>>(c); };
  check({.head_dim = 12, .q_tokens = 6, .kv_tokens = 70, .heads = 2, .scale = 1, .spread = 30});
  check({.head_dim = 40,
         .q_tokens = 34,
         .kv_tokens = 34,
         .batch = 3,
         .causal = true,
         .lengths = {34, 5, 0}});
}

}  // namespace
}  // namespace cliptag::cuda
