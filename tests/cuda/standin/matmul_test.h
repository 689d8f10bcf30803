// Calls of cuBLASLt for its tests: matrices on both sides, descriptors, and the product by a plain
// loop in double.
#pragma once

#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "tests/cuda/standin/product.h"
#include "tests/cuda/standin/standin_test.h"

namespace cliptag::standin {

inline constexpr cudaDataType kTypes[] = {CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF};

inline Number NumberOf(cudaDataType type) {
  return type == CUDA_R_32F ? Number::kF32 : type == CUDA_R_16F ? Number::kF16 : Number::kBf16;
}

// A matrix on both sides, in the host's copy as it lies on the device.
struct HostMatrix {
  cudaDataType type;
  int64_t rows, cols, ld;
  int batch = 1;
  int64_t stride = 0;
  std::vector<char> bytes;
  void* device = nullptr;

  float at(int b, int64_t row, int64_t col) const {
    return Load(NumberOf(type), bytes.data(), b * stride + col * ld + row);
  }
};

class MatmulTest : public StandinTest {
 protected:
  struct Case {
    int64_t m = 1, n = 1, k = 1, extra = 0;
    bool ta = false, tb = false;
    cudaDataType in = CUDA_R_32F, out = CUDA_R_32F;
    unsigned epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    float alpha = 1, beta = 0;
    int batch = 1;
  };

  void SetUp() override {
    StandinTest::SetUp();
    ASSERT_EQ(cublasLtCreate(&handle_), CUBLAS_STATUS_SUCCESS);
    stream_ = NewStream();
  }
  void TearDown() override {
    EXPECT_EQ(cublasLtDestroy(handle_), CUBLAS_STATUS_SUCCESS);
    StandinTest::TearDown();
  }

  HostMatrix Make(cudaDataType type, int64_t rows, int64_t cols, int64_t ld, int batch) {
    HostMatrix m{type, rows, cols, ld, batch, ld * cols + 3, {}, nullptr};
    const size_t size = SizeOf(NumberOf(type));
    m.bytes.assign(static_cast<size_t>(m.stride * batch) * size, '\xff');
    for (int b = 0; b < batch; ++b) {
      for (int64_t c = 0; c < cols; ++c) {
        for (int64_t r = 0; r < rows; ++r) {
          Store(NumberOf(type), m.bytes.data(), b * m.stride + c * ld + r,
                static_cast<float>(random_() % 2001) / 1000 - 1);
        }
      }
    }
    m.device = Device((m.bytes.size() + 3) / 4);
    EXPECT_EQ(
        cudaMemcpyAsync(m.device, m.bytes.data(), m.bytes.size(), cudaMemcpyHostToDevice, stream_),
        cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);  // the host's copy may go at any time
    return m;
  }

