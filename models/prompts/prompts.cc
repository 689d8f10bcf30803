#include "models/prompts/prompts.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <utility>

#include "models/io/json.h"
#include "models/io/trim.h"
#include "models/prompts/bank_file.h"
#include "models/prompts/exemplars.h"
#include "models/text/unicode.h"

namespace cliptag {
namespace {

constexpr size_t kMaxPromptsBytes = size_t{64} << 20;

// False for a picture and for a list in another encoding.
bool IsUtf8Text(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return (c < 32 && c != '\t') || c == 127; }) &&
         EncodeUtf8(DecodeUtf8(text)) == text;
}

// Reads the JSON form. Errors name the file, line and column of the member they are about.
class PromptsReader {
 public:
  PromptsReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Result<PromptSpec> Read() {
    CLIPTAG_ASSIGN_OR_RETURN(const Json root, ParseJson(text_, name_, {.max_depth = 16}));
    if (!root.is_object()) return Error("", "an object with \"tags\" is needed");
    PromptSpec spec;
    for (const auto& [key, value] : root.items()) {
      const std::string path = "/" + key;
      if (key == "templates") {
        CLIPTAG_RETURN_IF_ERROR(Strings(value, path, &spec.templates));
      } else if (key == "background") {
        CLIPTAG_RETURN_IF_ERROR(Strings(value, path, &spec.background));
      } else if (key == "tags") {
        CLIPTAG_RETURN_IF_ERROR(Tags(value, path, &spec.tags));
      } else {
        return Error(path, "unknown key \"" + key + "\"; templates, background and tags are known");
      }
    }
    if (spec.tags.empty())
      return Error("", "\"tags\" is missing or empty; nothing would be tagged");
    CLIPTAG_RETURN_IF_ERROR(CheckPromptBounds(spec, name_));
    return spec;
  }

 private:
  Status Error(const std::string& path, const std::string& what) const {
    return InvalidArgument(name_ + ":" + LocateJson(text_, path) + ": " + what + ".");
  }

  // A list of strings that are not empty, or one such string.
  Status Strings(const Json& value, const std::string& path, std::vector<std::string>* out) const {
    const std::string key = path.substr(path.rfind('/') + 1);
    const Json list = value.is_string() ? Json::array({value}) : value;
    if (!list.is_array()) return Error(path, "\"" + key + "\" is not a list of strings");
    for (size_t i = 0; i < list.size(); ++i) {
      if (!list[i].is_string() || Trim(list[i].get_ref<const std::string&>()).empty()) {
        return Error(value.is_array() ? path + "/" + std::to_string(i) : path,
                     "\"" + key + "\" has an entry that is empty or not a string");
      }
      out->emplace_back(Trim(list[i].get_ref<const std::string&>()));
    }
    return {};
  }

  Status Number(const Json& value, const std::string& path, double maximum, double* out) const {
    const double number = value.is_number() ? value.get<double>() : -1;
    if (!(number >= 0 && number <= maximum)) {
      return Error(path, "\"" + path.substr(path.rfind('/') + 1) + "\" is " + value.dump() +
                             (maximum == 1 ? "; a number from 0 to 1 is needed"
                                           : "; a number of seconds, 0 or more, is needed"));
    }
    *out = number;
    return {};
  }

  Status Tags(const Json& list, const std::string& path, std::vector<TagSpec>* out) const {
    if (!list.is_array()) return Error(path, "\"tags\" is not a list");
    for (size_t i = 0; i < list.size(); ++i) {
      TagSpec tag;
      CLIPTAG_RETURN_IF_ERROR(Tag(list[i], path + "/" + std::to_string(i), &tag));
      out->push_back(std::move(tag));
    }
    return {};
  }

