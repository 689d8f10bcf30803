// cliptag classify: zero-shot tags of pictures and videos, as a table or JSON.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "models/prompts.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/encode_files.h"
#include "plugin/cli/options.h"
#include "plugin/cli/prompt_options.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {
namespace {

struct ClassifyOptions {
  ModelOptions model;
  InputOptions input;
  PromptOptions prompts;
  std::string scoring = "softmax";
  std::optional<int> top_k;
  bool json = false;
};

constexpr const char* kScorings[] = {"contrast", "softmax", "sigmoid", "cosine"};  // as in Scoring

Scoring ScoringFrom(const std::string& name) {
  const auto* found = std::find(std::begin(kScorings), std::end(kScorings), name);
  return static_cast<Scoring>(found - std::begin(kScorings));
}

// The tags of a frame, best first.
std::vector<Tag> TagsOf(const PromptBank& bank, std::span<const float> embedding, Scoring scoring,
                        const ModelConfig& config, int top_k) {
  const std::vector<float> cosines = CosinesOf(bank, embedding);
  std::vector<double> scores(static_cast<size_t>(bank.tags));
  ScoreTags(bank, cosines, scoring, config.logit_scale, config.logit_bias, scores);
  std::vector<Tag> tags;
  for (int i = 0; i < bank.tags; ++i) {
    tags.push_back({bank.spec.tags[i].label, scores[i], cosines[i]});
  }
  std::stable_sort(tags.begin(), tags.end(),
                   [](const Tag& a, const Tag& b) { return a.score > b.score; });
  if (top_k > 0 && static_cast<size_t>(top_k) < tags.size()) tags.resize(top_k);
  return tags;
}

// Prints frame after frame, so that a long video shows what is known so far.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {}

  Status Frame(const EncodedFrame& frame, const std::vector<Tag>& tags) {
    if (json_) {
      Json(frame, tags);
    } else {
      Table(frame, tags);
    }
    return FlushOutput();
  }

  // Also after an error: what was printed is to be read by a program.
  Status End() {
    if (json_) std::cout << (first_ ? "[]\n" : "\n]\n");
    return FlushOutput();
  }

 private:
  void Json(const EncodedFrame& frame, const std::vector<Tag>& tags) {
    nlohmann::ordered_json entry;
    entry["file"] = frame.file;
    entry["time"] = frame.time_s ? nlohmann::ordered_json(*frame.time_s) : nlohmann::ordered_json();
    entry["tags"] = nlohmann::ordered_json::array();
    for (const Tag& tag : tags) {
      entry["tags"].push_back({{"label", tag.label}, {"score", tag.score}, {"cosine", tag.cosine}});
    }
    // A file's name may be any bytes; JSON's strings are UTF-8.
    std::cout << (first_ ? "[\n" : ",\n")
              << entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    first_ = false;
  }

  void Table(const EncodedFrame& frame, const std::vector<Tag>& tags) {
    char text[64];
    std::cout << frame.file;
    if (frame.time_s) {
      std::snprintf(text, sizeof(text), "  %.2f s", *frame.time_s);
      std::cout << text;
    }
    std::cout << '\n';
    for (const Tag& tag : tags) {
      std::snprintf(text, sizeof(text), "  %6.4f  %+6.4f  ", tag.score, tag.cosine);
      std::cout << text << tag.label << '\n';
    }
  }

  const bool json_;
  bool first_ = true;
};

Status Classify(const ClassifyOptions& options, bool* bad_files) {
  // Prompts are read before the model: most mistakes in them do not need it.
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPrompts(options.prompts));
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  const ModelConfig& config = model.config();
  CLIPTAG_ASSIGN_OR_RETURN(const auto bank, EncodePrompts(model, std::move(spec)));
  WarnTruncated(bank->truncated, config);

  constexpr int kTopInTable = 5;
  const int top_k = options.top_k.value_or(options.json ? 0 : kTopInTable);
  const Scoring scoring = ScoringFrom(options.scoring);
  if (scoring == Scoring::kContrast) {
    if (const std::string said = TagsInBackground(bank->spec); !said.empty()) PrintWarning(said);
  }
  Printer printer(options.json);
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) {
    return printer.Frame(frame, TagsOf(*bank, frame.embedding, scoring, config, top_k));
  };
  handlers.bad_file = [&](const std::string&, const Status& why) {
    PrintError(why.message());
    *bad_files = true;
    return Status();
  };
  const Status status = EncodeFiles(model, options.input, handlers);
  const Status printed = printer.End();
  return status.ok() ? printed : status;
}

int RunClassify(const ClassifyOptions& options) {
  bool bad_files = false;
  const Status status = Classify(options, &bad_files);
  if (!status.ok()) return Fail(status);
  return bad_files ? 1 : 0;
}

}  // namespace

void AddClassifyCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<ClassifyOptions>();
  CLI::App* command =
      app.add_subcommand("classify", "Tag pictures and videos with labels of your own");
  AddInputOptions(*command, &options->input)->required();
  const auto check = AddPromptOptions(*command, &options->prompts);
  command
      ->add_option("--scoring", options->scoring,
                   "softmax: over the labels; contrast: each against the background; sigmoid: with "
                   "the model's scale and bias; cosine: (cosine + 1) / 2")
      ->check(CLI::IsMember({"softmax", "contrast", "sigmoid", "cosine"}))
      ->option_text("NAME [softmax]");
  command
      ->add_option("--top-k", options->top_k,
                   "Tags per frame, best first; 0 = all; unless given 5 in the table, all in JSON")
      ->check(CLI::Range(0, 1 << 20))
      ->option_text("N");
  command->add_flag("--json", options->json, "Print JSON: [{\"file\", \"time\", \"tags\"}, ...]");
  AddModelOptions(*command, &options->model);
  command->footer(
      "The table shows score, cosine and label. `time` is in seconds, null for a picture. A file "
      "that\n"
      "cannot be read is told on stderr and makes the exit code 1; the others are done.\n\n"
      "Examples:\n"
      "  cliptag classify --prompts \"cat; dog; bird\" photo.jpg\n"
      "  cliptag classify --prompts-file tags.json --scoring contrast --fps 2 --json street.mp4");
  command->callback([options, check, chosen] {
    check();
    *chosen = [options] { return RunClassify(*options); };
  });
}

}  // namespace cliptag
