// What the user wants to see tagged, and its embeddings.
//
// A PromptSpec is text as the user wrote it; a PromptBank is the same encoded by one model:
// immutable, shared by pointer, swapped whole when prompts change. Thread safe once built.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/choice.h"
#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

struct ExemplarPicture;  // models/prompts/exemplars.h

// How a cosine becomes a score from 0 to 1; computed in plugin/engine/tag_policy.cc.
enum class Scoring : uint8_t { kContrast, kSoftmax, kSigmoid, kCosine };
inline constexpr Choice<Scoring> kScorings[] = {
    {Scoring::kContrast, "contrast",
     "Each tag by itself, against the background and its negatives"},
    {Scoring::kSoftmax, "softmax", "All tags against each other, so that the scores sum to 1"},
    {Scoring::kSigmoid, "sigmoid", "Each tag by itself, with the model's scale and bias"},
    {Scoring::kCosine, "cosine", "(cosine + 1) / 2"}};

struct TagSpec {
  std::string label;
  // Ensemble; {label} when the file names neither prompts nor images. Empty: pictures alone.
  std::vector<std::string> prompts;
  std::vector<std::string>
      negatives;                    // what this tag alone is compared with, beside the background
  std::vector<std::string> images;  // exemplar pictures (paths)
  // The same, decoded (DecodeExemplars); a bank does not keep them.
  std::vector<std::shared_ptr<const ExemplarPicture>> pictures;
  // Of unit length, computed beforehand (models/prompts/bank_file.h), in place of prompts in
  // templates.
  std::shared_ptr<const std::vector<float>> row;
  double threshold = -1;  // -1 = the element's
  double off_threshold = -1;
  double min_duration_s = -1;
};

// What the rows of a spec are for; nothing where it has none.
struct BankOrigin {
  std::string file, model, identity;
};

struct PromptSpec {
  std::vector<TagSpec> tags;
  std::vector<std::string> templates;   // empty = the element's, the model's, or DefaultTemplates()
  std::vector<std::string> background;  // empty = the element's or DefaultBackground()
  BankOrigin bank;
  // Warnings from reading the prompts; PromptAdvice repeats them.
  std::vector<std::string> notes;
};

const std::vector<std::string>& DefaultTemplates();   // "a photo of a {}."
const std::vector<std::string>& DefaultBackground();  // listed in plugin/elements/README.md

// "a; b" or one per line to labels, trimmed. An empty label is an error, but a separator or newline
// at the very end is not, and a ';' that ends a line separates once. Also for templates and
// background lists; `what` ("prompts") is for messages.
Result<std::vector<std::string>> SplitList(std::string_view text, std::string_view what);

Result<PromptSpec> ParsePrompts(std::string_view text);
// One label a line, or JSON (see the README); errors name `name`, line and column.
Result<PromptSpec> ParsePromptsFile(std::string_view text, const std::string& name);
// Or a bank of embeddings (models/prompts/bank_file.h). Finds the exemplar pictures, whose paths
// begin at the file's folder (FindExemplars).
Result<PromptSpec> ReadPromptsFile(const std::string& path);

// Prompts as the element's properties and the tool's options name them.
struct PromptSource {
  std::string prompts, prompts_file;  // the file wins
  std::string templates, background;  // lists; those in the file win

  bool operator==(const PromptSource&) const = default;
};
// All but decoding the pictures. `unused` gets the names of lists that the file's own win over.
Result<PromptSpec> ReadPromptSource(const PromptSource& source,
                                    std::vector<std::string>* unused = nullptr);

// A warning about tags that are background prompts as well, which score at most 0.5 by contrast.
// Empty if there are none. The spec's background must be filled in.
std::string TagsInBackground(const PromptSpec& spec);

// Warnings about prompts that are valid but probably not meant: the notes of the spec, labels given
// twice, and tags that the scoring does not suit (TagsInBackground; softmax over one label; sigmoid
// with a model that has no bias for it).
std::vector<std::string> PromptAdvice(const PromptSpec& spec, Scoring scoring, double logit_bias);

struct PromptBank {
  PromptSpec spec;  // with templates and background filled in
  int dim = 0;
  // Unit rows: tags, then background, then the negatives of each tag, then the prototypes of tags
  // that have words and pictures. The row of a tag with pictures alone is its prototype. (rows,
  // dim)
  std::vector<float> rows;
  int tags = 0, background = 0;
  struct Range {
    int first = 0, count = 0;
  };
  std::vector<Range> negatives;  // per tag, rows of the bank
  // Per tag, or empty when no tag has pictures: its prototype's row (-1: it has no pictures) and
  // what makes a logit of a cosine with it, see models/prompts/exemplars.h.
  struct Exemplar {
    int row = -1;
    double midpoint = 0, scale = 0;
    bool alone = false;  // no words beside it
  };
  std::vector<Exemplar> exemplars;
  std::vector<std::string> truncated;  // prompts that were too long for the model and were cut

  int row_count() const { return dim ? static_cast<int>(rows.size()) / dim : 0; }
  const float* row(int i) const { return rows.data() + static_cast<size_t>(i) * dim; }
};

// The product of two vectors in f32, summed in an order that does not depend on who calls.
float Dot(const float* a, const float* b, size_t n);

// Of embeddings on the host, (pictures, dim), with every row of the bank: (pictures, rows).
std::vector<float> CosinesOf(const PromptBank& bank, std::span<const float> embeddings);

// How many texts BuildPromptBank will have encoded.
size_t CountTexts(const PromptSpec& spec);

// Limits of a text, and of the number of texts with all templates; beyond them is an error.
inline constexpr size_t kMaxPromptCharacters = 10'000, kMaxPromptTexts = 1'000'000;
Status CheckPromptBounds(const PromptSpec& spec, const std::string& name);

// Encodes unit rows for texts; the second argument has room for (texts, dim).
using TextEncodeFn = std::function<Status(std::span<const std::string>, float*,
                                          std::vector<std::string>* truncated)>;

// Encodes unit rows for a spec's pictures; see BuildPrototypes. Null where there are none.
using PictureEncodeFn = std::function<Status(std::span<const FrameView>, float*)>;

// Every entry is put into every template ("{}" replaced; a template without "{}" is an error),
// encoded, averaged over its templates and prompts as unit vectors, and renormalised.
Result<std::shared_ptr<const PromptBank>> BuildPromptBank(PromptSpec spec, int dim,
                                                          const TextEncodeFn& encode,
                                                          const PictureEncodeFn& pictures = {});

}  // namespace cliptag
