#include "plugin/elements/prompts_watcher.h"

#include <utility>

namespace cliptag {

PromptsWatcher::Stamp PromptsWatcher::StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {true, info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

PromptsWatcher::PromptsWatcher(std::string path, Stamp seen, std::chrono::milliseconds poll,
                               Callback callback)
    : path_(std::move(path)),
      seen_(seen),
      poll_(poll),
      callback_(std::move(callback)),
      thread_([this] { Run(); }) {}

PromptsWatcher::~PromptsWatcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void PromptsWatcher::Run() {
  Stamp last = seen_;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, poll_, [this] { return stopping_; })) {
    lock.unlock();
    const Stamp now = StampOf(path_);
    if (now == last && now != seen_) {
      seen_ = now;
      callback_(now.exists ? Change::kContent : Change::kGone);
    }
    last = now;
    lock.lock();
  }
}

}  // namespace cliptag
