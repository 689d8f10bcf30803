// Reads the bit fields of video bitstreams, most significant bit first, from untrusted bytes: bits
// beyond the end read as 0, and ok() is false from then on.
//
// Borrows the bytes. Thread safety: a plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cliptag {

class BitReader {
 public:
  // `escaped` for the NAL units of H.264 and H.265, whose 00 00 03 stands for 00 00 (H.264 7.4.1,
  // H.265 7.4.2).
  explicit BitReader(std::span<const uint8_t> data, bool escaped = false)
      : data_(data), escaped_(escaped) {}

  bool ok() const { return ok_; }

  // `count` at most 32.
  uint32_t Bits(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value = (value << 1) | Bit();
    return value;
  }
  bool Flag() { return Bit() != 0; }
  void Skip(uint32_t count) {
    for (uint32_t i = 0; i < count && ok_; ++i) Bit();
  }

  // ue(v): Exp-Golomb (H.264 9.1, H.265 9.2). More than 31 leading zeros are invalid.
  uint32_t Ue() {
    int zeros = 0;
    while (ok_ && zeros < 32 && Bit() == 0) ++zeros;
    if (zeros == 32) ok_ = false;
    if (!ok_) return 0;
    return (uint32_t{1} << zeros) - 1 + Bits(zeros);
  }

  // leb128() (AV1 4.10.5). AV1 allows values below 2^32.
  uint32_t Leb128() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) {
      const uint32_t byte = Bits(8);
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) break;
      if (i == 7) ok_ = false;
    }
    if (value > UINT32_MAX) ok_ = false;
    return ok_ ? static_cast<uint32_t>(value) : 0;
  }

  // Number of bytes that have been read, at least in part.
  size_t position() const { return next_; }

 private:
  uint32_t Bit() {
    if (left_ == 0 && !Load()) return 0;
    --left_;
    return (byte_ >> left_) & 1u;
  }

  bool Load() {
    if (escaped_ && zeros_ >= 2 && next_ < data_.size() && data_[next_] == 3) {
      ++next_;
      zeros_ = 0;
    }
    if (next_ >= data_.size()) {
      ok_ = false;
      return false;
    }
    byte_ = data_[next_++];
    zeros_ = byte_ == 0 ? zeros_ + 1 : 0;
    left_ = 8;
    return true;
  }

  std::span<const uint8_t> data_;
  bool escaped_;
  size_t next_ = 0;
  uint8_t byte_ = 0;
  int left_ = 0;   // unread bits of byte_
  int zeros_ = 0;  // length of the run of zero bytes up to here
  bool ok_ = true;
};

}  // namespace cliptag
