// Captures and graphs.
#include <functional>
#include <thread>

#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {
namespace {

using testing::HasSubstr;
using testing::IsNan;
using testing::SizeIs;

class CaptureTest : public StandinTest {
 protected:
  void SetUp() override {
    StandinTest::SetUp();
    stream_ = NewStream();
  }
  void TearDown() override {
    for (cudaGraphExec_t exec : execs_) EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
    StandinTest::TearDown();
  }

  void Begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
    ASSERT_EQ(cudaStreamBeginCapture(stream_, mode), cudaSuccess);
  }
  // Null if the capture failed.
  cudaGraphExec_t End(size_t nodes) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
    size_t count = 0;
    EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &count), cudaSuccess);
    EXPECT_EQ(count, nodes);
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);  // which the executable one outlives
    execs_.push_back(exec);
    return exec;
  }
  cudaError_t EndFails() {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream_, &graph);
    EXPECT_EQ(graph, nullptr);
    return error;
  }
  cudaStreamCaptureStatus Status() {
    cudaStreamCaptureStatus status;
    EXPECT_EQ(cudaStreamIsCapturing(stream_, &status), cudaSuccess);
    return status;
  }

  cudaStream_t stream_ = nullptr;
  std::vector<cudaGraphExec_t> execs_;
};

TEST_F(CaptureTest, ReplaysWithTheArgumentsOfTheRecording) {
  float *host = Pinned(32, 1), *device = Device(32), *out = Pinned(32);
  EXPECT_EQ(Status(), cudaStreamCaptureStatusNone);
  Begin();
  EXPECT_EQ(Status(), cudaStreamCaptureStatusActive);
  cudaMemcpyAsync(device, host, 128, cudaMemcpyHostToDevice, stream_);
  {
    ScaleParams params{device, device, 32, 3};
    cuda::StreamLauncher launch(stream_);
    launch(ScaleKernel, {1, 1, 1, 32, 0}, params);
    EXPECT_EQ(launch.error(), cudaSuccess);
    params.factor = 0;  // no longer read
  }
  cudaMemcpyAsync(out, device, 128, cudaMemcpyDeviceToHost, stream_);
  cudaGraphExec_t exec = End(3);
  EXPECT_EQ(PendingOperations(), 0u);
  for (float value = 1; value < 4; ++value) {
    host[5] = value;
    ASSERT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
    EXPECT_NE(out[5], 3 * value);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    EXPECT_EQ(out[5], 3 * value);
  }
  EXPECT_EQ(GetCounters().kernels, 3u);
  EXPECT_EQ(GetCounters().graphs_captured, 1u);
  EXPECT_EQ(GetCounters().graphs_launched, 3u);
}

