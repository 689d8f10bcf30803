// From prompts to the unit vectors that image embeddings are compared with.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "models/prompts/exemplars.h"
#include "models/prompts/prompts.h"

namespace cliptag {
namespace {

// Texts encoded at once; bounds memory.
constexpr size_t kChunk = 1024;

constexpr std::string_view kArticles[] = {"a ", "an ", "the "};

bool SameLetters(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

bool StartsWithArticle(std::string_view text) {
  return std::any_of(std::begin(kArticles), std::end(kArticles), [&](std::string_view article) {
    return text.size() > article.size() && SameLetters(text.substr(0, article.size()), article);
  });
}

// The length of the article that the text ends with, if it does; else 0.
size_t ArticleAtEnd(std::string_view text) {
  for (const std::string_view article : kArticles) {
    if (text.size() < article.size()) continue;
    const size_t at = text.size() - article.size();
    if (SameLetters(text.substr(at), article) && (at == 0 || text[at - 1] == ' ')) {
      return article.size();
    }
  }
  return 0;
}

// Encodes texts in chunks and sums up the embeddings that belong to the same row.
class RowBuilder {
 public:
  RowBuilder(const std::vector<std::string>& templates, int dim, const TextEncodeFn& encode,
             PromptBank* bank)
      : templates_(templates), dim_(static_cast<size_t>(dim)), encode_(encode), bank_(bank) {}

  // A row that is the mean over all prompts in all templates.
  Status AddRow(std::span<const std::string> prompts) {
    sums_.resize(sums_.size() + dim_, 0.0);
    for (const std::string& prompt : prompts) {
      for (const std::string& one : templates_) {
        texts_.push_back(Fill(one, prompt));
        row_of_.push_back(sums_.size() / dim_ - 1);
        if (texts_.size() == kChunk) CLIPTAG_RETURN_IF_ERROR(Flush());
      }
    }
    return {};
  }

  // A row that is known already, of unit length.
  void AddUnitRow(const std::vector<float>& row) {
    sums_.insert(sums_.end(), row.begin(), row.end());
  }

  // Encodes what is left and writes the renormalised rows.
  Status Finish() {
    CLIPTAG_RETURN_IF_ERROR(Flush());
    bank_->rows.resize(sums_.size());
    for (size_t row = 0; row < sums_.size() / dim_; ++row) {
      const double* sum = &sums_[row * dim_];
      double squares = 0;
      for (size_t i = 0; i < dim_; ++i) squares += sum[i] * sum[i];
      const double length = std::sqrt(squares);
      if (!(length > 1e-9) || !std::isfinite(length)) {
        return Internal("The embeddings of the prompts of row " + std::to_string(row) +
                        " have no direction: their mean has the length " + std::to_string(length) +
                        ".");
      }
      for (size_t i = 0; i < dim_; ++i) {
        bank_->rows[row * dim_ + i] = static_cast<float>(sum[i] / length);
      }
    }
    return {};
  }

 private:
  static std::string Fill(const std::string& pattern, const std::string& prompt) {
    std::string out;
    size_t from = 0;
    for (size_t at; (at = pattern.find("{}", from)) != std::string::npos; from = at + 2) {
      std::string before = pattern.substr(from, at - from);
      // The prompt's article replaces the template's: "a photo of a {}." with "an owl".
      if (StartsWithArticle(prompt)) before.resize(before.size() - ArticleAtEnd(before));
      out += before + prompt;
    }
    return out + pattern.substr(from);
  }

  Status Flush() {
    if (texts_.empty()) return {};
    std::vector<float> embeddings(texts_.size() * dim_);
    CLIPTAG_RETURN_IF_ERROR(encode_(texts_, embeddings.data(), &bank_->truncated));
    for (size_t t = 0; t < texts_.size(); ++t) {
      for (size_t i = 0; i < dim_; ++i) sums_[row_of_[t] * dim_ + i] += embeddings[t * dim_ + i];
    }
    texts_.clear();
    row_of_.clear();
    return {};
  }

  const std::vector<std::string>& templates_;
  const size_t dim_;
  const TextEncodeFn& encode_;
  PromptBank* const bank_;
  std::vector<std::string> texts_;  // waiting to be encoded,
  std::vector<size_t> row_of_;      // and the row that each belongs to
  std::vector<double> sums_;        // (rows, dim)
};

Status Check(const PromptSpec& spec, int dim) {
  if (dim < 1) return InvalidArgument("A prompt bank needs embeddings of at least one dimension.");
  if (spec.tags.empty()) return InvalidArgument("No prompts are given; nothing would be tagged.");
  for (const std::string& pattern : spec.templates) {
    if (pattern.find("{}") == std::string::npos) {
      return InvalidArgument("The template \"" + pattern + "\" has no {} for the label.");
    }
  }
  CLIPTAG_RETURN_IF_ERROR(
      CheckPromptBounds(spec, spec.bank.file.empty() ? "The prompts" : spec.bank.file));
  for (const TagSpec& tag : spec.tags) {
    if (tag.label.empty()) return InvalidArgument("A tag's label is empty.");
    if (tag.row && tag.row->size() != static_cast<size_t>(dim)) {
      return InvalidArgument("The bank " + spec.bank.file + " has embeddings of " +
                             std::to_string(tag.row->size()) + " numbers, the model of " +
                             std::to_string(dim) + ".");
    }
  }
  return {};
}

}  // namespace

float Dot(const float* a, const float* b, size_t n) {
  constexpr size_t kLanes = 16;  // sums that a compiler may keep in vectors
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) sums[j] += a[i + j] * b[i + j];
  }
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float lane : sums) sum += lane;
  return sum;
}