  Status Tag(const Json& value, const std::string& path, TagSpec* tag) const {
    if (!value.is_object() || !value.contains("label") || !value["label"].is_string() ||
        Trim(value["label"].get_ref<const std::string&>()).empty()) {
      return Error(path, "a tag is an object with a \"label\" that is not empty");
    }
    for (const auto& [key, field] : value.items()) {
      const std::string at = path + "/" + key;
      if (key == "label") {
        tag->label = Trim(field.get_ref<const std::string&>());
      } else if (key == "prompts") {
        CLIPTAG_RETURN_IF_ERROR(Strings(field, at, &tag->prompts));
      } else if (key == "negative") {
        CLIPTAG_RETURN_IF_ERROR(Strings(field, at, &tag->negatives));
      } else if (key == "images") {
        CLIPTAG_RETURN_IF_ERROR(Strings(field, at, &tag->images));
      } else if (key == "threshold") {
        CLIPTAG_RETURN_IF_ERROR(Number(field, at, 1, &tag->threshold));
      } else if (key == "off-threshold") {
        CLIPTAG_RETURN_IF_ERROR(Number(field, at, 1, &tag->off_threshold));
      } else if (key == "min-duration") {
        CLIPTAG_RETURN_IF_ERROR(Number(field, at, 1e9, &tag->min_duration_s));
      } else {
        return Error(at, "unknown key \"" + key +
                             "\" in a tag; label, prompts, negative, images, threshold, "
                             "off-threshold and min-duration are known");
      }
    }
    if (tag->threshold >= 0 && tag->off_threshold > tag->threshold) {
      return Error(path + "/off-threshold", "\"off-threshold\" is above \"threshold\"");
    }
    if (tag->prompts.empty() && tag->images.empty()) tag->prompts = {tag->label};
    if (tag->prompts.empty() && !tag->negatives.empty()) {
      return Error(path + "/negative",
                   "\"negative\" is text, which pictures alone are not compared with; give the tag "
                   "\"prompts\" beside its \"images\"");
    }
    return {};
  }

  const std::string_view text_;
  const std::string name_;
};

// "cat, dog" is one label, though probably two were meant.
void NoteCommas(const std::vector<std::string>& labels, const std::string& separator,
                PromptSpec* spec) {
  const auto found = std::find_if(labels.begin(), labels.end(), [](const std::string& label) {
    return label.find(',') != std::string::npos;
  });
  if (found == labels.end()) return;
  spec->notes.push_back("\"" + *found + "\" is one label, since commas do not separate: write " +
                        separator + " between labels.");
}

// Most tokenizers convert text to lower case.
std::u32string Cleaned(const std::string& text) { return ToLower(DecodeUtf8(Trim(text))); }

// A warning about labels that are the same to the model; empty if there are none.
std::string LabelsGivenTwice(const PromptSpec& spec) {
  std::set<std::u32string> seen;
  size_t more = 0;
  const std::string* first = nullptr;
  for (const TagSpec& tag : spec.tags) {
    if (seen.insert(Cleaned(tag.label)).second) continue;
    if (more++ == 0) first = &tag.label;
  }
  if (more == 0) return {};
  return "The label \"" + *first + "\" is given more than once" +
         (more == 1 ? std::string()
                    : ", and so are others (" + std::to_string(more) + " too many)") +
         "; each is a tag of its own, and in softmax they share one score: name each once.";
}

}  // namespace

const std::vector<std::string>& DefaultTemplates() {
  static const auto* templates = new std::vector<std::string>{"a photo of a {}."};
  return *templates;
}

// What a picture shows when it shows none of the tags: media, surfaces, light, and two kinds of
// place. No word that is likely to be a tag, because a tag in the background scores at most 0.5.
// Chosen on the starter's evaluation pictures, see BackgroundTest in tests/models/starter_test.cc.
const std::vector<std::string>& DefaultBackground() {
  static const auto* background = new std::vector<std::string>{
      "photo", "image", "pattern", "noise", "white background", "bright light", "garden", "room"};
  return *background;
}

