#include "plugin/elements/metrics_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <list>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace cliptag {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPeriod = std::chrono::seconds(1);
constexpr auto kLinger = std::chrono::seconds(10);  // of an element that has stopped

struct StructureFree {
  void operator()(GstStructure* structure) const { gst_structure_free(structure); }
};
using StructurePtr = std::unique_ptr<GstStructure, StructureFree>;

class Writer;

// Who writes which file. Never destroyed: elements may outlive what is static.
struct Writers {
  std::mutex mutex;  // taken before a writer's own; held while a writer writes its last
  std::map<std::string, std::unique_ptr<Writer>> by_path;
};
Writers& AllWriters() {
  static auto* const writers = new Writers;
  return *writers;
}

class Writer {
 public:
  struct Entry {
    MetricsSource source;
    StructurePtr last;
    guint64 inferred = 0;  // when `last` was taken, at `taken`
    Clock::time_point taken;
    double images_per_second = -1;
    bool gone = false;
    Clock::time_point gone_since;
  };

  explicit Writer(std::string path) : path_(std::move(path)), thread_([this] { Run(); }) {}

  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  Entry* Add(MetricsSource source) {
    const std::lock_guard lock(mutex_);
    // One that comes back takes its place.
    entries_.remove_if([&](const Entry& e) { return e.gone && e.source.stream == source.stream; });
    Entry& entry = entries_.emplace_back();
    entry.source = std::move(source);
    ++present_;
    write_now_ = true;
    wake_.notify_all();
    return &entry;
  }

  // True if it was the last one.
  bool Remove(Entry* entry) {
    const std::lock_guard lock(mutex_);
    Take(*entry);
    entry->gone = true;
    entry->gone_since = Clock::now();
    entry->source.stats = nullptr;
    entry->source.warn = nullptr;
    return --present_ == 0;
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "cliptag-metrics");
    std::unique_lock lock(mutex_);
    for (bool last = false; !last;) {
      wake_.wait_until(lock, next_, [this] { return stopping_ || write_now_; });
      last = stopping_;
      write_now_ = false;
      next_ = Clock::now() + kPeriod;
      const std::string text = Text();
      lock.unlock();
      const std::string problem = ReplaceMetricsFile(path_, text);
      lock.lock();
      if (!problem.empty()) Warn(problem);
    }
  }

  // The lock is held while an element is asked, so that it is still there.
  std::string Text() {
    const auto now = Clock::now();
    entries_.remove_if([&](const Entry& e) { return e.gone && now - e.gone_since > kLinger; });
    std::vector<MetricsRow> rows;
    for (Entry& entry : entries_) {
      if (!entry.gone) Take(entry);
      rows.push_back({entry.source.stream, entry.last.get(), entry.images_per_second});
    }
    return FormatMetrics(rows);
  }

  static void Take(Entry& entry) {
    const auto now = Clock::now();
    StructurePtr stats(entry.source.stats());
    guint64 inferred = 0;
    gst_structure_get_uint64(stats.get(), "inferred", &inferred);
    const double seconds = std::chrono::duration<double>(now - entry.taken).count();
    // Over less than a moment (an element stops right after a write) the old rate is the better
    // one.
    if (entry.last == nullptr || seconds >= 0.5) {
      if (entry.last != nullptr && inferred >= entry.inferred) {
        entry.images_per_second = static_cast<double>(inferred - entry.inferred) / seconds;
      }
      entry.inferred = inferred;
      entry.taken = now;
    }
    entry.last = std::move(stats);
  }

  void Warn(const std::string& problem) {
    if (warned_) return;
    for (Entry& entry : entries_) {
      if (entry.gone) continue;
      warned_ = true;
      entry.source.warn(problem);
      return;
    }
  }

  const std::string path_;
  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::list<Entry> entries_;
  size_t present_ = 0;  // entries that are not gone
  bool stopping_ = false, write_now_ = false, warned_ = false;
  Clock::time_point next_ = Clock::now() + kPeriod;
  std::thread thread_;  // last: starts when the rest is there
};

class Registration final : public MetricsRegistration {
 public:
  Registration(std::string path, MetricsSource source) : path_(std::move(path)) {
    Writers& writers = AllWriters();
    const std::lock_guard lock(writers.mutex);
    auto& writer = writers.by_path[path_];
    if (!writer) writer = std::make_unique<Writer>(path_);
    writer_ = writer.get();
    entry_ = writer_->Add(std::move(source));
  }

  ~Registration() override {
    Writers& writers = AllWriters();
    const std::lock_guard lock(writers.mutex);
    if (writer_->Remove(entry_)) writers.by_path.erase(path_);
  }

 private:
  const std::string path_;
  Writer* writer_ = nullptr;
  Writer::Entry* entry_ = nullptr;
};

std::string Failed(const std::string& path, const char* what, int error) {
  return "The metrics file " + path + " cannot be " + what + ": " + std::strerror(error) +
         ". It is tried again every second.";
}

bool WriteAll(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

std::unique_ptr<MetricsRegistration> RegisterMetrics(const std::string& path,
                                                     MetricsSource source) {
  // However a path is written, its file has one writer; and a link stays one.
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(path, error);
  return std::make_unique<Registration>(error ? path : whole.string(), std::move(source));
}

std::string ReplaceMetricsFile(const std::string& path, const std::string& text) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    // Renamed over, a device or a pipe would be gone.
    return "The metrics file " + path + " is a " +
           (S_ISDIR(info.st_mode) ? "directory" : "device") +
           "; name a regular file, or one that is not there yet.";
  }
  const std::string beside = path + "." + std::to_string(getpid()) + ".tmp";
  const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return Failed(path, "written", errno);
  errno = 0;
  const bool written = WriteAll(fd, text);
  int problem = written ? 0 : (errno != 0 ? errno : EIO);
  if (close(fd) != 0 && problem == 0) problem = errno;
  if (problem == 0 && rename(beside.c_str(), path.c_str()) != 0) problem = errno;
  if (problem == 0) return "";
  unlink(beside.c_str());
  return Failed(path, "written", problem);
}

}  // namespace cliptag
