// The core's log. Nothing in the core writes to stderr: messages go to a callback. The elements map
// it to one GST_DEBUG category, the tool prints warnings to stderr.
//
// Thread safety: SetLogCallback and Log may be called from any thread; the callback itself must be
// safe to call from any thread and must not call SetLogCallback.
#pragma once

#include <functional>
#include <string>

namespace cliptag {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

using LogCallback = std::function<void(LogLevel, const std::string&)>;

// Replaces the callback; an empty one silences the core (the default).
void SetLogCallback(LogCallback callback);

void Log(LogLevel level, const std::string& message);

}  // namespace cliptag