  cublasLtMatrixLayout_t Layout(const HostMatrix& m) {
    cublasLtMatrixLayout_t layout = nullptr;
    EXPECT_EQ(cublasLtMatrixLayoutCreate(&layout, m.type, static_cast<uint64_t>(m.rows),
                                         static_cast<uint64_t>(m.cols), m.ld),
              CUBLAS_STATUS_SUCCESS);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &m.batch,
                                     sizeof(m.batch));
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.stride,
                                     sizeof(m.stride));
    layouts_.push_back(layout);
    return layout;
  }

  // Everything a call needs, for tests that change one thing.
  struct Call {
    HostMatrix a, b, c, d;
    std::vector<float> bias;
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t la, lb, lc, ld;
    cublasLtMatmulPreference_t preference = nullptr;
  };

  Call Prepare(const Case& t) {
    Call call;
    call.a = Make(t.in, t.ta ? t.k : t.m, t.ta ? t.m : t.k, (t.ta ? t.k : t.m) + t.extra, t.batch);
    call.b = Make(t.in, t.tb ? t.n : t.k, t.tb ? t.k : t.n, (t.tb ? t.n : t.k) + t.extra, t.batch);
    call.c = Make(t.out, t.m, t.n, t.m + t.extra, t.batch);
    call.d = Make(t.out, t.m, t.n, t.m + 2 * t.extra, t.batch);
    call.la = Layout(call.a);
    call.lb = Layout(call.b);
    call.lc = Layout(call.c);
    call.ld = Layout(call.d);
    cublasLtMatmulDescCreate(&call.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const int ta = t.ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb = t.tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtMatmulDescSetAttribute(call.desc, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof(ta));
    cublasLtMatmulDescSetAttribute(call.desc, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof(tb));
    cublasLtMatmulDescSetAttribute(call.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &t.epilogue,
                                   sizeof(t.epilogue));
    if (t.epilogue & CUBLASLT_EPILOGUE_BIAS) {
      const HostMatrix bias = Make(t.out, t.m, 1, t.m, 1);
      for (int64_t i = 0; i < t.m; ++i) call.bias.push_back(bias.at(0, i, 0));
      cublasLtMatmulDescSetAttribute(call.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias.device,
                                     sizeof(bias.device));
    }
    cublasLtMatmulPreferenceCreate(&call.preference);
    return call;
  }

  void Release(Call& call) {
    cublasLtMatmulDescDestroy(call.desc);
    cublasLtMatmulPreferenceDestroy(call.preference);
    for (cublasLtMatrixLayout_t layout : layouts_) cublasLtMatrixLayoutDestroy(layout);
    layouts_.clear();
  }

  cublasStatus_t Choose(Call& call, cublasLtMatmulHeuristicResult_t& result) {
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, call.desc, call.la, call.lb, call.lc, call.ld,
                                       call.preference, 1, &result, &count);
    EXPECT_EQ(count, status == CUBLAS_STATUS_SUCCESS ? 1 : 0);
    return status;
  }

  cublasStatus_t Multiply(Call& call, const cublasLtMatmulAlgo_t* algo, float alpha = 1,
                          float beta = 0, void* workspace = nullptr, size_t bytes = 0) {
    return cublasLtMatmul(handle_, call.desc, &alpha, call.a.device, call.la, call.b.device,
                          call.lb, &beta, call.c.device, call.lc, call.d.device, call.ld, algo,
                          workspace, bytes, stream_);
  }

  void ReadBack(HostMatrix& m) {
    EXPECT_EQ(
        cudaMemcpyAsync(m.bytes.data(), m.device, m.bytes.size(), cudaMemcpyDeviceToHost, stream_),
        cudaSuccess);
  }

  void Check(const Case& t) {
    Call call = Prepare(t);
    cublasLtMatmulHeuristicResult_t result;
    ASSERT_EQ(Choose(call, result), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(Multiply(call, &result.algo, t.alpha, t.beta), CUBLAS_STATUS_SUCCESS);
    ReadBack(call.d);
    const double ulp = t.out == CUDA_R_32F ? 1e-6 : t.out == CUDA_R_16F ? 0x1p-11 : 0x1p-8;
    for (int batch = 0; batch < t.batch; ++batch) {
      for (int64_t j = 0; j < t.n; ++j) {
        for (int64_t i = 0; i < t.m; ++i) {
          const double expected = Expected(t, call, batch, i, j);
          ASSERT_NEAR(call.d.at(batch, i, j), expected, ulp * (1 + std::abs(expected)))
              << batch << ", " << i << ", " << j;
        }
      }
    }
    Release(call);
    for (float* p : device_) cudaFree(p);
    device_.clear();
  }

  static double Expected(const Case& t, const Call& call, int batch, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < t.k; ++k) {
      sum += double{t.ta ? call.a.at(batch, k, i) : call.a.at(batch, i, k)} *
             (t.tb ? call.b.at(batch, j, k) : call.b.at(batch, k, j));
    }
    sum *= t.alpha;
    if (t.beta != 0) sum += t.beta * double{call.c.at(batch, i, j)};
    if (!call.bias.empty()) sum += call.bias[static_cast<size_t>(i)];
    const unsigned activation = t.epilogue & ~unsigned{CUBLASLT_EPILOGUE_BIAS};
    if (activation == CUBLASLT_EPILOGUE_RELU) return std::max(sum, 0.0);
    if (activation != CUBLASLT_EPILOGUE_GELU) return sum;
    return 0.5 * sum * (1 + std::tanh(std::sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
  }

  cublasLtHandle_t handle_ = nullptr;
  cudaStream_t stream_ = nullptr;
  std::vector<cublasLtMatrixLayout_t> layouts_;
  std::mt19937 random_{1};
};

}  // namespace cliptag::standin
