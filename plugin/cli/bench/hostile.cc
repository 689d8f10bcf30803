#include "plugin/cli/bench/hostile.h"

#include <chrono>
#include <string>
#include <utility>

namespace cliptag {
namespace {

// Never the same twice, so that a text has to be encoded every time.
std::string PromptList(uint64_t n) {
  constexpr const char* kThings[] = {"car", "bus", "door", "bicycle", "boat"};
  return std::string("a ") + kThings[n % std::size(kThings)] + " with the number " +
         std::to_string(n) + "; a person; a dog";
}

}  // namespace

Disturbances::Disturbances(std::span<const std::unique_ptr<BenchStream>> streams) {
  using std::chrono::milliseconds;
  for (const auto& stream : streams) {
    if (stream->hostility() == Hostility::kSeeks) {
      Every(milliseconds(100), [this, pipeline = stream->pipeline()] {
        if (gst_element_seek_simple(pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0)) ++seeks_;
      });
    } else if (stream->hostility() == Hostility::kChangesPrompts) {
      GObject* tagger = G_OBJECT(stream->tagger());
      // `identity`, in the run to compare with, has none.
      if (g_object_class_find_property(G_OBJECT_GET_CLASS(tagger), "prompts") == nullptr) continue;
      Every(milliseconds(10), [this, tagger] {
        g_object_set(tagger, "prompts", PromptList(prompt_changes_).c_str(), nullptr);
        ++prompt_changes_;
      });
    }
  }
}

Disturbances::~Disturbances() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Disturbances::Every(std::chrono::milliseconds period, std::function<void()> action) {
  threads_.emplace_back([this, period, action = std::move(action)] {
    auto next = std::chrono::steady_clock::now() + period;
    std::unique_lock lock(mutex_);
    while (!stop_.wait_until(lock, next, [this] { return stopping_; })) {
      lock.unlock();
      action();
      // Late ones are left out: an action that takes long is not done in bursts.
      next = std::max(next + period, std::chrono::steady_clock::now());
      lock.lock();
    }
  });
}

}  // namespace cliptag
