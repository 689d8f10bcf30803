// The choice by codec, and VP8 and VP9.
#include "plugin/elements/keyframes/parser.h"

#include "plugin/elements/keyframes/bit_reader.h"

namespace cliptag {
namespace {

Picture Of(PictureKind kind) {
  Picture picture;
  picture.kind = kind;
  picture.damaged = kind == PictureKind::kDamaged;
  return picture;
}

struct Vp9Frame {
  bool damaged = false;
  bool key = false;
  bool shown = false;
};

// VP9 bitstream 6.2, uncompressed_header(), as far as needed.
Vp9Frame ReadVp9Header(std::span<const uint8_t> data) {
  Vp9Frame frame;
  BitReader bits(data);
  frame.damaged = bits.Bits(2) != 2;  // frame_marker
  const uint32_t profile_low = bits.Bits(1);
  const uint32_t profile = profile_low | (bits.Bits(1) << 1);
  if (profile == 3 && bits.Flag()) frame.damaged = true;  // reserved_zero
  if (bits.Flag()) {                                      // show_existing_frame
    frame.shown = true;
    frame.damaged = frame.damaged || !bits.ok();
    return frame;
  }
  frame.key = !bits.Flag();  // frame_type
  frame.shown = bits.Flag();
  bits.Skip(1);                                                      // error_resilient_mode
  if (frame.key && bits.Bits(24) != 0x498342) frame.damaged = true;  // frame_sync_code
  frame.damaged = frame.damaged || !bits.ok();
  return frame;
}

// VP9 annex B: the sizes of a superframe's frames, from the index at its end; without an index the
// size of the whole. Empty if the index is inconsistent.
std::vector<size_t> Vp9FrameSizes(std::span<const uint8_t> data) {
  const uint8_t marker = data.back();
  if ((marker & 0xe0) != 0xc0) return {data.size()};
  const size_t bytes = ((marker >> 3) & 3u) + 1, frames = (marker & 7u) + 1;
  const size_t index = 2 + bytes * frames;
  if (data.size() < index || data[data.size() - index] != marker) return {data.size()};
  std::vector<size_t> sizes;
  size_t room = data.size() - index;
  const uint8_t* next = data.data() + room + 1;
  for (size_t i = 0; i < frames; ++i) {
    size_t size = 0;
    for (size_t b = 0; b < bytes; ++b) size |= static_cast<size_t>(*next++) << (8 * b);
    if (size > room) return {};
    room -= size;
    sizes.push_back(size);
  }
  return sizes;
}

}  // namespace

// RFC 6386 9.1: three bytes of frame tag; in key frames a start code follows.
Picture ParseVp8(std::span<const uint8_t> frame) {
  if (frame.size() < 3) return Of(PictureKind::kDamaged);
  const bool key = (frame[0] & 1) == 0, shown = (frame[0] & 0x10) != 0;
  if (!key) return Of(PictureKind::kOther);
  if (frame.size() < 10 || frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a) {
    return Of(PictureKind::kDamaged);
  }
  return Of(shown ? PictureKind::kKeyframe : PictureKind::kOther);
}

Picture ParseVp9(std::span<const uint8_t> data) {
  if (data.empty()) return Of(PictureKind::kDamaged);
  bool first = true, key = false, shown = false;
  size_t at = 0;
  for (const size_t size : Vp9FrameSizes(data)) {
    const std::span<const uint8_t> bytes = data.subspan(at, size);
    at += size;
    if (bytes.empty()) continue;
    const Vp9Frame frame = ReadVp9Header(bytes);
    if (frame.damaged) {
      if (first) return Of(PictureKind::kDamaged);
      Picture picture = Of(key && shown ? PictureKind::kKeyframe : PictureKind::kOther);
      picture.damaged = true;
      return picture;
    }
    // The frames after a key frame are other layers of it, or show a stored frame.
    if (first) key = frame.key;
    shown = shown || frame.shown;
    first = false;
  }
  if (first) return Of(PictureKind::kDamaged);
  return Of(key && shown ? PictureKind::kKeyframe : PictureKind::kOther);
}

KeyframeParser::KeyframeParser(VideoCodec codec, NalFraming framing,
                               std::span<const uint8_t> codec_data)
    : codec_(codec), framing_(framing) {
  // lengthSizeMinusOne: ISO/IEC 14496-15 5.3.3.1 (avcC) and 8.3.3.1 (hvcC).
  const size_t at = codec == VideoCodec::kH264 ? 4 : 21;
  if (framing == NalFraming::kLengths && codec_data.size() > at) {
    nal_length_size_ = (codec_data[at] & 3) + 1;
  }
  // AV1 in ISO BMFF 2.3.3 (av1C): four bytes, then OBUs.
  if (codec == VideoCodec::kAv1 && codec_data.size() > 4) ParseAv1(codec_data.subspan(4));
}

Picture KeyframeParser::Parse(std::span<const uint8_t> unit, std::vector<ParameterSet>* sets) {
  sets->clear();
  if (unit.empty()) return Of(PictureKind::kDamaged);
  switch (codec_) {
    case VideoCodec::kH264:
    case VideoCodec::kH265:
      // Without the size of the lengths, NAL units cannot be found.
      if (framing_ == NalFraming::kLengths && nal_length_size_ == 0) {
        return Of(PictureKind::kUnknown);
      }
      return codec_ == VideoCodec::kH264 ? ParseH264(unit, nal_length_size_, sets)
                                         : ParseH265(unit, nal_length_size_, sets);
    case VideoCodec::kVp8:
      return ParseVp8(unit);
    case VideoCodec::kVp9:
      return ParseVp9(unit);
    case VideoCodec::kAv1:
      return ParseAv1(unit);
  }
  return Of(PictureKind::kUnknown);
}

}  // namespace cliptag
