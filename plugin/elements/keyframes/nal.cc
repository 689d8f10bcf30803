// H.264 and H.265: parses the NAL units of an access unit until its kind is known.
#include <algorithm>
#include <array>
#include <optional>

#include "plugin/elements/keyframes/bit_reader.h"
#include "plugin/elements/keyframes/parser.h"

namespace cliptag {
namespace {

using Bytes = std::span<const uint8_t>;

// Iterates over the NAL units of an access unit, by start codes (annex B of H.264 and H.265) or by
// lengths (ISO/IEC 14496-15). With start codes the end of a unit is searched only on demand, since
// slices are long and only their first bytes matter.
class NalReader {
 public:
  NalReader(Bytes unit, int length_size) : unit_(unit), length_size_(length_size) {
    if (length_size_ == 0) next_ = AfterStartCode(0);
  }

  // The next NAL unit, from its header on, at least one byte. With start codes it extends to the
  // end of the access unit; Whole() cuts it.
  bool Next(Bytes* nal) {
    if (length_size_ > 0) return NextByLength(nal);
    FindNext();
    if (next_ >= unit_.size()) return false;
    begin_ = next_;
    searched_ = false;
    *nal = unit_.subspan(begin_);
    return true;
  }

  // The last NAL unit of Next(), cut at its end.
  Bytes Whole() {
    if (length_size_ > 0) return unit_.subspan(begin_, next_ - begin_);
    size_t last = end();
    while (last > begin_ && unit_[last - 1] == 0) --last;  // trailing_zero_8bits
    return unit_.subspan(begin_, last - begin_);
  }

  // The start of the next NAL unit's framing.
  size_t end() {
    if (length_size_ > 0) return next_;
    FindNext();
    if (code_ == unit_.size()) return code_;
    const bool four_bytes = code_ > begin_ && unit_[code_ - 1] == 0;  // 00 00 00 01
    return four_bytes ? code_ - 1 : code_;
  }

  bool damaged() const { return damaged_; }

 private:
  bool NextByLength(Bytes* nal) {
    while (next_ < unit_.size()) {
      if (unit_.size() - next_ < static_cast<size_t>(length_size_)) {
        damaged_ = true;
        next_ = unit_.size();
        return false;
      }
      size_t length = 0;
      for (int i = 0; i < length_size_; ++i) length = (length << 8) | unit_[next_++];
      if (length > unit_.size() - next_) {
        damaged_ = true;
        length = unit_.size() - next_;
      }
      begin_ = next_;
      next_ += length;
      *nal = unit_.subspan(begin_, length);
      if (length > 0) return true;
    }
    return false;
  }

  void FindNext() {
    if (!searched_) next_ = AfterStartCode(begin_);
  }

  // Sets code_ to the first 00 00 01 from `from` on and returns the byte after it; both are the end
  // if there is none.
  size_t AfterStartCode(size_t from) {
    searched_ = true;
    for (size_t i = from; i + 2 < unit_.size();) {
      if (unit_[i + 2] > 1) {
        i += 3;
      } else if (unit_[i + 2] == 1 && unit_[i + 1] == 0 && unit_[i] == 0) {
        code_ = i;
        return i + 3;
      } else {
        ++i;
      }
    }
    code_ = unit_.size();
    return code_;
  }

