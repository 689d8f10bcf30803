#include "models/text/piece_bpe.h"

#include <algorithm>
#include <cstdio>
#include <queue>
#include <tuple>

#include "models/text/unicode.h"

namespace cliptag {
namespace {

constexpr char32_t kSpace = 0x2581;

struct Symbol {
  int32_t id;
  int32_t previous, next;  // positions; -1 at the ends
};

struct Candidate {
  int32_t rank;
  int32_t left;  // position of the left symbol
  int32_t id;    // what the pair becomes; stale when the symbols there become something else
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

}  // namespace

Result<std::unique_ptr<PieceBpe>> PieceBpe::Create(
    std::unordered_map<std::string, int32_t> vocab,
    const std::vector<std::pair<std::string, std::string>>& merges, const Options& options,
    const std::string& file) {
  auto bpe = std::make_unique<PieceBpe>();
  bpe->vocab_ = std::move(vocab);
  bpe->options_ = options;
  if (!options.unknown.empty()) bpe->unknown_ = bpe->Find(options.unknown);
  bpe->has_bytes_ = options.byte_fallback;
  for (int b = 0; b < 256; ++b) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", b);
    bpe->bytes_[b] = bpe->Find(name);
  }
  bpe->merges_.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const int32_t a = bpe->Find(left), b = bpe->Find(right), whole = bpe->Find(left + right);
    if (a < 0 || b < 0 || whole < 0) {
      return DataLoss(file + ": merge " + std::to_string(i + 1) + " joins '" + left + "' and '" +
                      right + "', but the vocabulary lacks " +
                      (a < 0   ? "the first"
                       : b < 0 ? "the second"
                               : "the result") +
                      ".");
    }
    bpe->merges_.emplace(Key(a, b), Merge{static_cast<int32_t>(i), whole});
  }
  return bpe;
}

int32_t PieceBpe::Find(const std::string& piece) const {
  const auto it = vocab_.find(piece);
  return it == vocab_.end() ? -1 : it->second;
}

std::vector<int32_t> PieceBpe::Characters(const std::u32string& text) const {
  std::vector<int32_t> ids;
  bool after_unknown = false;
  for (char32_t c : text) {
    std::string utf8;
    AppendUtf8(c, &utf8);
    const int32_t id = Find(utf8);
    const bool by_bytes =
        id < 0 && has_bytes_ && std::all_of(utf8.begin(), utf8.end(), [&](char b) {
          return bytes_[static_cast<unsigned char>(b)] >= 0;
        });
    if (id >= 0) {
      ids.push_back(id);
    } else if (by_bytes) {
      for (char b : utf8) ids.push_back(bytes_[static_cast<unsigned char>(b)]);
    } else if (unknown_ >= 0 && !(after_unknown && options_.fuse_unknown)) {
      ids.push_back(unknown_);
    }
    after_unknown = id < 0 && !by_bytes;
  }
  return ids;
}

Result<std::vector<int32_t>> PieceBpe::Encode(const std::string& utf8) const {
  std::u32string text = DecodeUtf8(utf8);
  if (options_.lower) text = ToLower(text);
  if (options_.prefix) text.insert(text.begin(), U' ');
  std::replace(text.begin(), text.end(), U' ', kSpace);
  const std::vector<int32_t> characters = Characters(text);
  const auto n = static_cast<int32_t>(characters.size());
  std::vector<Symbol> symbols(characters.size());
  for (int32_t i = 0; i < n; ++i) symbols[i] = {characters[i], i - 1, i + 1 < n ? i + 1 : -1};

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto merge_at = [&](int32_t left) -> const Merge* {
    if (left < 0 || symbols[left].id < 0 || symbols[left].next < 0) return nullptr;
    const auto it = merges_.find(Key(symbols[left].id, symbols[symbols[left].next].id));
    return it == merges_.end() ? nullptr : &it->second;
  };
  const auto offer = [&](int32_t left) {
    const Merge* merge = merge_at(left);
    if (merge != nullptr) queue.push({merge->rank, left, merge->id});
  };
  for (int32_t i = 0; i < n; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    const Merge* merge = merge_at(c.left);
    if (merge == nullptr || merge->id != c.id) continue;
    Symbol& left = symbols[c.left];
    Symbol& right = symbols[left.next];
    left.id = c.id;
    left.next = right.next;
    right.id = -1;
    if (right.next >= 0) symbols[right.next].previous = c.left;
    offer(left.previous);
    offer(c.left);
  }
  std::vector<int32_t> ids;
  for (int32_t i = n > 0 ? 0 : -1; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
  return ids;
}

}  // namespace cliptag
