// The emulation itself: what it computes, and that it finds the mistakes it is there to find.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "kernels/cuda/device/device.cuh"

namespace cliptag::cuda {
namespace {

using emulation::DeviceBuffer;
using emulation::Launch;
using emulation::LaunchConfig;
using emulation::LaunchReport;
using testing::HasSubstr;

// --- fragments, as the PTX ISA's formulas read
// ------------------------------------------------------

// "row = groupID for ai where 0 <= i < 2 || 4 <= i < 6, groupID + 8 otherwise;
//  col = (threadID_in_group * 2) + (i & 0x1) for ai where i < 4, ... + 8 for i >= 4"
void FillA16(int lane, const float (&a)[16][16], float (&elements)[8]) {
  const int group = lane >> 2, thread_in_group = lane % 4;
  for (int i = 0; i < 8; ++i) {
    const int row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
    const int col = thread_in_group * 2 + (i & 1) + (i < 4 ? 0 : 8);
    elements[i] = a[row][col];
  }
}
// "row = (threadID_in_group * 2) + (i & 0x1) for bi where i < 2, ... + 8 for i >= 2; col = groupID"
void FillB16(int lane, const float (&b)[16][8], float (&elements)[4]) {
  for (int i = 0; i < 4; ++i) elements[i] = b[lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8)][lane >> 2];
}

template <typename T>
class MmaTest : public testing::Test {
 protected:
  MmaTest() {
    // Small integers and halves: exact in every type, so that the comparison can be exact too.
    std::minstd_rand random(7);
    std::uniform_int_distribution<int> value(-16, 16);
    for (auto& row : a_) {
      for (float& x : row) x = static_cast<float>(value(random)) / 2;
    }
    for (auto& row : b_) {
      for (float& x : row) x = static_cast<float>(value(random)) / 4;
    }
    for (auto& row : c_) {
      for (float& x : row) x = static_cast<float>(value(random));
    }
  }

  void Check(int depth, const float (&d)[16][8]) const {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 8; ++n) {
        float expected = c_[m][n];
        for (int k = 0; k < depth; ++k) expected += a_[m][k] * b_[k][n];
        ASSERT_EQ(d[m][n], expected) << m << ", " << n;
      }
    }
  }

  float a_[16][16], b_[16][8], c_[16][8];
};
using Types = testing::Types<Half, BFloat16>;
TYPED_TEST_SUITE(MmaTest, Types);

TYPED_TEST(MmaTest, DepthSixteenFollowsTheDocumentedLayout) {
  using T = TypeParam;
  float d[16][8];
  const LaunchReport report = Launch({}, [&] {
    const int lane = static_cast<int>(threadIdx.x);
    float ea[8], eb[4], c[4];
    FillA16(lane, this->a_, ea);
    FillB16(lane, this->b_, eb);
    // "row = groupID for ci where i < 2, groupID + 8 for i >= 2; col = threadID_in_group * 2 + (i &
    // 1)"
    for (int i = 0; i < 4; ++i)
      c[i] = this->c_[(lane >> 2) + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)];
    const uint32_t a[4] = {Pack2<T>(ea[0], ea[1]), Pack2<T>(ea[2], ea[3]), Pack2<T>(ea[4], ea[5]),
                           Pack2<T>(ea[6], ea[7])};
    Mma16816<T>(c, a, Pack2<T>(eb[0], eb[1]), Pack2<T>(eb[2], eb[3]));
    for (int i = 0; i < 4; ++i) d[(lane >> 2) + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)] = c[i];
  });
  ASSERT_EQ(report.error, "");
  EXPECT_EQ(report.matrix_products, 1u);
  this->Check(16, d);
}

// What the PTX ISA leaves open, at its worst: subnormal operands vanish, sums are cut.
TYPED_TEST(MmaTest, OpenQuestionsAreAnsweredUnkindly) {
  using T = TypeParam;
  float sums[2][4];
  const LaunchReport report = Launch({}, [&] {
    // Four lanes' products make each sum: 1.5 * 2^-10, at 2^14, where floats are 2^-9 apart.
    const uint32_t one = Pack2<T>(1, 0), ones[4] = {one, one, 0, 0}, subnormals[4] = {1, 1, 0, 0};
    float c[2][4] = {{16384, 16384, -16384, -16384}, {1, 1, 1, 1}};
    Mma16816<T>(c[0], ones, Pack2<T>(0x1.8p-12f, 0), 0);
    Mma16816<T>(c[1], subnormals, Pack2<T>(1024, 0), 0);
    if (threadIdx.x == 0) std::memcpy(sums, c, sizeof(sums));
  });
  ASSERT_EQ(report.error, "");
  EXPECT_EQ(sums[0][0], 16384.0f);
  EXPECT_EQ(sums[0][2], -16384 + 0x1p-9f);
  for (const float sum : sums[1]) EXPECT_EQ(sum, 1);
}

