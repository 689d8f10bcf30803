#include "plugin/cli/eval/measures/metrics.h"

#include <algorithm>
#include <limits>

#include "models/prompts/prompts.h"

namespace cliptag {
namespace {

double Share(int64_t part, int64_t all) {
  return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

// The best right answer to a query, and how many answers come before it.
struct Best {
  float cosine = -std::numeric_limits<float>::infinity();
  size_t index = 0;
  size_t before = 0;

  void Right(float c, size_t i) {
    if (c > cosine || (c == cosine && i < index)) {
      cosine = c;
      index = i;
    }
  }
  // Of a right answer, too: none comes before the best of them.
  void Count(float c, size_t i) { before += c > cosine || (c == cosine && i < index); }
};

std::vector<size_t> RanksOf(const std::vector<Best>& queries) {
  std::vector<size_t> ranks;
  ranks.reserve(queries.size());
  for (const Best& best : queries) ranks.push_back(best.before + 1);
  return ranks;
}

}  // namespace

Ranked Rank(std::span<const float> scores, int truth) {
  Ranked ranked;
  const float own = scores[static_cast<size_t>(truth)];
  for (int i = 0; i < static_cast<int>(scores.size()); ++i) {
    const float score = scores[static_cast<size_t>(i)];
    if (score > scores[static_cast<size_t>(ranked.answer)]) ranked.answer = i;
    ranked.rank += score > own || (score == own && i < truth);
  }
  return ranked;
}

Accuracy::Accuracy(int classes)
    : classes_(classes),
      count_of_(static_cast<size_t>(classes)),
      top5_of_(static_cast<size_t>(classes)),
      confusion_(static_cast<size_t>(classes) * static_cast<size_t>(classes)) {}

void Accuracy::Add(int truth, const Ranked& ranked) {
  ++count_;
  ++count_of_[truth];
  ++confusion_[truth * classes_ + ranked.answer];
  top1_ += ranked.answer == truth;
  top5_ += ranked.rank <= kTop;
  top5_of_[truth] += ranked.rank <= kTop;
}

double Accuracy::top1() const { return Share(top1_, count_); }
double Accuracy::top5() const { return Share(top5_, count_); }

double Accuracy::mean_per_class() const {
  double sum = 0;
  int seen = 0;
  for (int i = 0; i < classes_; ++i) {
    sum += top1_of(i);
    seen += count_of_[i] > 0;
  }
  return seen == 0 ? 0 : sum / seen;
}

double Accuracy::top1_of(int truth) const {
  return Share(confusion(truth, truth), count_of(truth));
}
double Accuracy::top5_of(int truth) const { return Share(top5_of_[truth], count_of(truth)); }

Recall RecallOf(std::vector<size_t> ranks) {
  Recall recall;
  recall.queries = ranks.size();
  if (ranks.empty()) return recall;
  std::sort(ranks.begin(), ranks.end());
  const auto within = [&](size_t k) {
    const auto end = std::upper_bound(ranks.begin(), ranks.end(), k);
    return static_cast<double>(end - ranks.begin()) / static_cast<double>(ranks.size());
  };
  recall.at1 = within(1);
  recall.at5 = within(5);
  recall.at10 = within(10);
  const size_t half = ranks.size() / 2;
  recall.median_rank = static_cast<double>(ranks[half]);
  if (ranks.size() % 2 == 0) recall.median_rank = (recall.median_rank + ranks[half - 1]) / 2;
  return recall;
}

RetrievalResult Retrieve(const PairedEmbeddings& paired,
                         const std::function<void(size_t done)>& progress) {
  const size_t dim = paired.dim;
  const size_t pictures = paired.pictures.size() / dim, texts = paired.texts.size() / dim;
  const auto cosine = [&](size_t picture, size_t text) {
    return Dot(&paired.pictures[picture * dim], &paired.texts[text * dim], dim);
  };
  std::vector<Best> of_picture(pictures), of_text(texts);
  for (const auto& [picture, text] : paired.pairs) {
    const float c = cosine(picture, text);
    of_picture[picture].Right(c, text);
    of_text[text].Right(c, picture);
  }
  for (size_t text = 0; text < texts; ++text) {
    for (size_t picture = 0; picture < pictures; ++picture) {
      const float c = cosine(picture, text);
      of_picture[picture].Count(c, text);
      of_text[text].Count(c, picture);
    }
    progress(text + 1);
  }
  return {RecallOf(RanksOf(of_picture)), RecallOf(RanksOf(of_text))};
}

}  // namespace cliptag
