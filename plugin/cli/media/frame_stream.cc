#include "plugin/cli/media/frame_stream.h"

#include <algorithm>
#include <utility>

namespace cliptag {
namespace {

constexpr size_t kFramesAhead = 8;                 // per file
constexpr size_t kBytesAhead = size_t{256} << 20;  // of all files; the current one may exceed it

}  // namespace

FrameStream::FrameStream(std::vector<std::string> files, MediaOptions options, int threads)
    : files_(std::move(files)),
      options_(options),
      window_(2 * static_cast<size_t>(std::max(1, threads))),
      states_(files_.size()) {
  const size_t count = std::min<size_t>(static_cast<size_t>(std::max(1, threads)), files_.size());
  for (size_t i = 0; i < count; ++i) threads_.emplace_back([this] { Work(); });
}

FrameStream::~FrameStream() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void FrameStream::Work() {
  for (;;) {
    size_t file;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] {
        return stop_ || next_file_ >= files_.size() || next_file_ < current_file_ + window_;
      });
      if (stop_ || next_file_ >= files_.size()) return;
      file = next_file_++;
    }
    Status status = Decode(file);
    {
      std::lock_guard lock(mutex_);
      states_[file].done = true;
      states_[file].status = std::move(status);
    }
    changed_.notify_all();
  }
}

Status FrameStream::Decode(size_t file) {
  CLIPTAG_ASSIGN_OR_RETURN(const auto reader, OpenMedia(files_[file], options_));
  for (bool any = false;; any = true) {
    CLIPTAG_ASSIGN_OR_RETURN(std::optional<MediaFrame> frame, reader->Next());
    if (!frame && !any) return DataLoss("'" + files_[file] + "' holds not a single frame");
    if (!frame || !Push(file, std::move(*frame))) return {};
  }
}

bool FrameStream::Push(size_t file, MediaFrame frame) {
  std::unique_lock lock(mutex_);
  std::deque<MediaFrame>& frames = states_[file].frames;
  changed_.wait(lock, [&] {
    if (stop_ || (file == current_file_ && frames.empty())) return true;
    return frames.size() < kFramesAhead && bytes_ahead_ + frame.bytes <= kBytesAhead;
  });
  if (stop_) return false;
  bytes_ahead_ += frame.bytes;
  frames.push_back(std::move(frame));
  changed_.notify_all();
  return true;
}

std::optional<FrameStream::Item> FrameStream::Next() {
  std::unique_lock lock(mutex_);
  while (current_file_ < files_.size()) {
    FileState& state = states_[current_file_];
    changed_.wait(lock, [&] { return !state.frames.empty() || state.done; });
    Item item;
    item.file = current_file_;
    if (!state.frames.empty()) {
      item.frame = std::move(state.frames.front());
      state.frames.pop_front();
      bytes_ahead_ -= item.frame.bytes;
    } else {
      ++current_file_;
      item.status = std::move(state.status);
    }
    changed_.notify_all();
    if (item.frame.pixels || !item.status.ok()) return item;
  }
  return std::nullopt;
}

}  // namespace cliptag