TYPED_TEST(MmaTest, DepthEightFollowsTheDocumentedLayout) {
  using T = TypeParam;
  float d[16][8];
  const LaunchReport report = Launch({}, [&] {
    const int lane = static_cast<int>(threadIdx.x);
    const int group = lane >> 2, pair = lane % 4 * 2;
    float c[4];
    for (int i = 0; i < 4; ++i) c[i] = this->c_[group + (i < 2 ? 0 : 8)][pair + (i & 1)];
    // "row = groupID for a0, a1, groupID + 8 for a2, a3; col = threadID_in_group * 2 + (i & 0x1)"
    Mma1688<T>(c, Pack2<T>(this->a_[group][pair], this->a_[group][pair + 1]),
               Pack2<T>(this->a_[group + 8][pair], this->a_[group + 8][pair + 1]),
               Pack2<T>(this->b_[pair][group], this->b_[pair + 1][group]));
    for (int i = 0; i < 4; ++i) d[group + (i < 2 ? 0 : 8)][pair + (i & 1)] = c[i];
  });
  ASSERT_EQ(report.error, "");
  this->Check(8, d);
}

// --- ldmatrix
// ----------------------------------------------------------------------------------------

// Element (row, col) of matrix i is 64 i + 8 row + col; rows `stride` elements apart.
LaunchReport RunLdMatrix(bool transposed, int stride, int offset, uint32_t (&words)[32][4]) {
  return Launch({.shared_bytes = 32 * 2 * static_cast<size_t>(stride) + 64}, [&, stride] {
    const int lane = static_cast<int>(threadIdx.x);
    auto* shared = reinterpret_cast<uint16_t*>(DynamicShared() + offset);
    for (int i = 0; i < 8; ++i) shared[lane * stride + i] = static_cast<uint16_t>(8 * lane + i);
    __syncthreads();
    uint32_t r[4];
    if (transposed) {
      LdMatrixX4Trans(r, shared + lane * stride);
    } else {
      LdMatrixX4(r, shared + lane * stride);
    }
    for (int i = 0; i < 4; ++i) words[lane][i] = r[i];
  });
}

TEST(LdMatrix, FollowsTheDocumentedLayout) {
  for (const bool transposed : {false, true}) {
    uint32_t words[32][4];
    ASSERT_EQ(RunLdMatrix(transposed, 8, 0, words).error, "");
    for (uint32_t lane = 0; lane < 32; ++lane) {
      for (uint32_t i = 0; i < 4; ++i) {
        // Thread T holds row T / 4, elements 2 (T % 4) and the next; of the transpose with .trans.
        const uint32_t row = lane / 4, col = lane % 4 * 2;
        const uint32_t low = 64 * i + (transposed ? 8 * col + row : 8 * row + col);
        const uint32_t high = 64 * i + (transposed ? 8 * (col + 1) + row : 8 * row + col + 1);
        ASSERT_EQ(words[lane][i], low | high << 16) << lane << ", " << i;
      }
    }
  }
}

TEST(LdMatrix, CountsBankConflicts) {
  uint32_t words[32][4];
  EXPECT_EQ(RunLdMatrix(false, 8, 0, words).bank_conflicts, 0u);       // contiguous
  EXPECT_EQ(RunLdMatrix(false, 72, 0, words).bank_conflicts, 0u);      // 9 units: odd
  EXPECT_EQ(RunLdMatrix(false, 64, 0, words).bank_conflicts, 4u * 7);  // all rows in one eighth
  EXPECT_EQ(RunLdMatrix(false, 16, 0, words).bank_conflicts, 4u * 1);
}

TEST(LdMatrix, RefusesWhatTheHardwareFaultsOn) {
  uint32_t words[32][4];
  EXPECT_THAT(RunLdMatrix(false, 8, 8, words).error, HasSubstr("not a multiple of 16"));
  uint16_t global[8 * 32];
  const LaunchReport report = Launch({}, [&] {
    uint32_t r[2];
    LdMatrixX2(r, reinterpret_cast<uint16_t*>((reinterpret_cast<uintptr_t>(global) + 15) & ~15ul));
  });
  EXPECT_THAT(report.error, HasSubstr("not in shared memory"));
}

// --- asynchronous copies
// -----------------------------------------------------------------------------

