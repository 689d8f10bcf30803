#include "models/text/piece_check.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace cliptag {
namespace {

Status Damaged(const std::string& file, const std::string& what) {
  return DataLoss(file + ": " + what + "; the file is damaged, download it again.");
}

uint32_t U32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// A unit of a double array. A leaf's label is no byte.
struct Unit {
  uint32_t bits;
  bool has_leaf() const { return bits >> 8 & 1; }
  uint32_t value() const { return bits & 0x7fffffff; }
  uint32_t label() const { return bits & 0x800000ff; }
  uint32_t offset() const { return bits >> 10 << ((bits & 0x200) >> 6); }
};

// Visits what a lookup can reach. A state is where the units of its 256 possible bytes lie; a unit
// leads to another, and may have a leaf there, which is a match.
class Trie {
 public:
  Trie(std::string_view units, std::string_view texts)
      : units_(units), texts_(texts), states_(units.size() / 4) {}

  // What is wrong, or nothing.
  std::optional<std::string> Check() {
    if (auto wrong = Enter(0)) return wrong;
    while (!path_.empty()) {
      Step& step = path_.back();
      if (step.byte == 256) {
        Leave();
        continue;
      }
      const uint32_t place = step.state ^ step.byte;
      if (At(place).label() == step.byte++) {
        if (auto wrong = Enter(place)) return wrong;
      }
    }
    if (states_[At(0).offset()].matches > kMaxMatches)
      return "too many texts begin with each other";
    return std::nullopt;
  }

 private:
  static constexpr int kMaxMatches = 32;  // for which the library has room
  struct State {
    enum { kNew, kOnPath, kDone } seen = kNew;
    int matches = 0;  // at most, from here on
  };
  struct Step {
    uint32_t state, unit;  // the unit that led there
    uint32_t byte = 0;     // looked at next
  };

  Unit At(uint32_t place) const { return {U32(units_, size_t{place} * 4)}; }

  std::optional<std::string> Enter(uint32_t place) {
    const Unit unit = At(place);
    const uint32_t state = place ^ unit.offset();
    if ((state | 0xff) >= states_.size()) return "its trie leads outside of itself";
    if (unit.has_leaf()) {
      const size_t begin = At(state).value();
      const size_t end = texts_.find('\0', begin);
      if (end == std::string_view::npos) return "a value of its trie lies outside of its texts";
      if (end - begin > kMaxReplacementBytes) {
        return "it puts more than " + std::to_string(kMaxReplacementBytes) +
               " bytes in the place of a character";
      }
    }
    if (states_[state].seen == State::kOnPath) return "its trie leads in a circle";
    path_.push_back({state, place});
    if (states_[state].seen == State::kDone) {
      Leave();
    } else {
      states_[state].seen = State::kOnPath;
    }
    return std::nullopt;
  }

  void Leave() {
    const Step step = path_.back();
    path_.pop_back();
    states_[step.state].seen = State::kDone;
    if (path_.empty()) return;
    int& before = states_[path_.back().state].matches;
    before = std::max(before, states_[step.state].matches + (At(step.unit).has_leaf() ? 1 : 0));
  }

  const std::string_view units_, texts_;
  std::vector<State> states_;
  std::vector<Step> path_;
};

// A field of a protocol buffer's message.
struct Field {
  uint64_t number = 0;
  std::string_view bytes;  // of a text or message; of a number with a fixed length
};

std::optional<uint64_t> TakeVarint(std::string_view* rest) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70 && !rest->empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(rest->front());
    rest->remove_prefix(1);
    if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<Field> TakeField(std::string_view* rest) {
  const std::optional<uint64_t> key = TakeVarint(rest);
  if (!key) return std::nullopt;
  Field field{(*key & 0xffffffff) >> 3, {}};
  std::optional<uint64_t> size;
  switch (*key & 7) {
    case 0:
      if (!TakeVarint(rest)) return std::nullopt;
      return field;
    case 1:
      size = 8;
      break;
    case 2:
      size = TakeVarint(rest);
      break;
    case 5:
      size = 4;
      break;
  }
  if (!size || *size > rest->size()) return std::nullopt;
  field.bytes = rest->substr(0, *size);
  rest->remove_prefix(*size);
  return field;
}

// Calls `take` with each field of a message.
template <typename Take>
Status ForEachField(std::string_view message, const std::string& file, const Take& take) {
  while (!message.empty()) {
    const std::optional<Field> field = TakeField(&message);
    if (!field) return DataLoss(file + " is no sentencepiece model.");
    CLIPTAG_RETURN_IF_ERROR(take(*field));
  }
  return {};
}

Status CheckPiece(std::string_view piece, const std::string& file) {
  return ForEachField(piece, file, [&](const Field& field) -> Status {
    if (field.number == 1 && field.bytes.size() > kMaxPieceBytes) {
      return InvalidArgument(file + " has a piece of " + std::to_string(field.bytes.size()) +
                             " bytes; up to " + std::to_string(kMaxPieceBytes) + " are read.");
    }
    if (field.number == 2 && field.bytes.size() == 4) {
      const uint32_t bits = U32(field.bytes, 0);
      float score = 0;
      std::memcpy(&score, &bits, sizeof(score));
      if (!std::isfinite(score)) return Damaged(file, "the score of a piece is no number");
    }
    return {};
  });
}

}  // namespace

Status CheckCharsmap(std::string_view map, const std::string& file) {
  const auto damaged = [&](const std::string& what) {
    return Damaged(file, "the map of characters (precompiled_charsmap) cannot be used: " + what);
  };
  if (map.empty()) return {};
  if (map.size() > kMaxCharsmapBytes) {
    return InvalidArgument(file + " has a map of characters of " + std::to_string(map.size()) +
                           " bytes; up to " + std::to_string(kMaxCharsmapBytes) + " are read.");
  }
  if (map.size() < 4 || U32(map, 0) > map.size() - 4) return damaged("it ends within its trie");
  const size_t trie = U32(map, 0);
  // Units lie in blocks of 256, so that one for every byte is there.
  if (trie == 0 || trie % 1024 != 0) return damaged("its trie has no whole number of blocks");
  Trie checked(map.substr(4, trie), map.substr(4 + trie));
  if (const auto wrong = checked.Check()) return damaged(*wrong);
  return {};
}

Status CheckSentencePiece(std::string_view bytes, const std::string& file) {
  constexpr uint64_t kPieces = 1, kNormalizer = 3, kDenormalizer = 5, kMap = 2;
  return ForEachField(bytes, file, [&](const Field& field) -> Status {
    if (field.number == kPieces) return CheckPiece(field.bytes, file);
    if (field.number != kNormalizer && field.number != kDenormalizer) return {};
    return ForEachField(field.bytes, file, [&](const Field& inner) -> Status {
      return inner.number == kMap ? CheckCharsmap(inner.bytes, file) : Status();
    });
  });
}

}  // namespace cliptag