Result<std::vector<std::string>> SplitList(std::string_view text, std::string_view what) {
  std::string_view rest = Trim(text);
  if (!rest.empty() && rest.back() == ';') rest = Trim(rest.substr(0, rest.size() - 1));
  if (rest.empty()) {
    return InvalidArgument("No " + std::string(what) +
                           " are given; separate them by ';' or newlines.");
  }
  std::vector<std::string> out;
  while (true) {
    const size_t end = std::min(rest.find_first_of(";\n"), rest.size());
    const std::string_view entry = Trim(rest.substr(0, end));
    if (entry.empty()) {
      return InvalidArgument("Entry " + std::to_string(out.size() + 1) + " of the " +
                             std::string(what) + " is empty.");
    }
    out.emplace_back(entry);
    if (end == rest.size()) return out;
    // A ';' at the end of a line separates once, not twice.
    size_t next = end + 1;
    if (rest[end] == ';') {
      const size_t newline = rest.find_first_not_of(" \t\r", next);
      if (newline != std::string_view::npos && rest[newline] == '\n') next = newline + 1;
    }
    rest.remove_prefix(next);
  }
}

Status CheckPromptBounds(const PromptSpec& spec, const std::string& name) {
  const auto check = [&](std::span<const std::string> texts, const char* what) -> Status {
    for (const std::string& text : texts) {
      if (text.size() <= kMaxPromptCharacters) continue;
      const size_t characters = DecodeUtf8(text).size();
      if (characters <= kMaxPromptCharacters) continue;
      return InvalidArgument(name + ": " + what + " has " + std::to_string(characters) +
                             " characters, and up to " + std::to_string(kMaxPromptCharacters) +
                             " are taken; it begins with \"" + text.substr(0, 40) + "\".");
    }
    return {};
  };
  CLIPTAG_RETURN_IF_ERROR(check(spec.templates, "a template"));
  CLIPTAG_RETURN_IF_ERROR(check(spec.background, "a background prompt"));
  for (const TagSpec& tag : spec.tags) {
    CLIPTAG_RETURN_IF_ERROR(check({&tag.label, 1}, "a label"));
    CLIPTAG_RETURN_IF_ERROR(check(tag.prompts, "a prompt"));
    CLIPTAG_RETURN_IF_ERROR(check(tag.negatives, "a negative prompt"));
  }
  if (const size_t texts = CountTexts(spec); texts > kMaxPromptTexts) {
    return InvalidArgument(name + ": these are " + std::to_string(texts) +
                           " texts (labels in all templates), and up to " +
                           std::to_string(kMaxPromptTexts) + " are encoded.");
  }
  return {};
}

Result<PromptSpec> ParsePrompts(std::string_view text) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<std::string> labels, SplitList(text, "prompts"));
  PromptSpec spec;
  if (text.find(';') == std::string_view::npos) NoteCommas(labels, "';'", &spec);
  for (const std::string& label : labels) {
    TagSpec tag;
    tag.label = label;
    tag.prompts = {label};
    spec.tags.push_back(std::move(tag));
  }
  CLIPTAG_RETURN_IF_ERROR(CheckPromptBounds(spec, "The prompts"));
  return spec;
}

Result<PromptSpec> ParsePromptsFile(std::string_view text, const std::string& name) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  const std::string_view content = Trim(text);
  if (content.empty()) return InvalidArgument(name + " is empty; it should hold one label a line.");
  if (content.front() == '{' || content.front() == '[') return PromptsReader(text, name).Read();

  PromptSpec spec;
  size_t line = 0;
  // Blank lines at the end are ignored.
  std::string_view rest = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view label = Trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++line;
    if (label.empty()) {
      return InvalidArgument(name + ":" + std::to_string(line) +
                             ":1: the label is empty; one label a line is needed.");
    }
    if (!IsUtf8Text(label)) {
      return InvalidArgument(name + ":" + std::to_string(line) +
                             ":1: this is no text in UTF-8; one label a line is needed.");
    }
    TagSpec tag;
    tag.label = label;
    tag.prompts = {tag.label};
    spec.tags.push_back(std::move(tag));
    if (spec.tags.size() > kMaxPromptTexts) break;  // refused below
  }
  CLIPTAG_RETURN_IF_ERROR(CheckPromptBounds(spec, name));
  if (spec.tags.size() == 1) NoteCommas({spec.tags[0].label}, "lines of their own", &spec);
  return spec;
}