TEST(CpAsync, LandsAtItsWaitAndFillsWithZeros) {
  DeviceBuffer<uint32_t> source(32);
  std::iota(source.span().begin(), source.span().end(), 1u);
  const LaunchReport report = Launch({.shared_bytes = 64}, [&] {
    if (threadIdx.x == 0) {
      auto* shared = reinterpret_cast<uint32_t*>(DynamicShared());
      for (int i = 0; i < 16; ++i) shared[i] = 7;
      CpAsync<16>(shared, source.data(), 16);
      CpAsyncCommit();
      CpAsync<16>(shared + 4, source.data() + 4, 8);
      CpAsync<4>(shared + 8, source.data() + 8, 4);
      CpAsync<8>(shared + 10, nullptr, 0);
      CpAsyncCommit();
      EXPECT_EQ(shared[0], 0xffffffffu);  // neither old nor new
      CpAsyncWait<1>();
      EXPECT_EQ(shared[0], 1u);
      EXPECT_EQ(shared[3], 4u);
      EXPECT_EQ(shared[4], 0xffffffffu);
      CpAsyncWait<0>();
      const uint32_t expected[] = {5, 6, 0, 0, 9, 7, 0, 0};
      for (int i = 0; i < 8; ++i) EXPECT_EQ(shared[4 + i], expected[i]) << i;
    }
  });
  EXPECT_EQ(report.error, "");
  EXPECT_EQ(report.asynchronous_copies, 4u);
}

TEST(CpAsync, RefusesMisalignedAndForgottenCopies) {
  DeviceBuffer<uint32_t> source(32);
  const auto run = [&](int to, int from, bool commit, bool wait) {
    return Launch({.shared_bytes = 64},
                  [&, to, from, commit, wait] {
                    if (threadIdx.x != 3) return;
                    CpAsync<16>(DynamicShared() + to, source.data() + from, 16);
                    if (commit) CpAsyncCommit();
                    if (wait) CpAsyncWait<0>();
                  })
        .error;
  };
  EXPECT_EQ(run(16, 4, true, true), "");
  EXPECT_THAT(run(4, 0, true, true), HasSubstr("not a multiple of 16"));
  EXPECT_THAT(run(0, 1, true, true), HasSubstr("not a multiple of 16"));
  EXPECT_THAT(run(0, 0, true, false), HasSubstr("thread 3 left with cp.async under way"));
  EXPECT_THAT(run(0, 0, false, true), HasSubstr("thread 3 left with cp.async that it never"));
}

// --- threads, barriers, memory
// -----------------------------------------------------------------------

TEST(Barrier, OrdersTheBlock) {
  for (const uint32_t order : {0u, 1u, 2u}) {
    std::vector<int> out(128);
    const LaunchReport report = Launch({.grid = {1, 2, 1}, .threads = 64, .order = order}, [&] {
      int* shared = StaticShared<int, 64>();
      const int i = static_cast<int>(threadIdx.x);
      for (int round = 0; round < 3; ++round) {
        shared[i] = i + round;
        __syncthreads();
        out[blockIdx.y * 64 + threadIdx.x] = shared[63 - i];
        __syncthreads();
      }
    });
    ASSERT_EQ(report.error, "");
    EXPECT_EQ(report.barriers, 12u);
    for (int i = 0; i < 128; ++i) ASSERT_EQ(out[i], 63 - i % 64 + 2);
  }
}

TEST(Barrier, NamesTheThreadsThatDoNotArrive) {
  const LaunchReport report = Launch({.threads = 96}, [&] {
    if (threadIdx.x >= 32 && threadIdx.x < 64) return;
    if (threadIdx.x == 65) {
      __syncwarp();
    }
    __syncthreads();
  });
  EXPECT_THAT(report.error, HasSubstr("deadlock: threads 0-31 wait at __syncthreads"));
  EXPECT_THAT(report.error, HasSubstr("threads 32-63 have left the kernel"));
  EXPECT_THAT(report.error, HasSubstr("thread 65 wait at __syncwarp (emulation_test.cc:"));
}

TEST(Barrier, RefusesDivergence) {
  const LaunchReport barriers = Launch({.threads = 64}, [&] {
    if (threadIdx.x < 32) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  });
  EXPECT_THAT(barriers.error, HasSubstr("divergence: "));
  const LaunchReport shuffles = Launch({}, [&] {
    if (threadIdx.x < 16) {
      __shfl_xor_sync(kAllLanes, 1, 1);
    } else {
      __syncwarp();
    }
  });
  EXPECT_THAT(shuffles.error, HasSubstr("divergence: "));
  const LaunchReport mask = Launch({}, [&] { __shfl_xor_sync(0xffff, 1, 1); });
  EXPECT_THAT(mask.error, HasSubstr("does not name all lanes"));
}

