// Devices that are missing, fail or are lost, and errors that stay.
#include <thread>

#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ErrorsTest : public StandinTest {};

struct DivergeParams {
  int unused;
};
inline __global__ void DivergeKernel(DivergeParams) {
  if (threadIdx.x == 0) __syncthreads();
}

TEST_F(ErrorsTest, WithoutADeviceOrDriver) {
  Settings settings;
  int count = -1, version = 0;
  void* p = nullptr;
  settings.devices = 0;
  Reset(settings);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(cudaSetDevice(0), cudaErrorNoDevice);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorNoDevice);
  settings.devices = 1;
  settings.driver_version = 12080;
  Reset(settings);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorInsufficientDriver);
  EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, 12080);
  EXPECT_EQ(cudaRuntimeGetVersion(&version), cudaSuccess);
  EXPECT_EQ(version, CUDART_VERSION);
}

TEST_F(ErrorsTest, Devices) {
  Settings settings;
  settings.devices = 2;
  settings.major = 8;
  settings.minor = 6;
  settings.name = "Small";
  Reset(settings);
  int value = 0;
  EXPECT_EQ(cudaGetDeviceCount(&value), cudaSuccess);
  EXPECT_EQ(value, 2);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  std::thread([] {
    int device = -1;
    cudaGetDevice(&device);
    EXPECT_EQ(device, 0);  // each thread chooses for itself
  }).join();
  cudaDeviceProp properties;
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 1), cudaSuccess);
  EXPECT_STREQ(properties.name, "Small");
  EXPECT_EQ(properties.major * 10 + properties.minor, 86);
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0), cudaSuccess);
  EXPECT_EQ(value, 8);
  // A stream takes kernels of its own device only.
  cudaStream_t stream = NewStream();
  float* device = Device(32);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(Scale(stream, device, device, 32, 1), cudaErrorInvalidResourceHandle);
  EXPECT_THAT(TakeProblems(), SizeIs(1));
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);  // where the memory is freed
}

TEST_F(ErrorsTest, AFailingKernelIsSticky) {
  cudaStream_t stream = NewStream(), other = NewStream();
  float* device = Device(32);
  cuda::StreamLauncher launch(stream);
  launch(DivergeKernel, {1, 1, 1, 64, 0}, DivergeParams{});
  EXPECT_EQ(launch.error(), cudaSuccess);  // nothing has run yet
  EXPECT_EQ(cudaMemsetAsync(device, 0, 4, other), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
  EXPECT_THAT(LastKernelError(), AllOf(HasSubstr("DivergeParams"), HasSubstr("__syncthreads")));
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaErrorLaunchFailure);
  EXPECT_EQ(Scale(other, device, device, 1, 1), cudaErrorLaunchFailure);
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorLaunchFailure);
  EXPECT_EQ(PendingOperations(), 0u);
  // Cleaning up says the same, and still cleans up.
  EXPECT_EQ(cudaFree(device), cudaErrorLaunchFailure);
  device_.clear();
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaStreamDestroy(other), cudaErrorLaunchFailure);
  streams_.clear();
  EXPECT_EQ(GetLiveObjects().Total(), 0u);
}

TEST_F(ErrorsTest, LaunchesThatNoCardTakes) {
  const cuda::LaunchShape shapes[] = {
      {0, 1, 1, 32, 0}, {1, 65536, 1, 32, 0}, {1, 1, 1, 1056, 0}, {1, 1, 1, 32, 49153}};
  for (const cuda::LaunchShape& shape : shapes) {
    cuda::StreamLauncher launch(nullptr);
    launch(ScaleKernel, shape, ScaleParams{});
    EXPECT_EQ(launch.error(), cudaErrorInvalidConfiguration);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
  }
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);  // not sticky
  EXPECT_THAT(TakeProblems(), SizeIs(4));
}

TEST_F(ErrorsTest, ALauncherStopsAtTheFirstError) {
  FailCall("cudaLaunchKernel", 2, cudaErrorLaunchOutOfResources);
  float* device = Device(32);
  cuda::StreamLauncher launch(nullptr);
  for (int i = 0; i < 4; ++i) {
    launch(ScaleKernel, {1, 1, 1, 32, 0}, ScaleParams{device, device, 32, 1});
  }
  EXPECT_EQ(launch.error(), cudaErrorLaunchOutOfResources);
  EXPECT_EQ(CallsOf("cudaLaunchKernel"), 2u);
  EXPECT_EQ(PendingOperations(), 1u);
}

TEST_F(ErrorsTest, ADeviceThatIsLost) {
  cudaStream_t stream = NewStream();
  float* device = Device(4);
  LoseDeviceAfter(2, cudaErrorDevicesUnavailable);
  for (int i = 0; i < 2; ++i) {
    cudaMemsetAsync(device, 0, 16, stream);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  }
  EXPECT_EQ(cudaMemsetAsync(device, 0, 16, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorDevicesUnavailable);
  int count = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorDevicesUnavailable);
}

TEST_F(ErrorsTest, ACallThatFails) {
  FailCall("cudaMalloc", 2, cudaErrorMemoryAllocation);
  void *first = nullptr, *second = nullptr;
  EXPECT_EQ(cudaMalloc(&first, 4), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 4), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&second, 4), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(CallsOf("cudaMalloc"), 3u);
  cudaFree(first);
  cudaFree(second);
}

TEST_F(ErrorsTest, ErrorsHaveNames) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorLaunchFailure), "cudaErrorLaunchFailure");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(12345)), "unrecognized error code");
}

}  // namespace
}  // namespace cliptag::standin