TEST_F(CaptureTest, ForbidsWhatItCannotHold) {
  float *device = Device(4), *pinned = Pinned(4), pageable[4] = {};
  cudaStream_t other = NewStream();
  cudaEvent_t event = NewEvent();
  cudaEventRecord(event, other);
  const std::function<cudaError_t()> calls[] = {
      [] {
        void* p = nullptr;
        return cudaMalloc(&p, 4);
      },
      [&] { return cudaFree(device); },
      [] {
        void* p = nullptr;
        return cudaMallocHost(&p, 4);
      },
      [&] { return cudaFreeHost(pinned); },
      [] { return cudaDeviceSynchronize(); },
      [&] { return cudaStreamSynchronize(stream_); },
      [&] { return cudaStreamSynchronize(other); },
      [&] { return cudaStreamQuery(stream_); },
      [&] { return cudaEventQuery(event); },
      [&] { return cudaEventSynchronize(event); },
      [&] { return cudaMemcpy(device, pinned, 16, cudaMemcpyHostToDevice); },
      [&] { return cudaMemset(device, 0, 16); },
      [&] { return cudaMemcpyAsync(device, pageable, 16, cudaMemcpyHostToDevice, stream_); },
      [&] { return cudaMemcpyAsync(pageable, device, 16, cudaMemcpyDeviceToHost, stream_); },
  };
  for (const auto& call : calls) {
    SCOPED_TRACE(&call - calls);
    Begin();
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(Status(), cudaStreamCaptureStatusInvalidated);
    EXPECT_EQ(cudaMemsetAsync(device, 0, 4, stream_), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(EndFails(), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(Status(), cudaStreamCaptureStatusNone);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);  // it is usable again
  }
}

TEST_F(CaptureTest, ModesSayWhoIsForbidden) {
  const struct {
    cudaStreamCaptureMode mode;
    bool here, elsewhere;
  } cases[] = {{cudaStreamCaptureModeGlobal, true, true},
               {cudaStreamCaptureModeThreadLocal, true, false},
               {cudaStreamCaptureModeRelaxed, false, false}};
  for (const auto& c : cases) {
    for (const bool elsewhere : {false, true}) {
      Begin(c.mode);
      cudaError_t error = cudaSuccess;
      if (elsewhere) {
        std::thread([&] { error = cudaDeviceSynchronize(); }).join();
      } else {
        error = cudaDeviceSynchronize();
      }
      const bool forbidden = elsewhere ? c.elsewhere : c.here;
      EXPECT_EQ(error, forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess) << c.mode;
      if (forbidden) {
        EXPECT_EQ(EndFails(), cudaErrorStreamCaptureInvalidated);
      } else {
        End(0);
      }
    }
  }
}

TEST_F(CaptureTest, TheLegacyStreamAndBlockingStreams) {
  float* device = Device(4);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
  stream_ = NewStream(cudaStreamDefault);
  Begin();
  EXPECT_EQ(cudaMemsetAsync(device, 0, 16, nullptr), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(EndFails(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CaptureTest, ForksAreJoined) {
  cudaStream_t side = NewStream();
  cudaEvent_t fork = NewEvent(), join = NewEvent();
  for (const bool joined : {true, false}) {
    for (const uint32_t order : {kLatest, kOthersFirst, 7u}) {
      SetOrder(order);
      float *a = Device(32), *b = Device(32), *out = Pinned(64);
      Begin();
      cudaMemsetAsync(a, 0, 128, stream_);
      cudaEventRecord(fork, stream_);
      ASSERT_EQ(cudaStreamWaitEvent(side, fork), cudaSuccess);
      Scale(side, a, b, 32, 2);
      Scale(stream_, a, a, 32, 2);
      cudaEventRecord(join, side);
      EXPECT_EQ(cudaEventSynchronize(join), cudaErrorStreamCaptureUnsupported);
      EXPECT_EQ(EndFails(), cudaErrorStreamCaptureInvalidated);
      EXPECT_EQ(cudaEventSynchronize(join), cudaErrorCapturedEvent);
      // The same without that mistake.
      Begin();
      cudaMemsetAsync(a, 0, 128, stream_);
      cudaEventRecord(fork, stream_);
      cudaStreamWaitEvent(side, fork);
      Scale(side, a, b, 32, 2);
      Scale(stream_, a, a, 32, 2);
      cudaEventRecord(join, side);
      if (!joined) {
        EXPECT_EQ(EndFails(), cudaErrorStreamCaptureUnjoined);
        continue;
      }
      cudaStreamWaitEvent(stream_, join);
      cudaMemcpyAsync(out, b, 128, cudaMemcpyDeviceToHost, stream_);
      ASSERT_EQ(cudaGraphLaunch(End(4), stream_), cudaSuccess);
      ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
      EXPECT_EQ(out[31], 0);
    }
  }
}

TEST_F(CaptureTest, DoesNotDependOnWorkOutside) {
  cudaStream_t other = NewStream();
  cudaEvent_t event = NewEvent();
  cudaEventRecord(event, other);
  Begin();
  EXPECT_EQ(cudaStreamWaitEvent(stream_, event), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(EndFails(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CaptureTest, EndsWhereItBegan) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorIllegalState);
  Begin();
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaErrorIllegalState);
  std::thread([&] {
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureWrongThread);
  }).join();
  EXPECT_EQ(EndFails(), cudaErrorStreamCaptureInvalidated);
}

TEST_F(CaptureTest, AReplayOfFreedMemoryIsFatal) {
  float* device = Device(4);
  Begin();
  cudaMemsetAsync(device, 0, 16, stream_);
  cudaGraphExec_t exec = End(1);
  cudaFree(device);
  device_.clear();
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  EXPECT_THAT(LastKernelError(), HasSubstr("freed"));
  for (cudaGraphExec_t e : execs_) EXPECT_EQ(cudaGraphExecDestroy(e), cudaErrorIllegalAddress);
  execs_.clear();
}

TEST_F(CaptureTest, LaunchesOfOneGraphDoNotOverlap) {
  cudaStream_t other = NewStream();
  float *device = Device(1), *host = Pinned(1, 1);
  Begin();
  Scale(stream_, device, device, 1, 2);
  cudaGraphExec_t exec = End(1);
  cudaMemcpyAsync(device, host, 4, cudaMemcpyHostToDevice, stream_);
  cudaGraphLaunch(exec, stream_);
  cudaGraphLaunch(exec, other);
  ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_EQ(Read(device, 1)[0], 4);
}

TEST_F(CaptureTest, HandlesThatAreNone) {
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, nullptr, 0), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphLaunch(exec, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphDestroy(nullptr), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaErrorInvalidValue);
  EXPECT_THAT(TakeProblems(), SizeIs(4));
}

}  // namespace
}  // namespace cliptag::standin
