// The CUDA runtime as the backend uses it: errors as sentences, the choice of a card, memory,
// streams and events that free themselves. Compiles against the toolkit's headers and against the
// stand-in of the tests alike, so it names nothing but runtime functions.
//
// Ownership: every handle here frees itself; the device that made it must be current then. (What
// users of the backend own may be freed by any thread, so it enters its device first: for a thread
// without one CUDA would open the first card's context, whichever card the memory is on.)
// Thread safety: none of its own; a Device may be entered by any thread, one at a time.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "kernels/backend.h"

namespace cliptag::cuda {

// What a failed call means for the user. `doing` completes "The GPU failed while ...".
Status FromCuda(cudaError_t error, const std::string& doing);

#define CLIPTAG_RETURN_IF_CUDA_ERROR(call, doing)                 \
  do {                                                            \
    if (const cudaError_t error_ = (call); error_ != cudaSuccess) \
      return ::cliptag::cuda::FromCuda(error_, doing);            \
  } while (false)

// A card that can run the kernels.
struct Device {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  size_t memory_bytes = 0;
  void* context = nullptr;              // CUcontext; null = the device's primary one
  int (*set_current)(void*) = nullptr;  // the driver's cuCtxSetCurrent, where there is a context

  // Makes it the calling thread's: every thread has a device of its own. Cheap when it already is.
  Status Enter() const;
};

// Errors: no card, no such index, a card too old, a driver older than the toolkit; each says what
// to do. `context`: a CUcontext of that device to work in, or null.
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

// Host memory that the card reads by itself while the host goes on.
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

// From pageable memory, which may be overwritten or freed when this returns: of cudaMemcpyAsync
// alone CUDA says that it "might be synchronous" then, and where the card reads such memory by
// itself it is not. In the stream's order, since a plain copy may arrive after later work of a
// stream that waits for nobody.
Status CopyToDevice(void* device, const void* host, size_t bytes, cudaStream_t stream);

// Memory of either kind that holds at least `bytes` afterwards; grows by half, so that a stream of
// ever larger frames settles. What it held is lost: the caller has waited for its users.
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

class Stream {
 public:
  static Result<Stream> Create();
  Stream() = default;
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream();
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// A point in a stream that another stream or the host waits for.
class Event {
 public:
  static Result<Event> Create();
  static Result<Event> CreateTimed();  // for MillisecondsSince()
  Event() = default;
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  Event& operator=(Event&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~Event();
  Status Record(cudaStream_t stream);
  // The stream's later work waits; a new event counts as passed.
  Status Await(cudaStream_t stream) const;
  // The host waits.
  Status Await() const;
  // Both timed and passed.
  Result<float> MillisecondsSince(const Event& earlier) const;

 private:
  static Result<Event> CreateWithFlags(unsigned flags);

  cudaEvent_t event_ = nullptr;
};

}  // namespace cliptag::cuda