std::vector<float> CosinesOf(const PromptBank& bank, std::span<const float> embeddings) {
  std::vector<float> cosines;
  const size_t dim = static_cast<size_t>(bank.dim);
  for (size_t first = 0; first + dim <= embeddings.size(); first += dim) {
    for (int row = 0; row < bank.row_count(); ++row)
      cosines.push_back(Dot(&embeddings[first], bank.row(row), dim));
  }
  return cosines;
}

size_t CountTexts(const PromptSpec& spec) {
  size_t rows = spec.background.empty() ? DefaultBackground().size() : spec.background.size();
  for (const TagSpec& tag : spec.tags) {
    const bool by_label = tag.prompts.empty() && tag.images.empty();
    rows += (tag.row ? 0 : by_label ? 1 : tag.prompts.size()) + tag.negatives.size();
  }
  return rows * (spec.templates.empty() ? DefaultTemplates().size() : spec.templates.size());
}

Result<std::shared_ptr<const PromptBank>> BuildPromptBank(PromptSpec spec, int dim,
                                                          const TextEncodeFn& encode,
                                                          const PictureEncodeFn& pictures) {
  if (spec.templates.empty()) spec.templates = DefaultTemplates();
  if (spec.background.empty()) spec.background = DefaultBackground();
  CLIPTAG_RETURN_IF_ERROR(Check(spec, dim));
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<Prototype> prototypes,
                           BuildPrototypes(spec, dim, pictures));
  auto bank = std::make_shared<PromptBank>();
  bank->dim = dim;
  bank->tags = static_cast<int>(spec.tags.size());
  bank->background = static_cast<int>(spec.background.size());
  RowBuilder builder(spec.templates, dim, encode, bank.get());
  for (size_t t = 0; t < spec.tags.size(); ++t) {
    TagSpec& tag = spec.tags[t];
    tag.pictures.clear();
    if (tag.prompts.empty() && tag.images.empty()) tag.prompts = {tag.label};
    if (tag.row) {
      builder.AddUnitRow(*tag.row);
    } else if (tag.prompts.empty()) {
      builder.AddUnitRow(prototypes[t].row);
    } else {
      CLIPTAG_RETURN_IF_ERROR(builder.AddRow(tag.prompts));
    }
  }
  for (const std::string& background : spec.background) {
    CLIPTAG_RETURN_IF_ERROR(builder.AddRow({&background, 1}));
  }
  int next = bank->tags + bank->background;
  for (const TagSpec& tag : spec.tags) {
    const int count = static_cast<int>(tag.negatives.size());
    bank->negatives.push_back({next, count});
    next += count;
    for (const std::string& negative : tag.negatives) {
      CLIPTAG_RETURN_IF_ERROR(builder.AddRow({&negative, 1}));
    }
  }
  for (size_t t = 0; t < prototypes.size(); ++t) {
    const Prototype& prototype = prototypes[t];
    if (prototype.row.empty()) continue;
    bank->exemplars.resize(spec.tags.size());
    const bool alone = spec.tags[t].prompts.empty();
    const int row = alone ? static_cast<int>(t) : next++;
    bank->exemplars[t] = {row, prototype.midpoint, prototype.scale, alone};
    if (!alone) builder.AddUnitRow(prototype.row);
  }
  CLIPTAG_RETURN_IF_ERROR(builder.Finish());
  bank->spec = std::move(spec);
  return std::shared_ptr<const PromptBank>(std::move(bank));
}

}  // namespace cliptag
