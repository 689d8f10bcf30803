// The CUDA runtime as the backend uses it: errors as sentences, choice of a GPU, and RAII for
// memory, streams and events. Compiles with the toolkit's headers and with the tests' stand-in, so
// it uses only runtime functions.
//
// Ownership: handles free themselves; their device must be current then. (Any thread may free what
// users of the backend own, so that enters its device first: otherwise CUDA would open a context of
// the first GPU for a thread without one, whichever GPU the memory is on.)
// Thread safety: none; any thread may enter a Device, one at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>

#include "kernels/backend.h"

namespace cliptag::cuda {

// An error of CUDA as a sentence for the user. `doing` completes "The GPU failed while ...".
Status FromCuda(cudaError_t error, const std::string& doing);

#define CLIPTAG_RETURN_IF_CUDA_ERROR(call, doing)                 \
  do {                                                            \
    if (const cudaError_t error_ = (call); error_ != cudaSuccess) \
      return ::cliptag::cuda::FromCuda(error_, doing);            \
  } while (false)

// A GPU that can run the kernels.
struct Device {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  size_t memory_bytes = 0;
  void* context = nullptr;              // CUcontext; null = the device's primary one
  int (*set_current)(void*) = nullptr;  // the driver's cuCtxSetCurrent, if there is a context

  // Makes it the calling thread's current device. Cheap if it already is.
  Status Enter() const;
};

// Errors: no GPU, no such index, a GPU too old, a driver older than the toolkit; each says what to
// do. `context`: a CUcontext of that device to work in, or null.
Result<Device> OpenDevice(int index, void* context);

// Device memory, 256-byte aligned.
class DeviceMemory : public Memory {
 public:
  // At least one byte. ResourceExhausted names the size and what is free.
  static Result<std::unique_ptr<DeviceMemory>> Allocate(size_t bytes);
  ~DeviceMemory() override;
  void* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  DeviceMemory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  void* data_;
  size_t bytes_;
};

// Host memory for asynchronous copies.
class PinnedMemory {
 public:
  static Result<std::unique_ptr<PinnedMemory>> Allocate(size_t bytes);
  ~PinnedMemory();
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  PinnedMemory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  void* data_;
  size_t bytes_;
};

// Copies from pageable memory, which may be overwritten or freed when this returns. So it waits:
// CUDA says only that cudaMemcpyAsync "might be synchronous" for such memory. In the stream, since
// a plain copy is not ordered with a non-blocking stream.
Status CopyToDevice(void* device, const void* host, size_t bytes, cudaStream_t stream);

// Makes memory of either kind hold at least `bytes`. It grows by half, so that growing frames do
// not reallocate every time. Its contents are lost: the caller has waited for its users.
template <typename M>
Status Grow(std::unique_ptr<M>& memory, size_t bytes) {
  if (memory && memory->bytes() >= bytes) return {};
  const size_t wanted = memory ? bytes + bytes / 2 : bytes;
  memory.reset();
  auto grown = M::Allocate(wanted);
  if (!grown.ok() && wanted > bytes) grown = M::Allocate(bytes);
  if (!grown.ok()) return grown.status();
  memory = grown.Take();
  return {};
}

// A handle of CUDA or of one of its libraries, freed with `kDestroy`.
template <typename Handle, auto kDestroy>
struct Destroy {
  void operator()(Handle handle) const { (void)kDestroy(handle); }
};
template <typename Handle, auto kDestroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<Handle, kDestroy>>;

class Stream {
 public:
  static Result<Stream> Create();
  cudaStream_t get() const { return stream_.get(); }

 private:
  Owned<cudaStream_t, cudaStreamDestroy> stream_;
};

// A point in a stream that another stream or the host can wait for.
class Event {
 public:
  static Result<Event> Create();
  static Result<Event> CreateTimed();  // for MillisecondsSince()
  Status Record(cudaStream_t stream);
  // Makes the stream's later work wait. An event that was never recorded does not block.
  Status Await(cudaStream_t stream) const;
  // The host waits.
  Status Await() const;
  // For two timed events that have passed.
  Result<float> MillisecondsSince(const Event& earlier) const;

 private:
  static Result<Event> CreateWithFlags(unsigned flags);

  Owned<cudaEvent_t, cudaEventDestroy> event_;
};

}  // namespace cliptag::cuda
