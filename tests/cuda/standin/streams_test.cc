// Streams and events: late, in awkward orders, and only as far as something waits.
#include <cmath>
#include <thread>

#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {
namespace {

using testing::Each;
using testing::IsEmpty;
using testing::IsNan;
using testing::SizeIs;

class StreamsTest : public StandinTest {};

TEST_F(StreamsTest, NothingRunsBeforeAWait) {
  cudaStream_t stream = NewStream();
  float *host = Pinned(40, 2), *out = Pinned(40), *device = Device(40);
  ASSERT_EQ(cudaMemcpyAsync(device, host, 160, cudaMemcpyHostToDevice, stream), cudaSuccess);
  ASSERT_EQ(Scale(stream, device, device, 40, 3), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(out, device, 160, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(PendingOperations(), 3u);
  EXPECT_EQ(GetCounters().operations, 0u);
  EXPECT_EQ(out[0], 0);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_THAT(std::vector<float>(out, out + 40), Each(6.0f));
  const Counters counters = GetCounters();
  EXPECT_EQ(counters.kernels, 1u);
  EXPECT_EQ(counters.copies_to_device, 1u);
  EXPECT_EQ(counters.bytes_to_host, 160u);
}

TEST_F(StreamsTest, AMissingEventWaitReadsPoison) {
  cudaStream_t first = NewStream(), second = NewStream();
  cudaEvent_t ready = NewEvent();
  for (const bool wait : {false, true}) {
    float *host = Pinned(8, 5), *device = Device(8), *out = Pinned(8);
    ASSERT_EQ(cudaMemcpyAsync(device, host, 32, cudaMemcpyHostToDevice, first), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(ready, first), cudaSuccess);
    if (wait) {
      ASSERT_EQ(cudaStreamWaitEvent(second, ready), cudaSuccess);
    }
    ASSERT_EQ(cudaMemcpyAsync(out, device, 32, cudaMemcpyDeviceToHost, second), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(second), cudaSuccess);
    if (wait) {
      EXPECT_EQ(out[7], 5);
    } else {
      EXPECT_THAT(out[7], IsNan());
    }
  }
}

// The other hazard: a stream that overwrites what another has not read yet.
TEST_F(StreamsTest, OverwritingTooEarlyShowsWhenOthersRunFirst) {
  for (const bool wait : {false, true}) {
    SetOrder(kOthersFirst);
    cudaStream_t copies = NewStream(), compute = NewStream();
    cudaEvent_t uploaded = NewEvent(), used = NewEvent();
    float *one = Pinned(8, 1), *two = Pinned(8, 2), *input = Device(8), *output = Device(8);
    float* out = Pinned(8);
    ASSERT_EQ(cudaMemcpyAsync(input, one, 32, cudaMemcpyHostToDevice, copies), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(uploaded, copies), cudaSuccess);
    ASSERT_EQ(cudaStreamWaitEvent(compute, uploaded), cudaSuccess);
    ASSERT_EQ(Scale(compute, input, output, 8, 10), cudaSuccess);
    ASSERT_EQ(cudaEventRecord(used, compute), cudaSuccess);
    ASSERT_EQ(cudaMemcpyAsync(out, output, 32, cudaMemcpyDeviceToHost, compute), cudaSuccess);
    if (wait) {
      ASSERT_EQ(cudaStreamWaitEvent(copies, used), cudaSuccess);
    }
    ASSERT_EQ(cudaMemcpyAsync(input, two, 32, cudaMemcpyHostToDevice, copies), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(compute), cudaSuccess);
    EXPECT_EQ(out[0], wait ? 10 : 20);
  }
}

TEST_F(StreamsTest, SeedsGiveEveryOrderThatTheEventsAllow) {
  bool seen[2] = {};
  for (uint32_t seed = 2; seed < 40; ++seed) {
    SetOrder(seed);
    cudaStream_t a = NewStream(), b = NewStream();
    float *host = Pinned(1, 1), *device = Device(1), *out = Pinned(1);
    cudaMemcpyAsync(device, host, 4, cudaMemcpyHostToDevice, a);
    cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, b);
    ASSERT_EQ(cudaStreamSynchronize(b), cudaSuccess);
    seen[std::isnan(*out) ? 1 : 0] = true;
  }
  EXPECT_TRUE(seen[0] && seen[1]);
}

TEST_F(StreamsTest, AWaitIsForTheRecordBeforeIt) {
  cudaStream_t a = NewStream(), b = NewStream();
  cudaEvent_t event = NewEvent();
  EXPECT_EQ(cudaStreamWaitEvent(b, event), cudaSuccess);  // never recorded: nothing to wait for
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  float *one = Pinned(1, 1), *device = Device(1), *out = Pinned(1);
  cudaEventRecord(event, a);
  cudaStreamWaitEvent(b, event);
  cudaMemcpyAsync(device, one, 4, cudaMemcpyHostToDevice, a);
  cudaEventRecord(event, a);
  cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, b);
  ASSERT_EQ(cudaStreamSynchronize(b), cudaSuccess);
  EXPECT_THAT(*out, IsNan());
}

TEST_F(StreamsTest, QueriesGetOn) {
  cudaStream_t stream = NewStream();
  cudaEvent_t event = NewEvent();
  float* device = Device(32);
  for (int i = 0; i < 3; ++i) cudaMemsetAsync(device, 0, 128, stream);
  cudaEventRecord(event, stream);
  cudaMemsetAsync(device, 0, 128, stream);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  int polls = 1;
  while (cudaEventQuery(event) == cudaErrorNotReady) ++polls;
  EXPECT_EQ(polls, 4);
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);  // it counts as an error, as with CUDA
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(StreamsTest, EventsHaveTimes) {
  cudaStream_t stream = NewStream();
  cudaEvent_t start = NewEvent(0), end = NewEvent(0), silent = NewEvent();
  float ms = -1, *device = Device(1);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorInvalidResourceHandle);
  cudaEventRecord(start, stream);
  for (int i = 0; i < 4; ++i) cudaMemsetAsync(device, 0, 4, stream);
  cudaEventRecord(end, stream);
  cudaEventRecord(silent, stream);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
  cudaStreamSynchronize(stream);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaSuccess);
  EXPECT_FLOAT_EQ(ms, 0.005f);  // an event takes its microsecond before it tells the time
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, silent), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(TakeProblems(), SizeIs(2));
}

