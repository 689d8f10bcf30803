// One file of a repository on its way to the disk: written under a temporary name, checked by size
// and hash, and given its own name only then. What has arrived before an interruption is kept and
// gone on with; its hash tells whether it belonged.
//
// Ownership: an open file descriptor. Thread safety: belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/base/status.h"
#include "models/io/sha.h"
#include "plugin/cli/hub/client.h"
#include "plugin/cli/hub/repository.h"

namespace cliptag {

// Bytes of it that there are so far; false stops.
using FileProgress = std::function<bool(int64_t bytes)>;

// Whether so many bytes still fit on the disk of `directory`; `what` needs them.
Status CheckRoom(const std::string& directory, int64_t bytes, const std::string& what);

// What a file is called while it is on its way; another version of it does not share the name.
std::string PartialName(const HubFile& file);

class FileWriter : public HubSink {
 public:
  // Opens what there is of `file` in `directory`, or begins. A file whose size only the answer
  // tells is refused beyond `max_bytes`.
  static Result<std::unique_ptr<FileWriter>> Open(const std::string& directory, const HubFile& file,
                                                  int64_t max_bytes, FileProgress progress);
  ~FileWriter() override;
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  int64_t Have() const override { return have_; }
  Status Begin(const HttpReply& reply, int64_t first_byte) override;
  Status Take(std::string_view bytes) override;
  // Whether all bytes are there, as far as their number is known.
  bool Full() const { return file_.size >= 0 && have_ == file_.size; }

  // Checks size and hash and gives the file its name. Where they are wrong, what was written is
  // removed.
  Status Finish();
  // Removes what was written.
  void Discard();
  const HubFile& file() const { return file_; }  // with what the answer's headers told

 private:
  FileWriter(std::string directory, HubFile file, int64_t max_bytes, FileProgress progress);
  Status HashWhatIsThere(int64_t bytes);
  Status StartAnew();
  Status Learn(const HttpReply& reply, int64_t first_byte);
  Status CannotWrite(int error) const;
  void ResetHash();

  const std::string directory_;
  HubFile file_;
  const int64_t max_bytes_;
  const FileProgress progress_;
  std::string path_;  // of the temporary file
  int fd_ = -1;
  int64_t have_ = 0;
  std::unique_ptr<BlockHash> hash_;
};

// Whether the file at `path` has the size and hash; reads it. `progress` as above.
Result<bool> HasContent(const std::string& path, const HubFile& file, const FileProgress& progress);

// Fills in size and hash of a file that nothing else tells them of; reads it.
Status HashLocal(const std::string& path, const FileProgress& progress, HubFile* file);

// Takes a file with the right content from elsewhere on this machine: a hard link where that can
// be, else a copy.
Status TakeLocal(const std::string& path, const std::string& directory, const HubFile& file,
                 const FileProgress& progress);

}  // namespace cliptag
