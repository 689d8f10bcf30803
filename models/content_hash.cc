#include "models/content_hash.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace cliptag {
namespace {

// The accumulators of XXH64, eight of them, so that their multiplications overlap: a step loses
// nothing (it is one to one in the accumulator and in the word), and 64 bytes take some 16 cycles.
constexpr size_t kLanes = 8, kBlock = kLanes * sizeof(uint64_t);
constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                   kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                   kPrime5 = 0x27D4EB2F165667C5;

uint64_t Step(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

uint64_t Avalanche(uint64_t h) {
  h = (h ^ (h >> 33)) * kPrime2;
  h = (h ^ (h >> 29)) * kPrime3;
  return h ^ (h >> 32);
}

void AddBlock(const char* block, uint64_t* lanes) {
  for (size_t i = 0; i < kLanes; ++i) {
    uint64_t word;
    std::memcpy(&word, block + i * sizeof(word), sizeof(word));
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    lanes[i] = Step(lanes[i], word);
  }
}

}  // namespace

Hash128 HashBytes(const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  uint64_t lanes[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lanes[i] = kPrime5 * (i + 1);
  size_t left = bytes;
  for (; left >= kBlock; left -= kBlock, p += kBlock) AddBlock(p, lanes);
  if (left > 0) {  // padded with zeros; the length, mixed in below, tells them from the data's
    char block[kBlock] = {};
    std::memcpy(block, p, left);
    AddBlock(block, lanes);
  }
  Hash128 hash{kPrime4 + bytes, kPrime3 ^ bytes};
  for (size_t i = 0; i < kLanes; ++i) {
    hash.low = std::rotl(hash.low ^ Step(0, lanes[i]), 27) * kPrime1 + kPrime4;
    hash.high = std::rotl(hash.high ^ Step(kPrime5, lanes[kLanes - 1 - i]), 33) * kPrime3 + kPrime1;
  }
  return {Avalanche(hash.low), Avalanche(hash.high)};
}

void ContentHash::AddBytes(const void* data, size_t bytes) {
  const Hash128 hash = HashBytes(data, bytes);
  digests_.insert(digests_.end(), {hash.low, hash.high});
}

std::string ContentHash::Hex() const {
  const Hash128 hash = HashBytes(digests_.data(), digests_.size() * sizeof(uint64_t));
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

}  // namespace cliptag
