// What goes wrong with a GPU, one by one: each a sentence that names it and says what to do,
// nothing crashes, nothing leaks.
#include <cublasLt.h>

#include <thread>

#include "kernels/base/log.h"
#include "kernels/cuda/device/runtime.h"
#include "tests/cuda/backend/backend_fixture.h"
#include "tests/cuda/standin/control.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::cuda {
namespace {

using testing::HasSubstr;

class BackendErrorsTest : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(standin::GetLiveObjects().Total(), 0u) << "something was not freed";
    (void)standin::TakeProblems();
  }
  static Status CreateStatus(BackendOptions options = {}) {
    options.kind = BackendKind::kCuda;
    return CreateDeviceBackend(options).status();
  }
};

TEST_F(BackendErrorsTest, NoDevice) {
  standin::Settings settings;
  settings.devices = 0;
  standin::Reset(settings);
  const Status status = CreateStatus();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "This machine has no NVIDIA GPU; use backend=cpu.");
}

TEST_F(BackendErrorsTest, DriverMissingOrTooOld) {
  standin::Settings settings;
  settings.driver_version = 0;
  standin::Reset(settings);
  EXPECT_EQ(CreateStatus().code(), StatusCode::kUnsupported);
  EXPECT_THAT(CreateStatus().message(), HasSubstr("There is no NVIDIA driver"));
  settings.driver_version = 11040;
  standin::Reset(settings);
  EXPECT_THAT(CreateStatus().message(), HasSubstr("The NVIDIA driver supports at most CUDA 11.4"));
  EXPECT_THAT(CreateStatus().message(), HasSubstr("update the driver"));
}

TEST_F(BackendErrorsTest, ANewCardWithADriverThatCannotCompileForIt) {
  standin::Settings settings;
  settings.driver_version = 12080;
  standin::Reset(settings);
  const Status status = FromCuda(cudaErrorUnsupportedPtxVersion, "it worked");
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("The NVIDIA driver supports at most CUDA 12.8"));
}

TEST_F(BackendErrorsTest, CardTooOld) {
  standin::Settings settings;
  settings.major = 7;
  settings.minor = 5;
  settings.name = "Tesla T4";
  standin::Reset(settings);
  const Status status = CreateStatus();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("The Tesla T4 has compute capability 7.5"));
}

TEST_F(BackendErrorsTest, DeviceIndex) {
  standin::Settings settings;
  settings.devices = 2;
  standin::Reset(settings);
  EXPECT_TRUE(CreateStatus({.device = 1}).ok());
  EXPECT_EQ(CreateStatus({.device = 2}).message(),
            "There is no GPU 2; this machine has device 0 to 1.");
  EXPECT_EQ(CreateStatus({.device = -1}).code(), StatusCode::kNotFound);
}

TEST_F(BackendErrorsTest, PrecisionsThatAreNotThere) {
  standin::Reset();
  for (const Precision precision : {Precision::kFp32, Precision::kInt8}) {
    const Status status = CreateStatus({.precision = precision});
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.message(), HasSubstr(ToString(precision)));
  }
}

TEST_F(BackendErrorsTest, OutOfMemory) {
  standin::Settings settings;
  settings.memory_bytes = size_t{16} << 20;
  standin::Reset(settings);
  EXPECT_EQ(CreateStatus().code(), StatusCode::kResourceExhausted);  // cuBLASLt's workspace
  settings.memory_bytes = size_t{64} << 20;
  standin::Reset(settings);
  const auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
  ASSERT_TRUE(backend.ok()) << backend.status().message();
  const Status status = (*backend)->Allocate(size_t{100} << 20).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("no memory for 100 MiB"));
  EXPECT_THAT(status.message(), HasSubstr("of the GPU's 64 MiB are free"));
  EXPECT_TRUE((*backend)->Allocate(1000).ok()) << "it goes on";
}

