// Watches a file for new content. One thread polls for all watches of a process.
//
// It polls stat() instead of using inotify: that works on network and overlay file systems and sees
// editors that write beside the file and rename. A change is reported when the file has been the
// same for one poll, so that nothing is read half written.
//
// Thread safety: a watch is made and destroyed on any thread, but not within a callback. Callbacks
// run on the polling thread, with a lock held that the destructor takes: they have ended when that
// returns, and each has to be short.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <list>
#include <memory>
#include <string>

namespace cliptag {

class FilePoller;

class FileWatch {
 public:
  enum class Change { kContent, kGone };
  using Callback = std::function<void(Change)>;

  // The state of a file; compare to see a change.
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

  // Reports every change from `seen` on: take that stamp before the file is first read.
  FileWatch(std::string path, Stamp seen, Callback callback);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

 private:
  friend class FilePoller;
  struct Entry {
    std::string path;
    Stamp seen, last;  // as reported, and as polled
    Callback callback;
  };

  std::shared_ptr<FilePoller> poller_;
  std::list<Entry>::iterator entry_;
};

}  // namespace cliptag
