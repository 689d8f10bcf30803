#include "models/prompts/text_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "kernels/base/log.h"
#include "models/config/config.h"
#include "models/io/cache_directory.h"
#include "models/io/content_hash.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeaderBytes = 128, kRecordHead = 16;
constexpr uint32_t kByteOrder = 0x01020304, kTruncated = 1;
constexpr size_t kMaxText = 64 << 10;      // longer ones are not kept
constexpr size_t kMaxPending = 64u << 20;  // bytes, while another process holds the lock
constexpr const char* kEnding = ".texts";

std::string MakeHeader(const std::string& identity, int dim) {
  std::string header = "cliptag texts 2\n" + identity;
  header.resize(kHeaderBytes, '\0');
  const uint32_t numbers[2] = {static_cast<uint32_t>(dim), kByteOrder};
  std::memcpy(header.data() + 80, numbers, sizeof(numbers));
  return header;
}

uint64_t HashOf(std::string_view text) { return HashBytes(text.data(), text.size()).low; }

// The head of a record; `bytes` holds the whole record.
struct Record {
  uint64_t checksum = 0;
  uint32_t text_bytes = 0, flags = 0;

  explicit Record(const char* bytes) {
    std::memcpy(&checksum, bytes, 8);
    std::memcpy(&text_bytes, bytes + 8, 4);
    std::memcpy(&flags, bytes + 12, 4);
  }
  size_t size(int dim) const { return kRecordHead + size_t(dim) * sizeof(float) + text_bytes; }
  bool IsRight(const char* bytes, int dim) const {
    return HashBytes(bytes + 8, size(dim) - 8).low == checksum;
  }
  std::string_view text(const char* bytes, int dim) const {
    return {bytes + size(dim) - text_bytes, text_bytes};
  }
};

// Reads up to that many bytes; less at the end of the file or on an error.
size_t ReadAt(int fd, uint64_t offset, char* to, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t n = pread(fd, to + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

bool WriteAt(int fd, uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return true;
}

// Removes what a failed write left. Keeps errno.
void CutOff(int fd, uint64_t end) {
  const int why = errno;
  (void)!ftruncate(fd, static_cast<off_t>(end));
  errno = why;
}

// Why OpenOwn() has failed.
std::string Why(int error) {
  if (error == ELOOP) return "it is a symbolic link; remove it";
  if (error == EPERM) return "it belongs to another user; remove it";
  return std::strerror(error);
}

}  // namespace

TextStore::TextStore(TextStoreOptions options)
    : options_(std::move(options)),
      path_(options_.directory + "/" + options_.name + kEnding),
      old_path_(options_.directory + "/" + options_.name + ".old" + kEnding),
      header_(MakeHeader(options_.identity, options_.dim)) {
  Open(path_, &current_);
  Open(old_path_, &old_);
}

TextStore::~TextStore() {
  Write(/*wait=*/true);
  Close(&current_);
  Close(&old_);
}

void TextStore::Close(File* file) {
  if (file->fd >= 0) close(file->fd);
  *file = File();
}

void TextStore::Open(const std::string& path, File* file) {
  Close(file);
  const int fd = OpenOwn(path, O_RDONLY);
  if (fd < 0) {
    if (errno != ENOENT && errno != ENOTDIR) GiveUp("read " + path);
    return;
  }
  struct stat info;
  // Not a pipe or a directory. A wrong header is replaced by the next write.
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || !HeaderIsOurs(fd)) {
    close(fd);
    return;
  }
  file->fd = fd;
  file->end = kHeaderBytes;
  (void)futimens(fd, nullptr);  // used now: the files that go first are those used longest ago
  Scan(file);
}

bool TextStore::HeaderIsOurs(int fd) const {
  char header[kHeaderBytes];
  return ReadAt(fd, 0, header, sizeof(header)) == sizeof(header) &&
         std::memcmp(header, header_.data(), sizeof(header)) == 0;
}

// Reads the records that were appended since the last scan.
void TextStore::Scan(File* file) {
  const size_t largest = kRecordHead + size_t(options_.dim) * sizeof(float) + kMaxText;
  std::vector<char> block(std::max<size_t>(largest, 1 << 20));
  while (true) {
    const size_t got = ReadAt(file->fd, file->end, block.data(), block.size());
    size_t at = 0;
    while (got - at >= kRecordHead) {
      const char* bytes = block.data() + at;
      const Record record(bytes);
      const size_t size = record.size(options_.dim);
      if (record.text_bytes > kMaxText) return;
      if (size > got - at) break;
      if (!record.IsRight(bytes, options_.dim)) return;
      file->offsets[HashOf(record.text(bytes, options_.dim))] = file->end;
      at += size;
      file->end += size;
    }
    if (at == 0) return;  // nothing whole is left
  }
}

