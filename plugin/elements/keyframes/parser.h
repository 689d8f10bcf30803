// Tells from the bitstream itself whether an encoded picture is one that decoding can begin with,
// so that cliptagkeyframes need not trust the flags of whoever made the buffer. No GStreamer in
// here: bytes in, a verdict out. Whatever the bytes are, nothing beyond their end is read.
//
// An entry point is
//   H.264  an IDR picture, or one of I slices alone with a recovery point SEI whose
//          recovery_frame_cnt is 0 (open GOP; many cameras never send a second IDR picture).
//          Gradual refresh, which takes several pictures to become whole, has none.
//   H.265  an IRAP picture (BLA, IDR, CRA)
//   VP8    a key frame that is shown
//   VP9    a key frame that is shown, alone or the first of its superframe
//   AV1    a key frame that is shown, the first frame of its temporal unit. One that is hidden and
//          shown later (a forward key frame) is none: it needs two temporal units.
//
// Owned by one stream: keeps what it has read of sequence headers (AV1). Not thread safe.
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
  kUnknown,  // cannot be told from what is known of the stream
  kDamaged,  // not of this codec, or broken before it can be told
};

struct Picture {
  PictureKind kind = PictureKind::kDamaged;
  bool damaged = false;  // some of it is broken, whatever the kind
  // kOther of H.264, but of I slices alone: nothing says that decoding may begin with it.
  bool intra = false;
  // Where parameter sets may be put in: the start, or after an access unit delimiter.
  size_t headers_at = 0;
};

// A parameter set of H.264 or H.265 in the unit that was parsed last.
struct ParameterSet {
  uint32_t key = 0;              // type and id: a later set of the same key replaces this one
  std::span<const uint8_t> nal;  // without framing; borrowed
};

class KeyframeParser {
 public:
  KeyframeParser() = default;
  // `codec_data`: of the caps, avcC, hvcC or av1C; may be empty.
  KeyframeParser(VideoCodec codec, NalFraming framing, std::span<const uint8_t> codec_data);

  // Parses a whole access unit, frame or temporal unit; `sets` is filled with its parameter sets.
  Picture Parse(std::span<const uint8_t> unit, std::vector<ParameterSet>* sets);

  // Bytes of the length in front of each NAL unit; 0 when there is none, or when it is not known.
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

// The units, for KeyframeParser and its tests.
Picture ParseVp8(std::span<const uint8_t> frame);
Picture ParseVp9(std::span<const uint8_t> frame);
// `length_size` 0 for start codes.
Picture ParseH264(std::span<const uint8_t> unit, int length_size, std::vector<ParameterSet>* sets);
Picture ParseH265(std::span<const uint8_t> unit, int length_size, std::vector<ParameterSet>* sets);

}  // namespace cliptag
