// A 128-bit hash of bytes, to tell contents apart: weights of a few hundred megabytes at the speed
// of memory, records of a cache. Against chance, not against somebody who wants a collision.
//
// The numbers are part of file formats (plugin/engine/text_store.h): the same on every machine.
// Thread safety: a ContentHash belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cliptag {

struct Hash128 {
  uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};

Hash128 HashBytes(const void* data, size_t bytes);

// Of a sequence of pieces; where one ends and the next begins counts.
class ContentHash {
 public:
  void AddBytes(const void* data, size_t bytes);
  void AddText(std::string_view text) { AddBytes(text.data(), text.size()); }
  void AddNumber(int64_t number) { AddBytes(&number, sizeof(number)); }

  std::string Hex() const;  // 32 digits

 private:
  std::vector<uint64_t> digests_;
};

}  // namespace cliptag
