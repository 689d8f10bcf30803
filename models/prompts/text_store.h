// Embeddings of texts on disk, so that prompts are encoded once and not at every start.
//
// There are two files for each `identity` (all that decides an embedding besides the text: model,
// precision, …) in one directory: records are appended to NAME.texts. When it is full it replaces
// NAME.old.texts. A record that is found in the old file is appended to the new one, so that texts
// in use stay. Beyond a limit for the directory the least recently used files are removed.
//
// A file is a header of 128 bytes and records without gaps, all numbers as the machine has them:
//   header: "cliptag texts 2\n", 64 digits of the identity, u32 dim, u32 0x01020304, zeros
//   record: u64 checksum (HashBytes of all that follows in the record), u32 bytes of the text,
//           u32 flags (1: the text was cut), f32 row[dim], the text
// No file is trusted: a record is used if its checksum and its text are right. A file is read up to
// the first record with a wrong checksum; the rest is cut off at the next write.
//
// Processes share files: writers append under flock() on NAME.texts, and open the file anew if it
// has been renamed. Readers take no lock. A file that cannot be read, written or created is one
// warning for each store, which then works without it.
//
// Thread safety: one thread for each store; any number of stores of the same files.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/io/cache_directory.h"

namespace cliptag {

struct StoredText {
  std::vector<float> row;  // unit length
  bool truncated = false;
};

struct TextStoreOptions {
  std::string directory;  // created when something is first written
  std::string name;       // of the files, without ending
  std::string identity;   // 64 characters
  int dim = 0;
  uint64_t max_file_bytes = uint64_t{128} << 20;  // 60,000 texts of 512 dimensions, twice
  uint64_t max_directory_bytes = uint64_t{1} << 30;
};

class TextStore {
 public:
  explicit TextStore(TextStoreOptions options);
  ~TextStore();  // writes what is left, waiting a moment for a lock
  TextStore(const TextStore&) = delete;
  TextStore& operator=(const TextStore&) = delete;

  bool Find(std::string_view text, StoredText* found);
  // Keeps the row for the next Save.
  void Add(std::string_view text, std::span<const float> row, bool truncated);
  // Appends what was added, unless another process is writing: then it is left for the next time.
  void Save() { Write(/*wait=*/false); }

 private:
  // One of the two files, as far as it has been read.
  struct File {
    int fd = -1;
    uint64_t end = 0;                                // of the last record that is right
    std::unordered_map<uint64_t, uint64_t> offsets;  // of records, by the hash of their text
  };

  void Open(const std::string& path, File* file);
  void Close(File* file);
  bool HeaderIsOurs(int fd) const;
  void Scan(File* file);
  bool Read(const File& file, uint64_t hash, std::string_view text, StoredText* found) const;
  bool LockCurrent(bool wait);
  bool MakeAppendable();
  bool Append();
  void Rotate();
  void MakeRoom() const;
  void Write(bool wait);
  void GiveUp(const std::string& what);

  const TextStoreOptions options_;
  const std::string path_, old_path_;
  const std::string header_;
  File current_, old_;
  bool writable_ = true;
  // Records to be written, and where each begins.
  std::string pending_;
  std::vector<size_t> pending_starts_;
};

// The store in CacheDirectory("texts"); null if that names none. `name` may be any text.
std::unique_ptr<TextStore> OpenUserTextStore(const std::string& name, const std::string& identity,
                                             int dim);

}  // namespace cliptag