  Bytes unit_;
  int length_size_;
  size_t begin_ = 0, next_ = 0, code_ = 0;
  bool searched_ = false;
  bool damaged_ = false;
};

constexpr uint32_t KeyOf(uint32_t type, uint32_t id) { return (type << 8) | id; }

// H.264 7.3.2.3: whether an SEI NAL unit has a recovery point with which decoding can begin and is
// correct at once.
bool SaysRecovery(Bytes nal) {
  BitReader bits(nal.subspan(1), true);
  while (bits.ok()) {
    uint32_t type = 0, size = 0, byte = 0;
    do type += byte = bits.Bits(8);
    while (byte == 0xff);
    do size += byte = bits.Bits(8);
    while (byte == 0xff);
    if (!bits.ok()) return false;
    if (type == 6) return bits.Ue() == 0 && bits.ok();  // D.1.8, recovery_frame_cnt
    bits.Skip(8 * size);
  }
  return false;
}

// The number of an H.264 parameter set, if `nal` is one: 7.3.2.1.1 and 7.3.2.2.
std::optional<uint32_t> H264SetKey(Bytes nal) {
  const uint32_t type = nal[0] & 0x1f;
  BitReader bits(nal.subspan(1), true);
  if (type == 7 || type == 15) bits.Skip(24);  // profile_idc, constraints, level_idc
  const uint32_t id = bits.Ue();
  if (!bits.ok() || id > 255) return std::nullopt;
  return KeyOf(type, id);
}

// The number of an H.265 parameter set: 7.3.2.1 to 7.3.2.3.
std::optional<uint32_t> H265SetKey(uint32_t type, Bytes nal) {
  BitReader bits(nal.subspan(2), true);
  uint32_t id = 0;
  if (type == 32) {
    id = bits.Bits(4);
  } else if (type == 34) {
    id = bits.Ue();
  } else {
    bits.Skip(4);  // sps_video_parameter_set_id
    const uint32_t sub_layers = bits.Bits(3);
    bits.Skip(1);
    // 7.3.3, profile_tier_level(): of all, then two flags for each sub-layer below the highest.
    bits.Skip(88 + 8);
    std::array<bool, 8> profile{}, level{};
    for (uint32_t i = 0; i < sub_layers; ++i) {
      profile[i] = bits.Flag();
      level[i] = bits.Flag();
    }
    if (sub_layers > 0) bits.Skip(2 * (8 - sub_layers));
    for (uint32_t i = 0; i < sub_layers; ++i) bits.Skip((profile[i] ? 88 : 0) + (level[i] ? 8 : 0));
    id = bits.Ue();
  }
  if (!bits.ok() || id > 255) return std::nullopt;
  return KeyOf(type, id);
}

void Keep(std::optional<uint32_t> key, Bytes nal, std::vector<ParameterSet>* sets,
          Picture* picture) {
  if (key) {
    sets->push_back({*key, nal});
  } else {
    picture->damaged = true;
  }
}

PictureKind WithoutPicture(bool any, bool damaged, bool headers) {
  if (headers) return PictureKind::kHeaders;
  return damaged || !any ? PictureKind::kDamaged : PictureKind::kOther;
}

}  // namespace

Picture ParseH264(Bytes unit, int length_size, std::vector<ParameterSet>* sets) {
  Picture picture;
  NalReader reader(unit, length_size);
  Bytes nal;
  bool any = false, recovery = false, intra = false;
  while (reader.Next(&nal)) {
    if ((nal[0] & 0x80) != 0) {  // forbidden_zero_bit
      picture.damaged = true;
      continue;
    }
    const uint32_t nal_type = nal[0] & 0x1f;
    any = any || nal_type != 0;
    switch (nal_type) {  // table 7-1
      case 5:
        picture.kind = PictureKind::kKeyframe;
        picture.damaged = picture.damaged || reader.damaged();
        return picture;
      case 1:
      case 2: {
        BitReader bits(nal.subspan(1), true);  // 7.3.3, slice_header()
        bits.Ue();                             // first_mb_in_slice
        const uint32_t type = bits.Ue();
        if (!bits.ok() || type > 9) picture.damaged = true;
        intra = bits.ok() && (type == 2 || type == 7);  // table 7-6: I
        if (intra) break;                               // if all the other slices are such, too
        picture.kind = PictureKind::kOther;
        picture.damaged = picture.damaged || reader.damaged();
        return picture;
      }
      case 6:
        recovery = recovery || SaysRecovery(reader.Whole());
        break;
      case 7:
      case 8:
      case 13:
      case 15:
        Keep(H264SetKey(reader.Whole()), reader.Whole(), sets, &picture);
        break;
      case 9:
        if (sets->empty() && !recovery) picture.headers_at = reader.end();
        break;
      default:
        break;
    }
  }
  picture.damaged = picture.damaged || reader.damaged();
  picture.intra = intra && !recovery;
  picture.kind = !intra     ? WithoutPicture(any, picture.damaged, !sets->empty())
                 : recovery ? PictureKind::kKeyframe
                            : PictureKind::kOther;
  picture.damaged = picture.damaged || picture.kind == PictureKind::kDamaged;
  return picture;
}

Picture ParseH265(Bytes unit, int length_size, std::vector<ParameterSet>* sets) {
  Picture picture;
  NalReader reader(unit, length_size);
  Bytes nal;
  bool any = false;
  while (reader.Next(&nal)) {
    // forbidden_zero_bit, and nuh_temporal_id_plus1, which is not 0.
    if (nal.size() < 2 || (nal[0] & 0x80) != 0 || (nal[1] & 7) == 0) {
      picture.damaged = true;
      continue;
    }
    any = true;
    const uint32_t type = (nal[0] >> 1) & 0x3f;  // 7.3.1.2, nal_unit_header()
    const uint32_t layer = ((nal[0] & 1u) << 5) | (nal[1] >> 3);
    if (layer != 0) continue;  // of another view or scale; the base layer is what counts
    if (type < 32) {
      // Table 7-1: BLA 16 to 18, IDR 19 and 20, CRA 21.
      picture.kind = type >= 16 && type <= 21 ? PictureKind::kKeyframe : PictureKind::kOther;
      picture.damaged = picture.damaged || reader.damaged();
      return picture;
    }
    if (type <= 34) {
      const Bytes whole = reader.Whole();
      Keep(whole.size() > 2 ? H265SetKey(type, whole) : std::nullopt, whole, sets, &picture);
    } else if (type == 35 && sets->empty()) {
      picture.headers_at = reader.end();  // access unit delimiter
    }
  }
  picture.damaged = picture.damaged || reader.damaged();
  picture.kind = WithoutPicture(any, picture.damaged, !sets->empty());
  picture.damaged = picture.damaged || picture.kind == PictureKind::kDamaged;
  return picture;
}

}  // namespace cliptag
