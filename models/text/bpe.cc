#include "models/text/bpe.h"

#include <queue>
#include <tuple>

#include "models/text/unicode.h"

namespace cliptag {
namespace {

constexpr int32_t kNone = -1;

struct Symbol {
  int32_t id;
  int32_t previous, next;  // positions; kNone at the ends
};

struct Candidate {
  int32_t rank;
  int32_t left;               // position of the left symbol
  int32_t left_id, right_id;  // as they were; stale when the symbols have changed
  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

bool IsPrintable(int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; }

}  // namespace

const std::array<unsigned char, 256>& ByteOrder() {
  static const auto order = [] {
    std::array<unsigned char, 256> out{};
    size_t n = 0;
    for (bool printable : {true, false}) {
      for (int b = 0; b < 256; ++b) {
        if (IsPrintable(b) == printable) out[n++] = static_cast<unsigned char>(b);
      }
    }
    return out;
  }();
  return order;
}

const std::string& ByteSymbol(unsigned char b) {
  static const auto symbols = [] {
    std::array<std::string, 256> out;
    char32_t next = 256;  // bytes that do not print borrow the code points from here on
    for (unsigned char byte : ByteOrder())
      AppendUtf8(IsPrintable(byte) ? byte : next++, &out[byte]);
    return out;
  }();
  return symbols[b];
}

Bpe Bpe::Public(std::span<const uint16_t> merges) {
  Bpe bpe;
  for (int i = 0; i < 256; ++i) {
    bpe.inner_[ByteOrder()[i]] = i;
    bpe.final_[ByteOrder()[i]] = 256 + i;
  }
  const int32_t count = static_cast<int32_t>(merges.size() / 2);
  bpe.merges_.reserve(count);
  for (int32_t i = 0; i < count; ++i) {
    bpe.merges_.emplace(Key(merges[2 * i], merges[2 * i + 1]), Merge{i, 512 + i});
  }
  return bpe;
}

Result<Bpe> Bpe::FromStrings(const std::unordered_map<std::string, int32_t>& vocab,
                             const std::vector<std::pair<std::string, std::string>>& merges,
                             int32_t unknown, const std::string& file) {
  Bpe bpe;
  const auto find = [&](const std::string& token) {
    const auto it = vocab.find(token);
    return it == vocab.end() ? kNone : it->second;
  };
  for (int b = 0; b < 256; ++b) {
    const std::string& symbol = ByteSymbol(static_cast<unsigned char>(b));
    const int32_t inner = find(symbol), final = find(symbol + "</w>");
    bpe.inner_[b] = inner == kNone ? unknown : inner;
    bpe.final_[b] = final == kNone ? unknown : final;
  }
  bpe.merges_.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const int32_t a = find(left), b = find(right), whole = find(left + right);
    if (a == kNone || b == kNone || whole == kNone) {
      return DataLoss(file + ": merge " + std::to_string(i + 1) + " joins '" + left + "' and '" +
                      right + "', but the vocabulary lacks " +
                      (a == kNone   ? "the first"
                       : b == kNone ? "the second"
                                    : "the result") +
                      "; the files do not belong together.");
    }
    bpe.merges_.emplace(Key(a, b), Merge{static_cast<int32_t>(i), whole});
  }
  return bpe;
}

void Bpe::Encode(std::string_view word, std::vector<int32_t>* ids) const {
  if (word.empty()) return;
  const int32_t n = static_cast<int32_t>(word.size());
  std::vector<Symbol> symbols(n);
  for (int32_t i = 0; i < n; ++i) {
    const auto b = static_cast<unsigned char>(word[i]);
    symbols[i] = {i + 1 == n ? final_[b] : inner_[b], i - 1, i + 1 < n ? i + 1 : kNone};
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int32_t left) {
    if (left == kNone || symbols[left].next == kNone) return;
    const int32_t a = symbols[left].id, b = symbols[symbols[left].next].id;
    const auto it = merges_.find(Key(a, b));
    if (it != merges_.end()) queue.push({it->second.rank, left, a, b});
  };
  for (int32_t i = 0; i + 1 < n; ++i) offer(i);

  std::vector<int32_t> changed;
  while (!queue.empty()) {
    // All places of one pair, left to right, before any pair that these merges make.
    const int32_t rank = queue.top().rank;
    changed.clear();
    while (!queue.empty() && queue.top().rank == rank) {
      const Candidate c = queue.top();
      queue.pop();
      Symbol& left = symbols[c.left];
      if (left.id != c.left_id || left.next == kNone || symbols[left.next].id != c.right_id)
        continue;
      Symbol& right = symbols[left.next];
      left.id = merges_.find(Key(c.left_id, c.right_id))->second.id;
      left.next = right.next;
      if (right.next != kNone) symbols[right.next].previous = c.left;
      right.id = kNone;
      changed.push_back(c.left);
    }
    for (int32_t i : changed) {
      if (symbols[i].id == kNone) continue;
      offer(symbols[i].previous);
      offer(i);
    }
  }
  for (int32_t i = 0; i != kNone; i = symbols[i].next) ids->push_back(symbols[i].id);
}

}  // namespace cliptag
