// What cuBLASLt refuses, and how its work behaves in streams.
#include <functional>
#include <span>

#include "tests/cuda/standin/matmul_test.h"
#include "tests/cuda/standin/runtime.h"

namespace cliptag::standin {
namespace {

using testing::IsNan;
using testing::SizeIs;

// A product that is changed in one way, and what comes of it.
class MatmulRefusalsTest : public MatmulTest {
 protected:
  static constexpr Case kCase = {.m = 16, .n = 8, .k = 24};

  // Of the heuristic, and of the product without an algorithm, which must agree.
  cublasStatus_t StatusOf(Call& call) {
    cublasLtMatmulHeuristicResult_t result;
    const cublasStatus_t status = Choose(call, result);
    EXPECT_EQ(Multiply(call, nullptr), status);
    return status;
  }
  // Each of the changes alone makes the product one that is refused so.
  void ExpectAll(std::span<const std::function<void(Call&)>> changes, cublasStatus_t status) {
    for (const auto& change : changes) {
      Call call = Prepare(kCase);
      change(call);
      EXPECT_EQ(StatusOf(call), status) << &change - changes.data();
      Release(call);
    }
  }
  template <typename Value>
  static void Set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attr, Value value) {
    ASSERT_EQ(cublasLtMatmulDescSetAttribute(desc, attr, &value, sizeof(value)),
              CUBLAS_STATUS_SUCCESS);
  }
  template <typename Value>
  static void Set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attr,
                  Value value) {
    ASSERT_EQ(cublasLtMatrixLayoutSetAttribute(layout, attr, &value, sizeof(value)),
              CUBLAS_STATUS_SUCCESS);
  }
  template <typename Value>
  static void Set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attr,
                  Value value) {
    ASSERT_EQ(cublasLtMatmulPreferenceSetAttribute(preference, attr, &value, sizeof(value)),
              CUBLAS_STATUS_SUCCESS);
  }
};

TEST_F(MatmulRefusalsTest, Types) {
  const struct {
    cudaDataType a, b, c, d;
    cublasComputeType_t compute;
    cublasStatus_t status;
  } cases[] = {
      {CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F, CUBLAS_STATUS_SUCCESS},
      {CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32,
       CUBLAS_STATUS_SUCCESS},
      {CUDA_R_16F, CUDA_R_16BF, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F,
       CUBLAS_STATUS_NOT_SUPPORTED},
      {CUDA_R_16F, CUDA_R_16F, CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F,
       CUBLAS_STATUS_NOT_SUPPORTED},
      {CUDA_R_32F, CUDA_R_32F, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F,
       CUBLAS_STATUS_NOT_SUPPORTED},
      {CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_32F_FAST_TF32,
       CUBLAS_STATUS_NOT_SUPPORTED},
      {CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUDA_R_16F, CUBLAS_COMPUTE_16F,
       CUBLAS_STATUS_NOT_SUPPORTED},
      {CUDA_R_8I, CUDA_R_8I, CUDA_R_32I, CUDA_R_32I, CUBLAS_COMPUTE_32I,
       CUBLAS_STATUS_NOT_SUPPORTED},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::Message() << c.a << " " << c.b << " " << c.c << " " << c.d);
    Call call = Prepare(kCase);
    Set(call.la, CUBLASLT_MATRIX_LAYOUT_TYPE, c.a);
    Set(call.lb, CUBLASLT_MATRIX_LAYOUT_TYPE, c.b);
    Set(call.lc, CUBLASLT_MATRIX_LAYOUT_TYPE, c.c);
    Set(call.ld, CUBLASLT_MATRIX_LAYOUT_TYPE, c.d);
    Set(call.desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, c.compute);
    EXPECT_EQ(StatusOf(call), c.status);
    Release(call);
  }
}

TEST_F(MatmulRefusalsTest, Bfloat16BeforeAmpere) {
  Runtime::Get().settings.major = 7;
  Call call = Prepare({.m = 8, .n = 8, .k = 8, .in = CUDA_R_16BF, .out = CUDA_R_16BF});
  EXPECT_EQ(StatusOf(call), CUBLAS_STATUS_ARCH_MISMATCH);
  Release(call);
}

