// The driver's calls about memory, copies, streams and events.
#include "tests/cuda/driver/driver_state.h"

using namespace cliptag::standin;  // NOLINT: implements the driver's names with it

namespace {

constexpr size_t kPitch = 512;  // as cards have it

CUresult Copy(const char* function, const CUDA_MEMCPY2D* copy, CUstream stream, bool wait) {
  return InContext(function, [&]() -> CUresult {
    if (!Usable(function, stream)) return CUDA_ERROR_INVALID_HANDLE;
    const auto known = [](CUmemorytype type) {
      return type == CU_MEMORYTYPE_HOST || type == CU_MEMORYTYPE_DEVICE;
    };
    if (!known(copy->srcMemoryType) || !known(copy->dstMemoryType)) return CUDA_ERROR_NOT_SUPPORTED;
    const bool from_device = copy->srcMemoryType == CU_MEMORYTYPE_DEVICE;
    const bool to_device = copy->dstMemoryType == CU_MEMORYTYPE_DEVICE;
    const auto* from = from_device ? reinterpret_cast<const char*>(copy->srcDevice)
                                   : static_cast<const char*>(copy->srcHost);
    auto* to =
        to_device ? reinterpret_cast<char*>(copy->dstDevice) : static_cast<char*>(copy->dstHost);
    from += copy->srcY * copy->srcPitch + copy->srcXInBytes;
    to += copy->dstY * copy->dstPitch + copy->dstXInBytes;
    const cudaMemcpyKind kind =
        from_device ? (to_device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost)
                    : (to_device ? cudaMemcpyHostToDevice : cudaMemcpyHostToHost);
    cudaError_t error = cudaMemcpy2DAsync(to, copy->dstPitch, from, copy->srcPitch,
                                          copy->WidthInBytes, copy->Height, kind, stream);
    if (error == cudaSuccess && wait) error = cudaStreamSynchronize(stream);
    return ToResult(error);
  });
}

CUresult CopyLinear(const char* function, void* to, const void* from, size_t bytes,
                    cudaMemcpyKind kind, CUstream stream, bool wait) {
  return InContext(function, [&]() -> CUresult {
    if (!Usable(function, stream)) return CUDA_ERROR_INVALID_HANDLE;
    cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind, stream);
    if (error == cudaSuccess && wait) error = cudaStreamSynchronize(stream);
    return ToResult(error);
  });
}

void* At(CUdeviceptr p) { return reinterpret_cast<void*>(p); }

}  // namespace

// NOLINTBEGIN: these are the driver's names
extern "C" {
CUresult cuMemAlloc_v2(CUdeviceptr* p, size_t bytes) {
  return InContext("cuMemAlloc",
                   [&] { return ToResult(cudaMalloc(reinterpret_cast<void**>(p), bytes)); });
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* p, size_t* pitch, size_t width, size_t height, unsigned) {
  return InContext("cuMemAllocPitch", [&] {
    *pitch = (width + kPitch - 1) / kPitch * kPitch;
    return ToResult(cudaMalloc(reinterpret_cast<void**>(p), *pitch * height));
  });
}

CUresult cuMemFree_v2(CUdeviceptr p) {
  return InContext("cuMemFree", [&] { return ToResult(cudaFree(At(p))); });
}

CUresult cuMemAllocHost_v2(void** p, size_t bytes) {
  return InContext("cuMemAllocHost", [&] { return ToResult(cudaMallocHost(p, bytes)); });
}

CUresult cuMemFreeHost(void* p) {
  return InContext("cuMemFreeHost", [&] { return ToResult(cudaFreeHost(p)); });
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy) {
  return Copy("cuMemcpy2D", copy, nullptr, /*wait=*/true);
}
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream) {
  return Copy("cuMemcpy2DAsync", copy, stream, /*wait=*/false);
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t n) {
  return CopyLinear("cuMemcpyHtoD", At(to), from, n, cudaMemcpyHostToDevice, nullptr, true);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t n, CUstream stream) {
  return CopyLinear("cuMemcpyHtoDAsync", At(to), from, n, cudaMemcpyHostToDevice, stream, false);
}
CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t n) {
  return CopyLinear("cuMemcpyDtoH", to, At(from), n, cudaMemcpyDeviceToHost, nullptr, true);
}
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t n, CUstream stream) {
  return CopyLinear("cuMemcpyDtoHAsync", to, At(from), n, cudaMemcpyDeviceToHost, stream, false);
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t n) {
  return CopyLinear("cuMemcpyDtoD", At(to), At(from), n, cudaMemcpyDeviceToDevice, nullptr, true);
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  return CopyLinear("cuMemcpyDtoDAsync", At(to), At(from), n, cudaMemcpyDeviceToDevice, stream,
                    false);
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  return InContext("cuStreamCreate", [&] {
    const cudaError_t error = cudaStreamCreateWithFlags(stream, flags);
    if (error == cudaSuccess) Remember(*stream, Current());
    return ToResult(error);
  });
}

CUresult cuStreamDestroy_v2(CUstream stream) {
  return InContext("cuStreamDestroy", [&] {
    Forget(stream);
    return ToResult(cudaStreamDestroy(stream));
  });
}
CUresult cuStreamDestroy(CUstream stream) { return cuStreamDestroy_v2(stream); }

CUresult cuStreamSynchronize(CUstream stream) {
  return InContext("cuStreamSynchronize", [&]() -> CUresult {
    if (!Usable("cuStreamSynchronize", stream)) return CUDA_ERROR_INVALID_HANDLE;
    return ToResult(cudaStreamSynchronize(stream));
  });
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  return InContext("cuEventCreate", [&] {
    const cudaError_t error = cudaEventCreateWithFlags(event, flags);
    if (error == cudaSuccess) Remember(*event, Current());
    return ToResult(error);
  });
}

CUresult cuEventDestroy_v2(CUevent event) {
  return InContext("cuEventDestroy", [&] {
    Forget(event);
    return ToResult(cudaEventDestroy(event));
  });
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  return InContext("cuEventRecord", [&]() -> CUresult {
    if (!Usable("cuEventRecord", stream) || !Usable("cuEventRecord", event)) {
      return CUDA_ERROR_INVALID_HANDLE;
    }
    return ToResult(cudaEventRecord(event, stream));
  });
}

CUresult cuEventSynchronize(CUevent event) {
  return InContext("cuEventSynchronize", [&] { return ToResult(cudaEventSynchronize(event)); });
}
}
// NOLINTEND
