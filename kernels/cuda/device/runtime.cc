#include "kernels/cuda/device/runtime.h"

#include "kernels/base/concat.h"

namespace cliptag::cuda {
namespace {

constexpr int kLeastMajor = 8;  // compute capability: mma.sync with bf16, cp.async

std::string Mebibytes(size_t bytes) { return Concat((bytes + (1 << 20) - 1) >> 20, " MiB"); }

std::string VersionName(int version) { return Concat(version / 1000, ".", version % 1000 / 10); }

Status DriverTooOld() {
  int driver = 0, runtime = 0;
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  const std::string has =
      driver == 0 ? "There is no NVIDIA driver"
                  : Concat("The NVIDIA driver supports at most CUDA ", VersionName(driver));
  return Unsupported(Concat(has, ", and this build of cliptag needs CUDA ", VersionName(runtime),
                            "; update the driver, or use backend=cpu."));
}

Status OutOfMemory(const char* whose, size_t bytes, cudaError_t error) {
  size_t free = 0, total = 0;
  if (error != cudaErrorMemoryAllocation) return FromCuda(error, "memory was allocated");
  (void)cudaGetLastError();  // this one is not sticky
  (void)cudaMemGetInfo(&free, &total);
  return ResourceExhausted(
      Concat("There is no ", whose, " for ", Mebibytes(bytes), ": ", Mebibytes(free),
             " of the GPU's ", Mebibytes(total),
             " are free; use a smaller model or max-batch, another device, or backend=cpu."));
}

// After these errors "the process must be terminated and relaunched", as CUDA's documentation says:
// a new pipeline in it would fail, too.
bool LastsForTheProcess(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
      return true;
    default:
      return false;
  }
}

// Contexts other than the device's primary one can only be used through the driver's interface.
Status UseContext(void* context, Device* device) {
  constexpr unsigned kVersion = 12000;
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaGetDriverEntryPointByVersion("cuCtxSetCurrent", &entry, kVersion,
                                                                cudaEnableDefault, &found),
                               "its driver was queried");
  if (found != cudaDriverEntryPointSuccess) return DriverTooOld();
  device->context = context;
  device->set_current = reinterpret_cast<int (*)(void*)>(entry);
  return {};
}

}  // namespace

Status FromCuda(cudaError_t error, const std::string& doing) {
  (void)cudaGetLastError();
  switch (error) {
    case cudaSuccess:
      return {};
    case cudaErrorMemoryAllocation:
      return ResourceExhausted(
          "The GPU's memory is full, noticed while " + doing +
          "; use a smaller model or max-batch, another device, or backend=cpu.");
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorUnsupportedPtxVersion:  // a newer GPU, and a driver that cannot compile for it
      return DriverTooOld();
    case cudaErrorNoDevice:
      return NotFound("This machine has no NVIDIA GPU; use backend=cpu.");
    case cudaErrorNoKernelImageForDevice:
      return Unsupported(
          "This build of cliptag has no code for this GPU; build it with the GPU's architecture in "
          "-Dgpu_architectures, or use backend=cpu.");
    default:
      return Internal(Concat("The GPU failed while ", doing, ": ", cudaGetErrorString(error), " (",
                             cudaGetErrorName(error), "); start the ",
                             LastsForTheProcess(error) ? "program" : "pipeline",
                             " again, or use backend=cpu."));
  }
}

Status Device::Enter() const {
  if (context != nullptr) {
    if (set_current(context) == 0) return {};
    return Internal(Concat("The CUDA context of device ", index,
                           " cannot be used; start the pipeline again, or use backend=cpu."));
  }
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaSetDevice(index), Concat("device ", index, " was chosen"));
  return {};
}

Result<Device> OpenDevice(int index, void* context) {
  int count = 0;
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaGetDeviceCount(&count), "its devices were counted");
  if (count == 0) return FromCuda(cudaErrorNoDevice, "");
  if (index < 0 || index >= count) {
    return NotFound(Concat("There is no GPU ", index, "; this machine has device 0",
                           count == 1 ? "" : Concat(" to ", count - 1), "."));
  }
  cudaDeviceProp properties;
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, index),
                               "its properties were read");
  Device device;
  device.index = index;
  device.name = properties.name;
  device.major = properties.major;
  device.minor = properties.minor;
  device.memory_bytes = properties.totalGlobalMem;
  if (device.major < kLeastMajor) {
    return Unsupported(Concat("The ", device.name, " has compute capability ", device.major, ".",
                              device.minor,
                              "; cliptag needs 8.0 (Ampere) or later: use backend=cpu."));
  }
  if (context != nullptr) CLIPTAG_RETURN_IF_ERROR(UseContext(context, &device));
  CLIPTAG_RETURN_IF_ERROR(device.Enter());
  return device;
}

Result<std::unique_ptr<DeviceMemory>> DeviceMemory::Allocate(size_t bytes) {
  void* data = nullptr;
  const size_t size = bytes == 0 ? 1 : bytes;
  const cudaError_t error = cudaMalloc(&data, size);
  if (error != cudaSuccess) return OutOfMemory("memory", size, error);
  return std::unique_ptr<DeviceMemory>(new DeviceMemory(data, bytes));
}
DeviceMemory::~DeviceMemory() { (void)cudaFree(data_); }

Result<std::unique_ptr<PinnedMemory>> PinnedMemory::Allocate(size_t bytes) {
  void* data = nullptr;
  const size_t size = bytes == 0 ? 1 : bytes;
  const cudaError_t error = cudaMallocHost(&data, size);
  if (error != cudaSuccess) return OutOfMemory("pinned host memory", size, error);
  return std::unique_ptr<PinnedMemory>(new PinnedMemory(data, bytes));
}
PinnedMemory::~PinnedMemory() { (void)cudaFreeHost(data_); }

Status CopyToDevice(void* device, const void* host, size_t bytes, cudaStream_t stream) {
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream),
                               "data was copied to it");
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamSynchronize(stream), "data was copied to it");
  return {};
}

Result<Stream> Stream::Create() {
  Stream stream;
  cudaStream_t made = nullptr;
  // Non-blocking: does not wait for work in the GPU's default stream.
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking),
                               "a stream was made");
  stream.stream_.reset(made);
  return stream;
}

Result<Event> Event::CreateWithFlags(unsigned flags) {
  Event event;
  cudaEvent_t made = nullptr;
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaEventCreateWithFlags(&made, flags), "an event was made");
  event.event_.reset(made);
  return event;
}
Result<Event> Event::Create() {
  return CreateWithFlags(cudaEventDisableTiming | cudaEventBlockingSync);
}
Result<Event> Event::CreateTimed() { return CreateWithFlags(cudaEventDefault); }
Status Event::Record(cudaStream_t stream) {
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaEventRecord(event_.get(), stream), "an event was recorded");
  return {};
}
Status Event::Await(cudaStream_t stream) const {
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaStreamWaitEvent(stream, event_.get(), 0),
                               "a stream was made to wait");
  return {};
}
Status Event::Await() const {
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaEventSynchronize(event_.get()), "its work was waited for");
  return {};
}
Result<float> Event::MillisecondsSince(const Event& earlier) const {
  float ms = 0;
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaEventElapsedTime(&ms, earlier.event_.get(), event_.get()),
                               "its work was timed");
  return ms;
}

}  // namespace cliptag::cuda
