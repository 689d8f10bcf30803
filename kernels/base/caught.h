// Turns exceptions into a Status. No exception leaves the core, and one that leaves a thread ends
// the process. So the core's entry points and threads call everything that may throw (memory, a
// thread that the system refuses, a library) through Catching().
//
// Thread safety: any thread.
#pragma once

#include <type_traits>

#include "kernels/base/status.h"

namespace cliptag {

// The exception that is being handled, as a Status. To be called in a catch block.
Status CaughtException() noexcept;

// Logs that exception, where no caller is left to return it to.
void LogCaughtException(const char* where) noexcept;

// Returns what `f` returns, a Status or a Result, or the exception that it threw as one.
template <typename F>
std::invoke_result_t<F> Catching(F&& f) {
  try {
    return f();
  } catch (...) {
    return CaughtException();
  }
}

}  // namespace cliptag
