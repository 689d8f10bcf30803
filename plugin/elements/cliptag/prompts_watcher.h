// Watches one prompts file and tells when it has new content.
//
// Polls stat() instead of using inotify: it works on network and overlay file systems, needs no
// watch descriptors, and sees editors that write beside the file and rename. A file is read when it
// has not changed for one poll, so that one being written is not read half-way.
//
// Thread safety: the callback runs on the watcher's own thread. A watcher may be destroyed
// anywhere, within its callback and under any lock as well: a callback that runs by then is not
// waited for, and ends on its own. What it works on is kept alive by what `keep` has returned.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace cliptag {

class PromptsWatcher {
 public:
  enum class Change { kContent, kGone };
  using Callback = std::function<void(Change)>;
  using Keep = std::function<std::shared_ptr<void>()>;

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
  PromptsWatcher(std::string path, Stamp seen, std::chrono::milliseconds poll, Callback callback,
                 Keep keep);
  ~PromptsWatcher();
  PromptsWatcher(const PromptsWatcher&) = delete;
  PromptsWatcher& operator=(const PromptsWatcher&) = delete;

 private:
  // The thread's own, which may outlive the watcher.
  struct State {
    const std::string path;
    const std::chrono::milliseconds poll;
    const Callback callback;
    const Keep keep;
    Stamp seen;  // the thread's alone
    std::mutex mutex;
    std::condition_variable stop;
    bool stopping = false, calling = false;  // guarded by mutex
  };
  static void Run(State& state);
  static void Call(State& state, Change change);

  const std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace cliptag