bool TextStore::Read(const File& file, uint64_t hash, std::string_view text,
                     StoredText* found) const {
  const auto it = file.offsets.find(hash);
  if (it == file.offsets.end()) return false;
  const size_t dim = static_cast<size_t>(options_.dim);
  std::vector<char> bytes(kRecordHead + dim * sizeof(float) + text.size());
  if (ReadAt(file.fd, it->second, bytes.data(), bytes.size()) != bytes.size()) return false;
  const Record record(bytes.data());
  if (record.text_bytes != text.size() || !record.IsRight(bytes.data(), options_.dim) ||
      record.text(bytes.data(), options_.dim) != text) {
    return false;
  }
  found->row.resize(dim);
  std::memcpy(found->row.data(), bytes.data() + kRecordHead, dim * sizeof(float));
  found->truncated = (record.flags & kTruncated) != 0;
  return true;
}

bool TextStore::Find(std::string_view text, StoredText* found) {
  const uint64_t hash = HashOf(text);
  if (Read(current_, hash, text, found)) return true;
  if (!Read(old_, hash, text, found)) return false;
  Add(text, found->row, found->truncated);  // in use: copied to the file that stays
  return true;
}

void TextStore::Add(std::string_view text, std::span<const float> row, bool truncated) {
  if (!writable_ || text.size() > kMaxText) return;
  const size_t begin = pending_.size();
  const uint32_t numbers[2] = {static_cast<uint32_t>(text.size()), truncated ? kTruncated : 0};
  if (begin + kRecordHead + row.size_bytes() + text.size() > kMaxPending) return;
  pending_.append(8, '\0');
  pending_.append(reinterpret_cast<const char*>(numbers), sizeof(numbers));
  pending_.append(reinterpret_cast<const char*>(row.data()), row.size_bytes());
  pending_.append(text);
  const uint64_t checksum = HashBytes(pending_.data() + begin + 8, pending_.size() - begin - 8).low;
  std::memcpy(pending_.data() + begin, &checksum, sizeof(checksum));
  pending_starts_.push_back(begin);
}

