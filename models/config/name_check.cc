#include "models/config/name_check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <string_view>

#include "models/config/reader.h"

namespace cliptag {
namespace {

constexpr int kPatches[] = {8, 14, 16, 28, 32};
constexpr int kSizes[] = {224, 240, 256, 280, 320, 336, 378, 384, 392, 448};

template <size_t n>
bool IsOneOf(int value, const int (&values)[n]) {
  return std::find(values, values + n, value) != values + n;
}

// A whole number of at most four digits, or -1.
int Number(std::string_view text) {
  if (text.empty() || text.size() > 4) return -1;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return -1;
    value = 10 * value + (c - '0');
  }
  return value;
}

// A name in lower case, and its words: what is between anything but letters and digits.
class Name {
 public:
  explicit Name(const std::string& name) {
    bool inside = false;
    for (const char c : name) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
      const bool letter = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
      if (letter && !inside) words_.emplace_back();
      if (letter) words_.back() += lower;
      inside = letter;
      text_ += lower;
    }
  }

  bool Says(std::string_view part) const { return text_.find(part) != std::string::npos; }

  // "patch32", or "ViT-B-32"; 0 where it says none.
  int Patch() const {
    for (size_t i = 0; i < words_.size(); ++i) {
      const bool patch = words_[i].starts_with("patch");
      const bool vit = words_[i] == "vit" && i + 2 < words_.size();
      const int number = patch ? Number(words_[i].substr(5)) : vit ? Number(words_[i + 2]) : -1;
      if (IsOneOf(number, kPatches)) return number;
    }
    return 0;
  }

  // "224", "336px" or "256x256"; 0 where it says none, or more than one.
  int Size() const {
    std::set<int> found;
    for (std::string_view word : words_) {
      if (word.ends_with("px")) word.remove_suffix(2);
      const size_t by = word.find('x');
      if (by != std::string_view::npos && word.substr(0, by) == word.substr(by + 1)) {
        word = word.substr(0, by);
      }
      const int number = Number(word);
      // SigLIP's; elsewhere it is an embedding's.
      if (IsOneOf(number, kSizes) || (number == 512 && Says("siglip"))) found.insert(number);
    }
    return found.size() == 1 ? *found.begin() : 0;
  }

 private:
  std::string text_;
  std::vector<std::string> words_;
};

void CheckActivation(const ModelConfig& config, const Name& name, const std::string& begin,
                     std::vector<std::string>* out) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool text = config.text.transformer.activation == Activation::kQuickGelu;
  // A convolutional tower has an activation of its own, whatever the text tower's.
  const bool image = vit == nullptr ? text : vit->transformer.activation == Activation::kQuickGelu;
  const bool quick = name.Says("quickgelu") || name.Says("quick_gelu") || name.Says("quick-gelu");
  if ((quick || name.Says("openai")) && !(image && text)) {
    out->push_back(begin + (quick ? "QuickGELU" : "one of OpenAI's, which use QuickGELU") +
                   ", but its files say another activation; its tags will be worse than they could "
                   "be. Set \"quick_gelu\": true in open_clip_config.json, or \"hidden_act\": "
                   "\"quick_gelu\" in config.json.");
  }
  // LAION-400M's came with either.
  const bool plain = name.Says("laion2b") || name.Says("laion5b") || name.Says("datacomp") ||
                     name.Says("commonpool");
  if (plain && !quick && !name.Says("openai") && (image || text)) {
    out->push_back(
        begin +
        "one of those trained on LAION or DataComp, which use plain GELU, but its files say "
        "QuickGELU; its tags will be worse than they could be. Set \"quick_gelu\": "
        "false in open_clip_config.json, or \"hidden_act\": \"gelu\" in config.json.");
  }
}

void CheckPixels(const ModelConfig& config, const Name& name, const std::string& begin,
                 std::vector<std::string>* out) {
  PreprocessSpec wanted;
  std::string whose;
  if (name.Says("siglip")) {
    whose = "SigLIP";
    std::fill_n(wanted.mean, 3, 0.5f);
    std::fill_n(wanted.std, 3, 0.5f);
  } else if ((name.Says("openai") || name.Says("datacomp")) && !name.Says("mobileclip")) {
    whose = "a model trained with OpenAI's mean and standard deviation";
    SetClipMeanAndStd(&wanted);
  } else {
    return;
  }
  const PreprocessSpec& found = config.preprocess;
  constexpr float kTolerance = 0.01f;
  for (int i = 0; i < 3; ++i) {
    if (std::abs(found.mean[i] - wanted.mean[i]) <= kTolerance &&
        std::abs(found.std[i] - wanted.std[i]) <= kTolerance) {
      continue;
    }
    char numbers[160];
    std::snprintf(numbers, sizeof(numbers),
                  ", but its files prepare pictures with a mean of %.3f, %.3f, %.3f and not %.3f, "
                  "%.3f, %.3f",
                  found.mean[0], found.mean[1], found.mean[2], wanted.mean[0], wanted.mean[1],
                  wanted.mean[2]);
    out->push_back(begin + whose + numbers + ", or another standard deviation.");
    return;
  }
}

}  // namespace

std::vector<std::string> NameContradictions(const ModelConfig& config) {
  const Name name(config.name);
  const std::string begin = "The model " + config.name + " is by its name ";
  std::vector<std::string> out;
  CheckActivation(config, name, begin, &out);
  CheckPixels(config, name, begin, &out);
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const int patch = name.Patch(), found_patch = vit == nullptr ? 1 : vit->patch_size;
  const int size = name.Size(), found_size = config.preprocess.size;
  if (patch > 0 && patch != found_patch) {
    out.push_back(begin + "one of patches of " + std::to_string(patch) +
                  " pixels, but its files say " + std::to_string(found_patch) + ".");
  }
  if (size > 0 && size != found_size) {
    out.push_back(begin + "one for pictures of " + std::to_string(size) +
                  " pixels, but its files say " + std::to_string(found_size) + ".");
  }
  return out;
}

}  // namespace cliptag
