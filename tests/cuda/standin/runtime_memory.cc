// The runtime's calls about memory and copies.
#include <algorithm>
#include <cstring>

#include "tests/cuda/standin/runtime.h"

using namespace cliptag::standin;  // NOLINT: implements CUDA's names with it

namespace {

// More than any object has: a negative number in disguise.
constexpr size_t kAbsurd = size_t{1} << 48;

enum class Side { kPageable, kPinned, kDevice };

struct Copy {
  void* to = nullptr;
  size_t to_pitch = 0;
  const void* from = nullptr;
  size_t from_pitch = 0;
  size_t width = 0, height = 1;
  Side to_side = Side::kPageable, from_side = Side::kPageable;

  size_t ToBytes() const { return to_pitch * (height - 1) + width; }
  size_t FromBytes() const { return from_pitch * (height - 1) + width; }
};

// Which memory p is of; an error if the bytes leave their allocation.
cudaError_t FindSide(Runtime& runtime, const void* p, size_t bytes, Side& side) {
  if (p == nullptr) return cudaErrorInvalidValue;
  if (runtime.memory.InArena(p)) {
    side = Side::kDevice;
    if (runtime.memory.Find(p, bytes) != nullptr) return cudaSuccess;
    return runtime.Misuse("copy",
                          std::to_string(bytes) + " bytes leave their allocation on the device",
                          cudaErrorInvalidValue);
  }
  bool whole = true;
  side = runtime.pinned.Find(p, bytes, whole) ? Side::kPinned : Side::kPageable;
  if (whole) return cudaSuccess;
  return runtime.Misuse("copy", std::to_string(bytes) + " bytes leave their pinned allocation",
                        cudaErrorInvalidValue);
}

bool KindFits(const Copy& copy, cudaMemcpyKind kind) {
  const bool to = copy.to_side == Side::kDevice, from = copy.from_side == Side::kDevice;
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to && !from;
    case cudaMemcpyHostToDevice:
      return to && !from;
    case cudaMemcpyDeviceToHost:
      return !to && from;
    case cudaMemcpyDeviceToDevice:
      return to && from;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

Outcome RunCopy(Runtime& runtime, const Copy& copy) {
  const bool to = copy.to_side == Side::kDevice, from = copy.from_side == Side::kDevice;
  Side side;  // the memory may have been freed since, above all under a graph
  if ((to && runtime.memory.Find(copy.to, copy.ToBytes()) == nullptr) ||
      (from && runtime.memory.Find(copy.from, copy.FromBytes()) == nullptr)) {
    return {cudaErrorIllegalAddress, "device memory that was freed"};
  }
  if ((copy.to_side == Side::kPinned &&
       (FindSide(runtime, copy.to, copy.ToBytes(), side), side != Side::kPinned)) ||
      (copy.from_side == Side::kPinned &&
       (FindSide(runtime, copy.from, copy.FromBytes(), side), side != Side::kPinned))) {
    return {cudaErrorIllegalAddress, "pinned memory that was freed"};
  }
  for (size_t row = 0; row < copy.height; ++row) {
    std::memmove(static_cast<char*>(copy.to) + row * copy.to_pitch,
                 static_cast<const char*>(copy.from) + row * copy.from_pitch, copy.width);
  }
  Counters& counters = runtime.counters;
  const uint64_t bytes = copy.width * copy.height;
  if (to && from) {
    ++counters.copies_on_device;
    counters.bytes_on_device += bytes;
  } else if (to) {
    ++counters.copies_to_device;
    counters.bytes_to_device += bytes;
  } else if (from) {
    ++counters.copies_to_host;
    counters.bytes_to_host += bytes;
  }
  return {};
}

// The rows of pageable memory, as they are now.
std::shared_ptr<std::vector<char>> Stage(const Copy& copy) {
  auto bytes = std::make_shared<std::vector<char>>(copy.FromBytes());
  for (size_t row = 0; row < copy.height; ++row) {
    std::memcpy(bytes->data() + row * copy.from_pitch,
                static_cast<const char*>(copy.from) + row * copy.from_pitch, copy.width);
  }
  return bytes;
}

OperationPtr CopyOperation(Runtime& runtime, const Copy& copy) {
  return std::make_shared<Operation>(
      Operation{"copy", [&runtime, copy] { return RunCopy(runtime, copy); }});
}

// Fills in the sides; cudaSuccess with nothing to do leaves width or height at 0.
cudaError_t Examine(Runtime& runtime, const char* function, Copy& copy, cudaMemcpyKind kind) {
  if (copy.width > kAbsurd || copy.height > kAbsurd || copy.to_pitch > kAbsurd ||
      copy.from_pitch > kAbsurd) {
    return runtime.Misuse(function, "a negative size", cudaErrorInvalidValue);
  }
  if (copy.width == 0 || copy.height == 0) return cudaSuccess;
  if (copy.width > copy.to_pitch || copy.width > copy.from_pitch) return cudaErrorInvalidPitchValue;
  cudaError_t error = FindSide(runtime, copy.to, copy.ToBytes(), copy.to_side);
  if (error == cudaSuccess) {
    error = FindSide(runtime, copy.from, copy.FromBytes(), copy.from_side);
  }
  if (error != cudaSuccess) return error;
  if (KindFits(copy, kind)) return cudaSuccess;
  return runtime.Misuse(function, "the kind of copy contradicts the pointers",
                        cudaErrorInvalidValue);
}

cudaError_t CopyAsync(Runtime& runtime, const char* function, Copy copy, cudaMemcpyKind kind,
                      cudaStream_t handle) {
  const auto stream = runtime.FindStream(handle);
  if (stream == nullptr) {
    return runtime.Misuse(function, "no such stream", cudaErrorInvalidResourceHandle);
  }
  const cudaError_t error = Examine(runtime, function, copy, kind);
  if (error != cudaSuccess || copy.width == 0 || copy.height == 0) return error;
  const bool pageable = copy.to_side == Side::kPageable || copy.from_side == Side::kPageable;
  if (pageable && stream->capture != nullptr) {
    return runtime.Invalidate(*stream->capture, cudaErrorStreamCaptureUnsupported);
  }
  const cudaError_t queued = runtime.Enqueue(stream, CopyOperation(runtime, copy));
  const bool to_device = copy.from_side == Side::kPageable && copy.to_side == Side::kDevice;
  if (queued != cudaSuccess || to_device || !pageable) return queued;
  return runtime.RunUntil({stream, stream->queued});
}

cudaError_t CopyNow(Runtime& runtime, Copy copy, cudaMemcpyKind kind) {
  const cudaError_t error = Examine(runtime, "cudaMemcpy", copy, kind);
  if (error != cudaSuccess || copy.width == 0) return error;
  const auto stream = runtime.LegacyStream();
  const bool to = copy.to_side == Side::kDevice, from = copy.from_side == Side::kDevice;
  if (to && copy.from_side == Side::kPageable) {
    // Taken at once, but the host does not wait for the copy on the device.
    const auto staged = Stage(copy);
    copy.from = staged->data();
    return runtime.Enqueue(
        stream, std::make_shared<Operation>(Operation{
                    "copy", [&runtime, copy, staged] { return RunCopy(runtime, copy); }}));
  }
  const cudaError_t queued = runtime.Enqueue(stream, CopyOperation(runtime, copy));
  if (queued != cudaSuccess || (to && from)) return queued;
  return runtime.RunUntil({stream, stream->queued});
}

cudaError_t Fill(Runtime& runtime, const char* function, void* p, int value, size_t bytes,
                 cudaStream_t handle) {
  const auto stream = runtime.FindStream(handle);
  if (stream == nullptr) {
    return runtime.Misuse(function, "no such stream", cudaErrorInvalidResourceHandle);
  }
  if (bytes == 0) return cudaSuccess;
  if (bytes > kAbsurd || runtime.memory.Find(p, bytes) == nullptr) {
    return runtime.Misuse(function, "not in an allocation on the device", cudaErrorInvalidValue);
  }
  return runtime.Enqueue(stream, std::make_shared<Operation>(Operation{
                                     "memset", [&runtime, p, value, bytes]() -> Outcome {
                                       if (runtime.memory.Find(p, bytes) == nullptr) {
                                         return {cudaErrorIllegalAddress, "memory that was freed"};
                                       }
                                       std::memset(p, value, bytes);
                                       return {};
                                     }}));
}

cudaError_t AllocatePinned(const char* function, void** p, size_t bytes) {
  return Call(function, kUnsafe, [&](Runtime& runtime) {
    if (p == nullptr) return cudaErrorInvalidValue;
    *p = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (bytes > kAbsurd) {
      return runtime.Misuse(function, "a negative size", cudaErrorMemoryAllocation);
    }
    *p = runtime.pinned.Allocate(bytes);
    return *p == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

}  // namespace

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return Call("cudaMemGetInfo", kPlain, [&](Runtime& runtime) {
    if (free == nullptr || total == nullptr) return cudaErrorInvalidValue;
    *total = runtime.settings.memory_bytes;
    *free = *total - std::min(*total, runtime.memory.live_bytes(runtime.device()));
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** devPtr, size_t size) {
  return Call("cudaMalloc", kUnsafe, [&](Runtime& runtime) {
    if (devPtr == nullptr) return cudaErrorInvalidValue;
    *devPtr = nullptr;
    if (size == 0) return cudaSuccess;
    if (size > kAbsurd) {
      return runtime.Misuse("cudaMalloc", "a negative size", cudaErrorMemoryAllocation);
    }
    const int device = runtime.device();
    if (size > runtime.settings.memory_bytes ||
        runtime.memory.live_bytes(device) > runtime.settings.memory_bytes - size) {
      return cudaErrorMemoryAllocation;
    }
    *devPtr = runtime.memory.Allocate(size, device);
    if (*devPtr == nullptr) return cudaErrorMemoryAllocation;
    ++runtime.counters.allocations;
    return cudaSuccess;
  });
}

cudaError_t cudaFree(void* devPtr) {
  return Call("cudaFree", kUnsafe | kRelease, [&](Runtime& runtime) {
    if (devPtr == nullptr) return cudaSuccess;
    if (const auto* block = runtime.memory.Find(devPtr, 0);
        block != nullptr && block->device != runtime.device()) {
      (void)runtime.Misuse("cudaFree", "another device is current, whose context CUDA would open",
                           cudaSuccess);
    }
    const cudaError_t error = runtime.RunAll();
    if (!runtime.memory.Free(devPtr, runtime.problems)) {
      return runtime.Misuse("cudaFree", "not the start of an allocation, or freed before",
                            cudaErrorInvalidValue);
    }
    return error;
  });
}

cudaError_t cudaMallocHost(void** ptr, size_t size) {
  return AllocatePinned("cudaMallocHost", ptr, size);
}

cudaError_t cudaHostAlloc(void** pHost, size_t size, unsigned int /*flags*/) {
  return AllocatePinned("cudaHostAlloc", pHost, size);
}

cudaError_t cudaFreeHost(void* ptr) {
  return Call("cudaFreeHost", kUnsafe | kRelease, [&](Runtime& runtime) {
    if (ptr == nullptr) return cudaSuccess;
    const cudaError_t error = runtime.RunAll();
    if (!runtime.pinned.Free(ptr)) {
      return runtime.Misuse("cudaFreeHost", "not the start of pinned memory, or freed before",
                            cudaErrorInvalidValue);
    }
    return error;
  });
}

cudaError_t cudaMemcpy(void* dst, const void* src, size_t count, cudaMemcpyKind kind) {
  return Call("cudaMemcpy", kUnsafe, [&](Runtime& runtime) {
    return CopyNow(runtime, {dst, count, src, count, count}, kind);
  });
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t count, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return Call("cudaMemcpyAsync", kPlain, [&](Runtime& runtime) {
    return CopyAsync(runtime, "cudaMemcpyAsync", {dst, count, src, count, count}, kind, stream);
  });
}

cudaError_t cudaMemcpy2DAsync(void* dst, size_t dpitch, const void* src, size_t spitch,
                              size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return Call("cudaMemcpy2DAsync", kPlain, [&](Runtime& runtime) {
    return CopyAsync(runtime, "cudaMemcpy2DAsync", {dst, dpitch, src, spitch, width, height}, kind,
                     stream);
  });
}

cudaError_t cudaMemset(void* devPtr, int value, size_t count) {
  return Call("cudaMemset", kUnsafe, [&](Runtime& runtime) {
    return Fill(runtime, "cudaMemset", devPtr, value, count, nullptr);
  });
}

cudaError_t cudaMemsetAsync(void* devPtr, int value, size_t count, cudaStream_t stream) {
  return Call("cudaMemsetAsync", kPlain, [&](Runtime& runtime) {
    return Fill(runtime, "cudaMemsetAsync", devPtr, value, count, stream);
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* ptr) {
  return Call("cudaPointerGetAttributes", kPlain, [&](Runtime& runtime) {
    if (attributes == nullptr) return cudaErrorInvalidValue;
    *attributes = {};
    attributes->device = -1;
    bool whole = true;
    if (const auto* block = runtime.memory.Find(ptr, 1)) {
      attributes->type = cudaMemoryTypeDevice;
      attributes->device = block->device;
      attributes->devicePointer = const_cast<void*>(ptr);
    } else if (runtime.pinned.Find(ptr, 1, whole)) {
      attributes->type = cudaMemoryTypeHost;
      attributes->device = 0;
      attributes->devicePointer = const_cast<void*>(ptr);
      attributes->hostPointer = const_cast<void*>(ptr);
    } else {
      attributes->type = cudaMemoryTypeUnregistered;
      attributes->hostPointer = const_cast<void*>(ptr);
    }
    return cudaSuccess;
  });
}
