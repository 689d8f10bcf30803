// Finds out from the bitstream whether decoding can begin with an encoded picture, so that
// cliptagkeyframes does not depend on the flags of buffers. Uses no GStreamer. Never reads beyond
// the end of the bytes, whatever they are.
//
// Decoding can begin with
//   H.264  an IDR picture, or one of I slices alone with a recovery point SEI whose
//          recovery_frame_cnt is 0 (open GOP; many cameras never send a second IDR picture).
//          Gradual refresh, which takes several pictures to become whole, has none.
//   H.265  an IRAP picture (BLA, IDR, CRA)
//   VP8    a key frame that is shown
//   VP9    a key frame that is shown, alone or the first of its superframe
//   AV1    a key frame that is shown, the first frame of its temporal unit. A forward key frame,
//          which is hidden and shown later, does not count: it needs two temporal units.
//
// Belongs to one stream, since it remembers sequence headers (AV1). Not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cliptag {

enum class VideoCodec { kH264, kH265, kVp8, kVp9, kAv1 };

enum class NalFraming {
  kNone,        // not H.264 or H.265
  kStartCodes,  // byte-stream
  kLengths,     // avc, avc3, hvc1, hev1: each NAL unit after its length
};

enum class PictureKind {
  kKeyframe,
  kOther,    // needs pictures before it, or shows nothing
  kHeaders,  // parameter sets or a sequence header, without a picture
  kUnknown,  // the stream lacks the information to decide
  kDamaged,  // not of this codec, or broken before the kind is known
};

struct Picture {
  PictureKind kind = PictureKind::kDamaged;
  bool damaged = false;  // some part is broken; with any kind
  // kOther of H.264 that has only I slices: nothing says that decoding may begin with it.
  bool intra = false;
  // Where parameter sets may be inserted: at the start, or after an access unit delimiter.
  size_t headers_at = 0;
};

// A parameter set of H.264 or H.265 in the last parsed unit.
struct ParameterSet {
  uint32_t key = 0;              // type and id: a later set with the same key replaces this one
  std::span<const uint8_t> nal;  // without framing; borrowed
};

class KeyframeParser {
 public:
  KeyframeParser() = default;
  // `codec_data`: avcC, hvcC or av1C from the caps; may be empty.
  KeyframeParser(VideoCodec codec, NalFraming framing, std::span<const uint8_t> codec_data);

  // Parses a whole access unit, frame or temporal unit; `sets` gets its parameter sets.
  Picture Parse(std::span<const uint8_t> unit, std::vector<ParameterSet>* sets);

  // Size of the length before each NAL unit; 0 if there is none, or if it is unknown.
  int nal_length_size() const { return nal_length_size_; }
  NalFraming framing() const { return framing_; }

 private:
  Picture ParseAv1(std::span<const uint8_t> unit);

  VideoCodec codec_ = VideoCodec::kH264;
  NalFraming framing_ = NalFraming::kNone;
  int nal_length_size_ = 0;
  bool have_sequence_header_ = false;  // AV1
  bool reduced_still_picture_header_ = false;
};

// Parsers of one codec each, for KeyframeParser and its tests.
Picture ParseVp8(std::span<const uint8_t> frame);
Picture ParseVp9(std::span<const uint8_t> frame);
// `length_size` 0 for start codes.
Picture ParseH264(std::span<const uint8_t> unit, int length_size, std::vector<ParameterSet>* sets);
Picture ParseH265(std::span<const uint8_t> unit, int length_size, std::vector<ParameterSet>* sets);

}  // namespace cliptag
