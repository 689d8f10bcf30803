// Prompts files.
#include <cmath>

#include "models/prompts/prompts.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/targets.h"

namespace cliptag {
namespace {

constexpr int kDim = 4;
constexpr size_t kMostTexts = 300;  // more are only slower

bool IsShare(double value) { return value == -1 || (value >= 0 && value <= 1); }

// Any unit vectors, one for each text.
Status Encode(std::span<const std::string> texts, float* rows, std::vector<std::string>*) {
  for (size_t i = 0; i < texts.size(); ++i) {
    for (int k = 0; k < kDim; ++k) rows[kDim * i + k] = texts[i].size() % kDim == size_t(k);
  }
  return {};
}

void RequireSound(const PromptSpec& spec) {
  Require(!spec.tags.empty(), "there are tags");
  bool pictures = false;
  for (const TagSpec& tag : spec.tags) {
    Require(!tag.label.empty(), "tags have labels");
    Require(!tag.prompts.empty() || !tag.images.empty(), "tags are made of something");
    Require(IsShare(tag.threshold) && IsShare(tag.off_threshold), "thresholds are scores");
    Require(tag.min_duration_s == -1 || tag.min_duration_s >= 0, "durations are not negative");
    pictures |= !tag.images.empty();
  }
  if (pictures || CountTexts(spec) > kMostTexts) return;
  const auto bank = BuildPromptBank(spec, kDim, Encode);
  if (!bank.ok()) {
    RequireReason(bank.status());
    return;
  }
  Require((*bank)->tags == static_cast<int>(spec.tags.size()), "every tag has a row");
  for (const float value : (*bank)->rows) Require(std::isfinite(value), "rows are numbers");
  for (const auto& range : (*bank)->negatives) {
    Require(
        range.first >= 0 && range.count >= 0 && range.first + range.count <= (*bank)->row_count(),
        "negatives are rows of the bank");
  }
}

}  // namespace

Status ReadFuzzedPrompts(std::string_view bytes) {
  const std::string text(bytes);
  const Result<PromptSpec> list = ParsePrompts(text);
  if (list.ok()) {
    RequireSound(*list);
  } else {
    RequireReason(list.status());
  }
  const Result<PromptSpec> file = ParsePromptsFile(text, "file");
  if (!file.ok()) return Refused(file.status());
  RequireSound(*file);
  return {};
}

std::vector<std::string> PromptsSeeds() {
  return {ReadSource("pipelines/demo-prompts.json"), ReadSource("pipelines/street-prompts.json"),
          "fire\na person falling\nsmoke over a roof\n",
          R"({"templates": ["a photo of a {}.", "a {}"], "background": "a wall",
 "tags": [{"label": "fire", "prompts": ["fire", "flames"], "negative": ["a sunset"],
           "threshold": 0.6, "off-threshold": 0.4, "min-duration": 2.0},
          {"label": "forklift", "images": ["forklift/", "yard.jpg"]}, {"label": "car"}]})"};
}

}  // namespace cliptag
