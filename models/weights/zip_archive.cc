#include "models/weights/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace cliptag {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50,
                   kEndSignature = 0x06054b50, kEnd64Signature = 0x06064b50,
                   kLocator64Signature = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                 kLocator64Size = 20, kMaxComment = 65535;
constexpr uint32_t kIn64 = 0xffffffff;  // the number does not fit: it is in the zip64 record

uint64_t Number(Bytes bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | std::to_integer<uint64_t>(bytes[at + i]);
  return value;
}
uint16_t U16(Bytes bytes, size_t at) { return static_cast<uint16_t>(Number(bytes, at, 2)); }
uint32_t U32(Bytes bytes, size_t at) { return static_cast<uint32_t>(Number(bytes, at, 4)); }
uint64_t U64(Bytes bytes, size_t at) { return Number(bytes, at, 8); }

std::string Text(Bytes bytes, size_t at, size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, size};
}

// [offset, offset + size) lies in the file.
bool Inside(Bytes file, uint64_t offset, uint64_t size) {
  return offset <= file.size() && size <= file.size() - offset;
}

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
};

class Reader {
 public:
  Reader(Bytes file, const std::string& name) : file_(file), name_(name) {}

  Result<std::map<std::string, ZipEntry>> Read() {
    CLIPTAG_ASSIGN_OR_RETURN(const Directory directory, FindDirectory());
    if (!Inside(file_, directory.offset, directory.size) ||
        directory.entries > directory.size / kCentralSize) {
      return Damaged("its table of contents lies outside of it");
    }
    std::map<std::string, ZipEntry> entries;
    Bytes rest = file_.subspan(directory.offset, directory.size);
    for (uint64_t i = 0; i < directory.entries; ++i) {
      if (rest.size() < kCentralSize || U32(rest, 0) != kCentralSignature) {
        return Damaged("its table of contents ends too early");
      }
      const size_t name = U16(rest, 28), extra = U16(rest, 30), comment = U16(rest, 32);
      if (rest.size() - kCentralSize < name + extra + comment) {
        return Damaged("its table of contents ends too early");
      }
      std::string entry_name = Text(rest, kCentralSize, name);
      CLIPTAG_ASSIGN_OR_RETURN(
          const ZipEntry entry,
          Entry(rest.first(kCentralSize), rest.subspan(kCentralSize + name, extra), entry_name));
      if (!entries.emplace(entry_name, entry).second) {
        return Damaged("the entry '" + entry_name + "' is listed twice");
      }
      rest = rest.subspan(kCentralSize + name + extra + comment);
    }
    return entries;
  }

 private:
  Status Damaged(const std::string& what) const {
    return DataLoss(name_ + ": " + what + "; the file is truncated or damaged, download it again.");
  }

  // The end record is the last thing in the file, but for a comment whose length it holds.
  std::optional<size_t> FindEnd() const {
    if (file_.size() < kEndSize) return std::nullopt;
    const size_t last = file_.size() - kEndSize;
    for (size_t back = 0; back <= std::min(last, kMaxComment); ++back) {
      const size_t at = last - back;
      if (U32(file_, at) == kEndSignature && U16(file_, at + 20) == back) return at;
    }
    return std::nullopt;
  }

  Result<Directory> FindDirectory() const {
    const std::optional<size_t> end = FindEnd();
    if (!end) return Damaged("it has no table of contents at its end");
    Directory out = {U32(file_, *end + 16), U32(file_, *end + 12), U16(file_, *end + 10)};
    const bool in_64 = out.offset == kIn64 || out.size == kIn64 || out.entries == 0xffff;
    if (!in_64 || *end < kLocator64Size ||
        U32(file_, *end - kLocator64Size) != kLocator64Signature) {
      return out;
    }
    const uint64_t at = U64(file_, *end - kLocator64Size + 8);
    if (!Inside(file_, at, kEnd64Size) || U32(file_, at) != kEnd64Signature) {
      return Damaged("its zip64 table of contents is not where it says");
    }
    return Directory{U64(file_, at + 48), U64(file_, at + 40), U64(file_, at + 32)};
  }

  // What a central record says, with the numbers that its zip64 field holds in place of those that
  // did not fit.
  Result<ZipEntry> Entry(Bytes record, Bytes extra, const std::string& entry_name) const {
    uint64_t stored = U32(record, 20), size = U32(record, 24), offset = U32(record, 42);
    while (extra.size() >= 4) {
      const size_t length = U16(extra, 2);
      if (length > extra.size() - 4) break;
      if (U16(extra, 0) == 1) {
        Bytes field = extra.subspan(4, length);
        for (uint64_t* number : {&size, &stored, &offset}) {
          if (*number != kIn64) continue;
          if (field.size() < 8) return Damaged("the entry '" + entry_name + "' has no length");
          *number = U64(field, 0);
          field = field.subspan(8);
        }
        break;
      }
      extra = extra.subspan(4 + length);
    }
    if (U16(record, 8) & 1) return Unsupported(name_ + ": '" + entry_name + "' is encrypted.");
    ZipEntry out;
    out.compressed = U16(record, 10) != 0;
    if (!out.compressed && stored != size) {
      return Damaged("the entry '" + entry_name + "' has two lengths");
    }
    // The local record repeats the name and has an extra field of its own: PyTorch's padding.
    if (!Inside(file_, offset, kLocalSize) || U32(file_, offset) != kLocalSignature) {
      return Damaged("the entry '" + entry_name + "' is not where it says");
    }
    const size_t name = U16(file_, offset + 26), local_extra = U16(file_, offset + 28);
    if (!Inside(file_, offset + kLocalSize, name) ||
        Text(file_, offset + kLocalSize, name) != entry_name) {
      return Damaged("the entry '" + entry_name + "' has two names");
    }
    const uint64_t data = offset + kLocalSize + name + local_extra;
    if (!Inside(file_, data, stored)) {
      return Damaged("the entry '" + entry_name + "' reaches beyond the file's end");
    }
    out.bytes = file_.subspan(data, stored);
    return out;
  }

  const Bytes file_;
  const std::string& name_;
};

}  // namespace

Result<std::map<std::string, ZipEntry>> ReadZip(std::span<const std::byte> file,
                                                const std::string& name) {
  return Reader(file, name).Read();
}

}  // namespace cliptag