TEST(Warp, ShufflesAndVotes) {
  const LaunchReport report = Launch({.threads = 64}, [&] {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    EXPECT_EQ(__shfl_xor_sync(kAllLanes, lane, 5), lane ^ 5);
    EXPECT_EQ(__shfl_sync(kAllLanes, lane * 2, 9), 18);
    EXPECT_EQ(__shfl_sync(kAllLanes, lane, 1, 4), lane / 4 * 4 + 1);
    EXPECT_EQ(__shfl_up_sync(kAllLanes, lane, 3), lane < 3 ? lane : lane - 3);
    EXPECT_EQ(__ballot_sync(kAllLanes, lane % 3 == 0), 0x49249249u);
  });
  EXPECT_EQ(report.error, "");
}

TEST(BytePermute, TakesTheBytesThatItsSelectorNames) {
  uint32_t chosen = 0;
  LaunchReport report = Launch({}, [&] { chosen = BytePermute(0x33221100, 0x77665544, 0x4271); });
  EXPECT_EQ(report.error, "");
  EXPECT_EQ(chosen, 0x44227711u);
  report = Launch({}, [&] { chosen = BytePermute(0, 0, 0x0008); });  // would repeat a sign
  EXPECT_THAT(report.error, testing::HasSubstr("selector beyond 7"));
}

TEST(Memory, RefusesMisalignedVectors) {
  alignas(16) const uint32_t words[4] = {1, 2, 3, 4};
  uint2 pair{};
  LaunchReport report = Launch({}, [&] { pair = Load8(words + 2); });
  EXPECT_EQ(report.error, "");
  EXPECT_EQ(pair.x, 3u);
  EXPECT_EQ(pair.y, 4u);
  report = Launch({}, [&] { pair = Load8(words + 1); });
  EXPECT_THAT(report.error, testing::HasSubstr("not a multiple of 8"));
}

TEST(Memory, StartsAsNaNInEveryBlock) {
  const LaunchReport report = Launch({.grid = {2, 1, 1}, .shared_bytes = 256}, [&] {
    auto* dynamic = reinterpret_cast<float*>(DynamicShared());
    float* fixed = StaticShared<float, 32>();
    EXPECT_TRUE(std::isnan(dynamic[threadIdx.x]));
    EXPECT_TRUE(std::isnan(fixed[threadIdx.x]));
    EXPECT_TRUE(std::isnan(ToFloat(reinterpret_cast<Half*>(dynamic)[threadIdx.x])));
    EXPECT_TRUE(std::isnan(ToFloat(reinterpret_cast<BFloat16*>(dynamic)[threadIdx.x])));
    __syncthreads();
    dynamic[threadIdx.x] = fixed[threadIdx.x] = 1;
  });
  EXPECT_EQ(report.error, "");
  DeviceBuffer<float> buffer(3);
  EXPECT_TRUE(std::isnan(buffer[2]));
}

TEST(Memory, TwoStaticArraysAreTwo) {
  const LaunchReport report = Launch({}, [&] {
    int* a = StaticShared<int, 32, 0>();
    int* b = StaticShared<int, 32, 1>();
    a[threadIdx.x] = 1;
    b[threadIdx.x] = 2;
    __syncthreads();
    EXPECT_EQ(a[31 - threadIdx.x], 1);
  });
  EXPECT_EQ(report.error, "");
}

#if !defined(__SANITIZE_ADDRESS__)  // which stops the program at the very store
TEST(Memory, GuardsFindStoresOutside) {
  const LaunchReport report =
      Launch({.shared_bytes = 64}, [&] { DynamicShared()[threadIdx.x == 0 ? -1 : 0] = 1; });
  EXPECT_THAT(report.error, HasSubstr("outside of its 64 bytes"));
  DeviceBuffer<int> buffer(3);
  EXPECT_TRUE(buffer.GuardsIntact());
  buffer.data()[3] = 0;
  EXPECT_FALSE(buffer.GuardsIntact());
}
#endif

TEST(Launches, RefuseWhatAGpuRefuses) {
  const auto error = [](const LaunchConfig& config) { return Launch(config, [] {}).error; };
  EXPECT_THAT(error({.threads = 40}), HasSubstr("whole warps"));
  EXPECT_THAT(error({.threads = 1056}), HasSubstr("whole warps"));
  EXPECT_THAT(error({.grid = {0, 1, 1}}), HasSubstr("empty"));
  EXPECT_THAT(error({.shared_bytes = 300000}), HasSubstr("shared memory"));
  EXPECT_EQ(error({}), "");
}

}  // namespace
}  // namespace cliptag::cuda
