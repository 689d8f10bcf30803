#include "plugin/elements/cliptag/prompts/file_watch.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "kernels/base/caught.h"

namespace cliptag {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(100);

}  // namespace

class FilePoller {
 public:
  using Entries = std::list<FileWatch::Entry>;

  // The one of this process; it ends with its last watch.
  static std::shared_ptr<FilePoller> Get() {
    // Never destroyed: elements may outlive what is static.
    static auto* const mutex = new std::mutex;
    static auto* const shared = new std::weak_ptr<FilePoller>;
    const std::lock_guard lock(*mutex);
    std::shared_ptr<FilePoller> poller = shared->lock();
    if (!poller) *shared = poller = std::make_shared<FilePoller>();
    return poller;
  }

  FilePoller() : thread_([this] { Run(); }) {}
  ~FilePoller() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stop_.notify_all();
    thread_.join();
  }

  Entries::iterator Add(FileWatch::Entry entry) {
    const std::lock_guard lock(mutex_);
    return entries_.insert(entries_.end(), std::move(entry));
  }
  void Remove(Entries::iterator entry) {
    const std::lock_guard lock(mutex_);
    entries_.erase(entry);
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "cliptag-files");
    std::unique_lock lock(mutex_);
    while (!stop_.wait_for(lock, kPeriod, [this] { return stopping_; })) {
      try {
        Poll(lock);
      } catch (...) {
        LogCaughtException("A file's new content was not taken");
        if (!lock.owns_lock()) lock.lock();
      }
    }
  }

  void Poll(std::unique_lock<std::mutex>& lock) {
    std::map<std::string, FileWatch::Stamp> stamps;
    for (const FileWatch::Entry& entry : entries_) stamps[entry.path];
    lock.unlock();  // a network's file may take long
    for (auto& [path, stamp] : stamps) stamp = FileWatch::StampOf(path);
    lock.lock();
    for (FileWatch::Entry& entry : entries_) {
      const auto now = stamps.find(entry.path);
      if (now == stamps.end()) continue;  // a new watch
      const bool settled = now->second == std::exchange(entry.last, now->second);
      if (!settled || entry.last == entry.seen) continue;
      entry.callback(entry.last.exists ? FileWatch::Change::kContent : FileWatch::Change::kGone);
      entry.seen = entry.last;
    }
  }

  std::mutex mutex_;
  std::condition_variable stop_;
  Entries entries_;  // guarded by mutex_, as is the next
  bool stopping_ = false;
  std::thread thread_;  // last: starts when the rest is there
};

FileWatch::Stamp FileWatch::StampOf(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {true, info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

FileWatch::FileWatch(std::string path, Stamp seen, Callback callback)
    : poller_(FilePoller::Get()),
      entry_(poller_->Add({std::move(path), seen, seen, std::move(callback)})) {}

FileWatch::~FileWatch() { poller_->Remove(entry_); }

}  // namespace cliptag
