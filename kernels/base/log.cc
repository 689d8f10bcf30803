#include "kernels/base/log.h"

#include <memory>
#include <mutex>
#include <utility>

#include "kernels/base/plain_text.h"

namespace cliptag {
namespace {

struct Sink {
  std::mutex mutex;
  std::shared_ptr<const LogCallback> callback;  // guarded by mutex
};

Sink& GetSink() {
  static Sink* sink = new Sink;  // leaked on purpose: threads may log during exit
  return *sink;
}

}  // namespace

void SetLogCallback(LogCallback callback) {
  auto shared = callback ? std::make_shared<const LogCallback>(std::move(callback)) : nullptr;
  Sink& sink = GetSink();
  std::lock_guard lock(sink.mutex);
  sink.callback = std::move(shared);
}

void Log(LogLevel level, const std::string& message) {
  std::shared_ptr<const LogCallback> callback;
  {
    Sink& sink = GetSink();
    std::lock_guard lock(sink.mutex);
    callback = sink.callback;
  }
  if (callback) (*callback)(level, PlainText(message));
}

}  // namespace cliptag
