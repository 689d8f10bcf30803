// The parameter sets of an H.264 or H.265 stream (SPS, PPS, VPS), so that one which came with a
// dropped picture reaches the decoder before the next picture that it gets.
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
  // These went on with their unit, or were dropped with it. False if there were more than a stream
  // may have and some are forgotten.
  bool Sent(std::span<const ParameterSet> sets) { return Note(sets, true); }
  bool Dropped(std::span<const ParameterSet> sets) { return Note(sets, false); }

  // What the decoder has not seen yet of what was dropped, in the order that it wants, framed as
  // the parser's stream is; empty if there is nothing. It then counts as sent, as does what the
  // unit to come holds itself (`own`), which is left out.
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
  bool missing_ = false;  // one of them at least is not sent
};

}  // namespace cliptag