// Opens and locks the file that has the name now, and makes it current_.
bool TextStore::LockCurrent(bool wait) {
  const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(wait ? 2 : 0);
  while (true) {
    const int fd = OpenOwn(path_, O_RDWR | O_CREAT);
    if (fd < 0) {
      GiveUp("write " + path_);
      return false;
    }
    const bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
    const bool busy = !locked && errno == EWOULDBLOCK;
    struct stat mine, named, before;
    const bool known = fstat(fd, &mine) == 0 && stat(path_.c_str(), &named) == 0;
    if (locked && known && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev) {
      const bool same = current_.fd >= 0 && fstat(current_.fd, &before) == 0 &&
                        before.st_ino == mine.st_ino && before.st_dev == mine.st_dev;
      if (!same) {
        Close(&current_);
      } else {
        close(current_.fd);
      }
      current_.fd = fd;
      return true;
    }
    const int why = errno;
    close(fd);
    if (!locked && !busy) {
      errno = why;
      GiveUp("lock " + path_);
      return false;
    }
    if (std::chrono::steady_clock::now() >= give_up_at) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// Gives the locked file a header, and cuts it off after its last valid record.
bool TextStore::MakeAppendable() {
  struct stat info;
  if (fstat(current_.fd, &info) != 0) return false;
  if (!S_ISREG(info.st_mode)) {
    errno = EINVAL;
    return false;
  }
  auto size = static_cast<uint64_t>(info.st_size);
  if (size > 0 && !HeaderIsOurs(current_.fd)) {
    Log(LogLevel::kWarning, "The text cache " + path_ + " is damaged and is begun anew.");
    if (ftruncate(current_.fd, 0) != 0) return false;
    size = 0;
  }
  if (current_.end == 0 || current_.end > size) {
    current_.offsets.clear();
    current_.end = kHeaderBytes;
  }
  if (size == 0) {
    MakeRoom();
    if (WriteAt(current_.fd, 0, header_)) return true;
    CutOff(current_.fd, 0);
    return false;
  }
  Scan(&current_);
  return current_.end >= size || ftruncate(current_.fd, static_cast<off_t>(current_.end)) == 0;
}

// Appends as many of the records as the file still takes; false on an error.
bool TextStore::Append() {
  std::string bytes;
  std::vector<std::pair<uint64_t, uint64_t>> places;
  size_t i = 0;
  for (; i < pending_starts_.size(); ++i) {
    const size_t begin = pending_starts_[i];
    const size_t end = i + 1 < pending_starts_.size() ? pending_starts_[i + 1] : pending_.size();
    const Record record(pending_.data() + begin);
    const uint64_t hash = HashOf(record.text(pending_.data() + begin, options_.dim));
    if (current_.offsets.count(hash) > 0) continue;  // another process was faster
    const uint64_t at = current_.end + bytes.size();
    const bool alone = at == kHeaderBytes;  // a file takes one record, however small its limit
    if (!alone && at + (end - begin) > options_.max_file_bytes) break;
    places.emplace_back(hash, at);
    bytes.append(pending_, begin, end - begin);
  }
  if (!WriteAt(current_.fd, current_.end, bytes)) {
    CutOff(current_.fd, current_.end);
    return false;
  }
  for (const auto& [hash, at] : places) current_.offsets[hash] = at;
  current_.end += bytes.size();
  const size_t cut = i < pending_starts_.size() ? pending_starts_[i] : pending_.size();
  pending_.erase(0, cut);
  pending_starts_.erase(pending_starts_.begin(), pending_starts_.begin() + ptrdiff_t(i));
  for (size_t& start : pending_starts_) start -= cut;
  return true;
}

// The current file, which is locked, becomes the old one.
void TextStore::Rotate() {
  if (rename(path_.c_str(), old_path_.c_str()) != 0) {
    GiveUp("rename " + path_);
    flock(current_.fd, LOCK_UN);
    return;
  }
  flock(current_.fd, LOCK_UN);
  Close(&old_);
  old_ = std::exchange(current_, File());
}

// Removes the least recently used files until there is room for a full new one.
void TextStore::MakeRoom() const {
  struct Candidate {
    fs::file_time_type used;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<Candidate> files;
  uint64_t total = options_.max_file_bytes;
  std::error_code error;
  for (fs::directory_iterator it(options_.directory, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (it->path().extension() != kEnding || it->path() == path_) continue;
    if (!it->is_regular_file(ignored)) continue;
    files.push_back({it->last_write_time(ignored), it->file_size(ignored), it->path()});
    total += files.back().bytes;
  }
  std::sort(files.begin(), files.end(),
            [](const Candidate& a, const Candidate& b) { return a.used < b.used; });
  for (const Candidate& file : files) {
    if (total <= options_.max_directory_bytes) break;
    if (fs::remove(file.path, error)) total -= file.bytes;
  }
}

void TextStore::Write(bool wait) {
  while (writable_ && !pending_starts_.empty()) {
    std::error_code error;
    if (current_.fd < 0) {
      // Private to the user. An error is reported by open() below.
      if (fs::create_directories(options_.directory, error)) {
        (void)chmod(options_.directory.c_str(), 0700);
      }
    }
    if (!LockCurrent(wait)) return;
    if (!MakeAppendable() || !Append()) {
      GiveUp("write " + path_);
      flock(current_.fd, LOCK_UN);
      return;
    }
    if (pending_starts_.empty()) {
      flock(current_.fd, LOCK_UN);
    } else {
      Rotate();
    }
  }
}

void TextStore::GiveUp(const std::string& what) {
  const std::string why = Why(errno);
  if (writable_) {
    Log(LogLevel::kWarning,
        "Embeddings of texts are not kept for the next start: cannot " + what + ": " + why + ".");
  }
  writable_ = false;
  pending_.clear();
  pending_starts_.clear();
}

std::unique_ptr<TextStore> OpenUserTextStore(const std::string& name, const std::string& identity,
                                             int dim) {
  TextStoreOptions options;
  options.directory = CacheDirectory("texts");
  if (options.directory.empty()) return nullptr;
  options.name = CacheFileName(name, identity);
  options.identity = identity;
  options.dim = dim;
  return std::make_unique<TextStore>(std::move(options));
}

}  // namespace cliptag
