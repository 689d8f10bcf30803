// What comes back from an engine, collected: answers to requests, and how prompts went.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "plugin/engine/engine.h"

namespace cliptag::test {

template <typename T>
class InboxOf {
 public:
  void Put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    arrived_.notify_all();
  }
  bool WaitFor(size_t n, std::chrono::seconds limit = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, limit, [&] { return values_.size() >= n; });
  }
  std::vector<T> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(values_, {});
  }
  size_t size() {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<T> values_;
};

class ResultInbox : public InboxOf<InferenceResult> {
 public:
  std::function<void(InferenceResult)> Slot() {
    return [this](InferenceResult result) { Put(std::move(result)); };
  }
};

class PromptsInbox : public InboxOf<Status> {
 public:
  std::function<void(Status, std::shared_ptr<const PromptBank>)> Slot() {
    return
        [this](Status status, const std::shared_ptr<const PromptBank>&) { Put(std::move(status)); };
  }
};

}  // namespace cliptag::test
