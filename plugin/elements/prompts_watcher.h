// Watches one prompts file and tells when it has new content.
//
// Polls stat() instead of using inotify: it works on network and overlay file systems, needs no
// watch descriptors, and sees editors that write beside the file and rename. A file is read when it
// has not changed for one poll, so that one being written is not read half-way. Thread safety: the
// callback runs on the watcher's own thread; the destructor waits for it, so do not destroy a
// watcher while holding a lock that the callback takes.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace cliptag {

class PromptsWatcher {
 public:
  enum class Change { kContent, kGone };
  using Callback = std::function<void(Change)>;

  // What a file looked like; compare to see a change.
  struct Stamp {
    bool exists = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    time_t seconds = 0;
    long nanoseconds = 0;

    bool operator==(const Stamp&) const = default;
  };
  static Stamp StampOf(const std::string& path);

  // Tells of every change from `seen` on: take it before the file is first read.
  PromptsWatcher(std::string path, Stamp seen, std::chrono::milliseconds poll, Callback callback);
  ~PromptsWatcher();
  PromptsWatcher(const PromptsWatcher&) = delete;
  PromptsWatcher& operator=(const PromptsWatcher&) = delete;

 private:
  void Run();

  const std::string path_;
  Stamp seen_;  // the thread's alone
  const std::chrono::milliseconds poll_;
  const Callback callback_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;     // last: starts when the rest is there
};

}  // namespace cliptag