// A batch through everything that allocates, copies, waits and launches. `before_freeing` is called
// when all went well: later nobody can be told of failures.
Status RunEverything(
    Backend& backend, FunctionRef<void()> before_freeing = [] {}) {
  const Layout& layout = LayoutNamed("NV12");
  const TestFrame frame = MakeFrame(layout, 40, 40, Noise(6, layout, 40));
  const PreprocessSpec spec = PlainSpec(16, 8, Fit::kCrop, Interpolation::kBilinear);
  const DType type = backend.compute_type();
  TestMatrix weight(32, 192, DType::kF32), bias(1, 32, DType::kF32), bank(3, 32, DType::kF32);
  std::mt19937 random(7);
  weight.Fill(random);
  bias.Fill(random);
  bank.Fill(random);
  const LinearSpec linear_spec{{{weight.get().data, DType::kF32, {32, 192}}},
                               {{bias.get().data, DType::kF32, {32}}}};
  CLIPTAG_ASSIGN_OR_RETURN(const auto linear, backend.PackLinear(linear_spec));
  CLIPTAG_ASSIGN_OR_RETURN(const auto rows,
                           backend.Upload({bank.get().data, DType::kF32, {3, 32}}, DType::kF32));
  CLIPTAG_ASSIGN_OR_RETURN(const auto patches, backend.Allocate(4 * 192 * 2));
  CLIPTAG_ASSIGN_OR_RETURN(const auto out, backend.Allocate(4 * 32 * 4));
  CLIPTAG_ASSIGN_OR_RETURN(const auto scores, backend.Allocate(4 * 3 * 4));
  const Matrix x{patches->data(), type, 4, 192, 192}, y{out->data(), DType::kF32, 4, 32, 32};
  const Matrix cosines{scores->data(), DType::kF32, 4, 3, 3};
  const auto graph = backend.CreateGraph();
  for (int run = 0; run < 3; ++run) {
    CLIPTAG_RETURN_IF_ERROR(backend.Preprocess({&frame.view, 1}, spec, x));
    CLIPTAG_RETURN_IF_ERROR(graph->Run([&]() -> Status {
      CLIPTAG_RETURN_IF_ERROR(backend.Gemm(x, *linear, Activation::kQuickGelu, false, y));
      CLIPTAG_RETURN_IF_ERROR(backend.Gemm(x, *linear, Activation::kNone, true, y));
      return backend.NormalizeRows(y);
    }));
    CLIPTAG_RETURN_IF_ERROR(backend.Similarity(y, {rows->data(), DType::kF32, 3, 32, 32}, cosines));
    std::vector<float> host(4 * 32);
    CLIPTAG_RETURN_IF_ERROR(backend.CopyToHost(y, host.data()));
    for (const float v : host) {
      if (!(std::abs(v) <= 1)) return Internal("a wrong number came back");
    }
  }
  CLIPTAG_RETURN_IF_ERROR(backend.Sync());
  before_freeing();
  return {};
}

// Of one algorithm alone: what fails while several are timed is got over (product_choice_test.cc).
TEST_F(BackendErrorsTest, AnyCallMayFail) {
  standin::Settings settings;
  settings.algorithm_us = {100};
  const char* functions[] = {"cudaGetDeviceCount",
                             "cudaGetDeviceProperties",
                             "cudaSetDevice",
                             "cudaStreamCreateWithFlags",
                             "cudaEventCreateWithFlags",
                             "cudaEventRecord",
                             "cudaEventSynchronize",
                             "cudaStreamWaitEvent",
                             "cudaMalloc",
                             "cudaMallocHost",
                             "cudaMemcpyAsync",
                             "cudaMemcpy2DAsync",
                             "cudaStreamSynchronize",
                             "cudaStreamBeginCapture",
                             "cudaLaunchKernel",
                             "cublasLtCreate",
                             "cublasLtMatmulDescCreate",
                             "cublasLtMatmulDescSetAttribute",
                             "cublasLtMatrixLayoutCreate",
                             "cublasLtMatmulPreferenceCreate",
                             "cublasLtMatmulPreferenceSetAttribute",
                             "cublasLtMatmulAlgoGetHeuristic",
                             "cublasLtMatmul"};
  for (const std::string function : functions) {
    const bool library = function.starts_with("cublas");
    int failures = 0, got_over = 0;
    for (int nth = 1; nth <= 60; ++nth) {
      SCOPED_TRACE(function + ", call " + std::to_string(nth));
      standin::Reset(settings);
      standin::FailCall(function, nth,
                        library ? static_cast<int>(CUBLAS_STATUS_INTERNAL_ERROR)
                                : static_cast<int>(cudaErrorMemoryAllocation));
      Status status;
      uint64_t calls = 0;
      {
        auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
        const auto count = [&] { calls = standin::CallsOf(function); };
        status = backend.ok() ? RunEverything(**backend, count) : backend.status();
        if (!status.ok()) count();
      }
      ASSERT_EQ(standin::GetLiveObjects().Total(), 0u) << "something was not freed";
      ASSERT_EQ(standin::LastKernelError(), "");
      if (calls < static_cast<uint64_t>(nth)) break;  // none is left to fail
      if (status.ok()) {  // got over where it was the graph alone that could not be made
        ASSERT_EQ(standin::GetCounters().graphs_launched, 0u) << "the failure went unnoticed";
        ++got_over;
        continue;
      }
      ASSERT_NE(status.message(), "a wrong number came back");
      ++failures;
    }
    EXPECT_GT(failures + got_over, 0) << function << " is never called";
    EXPECT_EQ(failures == 0, function == std::string("cudaStreamBeginCapture"));
  }
}

// A graph that cannot be captured or launched is no reason to stop; there is one warning.
TEST_F(BackendErrorsTest, WithoutGraphsItRunsOn) {
  for (const char* function :
       {"cudaStreamBeginCapture", "cudaGraphInstantiate", "cudaGraphLaunch"}) {
    SCOPED_TRACE(function);
    std::vector<std::string> warnings;
    SetLogCallback([&](LogLevel level, const std::string& message) {
      if (level == LogLevel::kWarning) warnings.push_back(message);
    });
    standin::Reset();
    standin::FailCall(function, 1, cudaErrorNotSupported);
    {
      const auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
      ASSERT_TRUE(backend.ok());
      const Status status = RunEverything(**backend);
      EXPECT_TRUE(status.ok()) << status.message();
    }
    SetLogCallback({});
    EXPECT_EQ(standin::GetCounters().graphs_launched, 0u);
    EXPECT_THAT(warnings, testing::ElementsAre(HasSubstr("without a CUDA graph")));
    EXPECT_EQ(standin::GetLiveObjects().Total(), 0u);
  }
}

