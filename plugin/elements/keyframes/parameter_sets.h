// Remembers the parameter sets of an H.264 or H.265 stream (SPS, PPS, VPS), so that those of
// dropped pictures reach the decoder with the next picture that passes.
//
// Owned by one stream; copies what it keeps, bounded in size. Not thread safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "plugin/elements/keyframes/parser.h"

namespace cliptag {

class ParameterSets {
 public:
  // Notes sets that were sent, or dropped, with their unit. False if the stream has too many, and
  // some are forgotten.
  bool Sent(std::span<const ParameterSet> sets) { return Note(sets, true); }
  bool Dropped(std::span<const ParameterSet> sets) { return Note(sets, false); }

  // The dropped sets that the decoder needs before the next unit, in decoding order and with the
  // parser's framing; may be empty. Without those that the unit itself contains (`own`). All of
  // them count as sent from then on.
  std::vector<uint8_t> TakeMissing(std::span<const ParameterSet> own, const KeyframeParser& parser);

  void Clear() { *this = ParameterSets(); }

 private:
  struct Set {
    std::vector<uint8_t> nal;
    bool sent = false;
  };

  bool Note(std::span<const ParameterSet> sets, bool sent);

  // By type, then number: VPS before SPS before PPS.
  std::map<uint32_t, Set> sets_;
  size_t bytes_ = 0;
  bool missing_ = false;  // at least one has not been sent
};

}  // namespace cliptag
