// What the stand-in's cuBLASLt handles stand for. Internal to it.
//
// Threads: guarded by the mutex of Runtime.
#pragma once

#include <cublasLt.h>

#include "tests/cuda/standin/library.h"

namespace cliptag::standin {

struct LtHandle {
  int device = 0;
};

struct MatmulDesc {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType scale = CUDA_R_32F;
  int pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  int transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  unsigned epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
  int bias_type = -1;  // as D
  int64_t bias_stride = 0;
};

struct MatrixLayout {
  cudaDataType type = CUDA_R_32F;
  int order = CUBLASLT_ORDER_COL;
  uint64_t rows = 0, cols = 0;
  int64_t ld = 0;
  int batch = 1;
  int64_t stride = 0;
};

struct MatmulPreference {
  uint64_t max_workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};  // A, B, C, D
};

struct LtObjects {
  LibraryObjects<cublasLtContext, LtHandle> handles{5};
  LibraryObjects<cublasLtMatmulDescOpaque_t, MatmulDesc> descs{6};
  LibraryObjects<cublasLtMatrixLayoutOpaque_t, MatrixLayout> layouts{7};
  LibraryObjects<cublasLtMatmulPreferenceOpaque_t, MatmulPreference> preferences{8};

  static LtObjects& Get();
};

// The way of every cuBLASLt call: locks, counts.
template <typename Body>
cublasStatus_t LtCall(const char* function, Body body) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  const int injected = runtime.CountCall(function);
  if (injected != 0) return static_cast<cublasStatus_t>(injected);
  return body(runtime, LtObjects::Get());
}

inline cublasStatus_t LtMisuse(Runtime& runtime, const char* function, const std::string& text,
                               cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE) {
  runtime.problems.push_back(std::string(function) + ": " + text);
  return status;
}

}  // namespace cliptag::standin
