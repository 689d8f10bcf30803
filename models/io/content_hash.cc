#include "models/io/content_hash.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <exception>
#include <new>
#include <thread>

#include "models/io/sha.h"

namespace cliptag {
namespace {

// The accumulators of XXH64, eight of them, so that their multiplications overlap: a step loses
// nothing (it is one to one in the accumulator and in the word), and 64 bytes take some 16 cycles.
constexpr size_t kLanes = 8, kBlock = kLanes * sizeof(uint64_t);
constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                   kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                   kPrime5 = 0x27D4EB2F165667C5;

constexpr size_t kPiece = 1 << 20, kPiecesPerThread = 4, kMaxThreads = 8;

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

void ContentHash::AddBytes(const void* data, size_t bytes) { digests_ += Sha256Of(data, bytes); }

void ContentHash::AddLarge(const void* data, size_t bytes) {
  AddNumber(static_cast<int64_t>(bytes));
  const std::span all(static_cast<const std::byte*>(data), bytes);
  for (size_t at = 0; at < bytes; at += kPiece) {
    pieces_.push_back({all.subspan(at, std::min(kPiece, bytes - at)), digests_.size()});
    digests_.resize(digests_.size() + kSha256Bytes);
  }
}

void ContentHash::HashPieces() {
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  const auto work = [&] {
    for (size_t i; (i = next++) < pieces_.size();) {
      try {
        const std::string digest = Sha256Of(pieces_[i].bytes.data(), pieces_[i].bytes.size());
        std::memcpy(digests_.data() + pieces_[i].place, digest.data(), digest.size());
      } catch (const std::exception&) {
        failed = true;
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    const size_t threads = std::min<size_t>(std::thread::hardware_concurrency(), kMaxThreads);
    try {
      while (helpers.size() + 1 < std::min(threads, pieces_.size() / kPiecesPerThread)) {
        helpers.emplace_back(work);
      }
    } catch (const std::exception&) {  // no thread to be had: those that there are do it
    }
    work();
  }
  pieces_.clear();
  if (failed) throw std::bad_alloc();
}

std::string ContentHash::Hex() {
  HashPieces();
  Sha256 hash;
  hash.Add(digests_.data(), digests_.size());
  return hash.Hex();
}

}  // namespace cliptag
