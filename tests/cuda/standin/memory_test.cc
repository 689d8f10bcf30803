// Device memory, pinned memory and copies.
#include "tests/cuda/standin/memory.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsNan;
using testing::SizeIs;

class MemoryTest : public StandinTest {
 protected:
  static Settings WithoutPages() {
    Settings settings;
    settings.guard_pages = false;
    return settings;
  }
};

TEST_F(MemoryTest, StartsAsPoison) {
  const float *device = Device(5), *pinned = Pinned(0);
  EXPECT_THAT(Read(device, 5), Each(IsNan()));
  EXPECT_EQ(pinned, nullptr);  // nothing was asked for
  void* p = nullptr;
  ASSERT_EQ(cudaHostAlloc(&p, 4, cudaHostAllocPortable), cudaSuccess);
  EXPECT_THAT(*static_cast<float*>(p), IsNan());
  EXPECT_EQ(cudaFreeHost(p), cudaSuccess);
}

using MemoryDeathTest = MemoryTest;

TEST_F(MemoryDeathTest, TheHostCannotTouchDeviceMemory) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  volatile float* device = Device(5);
  EXPECT_DEATH({ device[0] = 1; }, "");
  EXPECT_DEATH({ [[maybe_unused]] const float x = device[4]; }, "");
  cudaDeviceSynchronize();
  EXPECT_DEATH({ device[0] = 1; }, "");
}

TEST_F(MemoryTest, ProtectionCanBeTurnedOff) {
  Settings settings;
  settings.protect = false;
  Reset(settings);
  float* device = Device(1);
  *device = 4;
  EXPECT_EQ(*device, 4);
}

TEST_F(MemoryTest, RunsOut) {
  Settings settings;
  settings.memory_bytes = 1 << 20;
  Reset(settings);
  void *first = nullptr, *second = nullptr;
  size_t free = 0, total = 0;
  ASSERT_EQ(cudaMalloc(&first, 1 << 19), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, (1 << 19) + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);  // not sticky
  EXPECT_EQ(free, size_t{1} << 19);
  EXPECT_EQ(total, size_t{1} << 20);
  EXPECT_EQ(cudaMalloc(&second, static_cast<size_t>(-4)), cudaErrorMemoryAllocation);
  EXPECT_THAT(TakeProblems(), ElementsAre(HasSubstr("negative")));
  EXPECT_EQ(cudaFree(first), cudaSuccess);
}

