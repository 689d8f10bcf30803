#include "plugin/cli/hub/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace cliptag {
namespace {

constexpr size_t kBlock = 1 << 20;
constexpr int64_t kRoom = 16 << 20;  // that a pull leaves on the disk

std::unique_ptr<BlockHash> NewHash(const HubFile& file) {
  if (file.hash.size() == 64) return std::make_unique<Sha256>();
  // Git hashes a file's kind and size before its bytes.
  auto hash = std::make_unique<Sha1>();
  const std::string header = "blob " + std::to_string(file.size);
  hash->Add(header.c_str(), header.size() + 1);
  return hash;
}

// `"abc"` and `W/"abc"` of an ETag.
std::string Unquoted(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  return etag;
}

int64_t Number(const std::string& text) {
  if (text.empty() || text.size() > 18) return -1;
  if (text.find_first_not_of("0123456789") != std::string::npos) return -1;
  return std::stoll(text);
}

Status Stopped() { return Cancelled("Stopped."); }

// Reads from where `fd` stands to `end`, or to the end of the file for -1.
Status ReadAll(int fd, const std::string& path, int64_t end,
               const std::function<Status(std::string_view)>& take) {
  std::vector<char> block(kBlock);
  for (int64_t done = 0; end < 0 || done < end;) {
    const size_t wanted = end < 0 ? kBlock : std::min<int64_t>(kBlock, end - done);
    const ssize_t n = read(fd, block.data(), wanted);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DataLoss("Cannot read " + path + ": " + std::strerror(errno) + ".");
    if (n == 0) break;
    CLIPTAG_RETURN_IF_ERROR(take({block.data(), static_cast<size_t>(n)}));
    done += n;
  }
  return {};
}

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

Status CheckRoom(const std::string& directory, int64_t bytes, const std::string& what) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(directory, error);
  if (error || bytes <= 0) return {};  // then writing will tell
  const uintmax_t wanted = static_cast<uintmax_t>(bytes) + kRoom;
  if (space.available >= wanted) return {};
  return ResourceExhausted("The disk of " + directory + " has " +
                           std::to_string(space.available / 1000000) + " MB free, but " + what +
                           " needs " + std::to_string(wanted / 1000000) +
                           " MB: make room, or set XDG_CACHE_HOME to another disk.");
}

std::string PartialName(const HubFile& file) {
  return file.name + "." + (file.hash.empty() ? "unknown" : file.hash.substr(0, 12)) +
         ".incomplete";
}

FileWriter::FileWriter(std::string directory, HubFile file, int64_t max_bytes,
                       FileProgress progress)
    : directory_(std::move(directory)),
      file_(std::move(file)),
      max_bytes_(max_bytes),
      progress_(std::move(progress)) {
  path_ = directory_ + "/" + PartialName(file_);
}

FileWriter::~FileWriter() {
  if (fd_ >= 0) close(fd_);
}

void FileWriter::ResetHash() { hash_ = NewHash(file_); }

Result<std::unique_ptr<FileWriter>> FileWriter::Open(const std::string& directory,
                                                     const HubFile& file, int64_t max_bytes,
                                                     FileProgress progress) {
  std::unique_ptr<FileWriter> writer(
      new FileWriter(directory, file, max_bytes, std::move(progress)));
  writer->fd_ = open(writer->path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  struct stat info {};
  if (writer->fd_ < 0 || fstat(writer->fd_, &info) != 0) return writer->CannotWrite(errno);
  writer->ResetHash();
  // Without a size and a hash nobody could tell whether what is there belongs to this file.
  const bool usable = file.size >= 0 && !file.hash.empty() && info.st_size <= file.size;
  CLIPTAG_RETURN_IF_ERROR(usable ? writer->HashWhatIsThere(info.st_size) : writer->StartAnew());
  return writer;
}

Status FileWriter::HashWhatIsThere(int64_t bytes) {
  CLIPTAG_RETURN_IF_ERROR(ReadAll(fd_, path_, bytes, [&](std::string_view block) -> Status {
    hash_->Add(block.data(), block.size());
    have_ += static_cast<int64_t>(block.size());
    return progress_(have_) ? Status() : Stopped();
  }));
  return {};
}

Status FileWriter::StartAnew() {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) != 0) return CannotWrite(errno);
  have_ = 0;
  ResetHash();
  return {};
}

Status FileWriter::CannotWrite(int error) const {
  const std::string name = directory_ + "/" + file_.name;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    const std::string why = error == ENOSPC ? "the disk is full" : std::strerror(error);
    return ResourceExhausted("Cannot go on writing " + name + ": " + why + " after " +
                             std::to_string(have_) + " of " + std::to_string(file_.size) +
                             " bytes; they are kept, so make room and call again.");
  }
  return InvalidArgument("Cannot write " + name + ": " + std::strerror(error) + ".");
}

