// Exceptions as a Status. No exception leaves the core, and one that leaves a thread ends the
// process: whatever may throw (memory, a thread that the system refuses, a library) is called
// through Catching() where the core begins and on each of its threads.
//
// Thread safety: any thread.
#pragma once

#include <type_traits>

#include "kernels/base/status.h"

namespace cliptag {

// Of the exception that is being handled; to be called in a catch block.
Status CaughtException() noexcept;

// Logs that exception, where nobody is left to be given it.
void LogCaughtException(const char* where) noexcept;

// What `f` returns, a Status or a Result, or what it threw as one.
template <typename F>
std::invoke_result_t<F> Catching(F&& f) {
  try {
    return f();
  } catch (...) {
    return CaughtException();
  }
}

}  // namespace cliptag
