// What tells contents apart.
//
// ContentHash is SHA-256 of everything that was added: two contents with the same hash cannot be
// made, so that one model's files never pass for another's. SHA-256 comes from OpenSSL's libcrypto,
// which uses the CPU's instructions for it where there are any, several times as fast as code
// without them (GLib's GChecksum, or our own). Weights are cut into pieces that several threads
// hash; the hash is that of the pieces' hashes.
//
// HashBytes is quick, and against chance alone: for checksums, and for what is compared anyway.
//
// The numbers are part of file formats (models/prompts/text_store.h): the same on every machine.
// Thread safety: a ContentHash belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cliptag {

struct Hash128 {
  uint64_t low = 0, high = 0;
  bool operator==(const Hash128&) const = default;
};

Hash128 HashBytes(const void* data, size_t bytes);

// Of a sequence of parts; where one ends and the next begins counts.
class ContentHash {
 public:
  void AddBytes(const void* data, size_t bytes);
  void AddText(std::string_view text) { AddBytes(text.data(), text.size()); }
  void AddNumber(int64_t number) { AddBytes(&number, sizeof(number)); }
  // As AddBytes, but read only by Hex(): for what is large. It must stay where it is until then.
  void AddLarge(const void* data, size_t bytes);

  // 64 digits. Throws std::bad_alloc, as everything here may.
  std::string Hex();

 private:
  struct Piece {
    std::span<const std::byte> bytes;
    size_t place;  // of its hash, in digests_
  };
  void HashPieces();

  std::string digests_;  // 32 bytes for every part or piece
  std::vector<Piece> pieces_;
};

}  // namespace cliptag
