#include "plugin/elements/keyframes/parameter_sets.h"

#include <algorithm>

namespace cliptag {
namespace {

constexpr size_t kMostBytes = 256 * 1024;  // streams have a few hundred

}  // namespace

bool ParameterSets::Note(std::span<const ParameterSet> sets, bool sent) {
  bool all = true;
  for (const ParameterSet& set : sets) {
    const auto it = sets_.find(set.key);
    const bool same = it != sets_.end() && std::ranges::equal(it->second.nal, set.nal);
    if (same) {
      it->second.sent = it->second.sent || sent;
      continue;
    }
    if (it != sets_.end()) {
      bytes_ -= it->second.nal.size();
      sets_.erase(it);
    }
    if (bytes_ + set.nal.size() > kMostBytes) {
      all = false;
      continue;
    }
    bytes_ += set.nal.size();
    sets_[set.key] = {{set.nal.begin(), set.nal.end()}, sent};
    missing_ = missing_ || !sent;
  }
  return all;
}

std::vector<uint8_t> ParameterSets::TakeMissing(std::span<const ParameterSet> own,
                                                const KeyframeParser& parser) {
  Sent(own);
  std::vector<uint8_t> framed;
  if (!missing_) return framed;
  missing_ = false;
  for (auto& [key, set] : sets_) {
    if (set.sent) continue;
    set.sent = true;
    const size_t size = set.nal.size();
    if (parser.framing() == NalFraming::kStartCodes) {
      framed.insert(framed.end(), {0, 0, 0, 1});
    } else {
      const int length_size = parser.nal_length_size();
      if (length_size < 4 && (size >> (8 * length_size)) != 0)
        continue;  // the length cannot hold it
      for (int i = length_size - 1; i >= 0; --i) {
        framed.push_back(static_cast<uint8_t>(size >> (8 * i)));
      }
    }
    framed.insert(framed.end(), set.nal.begin(), set.nal.end());
  }
  return framed;
}

}  // namespace cliptag