// The legacy stream waits for blocking streams and these for it; a non-blocking one does not.
TEST_F(StreamsTest, TheLegacyStream) {
  for (const bool blocking : {true, false}) {
    cudaStream_t stream = NewStream(blocking ? cudaStreamDefault : cudaStreamNonBlocking);
    float *host = Pinned(4, 3), *device = Device(4), *out = Pinned(4);
    cudaMemcpyAsync(device, host, 16, cudaMemcpyHostToDevice, stream);
    const std::vector<float> seen = Read(device, 4);
    EXPECT_EQ(std::isnan(seen[0]), !blocking);
    ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    // cudaMemset and cudaMemcpy from pageable memory return before the device has done its part.
    const float values[4] = {1, 2, 3, 4};
    ASSERT_EQ(cudaMemcpy(device, values, 16, cudaMemcpyHostToDevice), cudaSuccess);
    cudaMemcpyAsync(out, device, 16, cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    EXPECT_EQ(out[0], blocking ? 1 : 3);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  }
}

TEST_F(StreamsTest, ADestroyedStreamStillDoesItsWork) {
  cudaStream_t stream = nullptr;
  cudaStreamCreate(&stream);
  cudaEvent_t event = NewEvent();
  float *host = Pinned(1, 7), *device = Device(1), *out = Pinned(1);
  cudaMemcpyAsync(device, host, 4, cudaMemcpyHostToDevice, stream);
  cudaMemcpyAsync(out, device, 4, cudaMemcpyDeviceToHost, stream);
  cudaEventRecord(event, stream);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(*out, 0);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(*out, 7);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(TakeProblems(), SizeIs(2));
}

TEST_F(StreamsTest, ThreadsWithAStreamEach) {
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t) {
    cudaStream_t stream = NewStream();
    float *host = Pinned(64, static_cast<float>(t)), *device = Device(64), *out = Pinned(64);
    threads.emplace_back([=] {
      for (int i = 0; i < 20; ++i) {
        cudaMemcpyAsync(device, host, 256, cudaMemcpyHostToDevice, stream);
        EXPECT_EQ(Scale(stream, device, device, 64, 2), cudaSuccess);
        cudaMemcpyAsync(out, device, 256, cudaMemcpyDeviceToHost, stream);
        EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
        EXPECT_EQ(out[63], 2.0f * static_cast<float>(t));
        host[0] = static_cast<float>(i);  // it has been read by now
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(TakeProblems(), IsEmpty());
  EXPECT_EQ(GetCounters().kernels, 80u);
}

}  // namespace
}  // namespace cliptag::standin
