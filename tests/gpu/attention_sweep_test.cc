// Attention at every head size that has a kernel and every token count that a CLIP tower has, with
// the edges of the tiles between them, causal or not: on a GPU. Over the stand-in, a few of them,
// so that the test itself is known to work.
#include <cmath>

#include "tests/cuda/backend/backend_fixture.h"

namespace cliptag::cuda {
namespace {

struct Sweep {
  std::vector<int> head_dims, tokens;
};

Sweep Cases() {
  if (!test_device::IsFast()) return {{64, 72}, {17, 50}};
  return {{8, 16, 24, 32, 40, 48, 64, 72, 80, 88, 96, 104, 112, 128},
          {1, 2, 15, 16, 17, 50, 63, 64, 65, 77, 127, 128, 129, 145, 196, 197, 256, 257, 576, 577}};
}

class AttentionSweepTest : public BackendTest {
 protected:
  // The error of P V with P rounded to the type, as flash attention has it, is at most a rounding
  // or two of the result's root mean square.
  double Tolerance() const { return type() == DType::kF16 ? 4e-3 : 3.2e-2; }

  void Check(int batch, int tokens, int heads, int head_dim, bool causal, bool lengths) {
    const int width = heads * head_dim;
    TestMatrix qkv(batch * tokens, 3 * width, type());
    qkv.Fill(random_);
    const TestMatrix exact_qkv = qkv.AsFloat();
    const OnDevice device(*backend_, qkv);
    // NaN, which an element that nobody writes keeps.
    TestMatrix poison(batch * tokens, width, type());
    poison.Fill(random_, 0, std::nanf(""));
    const OnDevice out(*backend_, poison);
    TestMatrix exact(batch * tokens, width, DType::kF32);
    TestMatrix counts(1, batch, DType::kI32);
    std::vector<int32_t> seen;
    for (int i = 0; i < batch; ++i) seen.push_back(i == 0 ? tokens : (tokens + 1) / 2);
    std::memcpy(counts.get().data, seen.data(), seen.size() * sizeof(int32_t));
    const OnDevice device_counts(*backend_, counts);
    AttentionArgs args;
    args.batch = batch;
    args.q_tokens = args.kv_tokens = tokens;
    args.heads = heads;
    args.head_dim = head_dim;
    args.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    args.causal = causal;
    const auto run = [&](Backend& backend, const Matrix& in, const Matrix& to,
                         const int32_t* counted) {
      args.kv_lengths = lengths ? counted : nullptr;
      return PackedAttention(backend, in, to, args);
    };
    ASSERT_STATUS_OK(run(*backend_, device, out, device_counts.ints()));
    ASSERT_STATUS_OK(run(*ref_, exact_qkv, exact, seen.data()));
    ExpectLikeExact(out, exact,
                    "head size " + std::to_string(head_dim) + ", " + std::to_string(tokens) +
                        " tokens" + (causal ? ", causal" : "") + (lengths ? ", lengths" : ""),
                    Tolerance());
  }
};

TEST_P(AttentionSweepTest, EveryHeadSizeAndTokenCount) {
  const Sweep sweep = Cases();
  for (const int head_dim : sweep.head_dims) {
    for (const int tokens : sweep.tokens) {
      for (const bool causal : {false, true}) {
        Check(/*batch=*/2, tokens, /*heads=*/2, head_dim, causal, /*lengths=*/tokens % 2 == 1);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// As many blocks as a large batch has, for which there are kernels of their own; the oracle takes
// its time.
TEST_P(AttentionSweepTest, AFullGrid) {
  const bool fast = test_device::IsFast();
  if (fast) {
    for (const int head_dim : {32, 64}) {
      for (const int tokens : {33, 50, 77, 95, 145}) {
        for (const bool causal : {false, true}) {
          Check(/*batch=*/64, tokens, /*heads=*/12, head_dim, causal, /*lengths=*/tokens % 2 == 1);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
  Check(fast ? 64 : 3, fast ? 50 : 10, fast ? 12 : 2, 64, false, false);
  Check(fast ? 8 : 1, fast ? 257 : 9, fast ? 16 : 1, 80, false, false);
}

INSTANTIATE_BACKEND_TESTS(AttentionSweepTest);

}  // namespace
}  // namespace cliptag::cuda
