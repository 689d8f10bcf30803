// Contexts behind the stand-in for the driver: which there are, which is current where, and what
// was made in which. Internal.
//
// Threads: any; Current() is the calling thread's.
#pragma once

#include <string>

#include "tests/cuda/driver/driver.h"
#include "tests/cuda/driver/driver_api.h"

namespace cliptag::standin {

CUresult ToResult(cudaError_t error);
// Keeps a sentence for TakeDriverProblems() and hands on the error.
CUresult DriverMisuse(const char* function, const std::string& text, CUresult error);

// The calling thread's context; null if it has none.
CUcontext Current();
// What `made` belongs to from now on, until forgotten. Streams and events.
void Remember(const void* made, CUcontext context);
void Forget(const void* made);
// Whether `made` may be used in the current context; null (the default stream) may in any. Keeps a
// sentence if not.
bool Usable(const char* function, const void* made);

// The way of every call that needs a context.
template <typename Body>
CUresult InContext(const char* function, Body body) {
  if (Current() == nullptr) {
    return DriverMisuse(function, "no context is current", CUDA_ERROR_INVALID_CONTEXT);
  }
  return body();
}

}  // namespace cliptag::standin
