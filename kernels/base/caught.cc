#include "kernels/base/caught.h"

#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "kernels/base/log.h"

namespace cliptag {

Status CaughtException() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return ResourceExhausted("There is not enough memory: raise the memory limit.");
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::resource_unavailable_try_again)
        return Internal(std::string("The system reported an error: ") + error.what() + ".");
      return ResourceExhausted(std::string("The system refuses another thread (") + error.what() +
                               "): raise the limit of processes (ulimit -u, TasksMax).");
    } catch (const std::exception& error) {
      return Internal(std::string("An unexpected error: ") + error.what() + ".");
    } catch (...) {
      return Internal("An unexpected error of unknown kind.");
    }
  } catch (...) {
    return {StatusCode::kResourceExhausted, "Out of memory."};  // short: needs no allocation
  }
}

void LogCaughtException(const char* where) noexcept {
  try {
    const Status status = CaughtException();
    Log(LogLevel::kError, std::string(where) + ": " + status.message());
  } catch (...) {
  }
}

}  // namespace cliptag
