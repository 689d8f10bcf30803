// Bitstreams by hand, so that the tests of keyframes need no encoder.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace cliptag::test {

using Bytes = std::vector<uint8_t>;

inline Bytes Join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    for (const uint8_t byte : part) all.push_back(byte);
  }
  return all;
}

// NAL units behind start codes, or behind their lengths.
inline Bytes AnnexB(std::initializer_list<Bytes> nals) {
  Bytes all;
  for (const Bytes& nal : nals) all = Join({all, {0, 0, 0, 1}, nal});
  return all;
}
inline Bytes WithLengths(std::initializer_list<Bytes> nals, int size = 4) {
  Bytes all;
  for (const Bytes& nal : nals) {
    for (int i = size - 1; i >= 0; --i) all.push_back(static_cast<uint8_t>(nal.size() >> (8 * i)));
    all.insert(all.end(), nal.begin(), nal.end());
  }
  return all;
}

// Bits, the highest first.
class BitWriter {
 public:
  BitWriter& Bits(uint32_t value, int count) {
    for (int i = count - 1; i >= 0; --i) {
      if (used_ == 0) bytes_.push_back(0);
      bytes_.back() |= static_cast<uint8_t>(((value >> i) & 1u) << (7 - used_));
      used_ = (used_ + 1) % 8;
    }
    return *this;
  }
  BitWriter& Ue(uint32_t value) {
    int length = 0;
    while (((value + 1) >> length) > 1) ++length;
    return Bits(0, length).Bits(value + 1, length + 1);
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
  int used_ = 0;
};

namespace h264 {
inline Bytes Slice(uint8_t header, uint32_t slice_type, uint32_t first_mb = 0) {
  BitWriter bits;
  bits.Ue(first_mb).Ue(slice_type).Ue(0).Bits(0xa55a, 16);
  return Join({{header}, bits.bytes()});
}
inline Bytes Idr() { return Slice(0x65, 7); }
inline Bytes P() { return Slice(0x41, 5); }
inline Bytes B() { return Slice(0x01, 6); }
inline Bytes I(uint32_t first_mb = 0) { return Slice(0x41, 7, first_mb); }
inline Bytes Aud() { return {0x09, 0xf0}; }
inline Bytes Sps(uint32_t id = 0, uint8_t level = 30) {
  BitWriter bits;
  bits.Ue(id).Bits(0xa5a5, 16);
  return Join({{0x67, 0x42, 0xc0, level}, bits.bytes()});
}
inline Bytes Pps(uint32_t id = 0, uint8_t rest = 0x3c) {
  BitWriter bits;
  bits.Ue(id).Bits(rest, 8).Bits(1, 1);
  return Join({{0x68}, bits.bytes()});
}
// A buffering period of two bytes, then a recovery point.
inline Bytes Recovery(uint32_t frames = 0) {
  BitWriter point;
  point.Ue(frames).Bits(0x9, 4);
  const auto size = static_cast<uint8_t>(point.bytes().size());
  return Join({{0x06, 0x00, 0x02, 0x11, 0x22, 0x06, size}, point.bytes(), {0x80}});
}
inline Bytes CodecData(int length_size = 4) {
  return {1, 0x42, 0xc0, 30, static_cast<uint8_t>(0xfc | (length_size - 1)), 0xe0, 0};
}
}  // namespace h264

namespace h265 {
inline Bytes Nal(uint32_t type, const Bytes& rest = {0xaf, 0x11, 0x22}, uint32_t layer = 0) {
  BitWriter bits;
  bits.Bits(0, 1).Bits(type, 6).Bits(layer, 6).Bits(1, 3);
  return Join({bits.bytes(), rest});
}
// With `sub_layers` below the highest, each with a profile and a level of its own.
inline Bytes Sps(uint32_t id, uint32_t sub_layers = 0) {
  BitWriter bits;
  bits.Bits(0, 4).Bits(sub_layers, 3).Bits(1, 1);
  for (int i = 0; i < 12; ++i) bits.Bits(0x5a, 8);
  for (uint32_t i = 0; i < sub_layers; ++i) bits.Bits(3, 2);
  if (sub_layers > 0) bits.Bits(0, static_cast<int>(2 * (8 - sub_layers)));
  for (uint32_t i = 0; i < 12 * sub_layers; ++i) bits.Bits(0x5a, 8);
  bits.Ue(id).Bits(0xa5, 8);
  return Nal(33, bits.bytes());
}
}  // namespace h265

namespace vp8 {
inline Bytes Frame(bool key, bool shown = true) {
  const auto tag = static_cast<uint8_t>((key ? 0 : 1) | (shown ? 0x10 : 0));
  if (!key) return {tag, 0x22, 0x00, 0x41, 0x42};
  return {tag, 0x22, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00, 0x77};
}
}  // namespace vp8

namespace vp9 {
inline Bytes Frame(bool key, bool shown = true, uint32_t profile = 0) {
  BitWriter bits;
  bits.Bits(2, 2).Bits(profile & 1, 1).Bits(profile >> 1, 1);
  if (profile == 3) bits.Bits(0, 1);
  bits.Bits(0, 1).Bits(key ? 0 : 1, 1).Bits(shown ? 1 : 0, 1).Bits(0, 1);
  if (key) bits.Bits(0x498342, 24);
  return Join({bits.bytes(), {0x12, 0x34, 0x00}});
}
inline Bytes ShowExisting() { return {0x88, 0x00}; }
inline Bytes Superframe(std::initializer_list<Bytes> frames) {
  Bytes all, index;
  const auto marker = static_cast<uint8_t>(0xc0 | (1 << 3) | (frames.size() - 1));
  index.push_back(marker);
  for (const Bytes& frame : frames) {
    all.insert(all.end(), frame.begin(), frame.end());
    index.push_back(static_cast<uint8_t>(frame.size()));
    index.push_back(static_cast<uint8_t>(frame.size() >> 8));
  }
  index.push_back(marker);
  return Join({all, index});
}
}  // namespace vp9

namespace av1 {
inline Bytes Obu(uint32_t type, const Bytes& payload, bool extension = false) {
  Bytes obu = {static_cast<uint8_t>((type << 3) | (extension ? 4 : 0) | 2)};
  if (extension) obu.push_back(0);
  obu.push_back(static_cast<uint8_t>(payload.size()));
  return Join({obu, payload});
}
inline Bytes Delimiter() { return Obu(2, {}); }
inline Bytes Sequence(bool reduced = false) {
  return Obu(1, {static_cast<uint8_t>(reduced ? 0x18 : 0x00), 0x55, 0x66});
}
// show_existing_frame 0, frame_type, show_frame.
inline Bytes Frame(uint32_t frame_type, bool shown = true, uint32_t obu_type = 6) {
  BitWriter bits;
  bits.Bits(0, 1).Bits(frame_type, 2).Bits(shown ? 1 : 0, 1).Bits(0x5a5, 12);
  return Obu(obu_type, bits.bytes());
}
inline Bytes Key() { return Join({Delimiter(), Sequence(), Frame(0)}); }
inline Bytes Inter() { return Join({Delimiter(), Frame(1)}); }
}  // namespace av1

}  // namespace cliptag::test