Result<PromptSpec> ReadPromptsFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  CLIPTAG_ASSIGN_OR_RETURN(const std::string begin, file.Read(0, 16));
  const bool bank = LooksLikeBank(begin);
  CLIPTAG_ASSIGN_OR_RETURN(const std::string text,
                           file.ReadAll(bank ? kMaxBankBytes : kMaxPromptsBytes,
                                        bank ? "a prompt bank" : "a prompts file"));
  if (bank) return ParseBankFile(text, path);
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ParsePromptsFile(text, path));
  CLIPTAG_RETURN_IF_ERROR(FindExemplars(std::filesystem::path(path).parent_path().string(), &spec));
  return spec;
}

Result<PromptSpec> ReadPromptSource(const PromptSource& source, std::vector<std::string>* unused) {
  const bool from_file = !source.prompts_file.empty();
  if (!from_file && Trim(source.prompts).empty()) {
    return InvalidArgument(
        "There are no prompts: give labels as prompts, separated by ';', or a file of them as "
        "prompts-file.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, from_file ? ReadPromptsFile(source.prompts_file)
                                                      : ParsePrompts(source.prompts));
  const auto take = [&](const std::string& text, const char* what, const char* name,
                        std::vector<std::string>* list) -> Status {
    if (text.empty()) return {};
    if (list->empty()) {
      CLIPTAG_ASSIGN_OR_RETURN(*list, SplitList(text, name));
    } else if (unused != nullptr) {
      unused->push_back(what);
    }
    return {};
  };
  CLIPTAG_RETURN_IF_ERROR(take(source.templates, "templates", "templates", &spec.templates));
  CLIPTAG_RETURN_IF_ERROR(
      take(source.background, "background", "background prompts", &spec.background));
  return spec;
}

std::string TagsInBackground(const PromptSpec& spec) {
  std::set<std::u32string> background;
  for (const std::string& text : spec.background) background.insert(Cleaned(text));
  std::vector<std::string> tags;
  for (const TagSpec& tag : spec.tags) {
    if (tag.prompts.size() == 1 && background.contains(Cleaned(tag.prompts[0]))) {
      tags.push_back(tag.label);
    }
  }
  if (tags.empty()) return {};
  const std::string which =
      tags.size() == 1 ? "The tag \"" + tags[0] + "\" is a background prompt"
                       : std::to_string(tags.size()) +
                             " tags are background prompts, the first of them \"" + tags[0] + "\",";
  return which +
         " as well and, never beating itself, scores at most 0.5: give a background without it.";
}

std::vector<std::string> PromptAdvice(const PromptSpec& spec, Scoring scoring, double logit_bias) {
  std::vector<std::string> advice = spec.notes;
  const auto add = [&](std::string sentence) {
    if (!sentence.empty()) advice.push_back(std::move(sentence));
  };
  add(LabelsGivenTwice(spec));
  if (scoring == Scoring::kContrast) add(TagsInBackground(spec));
  if (scoring == Scoring::kSoftmax && spec.tags.size() == 1) {
    add("Softmax over one label gives it 1 whatever is seen: give it others beside it, or score by "
        "contrast.");
  }
  if (scoring == Scoring::kSigmoid && logit_bias == 0) {
    add("The model has no bias, which sigmoid needs (SigLIP's have one): nearly every score is 1; "
        "score "
        "by contrast.");
  }
  return advice;
}

}  // namespace cliptag