// An operation that cannot be captured, as a library may have them, runs on its own.
TEST_F(BackendErrorsTest, WhatCannotBeCapturedRuns) {
  standin::Reset();
  const auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
  ASSERT_TRUE(backend.ok());
  int runs = 0;
  const auto graph = (*backend)->CreateGraph();
  for (int i = 0; i < 3; ++i) {
    const Status status = graph->Run([&]() -> Status {
      CLIPTAG_RETURN_IF_ERROR((*backend)->Allocate(1 << 10).status());
      ++runs;
      return {};
    });
    EXPECT_TRUE(status.ok()) << status.message();
  }
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(standin::GetCounters().graphs_launched, 0u);
}

TEST_F(BackendErrorsTest, TheDeviceIsLost) {
  for (const uint64_t after : {uint64_t{0}, uint64_t{3}, uint64_t{7}, uint64_t{12}}) {
    SCOPED_TRACE(after);
    standin::Reset();
    auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
    ASSERT_TRUE(backend.ok());
    standin::LoseDeviceAfter(after);
    const Status status = RunEverything(**backend);
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_THAT(status.message(), HasSubstr("The GPU failed while"));
    EXPECT_THAT(status.message(), HasSubstr("start the program again"));
    EXPECT_FALSE((*backend)->Sync().ok()) << "it stays lost";
  }
}

TEST_F(BackendErrorsTest, WhatCanBeTriedAgainInTheSameProcess) {
  EXPECT_THAT(FromCuda(cudaErrorNotPermitted, "it worked").message(),
              HasSubstr("start the pipeline again"));
  EXPECT_THAT(FromCuda(cudaErrorIllegalAddress, "it worked").message(),
              HasSubstr("start the program again"));
}

// An element is often stopped by another thread than the one that started it.
TEST_F(BackendErrorsTest, WhatAUserOwnsIsFreedByAnyThread) {
  standin::Settings settings;
  settings.devices = 2;
  standin::Reset(settings);
  auto created = CreateDeviceBackend({.kind = BackendKind::kCuda, .device = 1});
  ASSERT_TRUE(created.ok());
  std::unique_ptr<Backend> backend = created.Take();
  TestMatrix weight(8, 8, DType::kF16);
  const HostTensor tensor{weight.get().data, DType::kF16, {8, 8}};
  auto memory = backend->Allocate(64);
  auto uploaded = backend->Upload(tensor, DType::kF16);
  auto linear = backend->PackLinear({{tensor}, {}});
  ConvolutionSpec spec;
  spec.weight = {weight.get().data, DType::kF16, {8, 8, 1, 1}};
  auto convolution = backend->PackConvolution(spec);
  ASSERT_TRUE(memory.ok() && uploaded.ok() && linear.ok() && convolution.ok());
  auto graph = backend->CreateGraph();
  for (int i = 0; i < 2; ++i) ASSERT_STATUS_OK(graph->Run([] { return Status(); }));
  // A thread for each: the first would make the device that of the others.
  const auto free_elsewhere = [](auto owned) {
    std::thread([moved = std::move(owned)]() mutable { moved.reset(); }).join();
  };
  free_elsewhere(std::move(graph));
  free_elsewhere(memory.Take());
  free_elsewhere(uploaded.Take());
  free_elsewhere(linear.Take());
  free_elsewhere(convolution.Take());
  free_elsewhere(std::move(backend));
  EXPECT_EQ(standin::TakeProblems(), std::vector<std::string>());
}

// Each with its own streams and graphs; what one allocates does not end the other's capture.
TEST_F(BackendErrorsTest, TwoBackendsInTwoThreads) {
  standin::Reset();
  Status status[2];
  const auto work = [](Status* status) {
    auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
    *status = backend.ok() ? RunEverything(**backend) : backend.status();
  };
  std::thread other(work, &status[1]);
  work(&status[0]);
  other.join();
  for (const Status& each : status) EXPECT_TRUE(each.ok()) << each.message();
  EXPECT_EQ(standin::GetCounters().graphs_launched, 4u);
  EXPECT_EQ(standin::LastKernelError(), "");
  EXPECT_EQ(standin::TakeProblems(), std::vector<std::string>());
}

// In whatever order streams run ahead of each other, results are the same.
TEST_F(BackendErrorsTest, EveryOrderOfTheStreams) {
  for (uint32_t order = 0; order < 12; ++order) {
    SCOPED_TRACE(order);
    standin::Settings settings;
    settings.order = order;
    standin::Reset(settings);
    const auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda});
    ASSERT_TRUE(backend.ok());
    const Status status = RunEverything(**backend);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(standin::LastKernelError(), "");
    EXPECT_EQ(standin::TakeProblems(), std::vector<std::string>());
  }
}

}  // namespace
}  // namespace cliptag::cuda
