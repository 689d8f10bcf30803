#include "plugin/elements/metrics/file.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <list>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "kernels/base/caught.h"
#include "kernels/base/replace_file.h"

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

// A file that is, or was, written.
struct Target {
  std::shared_ptr<Writer> writer;
  size_t registrations = 0;
  std::mutex turn;  // held by the writer's thread; the next writer waits until the file is removed
};

// The writer of each file. Never destroyed, since elements may outlive static objects.
struct Writers {
  std::mutex mutex;  // not held during callbacks, writes and waits
  std::map<std::string, Target> by_path;
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
    std::vector<TagCount> tags;
    guint64 inferred = 0;  // when `last` was taken, at `taken`
    Clock::time_point taken;
    double images_per_second = -1;
    bool gone = false;
    Clock::time_point gone_since;
  };

  Writer(std::string path, std::mutex& turn)
      : path_(std::move(path)), turn_(turn), thread_([this] { Run(); }) {}

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
    // An element that starts again replaces its old entry.
    entries_.remove_if([&](const Entry& e) { return e.gone && e.source.stream == source.stream; });
    Entry& entry = entries_.emplace_back();
    entry.source = std::move(source);
    write_now_ = true;
    wake_.notify_all();
    return &entry;
  }

  void Remove(Entry* entry) {
    const std::lock_guard lock(mutex_);
    Take(*entry);
    entry->gone = true;
    entry->gone_since = Clock::now();
    for (TagCount& tag : entry->tags) {
      tag.active = false;
      tag.score = -1;
    }
    entry->source.stats = nullptr;
    entry->source.tags = nullptr;
    entry->source.warn = nullptr;
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "cliptag-metrics");
    const std::lock_guard turn(turn_);
    struct stat written {};
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait_until(lock, next_, [this] { return stopping_ || write_now_; });
      if (stopping_) break;
      write_now_ = false;
      next_ = Clock::now() + kPeriod;
      try {
        const std::string text = Text();
        lock.unlock();
        const std::string problem = ReplaceMetricsFile(path_, text, &written);
        lock.lock();
        if (!problem.empty()) Warn(problem);
      } catch (...) {
        LogCaughtException("the metrics file");
        if (!lock.owns_lock()) lock.lock();
      }
    }
    lock.unlock();
    RemoveMetricsFile(path_, written);
  }

  // The lock is held during callbacks, so that their element still exists.
  std::string Text() {
    const auto now = Clock::now();
    entries_.remove_if([&](const Entry& e) { return e.gone && now - e.gone_since > kLinger; });
    std::vector<MetricsRow> rows;
    for (Entry& entry : entries_) {
      if (!entry.gone) Take(entry);
      rows.push_back({entry.source.stream, entry.last.get(), entry.images_per_second, entry.tags});
    }
    return FormatMetrics(rows);
  }

  static void Take(Entry& entry) {
    const auto now = Clock::now();
    StructurePtr stats(entry.source.stats());
    if (entry.source.tags) entry.tags = entry.source.tags();
    guint64 inferred = 0;
    gst_structure_get_uint64(stats.get(), "inferred", &inferred);
    const double seconds = std::chrono::duration<double>(now - entry.taken).count();
    // Where an element stops right after a write, the old rate is the better estimate.
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
  std::mutex& turn_;
  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::list<Entry> entries_;
  bool stopping_ = false, write_now_ = false, warned_ = false;
  Clock::time_point next_ = Clock::now() + kPeriod;
  std::thread thread_;  // last: starts when the rest is there
};

class Registration final : public MetricsRegistration {
 public:
  Registration(const std::string& path, MetricsSource source) {
    {
      Writers& writers = AllWriters();
      const std::lock_guard lock(writers.mutex);
      target_ = &writers.by_path[path];
      if (!target_->writer) target_->writer = std::make_shared<Writer>(path, target_->turn);
      writer_ = target_->writer;
      ++target_->registrations;
    }
    try {
      entry_ = writer_->Add(std::move(source));
    } catch (...) {
      Release();
      throw;
    }
  }

  ~Registration() override {
    writer_->Remove(entry_);
    Release();
  }

 private:
  void Release() {
    const std::lock_guard lock(AllWriters().mutex);
    if (--target_->registrations == 0) target_->writer.reset();
  }

  Target* target_ = nullptr;
  std::shared_ptr<Writer> writer_;  // the last one waits for its thread, out of the lock
  Writer::Entry* entry_ = nullptr;
};

}  // namespace

std::unique_ptr<MetricsRegistration> RegisterMetrics(const std::string& path,
                                                     MetricsSource source) {
  // However a path is written, its file has one writer; and a link stays one.
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::weakly_canonical(path, error);
  const std::string target = error ? path : whole.string();
  try {
    return std::make_unique<Registration>(target, source);
  } catch (const std::exception& e) {
    source.warn("The metrics file " + path + " is not written: " + e.what() + ".");
    return nullptr;
  }
}

std::string ReplaceMetricsFile(const std::string& path, const std::string& text,
                               struct stat* written) {
  struct stat before {};
  if (stat(path.c_str(), &before) == 0 && !S_ISREG(before.st_mode)) {
    return "The metrics file " + path + " is a " +
           (S_ISDIR(before.st_mode) ? "directory" : "device") +
           "; name a regular file, or one that is not there yet.";
  }
  // Links were followed when the file was registered. The next second brings newer numbers.
  const Status status =
      ReplaceFile(path, text, {.follow_links = false, .sync = false, .made = written});
  if (status.ok()) return "";
  return "The metrics file " + path + " cannot be written: " + status.message() +
         ". It is tried again every second.";
}

void RemoveMetricsFile(const std::string& path, const struct stat& written) {
  struct stat now {};
  if (written.st_ino != 0 && lstat(path.c_str(), &now) == 0 && now.st_ino == written.st_ino &&
      now.st_dev == written.st_dev) {
    unlink(path.c_str());
  }
}

}  // namespace cliptag
