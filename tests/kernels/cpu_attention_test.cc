// Attention on the CPU against the oracle.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/kernels/cpu_test_fixture.h"

namespace cliptag {
namespace {

class CpuAttentionTest : public CpuTest {
 protected:
  struct Case {
    int batch = 1, tokens = 50, heads = 2, head_dim = 64;
    bool causal = false;
    std::vector<int32_t> kv_lengths = {};
    int kv_tokens = 0;       // tokens where 0
    float magnitude = 1.0f;  // of q
  };

  void Check(const Case& c) {
    const int kv_tokens = c.kv_tokens ? c.kv_tokens : c.tokens;
    const std::string what = "repro: {" + std::to_string(c.batch) + ", " +
                             std::to_string(c.tokens) + ", " + std::to_string(c.heads) + ", " +
                             std::to_string(c.head_dim) + ", causal " + std::to_string(c.causal) +
                             ", kv " + std::to_string(kv_tokens) + "}";
    const int64_t width = int64_t{c.heads} * c.head_dim;
    // Q, K and V of self-attention are columns of one product.
    TestMatrix packed(c.batch * c.tokens, 3 * width, type(), 1);
    TestMatrix other(c.batch * kv_tokens, 2 * width, type());
    packed.Fill(random_);
    other.Fill(random_);
    TestMatrix out(c.batch * c.tokens, width, type(), 3);
    TestMatrix packed_f32 = packed.AsFloat(), other_f32 = other.AsFloat();
    TestMatrix exact(c.batch * c.tokens, width, DType::kF32);
    AttentionArgs a;
    const auto set = [&](const Matrix& qkv, const Matrix& kv, const Matrix& to) {
      a.q = qkv.Cols(0, width);
      a.k = c.kv_tokens ? kv.Cols(0, width) : qkv.Cols(width, width);
      a.v = c.kv_tokens ? kv.Cols(width, width) : qkv.Cols(2 * width, width);
      a.out = to;
    };
    a.batch = c.batch, a.q_tokens = c.tokens, a.kv_tokens = kv_tokens;
    a.heads = c.heads, a.head_dim = c.head_dim;
    a.scale = c.magnitude / std::sqrt(static_cast<float>(c.head_dim));
    a.causal = c.causal;
    a.kv_lengths = c.kv_lengths.empty() ? nullptr : c.kv_lengths.data();
    set(packed, other, out);
    ASSERT_STATUS_OK(cpu_->Attention(a));
    set(packed_f32, other_f32, exact);
    ASSERT_STATUS_OK(ref_->Attention(a));
    // Probabilities near 1 of scores of some size: their rounding is in the exponent.
    ExpectLikeExact(out, exact, 1e-5 * c.magnitude, what);
  }
};

TEST_P(CpuAttentionTest, HeadSizes) {
  for (int head_dim : {32, 64, 72, 80, 88, 96, 104, 112, 128}) {
    Check({.batch = 2, .tokens = 50, .heads = 2, .head_dim = head_dim});
    Check({.batch = 1, .tokens = 77, .heads = 3, .head_dim = head_dim, .causal = true});
  }
  for (int head_dim : {1, 3, 17, 160}) Check({.tokens = 20, .head_dim = head_dim});
}

TEST_P(CpuAttentionTest, TokenCounts) {
  for (int tokens : {1, 2, 3, 4, 5, 15, 16, 17, 31, 63, 64, 65, 67, 127, 129, 197}) {
    Check({.tokens = tokens, .heads = 1});
    Check({.tokens = tokens, .heads = 1, .head_dim = 32, .causal = true});
  }
}

TEST_P(CpuAttentionTest, ManyTokens) {
  Check({.tokens = 577, .heads = 1});
  Check({.tokens = 257, .heads = 2, .head_dim = 80, .causal = true});
}

TEST_P(CpuAttentionTest, KeyLengths) {
  Check({.batch = 3, .tokens = 77, .heads = 2, .kv_lengths = {77, 1, 40}});
  Check({.batch = 3, .tokens = 130, .heads = 1, .kv_lengths = {64, 65, 0}});
  Check({.batch = 2, .tokens = 24, .heads = 3, .causal = true, .kv_lengths = {5, 24}});
}

TEST_P(CpuAttentionTest, OtherKeysThanQueries) {
  Check({.batch = 2, .tokens = 1, .heads = 2, .kv_tokens = 50});
  Check({.batch = 1, .tokens = 70, .heads = 2, .kv_tokens = 9});
  Check({.batch = 2, .tokens = 3, .heads = 2, .kv_lengths = {7, 100}, .kv_tokens = 100});
}

// Scores of +-100 and more: an exponential without the running maximum would overflow.
TEST_P(CpuAttentionTest, LargeScores) {
  Check({.tokens = 150, .heads = 1, .head_dim = 32, .magnitude = 30.0f});
}

TEST_P(CpuAttentionTest, RefusesWhatDoesNotFit) {
  TestMatrix q(10, 8, type()), k(12, 8, type());
  AttentionArgs a;
  a.q = q, a.k = k, a.v = k, a.out = q;
  a.batch = 2, a.q_tokens = 5, a.kv_tokens = 6, a.heads = 2, a.head_dim = 4;
  EXPECT_TRUE(cpu_->Attention(a).ok());
  a.causal = true;
  EXPECT_EQ(cpu_->Attention(a).message(),
            "Attention: causal needs as many queries as keys, not 5 and 6.");
  a.causal = false;
  a.head_dim = 5;
  EXPECT_NE(cpu_->Attention(a).message().find("Attention: q is 10x8"), std::string::npos);
  a.head_dim = 0;
  EXPECT_FALSE(cpu_->Attention(a).ok());
}

INSTANTIATE_CPU_TESTS(CpuAttentionTest);

}  // namespace
}  // namespace cliptag