// What the headers tell of a file that the hub's list was silent about, and whether the two agree.
Status FileWriter::Learn(const HttpReply& reply, int64_t first_byte) {
  // The length of an answer that is compressed, asked for or not, says nothing of the file's.
  const std::string encoding = reply.Header("content-encoding");
  const bool compressed = !encoding.empty() && encoding != "identity";
  const int64_t length = compressed ? -1 : Number(reply.Header("content-length"));
  int64_t announced = Number(reply.Header("x-linked-size"));
  if (announced < 0 && length >= 0) announced = first_byte + length;
  const bool silent = file_.size < 0 || file_.hash.empty();
  const bool sized = file_.size >= 0;  // then the pull has looked for room
  if (!sized) file_.size = announced;
  for (const char* name : {"x-linked-etag", "etag"}) {
    const std::string etag = Unquoted(reply.Header(name));
    if (file_.hash.empty() && IsHash(etag)) file_.hash = etag;
  }
  if (silent) ResetHash();  // nothing has come yet
  if (file_.size < 0 || file_.hash.empty()) {
    return DataLoss("The hub does not tell the " + std::string(file_.size < 0 ? "size" : "hash") +
                    " of " + file_.name + ", so that it could not be checked; it is not taken.");
  }
  if (file_.size > max_bytes_) {
    return DataLoss("The hub says that " + file_.name + " has " + std::to_string(file_.size) +
                    " bytes, more than the " + std::to_string(max_bytes_) +
                    " that such a file may have.");
  }
  if (!sized) CLIPTAG_RETURN_IF_ERROR(CheckRoom(directory_, file_.size, file_.name));
  if (length >= 0 && first_byte + length != file_.size) {
    return DataLoss("The hub says that " + file_.name + " has " + std::to_string(file_.size) +
                    " bytes, but sends " + std::to_string(first_byte + length) + ".");
  }
  return {};
}

Status FileWriter::Begin(const HttpReply& reply, int64_t first_byte) {
  CLIPTAG_RETURN_IF_ERROR(Learn(reply, first_byte));
  if (reply.status == 206) {
    const std::string wanted = "bytes " + std::to_string(have_) + "-";
    if (!reply.Header("content-range").starts_with(wanted)) {
      return DataLoss("The hub was asked for " + file_.name + " from byte " +
                      std::to_string(have_) + " and sends '" + reply.Header("content-range") +
                      "'.");
    }
    return {};
  }
  return have_ > 0 ? StartAnew() : Status();  // not every server can go on in the middle
}

Status FileWriter::Take(std::string_view bytes) {
  if (have_ + static_cast<int64_t>(bytes.size()) > file_.size) {
    return DataLoss("The hub sends more of " + file_.name + " than the " +
                    std::to_string(file_.size) + " bytes that it has.");
  }
  hash_->Add(bytes.data(), bytes.size());
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return CannotWrite(errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    have_ += n;
  }
  return progress_(have_) ? Status() : Stopped();
}

void FileWriter::Discard() { unlink(path_.c_str()); }

Status FileWriter::Finish() {
  if (have_ != file_.size) {
    Discard();
    return DataLoss("Of " + file_.name + " " + std::to_string(have_) + " bytes came instead of " +
                    std::to_string(file_.size) + "; they were removed.");
  }
  if (const std::string found = hash_->Hex(); found != file_.hash) {
    Discard();
    return DataLoss("What came as " + file_.name + " is not what the hub has (" +
                    (file_.hash.size() == 64 ? "SHA-256 " : "git's SHA-1 ") + found +
                    " instead of " + file_.hash + "); it was removed.");
  }
  // Some file systems tell only now that they are full.
  if (fsync(fd_) != 0 && errno != EINVAL && errno != ENOSYS) return CannotWrite(errno);
  const std::string name = directory_ + "/" + file_.name;
  if (rename(path_.c_str(), name.c_str()) != 0) return CannotWrite(errno);
  return {};
}

Result<bool> HasContent(const std::string& path, const HubFile& file,
                        const FileProgress& progress) {
  std::error_code error;
  if (file.hash.empty() || file.size < 0) return false;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  if (std::filesystem::file_size(path, error) != static_cast<uintmax_t>(file.size)) return false;
  const Descriptor fd(path);
  if (fd.get() < 0) return false;
  const auto hash = NewHash(file);
  int64_t done = 0;
  CLIPTAG_RETURN_IF_ERROR(ReadAll(fd.get(), path, -1, [&](std::string_view block) -> Status {
    hash->Add(block.data(), block.size());
    done += static_cast<int64_t>(block.size());
    return progress(done) ? Status() : Stopped();
  }));
  return hash->Hex() == file.hash;
}

Status HashLocal(const std::string& path, const FileProgress& progress, HubFile* file) {
  const Descriptor fd(path);
  if (fd.get() < 0) return NotFound("Cannot read " + path + ": " + std::strerror(errno) + ".");
  Sha256 hash;
  int64_t done = 0;
  CLIPTAG_RETURN_IF_ERROR(ReadAll(fd.get(), path, -1, [&](std::string_view block) -> Status {
    hash.Add(block.data(), block.size());
    done += static_cast<int64_t>(block.size());
    return progress(done) ? Status() : Stopped();
  }));
  file->size = done;
  file->hash = hash.Hex();
  return {};
}

Status TakeLocal(const std::string& path, const std::string& directory, const HubFile& file,
                 const FileProgress& progress) {
  std::error_code error;
  const std::string name = directory + "/" + file.name;
  unlink(name.c_str());
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (!error && link(real.c_str(), name.c_str()) == 0) return {};
  const Descriptor fd(path);
  if (fd.get() < 0) return NotFound("Cannot read " + path + ": " + std::strerror(errno) + ".");
  CLIPTAG_ASSIGN_OR_RETURN(const auto writer,
                           FileWriter::Open(directory, file, file.size, progress));
  if (lseek(fd.get(), writer->Have(), SEEK_SET) < 0) {
    return NotFound("Cannot read " + path + ": " + std::strerror(errno) + ".");
  }
  CLIPTAG_RETURN_IF_ERROR(
      ReadAll(fd.get(), path, -1, [&](std::string_view block) { return writer->Take(block); }));
  return writer->Finish();
}

}  // namespace cliptag
