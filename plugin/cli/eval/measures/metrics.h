// Counts of right answers: accuracy over classes, recall over pairs of pictures and texts.
//
// Thread safety: none; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cliptag {

struct Ranked {
  int answer = 0;  // the class of the largest score; the first of equals
  int rank = 1;    // of the right class: 1 + how many are before it
};
Ranked Rank(std::span<const float> scores, int truth);

class Accuracy {
 public:
  static constexpr int kTop = 5;

  explicit Accuracy(int classes = 0);
  void Add(int truth, const Ranked& ranked);

  int classes() const { return classes_; }
  int64_t count() const { return count_; }
  double top1() const;  // 0 where nothing was counted, as everywhere here
  double top5() const;
  // Over the classes of which there is a picture.
  double mean_per_class() const;

  int64_t count_of(int truth) const { return count_of_[truth]; }
  double top1_of(int truth) const;
  double top5_of(int truth) const;
  int64_t confusion(int truth, int answer) const { return confusion_[truth * classes_ + answer]; }

 private:
  int classes_ = 0;
  int64_t count_ = 0, top1_ = 0, top5_ = 0;
  std::vector<int64_t> count_of_, top5_of_;  // by class
  std::vector<int64_t> confusion_;           // (truth, answer)
};

// Pictures, texts, and which belong together: every picture and every text is in some pair.
struct PairedEmbeddings {
  size_t dim = 0;
  std::vector<float> pictures;  // (pictures, dim), unit length
  std::vector<float> texts;     // (texts, dim)
  struct Pair {
    size_t picture = 0, text = 0;
  };
  std::vector<Pair> pairs;
};

struct Recall {
  size_t queries = 0;
  double at1 = 0, at5 = 0, at10 = 0;  // share of queries with a right one among the first 1, 5, 10
  double median_rank = 0;             // of the first right one, from 1
};

struct RetrievalResult {
  Recall image_to_text, text_to_image;
};

// Of the ranks of the first right ones.
Recall RecallOf(std::vector<size_t> ranks);

// Every picture asks for texts and every text for pictures. Of equal cosines the one that comes
// first in its list is the better. `progress` hears how many texts of all are done.
RetrievalResult Retrieve(const PairedEmbeddings& paired,
                         const std::function<void(size_t done)>& progress);

}  // namespace cliptag
