// What the tests of the stand-in share: a fixture that starts from the beginning and finds leaks
// and misuse at the end, memory, and two kernels.
#pragma once

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/cuda/device/device.cuh"
#include "kernels/cuda/device/stream_launch.cuh"
#include "tests/cuda/standin/control.h"

namespace cliptag::standin {

struct ScaleParams {
  const float* in;
  float* out;
  int count;
  float factor;
};

// out = in * factor; in may be out.
inline __global__ void ScaleKernel(ScaleParams p) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < p.count) p.out[i] = p.in[i] * p.factor;
}

inline cudaError_t Scale(cudaStream_t stream, const float* in, float* out, int count,
                         float factor) {
  cuda::StreamLauncher launch(stream);
  const auto blocks = static_cast<unsigned>((count + 31) / 32);
  launch(ScaleKernel, {blocks, 1, 1, 32, 0}, ScaleParams{in, out, count, factor});
  return launch.error();
}

class StandinTest : public testing::Test {
 protected:
  void SetUp() override { Reset(); }
  void TearDown() override {
    for (float* p : device_) cudaFree(p);
    for (float* p : pinned_) cudaFreeHost(p);
    for (cudaStream_t stream : streams_) cudaStreamDestroy(stream);
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
    EXPECT_THAT(Reset(), testing::IsEmpty());
  }

  float* Device(size_t count) {
    void* p = nullptr;
    EXPECT_EQ(cudaMalloc(&p, count * sizeof(float)), cudaSuccess);
    device_.push_back(static_cast<float*>(p));
    return device_.back();
  }
  float* Pinned(size_t count, float value = 0) {
    void* p = nullptr;
    EXPECT_EQ(cudaMallocHost(&p, count * sizeof(float)), cudaSuccess);
    pinned_.push_back(static_cast<float*>(p));
    for (size_t i = 0; p != nullptr && i < count; ++i) pinned_.back()[i] = value;
    return pinned_.back();
  }
  cudaStream_t NewStream(unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t stream = nullptr;
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, flags), cudaSuccess);
    streams_.push_back(stream);
    return stream;
  }
  cudaEvent_t NewEvent(unsigned flags = cudaEventDisableTiming) {
    cudaEvent_t event = nullptr;
    EXPECT_EQ(cudaEventCreateWithFlags(&event, flags), cudaSuccess);
    events_.push_back(event);
    return event;
  }
  static std::vector<float> Read(const float* device, size_t count) {
    std::vector<float> host(count);
    EXPECT_EQ(cudaMemcpy(host.data(), device, count * sizeof(float), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return host;
  }

  std::vector<float*> device_, pinned_;
  std::vector<cudaStream_t> streams_;
  std::vector<cudaEvent_t> events_;
};

}  // namespace cliptag::standin
