// cuBLASLt's handles and descriptors.
#include <cstring>

#include "tests/cuda/standin/cublaslt.h"

using namespace cliptag::standin;  // NOLINT: implements cuBLASLt's names with it

namespace cliptag::standin {

LtObjects& LtObjects::Get() {
  static auto* objects = new LtObjects;
  return *objects;
}

}  // namespace cliptag::standin

namespace {

// An attribute is written if its size is exactly the documented one.
template <typename Field>
cublasStatus_t Set(Field& field, const void* buf, size_t bytes) {
  if (buf == nullptr || bytes != sizeof(Field)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, buf, sizeof(Field));
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Objects, typename Handle>
cublasStatus_t Create(const char* function, Objects LtObjects::*objects, Handle** handle) {
  return LtCall(function, [&](Runtime& runtime, LtObjects& all) {
    if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *handle = (all.*objects).Add(runtime);
    return CUBLAS_STATUS_SUCCESS;
  });
}

template <typename Objects, typename Handle>
cublasStatus_t Destroy(const char* function, Objects LtObjects::*objects, Handle* handle) {
  return LtCall(function, [&](Runtime& runtime, LtObjects& all) {
    if (handle == nullptr || (all.*objects).Remove(runtime, handle)) return CUBLAS_STATUS_SUCCESS;
    return LtMisuse(runtime, function, "no such object, or destroyed before");
  });
}

}  // namespace

size_t cublasLtGetVersion() { return 130100; }
size_t cublasLtGetCudartVersion() { return CUDART_VERSION; }

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}

const char* cublasLtGetStatusString(cublasStatus_t status) { return cublasLtGetStatusName(status); }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* lightHandle) {
  return LtCall("cublasLtCreate", [&](Runtime& runtime, LtObjects& all) {
    if (lightHandle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    *lightHandle = nullptr;
    // It allocates on the device.
    if (runtime.Check(kUnsafe) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    *lightHandle = all.handles.Add(runtime);
    all.handles.Find(runtime, *lightHandle)->device = runtime.device();
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t lightHandle) {
  return LtCall("cublasLtDestroy", [&](Runtime& runtime, LtObjects& all) {
    if (all.handles.Remove(runtime, lightHandle)) return CUBLAS_STATUS_SUCCESS;
    return LtMisuse(runtime, "cublasLtDestroy", "no such handle", CUBLAS_STATUS_NOT_INITIALIZED);
  });
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* matmulDesc,
                                        cublasComputeType_t computeType, cudaDataType_t scaleType) {
  const cublasStatus_t status = Create("cublasLtMatmulDescCreate", &LtObjects::descs, matmulDesc);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  MatmulDesc* desc = LtObjects::Get().descs.Find(runtime, *matmulDesc);
  desc->compute = computeType;
  desc->scale = scaleType;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmulDesc) {
  return Destroy("cublasLtMatmulDescDestroy", &LtObjects::descs, matmulDesc);
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmulDesc,
                                              cublasLtMatmulDescAttributes_t attr, const void* buf,
                                              size_t sizeInBytes) {
  return LtCall("cublasLtMatmulDescSetAttribute", [&](Runtime& runtime, LtObjects& all) {
    MatmulDesc* desc = all.descs.Find(runtime, matmulDesc);
    if (desc == nullptr) {
      return LtMisuse(runtime, "cublasLtMatmulDescSetAttribute", "no such descriptor");
    }
    switch (attr) {
      case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
        return Set(desc->compute, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
        return Set(desc->scale, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_POINTER_MODE:
        return Set(desc->pointer_mode, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_TRANSA:
        return Set(desc->transpose_a, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_TRANSB:
        return Set(desc->transpose_b, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return Set(desc->epilogue, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return Set(desc->bias, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
        return Set(desc->bias_stride, buf, sizeInBytes);
      case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return Set(desc->bias_type, buf, sizeInBytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
  });
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* matLayout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
  const cublasStatus_t status =
      Create("cublasLtMatrixLayoutCreate", &LtObjects::layouts, matLayout);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  MatrixLayout* layout = LtObjects::Get().layouts.Find(runtime, *matLayout);
  layout->type = type;
  layout->rows = rows;
  layout->cols = cols;
  layout->ld = ld;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matLayout) {
  return Destroy("cublasLtMatrixLayoutDestroy", &LtObjects::layouts, matLayout);
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t matLayout,
                                                cublasLtMatrixLayoutAttribute_t attr,
                                                const void* buf, size_t sizeInBytes) {
  return LtCall("cublasLtMatrixLayoutSetAttribute", [&](Runtime& runtime, LtObjects& all) {
    MatrixLayout* layout = all.layouts.Find(runtime, matLayout);
    if (layout == nullptr) {
      return LtMisuse(runtime, "cublasLtMatrixLayoutSetAttribute", "no such layout");
    }
    switch (attr) {
      case CUBLASLT_MATRIX_LAYOUT_TYPE:
        return Set(layout->type, buf, sizeInBytes);
      case CUBLASLT_MATRIX_LAYOUT_ORDER:
        return Set(layout->order, buf, sizeInBytes);
      case CUBLASLT_MATRIX_LAYOUT_ROWS:
        return Set(layout->rows, buf, sizeInBytes);
      case CUBLASLT_MATRIX_LAYOUT_COLS:
        return Set(layout->cols, buf, sizeInBytes);
      case CUBLASLT_MATRIX_LAYOUT_LD:
        return Set(layout->ld, buf, sizeInBytes);
      case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
        return Set(layout->batch, buf, sizeInBytes);
      case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
        return Set(layout->stride, buf, sizeInBytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
  });
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* pref) {
  return Create("cublasLtMatmulPreferenceCreate", &LtObjects::preferences, pref);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) {
  return Destroy("cublasLtMatmulPreferenceDestroy", &LtObjects::preferences, pref);
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attr,
                                                    const void* buf, size_t sizeInBytes) {
  return LtCall("cublasLtMatmulPreferenceSetAttribute", [&](Runtime& runtime, LtObjects& all) {
    MatmulPreference* preference = all.preferences.Find(runtime, pref);
    if (preference == nullptr) {
      return LtMisuse(runtime, "cublasLtMatmulPreferenceSetAttribute", "no such preference");
    }
    uint32_t unused = 0;
    switch (attr) {
      case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return Set(preference->max_workspace, buf, sizeInBytes);
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return Set(preference->alignment[0], buf, sizeInBytes);
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return Set(preference->alignment[1], buf, sizeInBytes);
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return Set(preference->alignment[2], buf, sizeInBytes);
      case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return Set(preference->alignment[3], buf, sizeInBytes);
      case CUBLASLT_MATMUL_PREF_SEARCH_MODE:
      case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return Set(unused, buf, sizeInBytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
  });
}
