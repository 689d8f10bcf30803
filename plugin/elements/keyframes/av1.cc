// AV1: parses the frame header of a temporal unit's first frame, and the one bit of the sequence
// header that it depends on. Section numbers are of the AV1 bitstream specification.
#include "plugin/elements/keyframes/bit_reader.h"
#include "plugin/elements/keyframes/parser.h"

namespace cliptag {
namespace {

// 6.2.2, obu_type.
enum ObuType : uint32_t { kSequenceHeader = 1, kFrameHeader = 3, kFrame = 6 };

struct Obu {
  uint32_t type = 0;
  std::span<const uint8_t> payload;
};

// 5.3: removes the first OBU from `data`. Returns false if it is broken. An OBU that is longer than
// the data is cut, and `truncated` is set.
bool TakeObu(std::span<const uint8_t>* data, Obu* obu, bool* truncated) {
  BitReader bits(*data);
  const bool forbidden = bits.Flag();
  obu->type = bits.Bits(4);
  const bool extension = bits.Flag(), has_size = bits.Flag();
  bits.Skip(extension ? 9 : 1);  // reserved bit, and temporal_id, spatial_id and three more
  size_t size = has_size ? bits.Leb128() : 0;
  if (forbidden || !bits.ok()) return false;
  const std::span<const uint8_t> rest = data->subspan(bits.position());
  // Only the last one of a temporal unit may have no size.
  if (!has_size) size = rest.size();
  *truncated = size > rest.size();
  if (*truncated) size = rest.size();
  obu->payload = rest.first(size);
  *data = rest.subspan(size);
  return true;
}

// 5.9.2, uncompressed_header(): whether this is a key frame that is shown immediately.
bool IsShownKey(std::span<const uint8_t> payload, bool reduced, bool* damaged) {
  if (payload.empty()) {
    *damaged = true;
    return false;
  }
  if (reduced) return true;
  BitReader bits(payload);
  if (bits.Flag()) return false;       // show_existing_frame
  const bool key = bits.Bits(2) == 0;  // frame_type, KEY_FRAME
  return bits.Flag() && key;           // show_frame
}

}  // namespace

Picture KeyframeParser::ParseAv1(std::span<const uint8_t> unit) {
  Picture picture;
  bool headers = false, any = false;
  while (!unit.empty()) {
    Obu obu;
    bool truncated = false;
    if (!TakeObu(&unit, &obu, &truncated)) {
      picture.damaged = true;
      break;
    }
    any = true;
    picture.damaged = picture.damaged || truncated;
    if (obu.type == kSequenceHeader) {
      BitReader bits(obu.payload);  // 5.5.1
      bits.Skip(4);                 // seq_profile, still_picture
      const bool reduced = bits.Flag();
      if (!bits.ok()) {
        picture.damaged = true;
        continue;
      }
      have_sequence_header_ = headers = true;
      reduced_still_picture_header_ = reduced;
    } else if (obu.type == kFrameHeader || obu.type == kFrame) {
      if (!have_sequence_header_) {
        picture.kind = PictureKind::kUnknown;
        return picture;
      }
      const bool key = IsShownKey(obu.payload, reduced_still_picture_header_, &picture.damaged);
      picture.kind = key ? PictureKind::kKeyframe : PictureKind::kOther;
      return picture;
    }
  }
  picture.kind = headers           ? PictureKind::kHeaders
                 : picture.damaged ? PictureKind::kDamaged
                 : any             ? PictureKind::kOther
                                   : PictureKind::kDamaged;
  return picture;
}

}  // namespace cliptag
