// SHA-256 and SHA-1 of bytes that arrive piece by piece: how a hub tells its files apart.
//
// Thread safety: an object belongs to one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace cliptag {

// What both have in common: blocks of 64 bytes, padded with the length in bits.
class BlockHash {
 public:
  virtual ~BlockHash() = default;
  void Add(const void* data, size_t bytes);
  // Lower-case hexadecimal digits; nothing may be added afterwards.
  std::string Hex();

 protected:
  virtual void AddBlock(const unsigned char* block) = 0;
  explicit BlockHash(int words) : words_(words) {}

  std::array<uint32_t, 8> state_{};

 private:
  const int words_;  // of state_ that make the digest
  std::array<unsigned char, 64> pending_{};
  uint64_t bytes_ = 0;
};

class Sha256 : public BlockHash {
 public:
  Sha256();

 private:
  void AddBlock(const unsigned char* block) override;
};

// For git's names of small files alone: against chance, not against somebody who wants a collision.
class Sha1 : public BlockHash {
 public:
  Sha1();

 private:
  void AddBlock(const unsigned char* block) override;
};

}  // namespace cliptag
