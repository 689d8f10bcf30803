// The frames of many files in the order of the files, decoded ahead on threads of their own. The
// number of files, frames and bytes ahead is bounded.
//
// Ownership: frames belong to the caller of Next(). Thread safety: Next() is for one thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/media/media_reader.h"

namespace cliptag {

class FrameStream {
 public:
  FrameStream(std::vector<std::string> files, MediaOptions options, int threads);
  ~FrameStream();  // stops decoding
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  // A frame, or the error that ended this file.
  struct Item {
    size_t file = 0;  // index
    Status status;
    MediaFrame frame;
  };
  // The next item; nothing when all files are done.
  std::optional<Item> Next();

  const std::vector<std::string>& files() const { return files_; }

 private:
  struct FileState {
    std::deque<MediaFrame> frames;
    bool done = false;
    Status status;
  };

  void Work();
  Status Decode(size_t file);
  bool Push(size_t file, MediaFrame frame);  // false: stop

  const std::vector<std::string> files_;
  const MediaOptions options_;
  const size_t window_;  // files begun and not yet handed out

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<FileState> states_;
  size_t next_file_ = 0;     // to begin
  size_t current_file_ = 0;  // handed out
  size_t bytes_ahead_ = 0;   // decoded and waiting
  bool stop_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace cliptag