TEST_F(MemoryTest, WrongFreesAreReported) {
  float *device = Device(4), *pinned = Pinned(4);
  EXPECT_EQ(cudaFree(device + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(device), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
  EXPECT_EQ(cudaFree(device), cudaErrorInvalidValue);
  device_.clear();
  EXPECT_THAT(TakeProblems(), SizeIs(4));
}

TEST_F(MemoryTest, FreeingWhileAnotherDeviceIsCurrentIsReported) {
  Settings settings;
  settings.devices = 2;
  Reset(settings);
  void *own = nullptr, *other = nullptr;
  ASSERT_EQ(cudaMalloc(&own, 4), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&other, 4), cudaSuccess);
  EXPECT_EQ(cudaFree(own), cudaSuccess);
  EXPECT_THAT(TakeProblems(), IsEmpty());
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaFree(other), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_THAT(TakeProblems(), ElementsAre(HasSubstr("another device is current")));
}

TEST_F(MemoryTest, LeaksAreReported) {
  void* p = nullptr;
  cudaStream_t stream = nullptr;
  cudaMalloc(&p, 4);
  cudaStreamCreate(&stream);
  EXPECT_EQ(GetLiveObjects().Total(), 2u);
  EXPECT_EQ(GetLiveObjects().device_bytes, 4u);
  EXPECT_THAT(Reset(), ElementsAre(AllOf(HasSubstr("1 allocations"), HasSubstr("1 streams"))));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  TakeProblems();
}

TEST_F(MemoryTest, WritingOutsideOfAnAllocationIsFatal) {
  if (WatchesEveryByte()) GTEST_SKIP() << "ends the process; see MemoryDeathTest";
  for (const int offset : {-1, 1}) {
    Reset(WithoutPages());
    device_.clear();
    float *in = Device(32), *out = Device(32);
    cudaMemset(in, 0, 128);
    EXPECT_EQ(Scale(nullptr, in, out + offset, 32, 1), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    EXPECT_THAT(LastKernelError(), AllOf(HasSubstr("ScaleParams"), HasSubstr("128 bytes")));
    EXPECT_EQ(cudaMemset(in, 0, 4), cudaErrorIllegalAddress);
  }
}

TEST_F(MemoryTest, WritingToWhatWasFreedIsFound) {
  if (WatchesEveryByte()) GTEST_SKIP() << "ends the process; see MemoryDeathTest";
  float *in = Device(32), *freed = Device(32);
  cudaMemset(in, 0, 128);
  cudaFree(freed);
  device_.pop_back();
  Scale(nullptr, in, freed, 32, 1);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  cudaFree(in);
  device_.clear();
  EXPECT_THAT(Reset(), ElementsAre(HasSubstr("after it was freed")));
}

TEST_F(MemoryTest, WhatWasFreedIsPoison) {
  if (WatchesEveryByte()) GTEST_SKIP() << "ends the process; see MemoryDeathTest";
  float *kept = Device(32), *freed = Device(32);
  cudaMemset(freed, 0, 128);
  cudaFree(freed);
  device_.pop_back();
  Scale(nullptr, freed, kept, 32, 1);
  EXPECT_THAT(Read(kept, 32), Each(IsNan()));
}

TEST_F(MemoryDeathTest, AddressSanitizerFindsEveryByteThatAKernelHasNoRightTo) {
  if (!WatchesEveryByte()) GTEST_SKIP() << "no AddressSanitizer in this build";
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  constexpr const char* kReport = "use-after-poison.*\n.*(READ|WRITE) of size";
  const auto scale = [](const void* in, void* out, int count) {
    Scale(nullptr, static_cast<const float*>(in), static_cast<float*>(out), count, 1);
    cudaDeviceSynchronize();
  };
  char* in = reinterpret_cast<char*>(Device(32));
  char* out = reinterpret_cast<char*>(Device(32));
  cudaMemset(in, 0, 128);
  scale(in, out, 32);
  EXPECT_EQ(LastKernelError(), "");
  EXPECT_DEATH(scale(in - 4, out, 1), kReport);
  EXPECT_DEATH(scale(in + 128, out, 1), kReport);
  EXPECT_DEATH(scale(in, out, 33), kReport);
  EXPECT_DEATH(scale(in, out - 4, 1), kReport);
  // One byte of four.
  void* odd = nullptr;
  ASSERT_EQ(cudaMalloc(&odd, 127), cudaSuccess);
  scale(odd, out, 31);
  EXPECT_DEATH(scale(odd, out, 32), kReport);
  cudaFree(odd);
  EXPECT_DEATH(scale(odd, out, 1), kReport);
  EXPECT_DEATH(scale(in, odd, 1), kReport);
}

TEST_F(MemoryDeathTest, PagesAroundAllocationsFindReads) {
  if (WatchesEveryByte()) GTEST_SKIP() << "AddressSanitizer finds more";
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto read = [](const float* in, float* out) {
    Scale(nullptr, in, out, 1, 1);
    cudaDeviceSynchronize();
  };
  float *between = nullptr, *behind = nullptr, *before = nullptr;
  while (between == nullptr || behind == nullptr || before == nullptr) {
    float* p = Device(64);
    const uintptr_t in_page = reinterpret_cast<uintptr_t>(p) % 4096;
    (in_page == 0 ? behind : in_page == 4096 - 256 ? before : between) = p;
    ASSERT_LT(device_.size(), 50u) << "a place that no allocation has";
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(between) % 512, 256u);
  for (float* in : {between, behind, before}) {
    cudaMemset(in, 0, 256);
    read(in, between);
    read(in + 63, between);
  }
  EXPECT_EQ(LastKernelError(), "");
  EXPECT_DEATH(read(behind - 1, between), "touched what lies 4 bytes in front of .* of 256 bytes");
  EXPECT_DEATH(read(before + 64, between), "touched what lies 0 bytes behind the end of");
  EXPECT_DEATH(read(between - 1024, between), "touched");
  EXPECT_DEATH(read(between + 1024, between), "touched");
}

// Once it has left the quarantine, which holds 200 of them, what was a guard page is memory as any
// other.
TEST_F(MemoryTest, PlacesOfAllocationsAreUsedAgain) {
  uintptr_t lowest = UINTPTR_MAX, highest = 0;
  for (int i = 0; i < 600; ++i) {
    void* p = nullptr;
    const size_t bytes = 4000 + 700 * (static_cast<size_t>(i) % 13);
    ASSERT_EQ(cudaMalloc(&p, bytes), cudaSuccess);
    const auto at = reinterpret_cast<uintptr_t>(p);
    EXPECT_EQ(at % 256, 0u);
    lowest = std::min(lowest, at);
    highest = std::max(highest, at);
    ASSERT_EQ(cudaMemset(p, i, bytes), cudaSuccess);
    ASSERT_EQ(cudaFree(p), cudaSuccess);
  }
  if (!WatchesEveryByte()) {  // which needs no pages
    EXPECT_LT(highest - lowest, size_t{600} * 3 * 4096);
  }
}

TEST_F(MemoryTest, HostMemoryIsReadLate) {
  cudaStream_t stream = NewStream();
  float *pinned = Pinned(1, 1), *out = Pinned(2), *device = Device(2);
  float pageable = 1;
  ASSERT_EQ(cudaMemcpyAsync(device, pinned, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(device + 1, &pageable, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  *pinned = 2;  // a wait too few, here and below
  pageable = 2;
  ASSERT_EQ(cudaMemcpyAsync(out, device, 8, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(out[0], 2);
  EXPECT_EQ(out[1], 2);
}

TEST_F(MemoryTest, ACopyToPageableMemoryWaits) {
  cudaStream_t stream = NewStream();
  float *pinned = Pinned(1, 6), *device = Device(1);
  float out = 0;
  cudaMemcpyAsync(device, pinned, 4, cudaMemcpyHostToDevice, stream);
  ASSERT_EQ(cudaMemcpyAsync(&out, device, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(out, 6);
  EXPECT_EQ(PendingOperations(), 0u);
}

TEST_F(MemoryTest, RowsOfAPitch) {
  cudaStream_t stream = NewStream();
  float *host = Pinned(6), *device = Device(10);
  for (int i = 0; i < 6; ++i) host[i] = static_cast<float>(i);
  ASSERT_EQ(cudaMemcpy2DAsync(device, 20, host, 12, 8, 2, cudaMemcpyHostToDevice, stream),
            cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  const std::vector<float> seen = Read(device, 10);
  EXPECT_EQ(seen[1], 1);
  EXPECT_THAT(seen[2], IsNan());
  EXPECT_EQ(seen[6], 4);
  EXPECT_THAT(seen[7], IsNan());
  EXPECT_EQ(cudaMemcpy2DAsync(device, 4, host, 12, 8, 2, cudaMemcpyHostToDevice, stream),
            cudaErrorInvalidPitchValue);
  // The last row ends before the pitch does.
  EXPECT_EQ(cudaMemcpy2DAsync(device + 3, 20, host, 12, 8, 2, cudaMemcpyHostToDevice, stream),
            cudaSuccess);
}

TEST_F(MemoryTest, CopiesOutOfBoundsOrInTheWrongDirection) {
  cudaStream_t stream = NewStream();
  float *host = Pinned(4), *device = Device(4);
  EXPECT_EQ(cudaMemcpyAsync(device, host, 20, cudaMemcpyHostToDevice, stream),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device + 1, host, 16, cudaMemcpyHostToDevice, stream),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, host, 16, cudaMemcpyDeviceToHost, stream),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, host, static_cast<size_t>(-1), cudaMemcpyDefault, stream),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, nullptr, 4, cudaMemcpyDefault, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(device, 0, 17, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, host, 0, cudaMemcpyDefault, stream), cudaSuccess);
  EXPECT_EQ(PendingOperations(), 0u);
  EXPECT_THAT(TakeProblems(), SizeIs(5));
}

TEST_F(MemoryTest, Attributes) {
  cudaPointerAttributes attributes;
  float *device = Device(4), *pinned = Pinned(4);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, device + 3), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.devicePointer, device + 3);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, pinned), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  ASSERT_EQ(cudaPointerGetAttributes(&attributes, &attributes), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
}

TEST_F(MemoryTest, AddressesAreUsedAgainOnlyLate) {
  Reset(WithoutPages());
  float* first = Device(1000);
  cudaFree(first);
  device_.clear();
  EXPECT_NE(Device(1000), first);
  // Once more than the quarantine holds was freed, it may come back, as poison.
  for (int i = 0; i < 8; ++i) {
    void* p = nullptr;
    ASSERT_EQ(cudaMalloc(&p, size_t{16} << 20), cudaSuccess);
    ASSERT_EQ(cudaFree(p), cudaSuccess);
  }
  float* again = Device(1000);
  EXPECT_EQ(again, first);
  EXPECT_THAT(Read(again, 1000), Each(IsNan()));
  EXPECT_EQ(GetCounters().allocations, 11u);
}

}  // namespace
}  // namespace cliptag::standin
