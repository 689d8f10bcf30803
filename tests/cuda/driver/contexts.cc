// The driver's calls about devices, versions, errors and contexts.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "tests/cuda/driver/driver_state.h"

struct CUctx_st {
  CUdevice device = 0;
  bool alive = true;  // a handle that was destroyed is remembered, so that its use is found
};

namespace cliptag::standin {
namespace {

struct State {
  std::mutex mutex;
  std::vector<std::unique_ptr<CUctx_st>> contexts;
  std::map<const void*, CUcontext> made_in;
  std::vector<std::string> problems;
  int64_t alive = 0;
};

State& TheState() {
  static State* state = new State;  // outlives every thread
  return *state;
}

std::vector<CUcontext>& Stack() {
  thread_local std::vector<CUcontext> stack;
  return stack;
}

bool Alive(CUcontext context) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  return std::any_of(state.contexts.begin(), state.contexts.end(),
                     [&](const auto& c) { return c.get() == context && c->alive; });
}

// The runtime follows, as it does with the real driver.
void Follow() {
  if (CUcontext context = Current(); context != nullptr) (void)cudaSetDevice(context->device);
}

}  // namespace

CUresult ToResult(cudaError_t error) { return static_cast<CUresult>(error); }

CUresult DriverMisuse(const char* function, const std::string& text, CUresult error) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.problems.push_back(std::string(function) + ": " + text);
  return error;
}

CUcontext Current() { return Stack().empty() ? nullptr : Stack().back(); }

void Remember(const void* made, CUcontext context) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.made_in[made] = context;
}

void Forget(const void* made) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  state.made_in.erase(made);
}

bool Usable(const char* function, const void* made) {
  if (made == nullptr) return true;
  CUcontext owner = nullptr;
  {
    State& state = TheState();
    const std::lock_guard lock(state.mutex);
    const auto it = state.made_in.find(made);
    if (it != state.made_in.end()) owner = it->second;
  }
  if (owner == nullptr || owner == Current()) return true;
  DriverMisuse(function, "a stream or event of another context", CUDA_ERROR_INVALID_HANDLE);
  return false;
}

DriverCounters GetDriverCounters() {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  return {state.alive, static_cast<int64_t>(state.contexts.size()),
          static_cast<int64_t>(Stack().size())};
}

std::vector<std::string> TakeDriverProblems() {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  return std::exchange(state.problems, {});
}

}  // namespace cliptag::standin

using namespace cliptag::standin;  // NOLINT: implements the driver's names with it

// NOLINTBEGIN: these are the driver's names
CUresult cuInit(unsigned) {
  int count = 0;
  return ToResult(cudaGetDeviceCount(&count));
}

CUresult cuDeviceGetCount(int* count) { return ToResult(cudaGetDeviceCount(count)); }

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    return ToResult(error);
  }
  if (ordinal < 0 || ordinal >= count) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext* context, unsigned, CUdevice device) {
  CUdevice known = 0;
  if (const CUresult result = cuDeviceGet(&known, device); result != CUDA_SUCCESS) return result;
  {
    State& state = TheState();
    const std::lock_guard lock(state.mutex);
    state.contexts.push_back(std::make_unique<CUctx_st>(CUctx_st{device}));
    *context = state.contexts.back().get();
    ++state.alive;
  }
  return cuCtxPushCurrent_v2(*context);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
  if (!Alive(context)) {
    return DriverMisuse("cuCtxDestroy", "no such context", CUDA_ERROR_INVALID_CONTEXT);
  }
  if (Current() == context) Stack().pop_back();
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  context->alive = false;
  --state.alive;
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  if (!Alive(context)) {
    return DriverMisuse("cuCtxPushCurrent", "no such context", CUDA_ERROR_INVALID_CONTEXT);
  }
  Stack().push_back(context);
  Follow();
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  if (Stack().empty()) {
    return DriverMisuse("cuCtxPopCurrent", "no context is current", CUDA_ERROR_INVALID_CONTEXT);
  }
  if (context != nullptr) *context = Current();
  Stack().pop_back();
  Follow();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  if (context != nullptr && !Alive(context)) {
    return DriverMisuse("cuCtxSetCurrent", "no such context", CUDA_ERROR_INVALID_CONTEXT);
  }
  if (!Stack().empty()) Stack().pop_back();
  if (context != nullptr) Stack().push_back(context);
  Follow();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  *context = Current();
  return CUDA_SUCCESS;
}

extern "C" {
CUresult cuDriverGetVersion(int* version) { return ToResult(cudaDriverGetVersion(version)); }

CUresult cuGetErrorName(CUresult error, const char** text) {
  *text = cudaGetErrorName(static_cast<cudaError_t>(error));
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char** text) {
  *text = cudaGetErrorString(static_cast<cudaError_t>(error));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error == cudaSuccess) std::snprintf(name, static_cast<size_t>(length), "%s", properties.name);
  return ToResult(error);
}

CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice device) {
  constexpr int kTextureAlignment = 14;
  if (attribute == kTextureAlignment) {
    *value = 512;
    return CUDA_SUCCESS;
  }
  const auto known = static_cast<cudaDeviceAttr>(attribute);
  if (cudaDeviceGetAttribute(value, known, device) != cudaSuccess) *value = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice, CUdevice) {
  *can = 0;
  return CUDA_SUCCESS;
}
CUresult cuCtxEnablePeerAccess(CUcontext, unsigned) { return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED; }
CUresult cuCtxDisablePeerAccess(CUcontext) { return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED; }

CUresult cuCtxSynchronize() {
  return InContext("cuCtxSynchronize", [] { return ToResult(cudaDeviceSynchronize()); });
}
}
// NOLINTEND