TEST_F(MatmulRefusalsTest, Shapes) {
  const std::function<void(Call&)> changes[] = {
      [](Call& c) { Set(c.la, CUBLASLT_MATRIX_LAYOUT_LD, int64_t{15}); },
      [](Call& c) { Set(c.ld, CUBLASLT_MATRIX_LAYOUT_LD, int64_t{15}); },
      [](Call& c) { Set(c.la, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t{23}); },
      [](Call& c) { Set(c.lb, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t{7}); },
      [](Call& c) { Set(c.lc, CUBLASLT_MATRIX_LAYOUT_COLS, uint64_t{7}); },
      [](Call& c) { Set(c.desc, CUBLASLT_MATMUL_DESC_TRANSA, int32_t{CUBLAS_OP_T}); },
      [](Call& c) { Set(c.la, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32_t{2}); },
      [](Call& c) { Set(c.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{5}); },
  };
  ExpectAll(changes, CUBLAS_STATUS_INVALID_VALUE);
}

TEST_F(MatmulRefusalsTest, WhatIsSupportedOnlyElsewhere) {
  const std::function<void(Call&)> changes[] = {
      [](Call& c) { Set(c.ld, CUBLASLT_MATRIX_LAYOUT_ORDER, int32_t{CUBLASLT_ORDER_ROW}); },
      [](Call& c) { Set(c.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{32 | 128}); },
      [](Call& c) { Set(c.desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE, CUDA_R_16F); },
      [](Call& c) { Set(c.desc, CUBLASLT_MATMUL_DESC_POINTER_MODE, int32_t{1}); },
  };
  ExpectAll(changes, CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_F(MatmulRefusalsTest, AttributesOfTheWrongSize) {
  Call call = Prepare(kCase);
  const uint64_t value = 0;
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(call.desc, CUBLASLT_MATMUL_DESC_TRANSA, &value, 8),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatrixLayoutSetAttribute(call.la, CUBLASLT_MATRIX_LAYOUT_ROWS, &value, 4),
            CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmulPreferenceSetAttribute(
                call.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &value, 4),
            CUBLAS_STATUS_INVALID_VALUE);
  Release(call);
  EXPECT_EQ(cublasLtMatmulDescDestroy(call.desc), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(TakeProblems(), SizeIs(1));
}

TEST_F(MatmulRefusalsTest, AnotherShapesAlgorithm) {
  Call call = Prepare(kCase), other = Prepare({.m = 16, .n = 9, .k = 24});
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(Choose(call, result), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(Multiply(other, &result.algo), CUBLAS_STATUS_INVALID_VALUE);
  const cublasLtMatmulAlgo_t none = {};
  EXPECT_EQ(Multiply(call, &none), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Multiply(call, &result.algo), CUBLAS_STATUS_SUCCESS);
  EXPECT_THAT(TakeProblems(), SizeIs(2));
  cublasLtMatmulDescDestroy(other.desc);
  cublasLtMatmulPreferenceDestroy(other.preference);
  Release(call);
}

TEST_F(MatmulRefusalsTest, Workspaces) {
  Call call = Prepare(kCase);
  Set(call.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{1} << 20);
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(Choose(call, result), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(result.workspaceSize, 512u);
  float *workspace = Device(128 + 64), *small = Device(64);
  EXPECT_EQ(Multiply(call, &result.algo, 1, 0, workspace, 256), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Multiply(call, &result.algo, 1, 0, small, 512), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Multiply(call, &result.algo, 1, 0, workspace + 4, 512), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(Multiply(call, &result.algo, 1, 0, call.b.device, 512), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(TakeProblems().size(), 4u);
  cudaMemsetAsync(workspace, 0, 516, stream_);
  EXPECT_EQ(Multiply(call, &result.algo, 1, 0, workspace, 512), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  const std::vector<float> left = Read(workspace, 129);  // whoever keeps something there loses it
  EXPECT_THAT(left[0], IsNan());
  EXPECT_THAT(left[127], IsNan());
  EXPECT_EQ(left[128], 0);
  Release(call);
}

TEST_F(MatmulRefusalsTest, AReplayOfFreedMemoryIsFatal) {
  Call call = Prepare(kCase);
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess);
  ASSERT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_SUCCESS);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaFree(call.a.device), cudaSuccess);
  std::erase(device_, call.a.device);
  ASSERT_EQ(cudaGraphLaunch(exec, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorIllegalAddress);
  EXPECT_THAT(LastKernelError(), testing::HasSubstr("A: "));
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_EXECUTION_FAILED);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  Release(call);
}

TEST_F(MatmulRefusalsTest, PointersAgainstTheDeclaredAlignment) {
  Call call = Prepare({.m = 16, .n = 8, .k = 24, .in = CUDA_R_16F, .out = CUDA_R_16F});
  cublasLtMatmulHeuristicResult_t result;
  ASSERT_EQ(Choose(call, result), CUBLAS_STATUS_SUCCESS);
  void* a = call.a.device;
  call.a.device = static_cast<char*>(a) + 6;  // past the matrix is room for the batch's gap
  Set(call.la, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, int64_t{0});
  ASSERT_EQ(Choose(call, result), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(Multiply(call, &result.algo), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(TakeProblems(), SizeIs(1));
  Set(call.preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, uint32_t{2});
  ASSERT_EQ(Choose(call, result), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(Multiply(call, &result.algo), CUBLAS_STATUS_SUCCESS);
  Release(call);
}

TEST_F(MatmulRefusalsTest, MemoryThatIsNotThere) {
  Call call = Prepare(kCase);
  std::vector<float> host(1024);
  void* const a = call.a.device;
  call.a.device = host.data();
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  call.a.device = Device(8);  // too small
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  call.a.device = call.d.device;  // overwritten
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  call.a.device = a;
  Set(call.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{CUBLASLT_EPILOGUE_BIAS});
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_INVALID_VALUE);  // no bias was given
  EXPECT_THAT(TakeProblems(), SizeIs(4));
  Release(call);
}

// As when heads lie side by side in one matrix.
TEST_F(MatmulRefusalsTest, ColumnsBesideTheInputMayBeWritten) {
  Call call = Prepare({.m = 8, .n = 8, .k = 8, .extra = 8});
  call.lc = call.ld;
  call.d.device = static_cast<float*>(call.a.device) + 8;
  call.c.device = call.d.device;
  Set(call.ld, CUBLASLT_MATRIX_LAYOUT_LD, int64_t{16});
  Set(call.la, CUBLASLT_MATRIX_LAYOUT_LD, int64_t{16});
  Set(call.ld, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, int64_t{0});
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_SUCCESS);
  Release(call);
}

TEST_F(MatmulRefusalsTest, ItIsWorkOfItsStream) {
  Call call = Prepare(kCase);
  const float one = 1;
  // Another stream, which does not wait for an upload: poison.
  cudaStream_t other = NewStream();
  void* late = Device((call.a.bytes.size() + 3) / 4);
  ASSERT_EQ(cudaMemcpyAsync(late, call.a.bytes.data(), call.a.bytes.size(), cudaMemcpyHostToDevice,
                            stream_),
            cudaSuccess);
  ASSERT_EQ(
      cublasLtMatmul(handle_, call.desc, &one, late, call.la, call.b.device, call.lb, &one,
                     call.c.device, call.lc, call.d.device, call.ld, nullptr, nullptr, 0, other),
      CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(GetCounters().products, 0u);
  ASSERT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_EQ(GetCounters().products, 1u);
  EXPECT_THAT(Read(static_cast<float*>(call.d.device), 1)[0], IsNan());
  ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  Release(call);
}

TEST_F(MatmulRefusalsTest, HandlesBelongToADevice) {
  Runtime::Get().settings.devices = 2;
  Call call = Prepare(kCase);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_INVALID_VALUE);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(Multiply(call, nullptr), CUBLAS_STATUS_SUCCESS);
  EXPECT_THAT(TakeProblems(), SizeIs(1));
  Release(call);
}

TEST_F(MatmulRefusalsTest, WithoutADevice) {
  Settings none;
  none.devices = 0;
  cublasLtDestroy(handle_);
  cudaStreamDestroy(stream_);
  streams_.clear();
  EXPECT_THAT(Reset(none), testing::IsEmpty());
  EXPECT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_NOT_INITIALIZED);
  Reset();
  EXPECT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_SUCCESS);
}

}  // namespace
}  // namespace cliptag::standin
