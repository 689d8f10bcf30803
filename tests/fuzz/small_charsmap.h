// A map of characters as sentencepiece stores it, made of a few texts: what the library's own maps,
// of a hundred thousand bytes, are too large for. Every state of the trie gets a block of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cliptag {

// What each text becomes. `circle`: after the first byte of the first text comes that text again.
inline std::string SmallCharsmap(const std::map<std::string, std::string>& changes,
                                 bool circle = false) {
  constexpr uint32_t kBlock = 256, kLeaf = uint32_t{1} << 31;
  std::vector<uint32_t> units(2 * kBlock, kLeaf);
  std::string texts;
  std::map<std::string, uint32_t> states = {{"", kBlock}};  // where a prefix's block is
  units[0] = kBlock << 10;
  for (const auto& [from, to] : changes) {
    for (size_t i = 0; i < from.size(); ++i) {
      const uint32_t place = states.at(from.substr(0, i)) ^ static_cast<uint8_t>(from[i]);
      const auto [at, is_new] = states.emplace(from.substr(0, i + 1), units.size());
      if (is_new) units.resize(units.size() + kBlock, kLeaf);
      const uint32_t next = circle ? kBlock : at->second;
      units[place] = (place ^ next) << 10 | (units[place] & 0x100) | static_cast<uint8_t>(from[i]);
      if (i + 1 < from.size()) continue;
      units[place] |= 0x100;
      units[next] = kLeaf | static_cast<uint32_t>(texts.size());
    }
    texts += to + '\0';
  }
  std::string out;
  const auto append = [&](uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
  };
  append(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) append(unit);
  return out + texts;
}

}  // namespace cliptag
