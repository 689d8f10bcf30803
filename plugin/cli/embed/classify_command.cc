// cliptag classify: zero-shot tags of pictures and videos.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "models/prompts/prompts.h"
#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/classify_output.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/cli/embed/prompts.h"
#include "plugin/cli/media/input_files.h"
#include "plugin/cli/session.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {
namespace {

struct ClassifyOptions {
  ModelOptions model;
  InputOptions input;
  PromptSource prompts;
  PolicyOptions policy;  // but for top_k
  std::optional<int> top_k;
  bool json = false, json_lines = false, csv = false;
};

ClassifyFormat FormatFrom(const ClassifyOptions& options) {
  return options.json         ? ClassifyFormat::kJson
         : options.json_lines ? ClassifyFormat::kJsonLines
         : options.csv        ? ClassifyFormat::kCsv
                              : ClassifyFormat::kTable;
}

// The tags of each frame as in the element: which are active depends on the frames before it in the
// same file.
class Tagger {
 public:
  Tagger(std::shared_ptr<const PromptBank> bank, const ModelConfig& config, PolicyOptions policy)
      : bank_(std::move(bank)), config_(config), policy_(policy) {
    // A picture stands still: nothing in it can hold for some time.
    auto picture_bank = std::make_shared<PromptBank>(*bank_);
    for (TagSpec& tag : picture_bank->spec.tags) tag.min_duration_s = 0;
    picture_bank_ = std::move(picture_bank);
  }

  std::vector<Tag> Tags(const EncodedFrame& frame) {
    if (!frame.time_s || &frame.file != file_) decisions_ = TagPolicy();
    file_ = &frame.file;
    const auto& bank = frame.time_s ? bank_ : picture_bank_;
    const auto ns = static_cast<uint64_t>(std::max(frame.time_s.value_or(0), 0.0) * 1e9);
    std::vector<Tag> tags = decisions_.Update(bank, CosinesOf(*bank, frame.embedding), policy_,
                                              config_.logit_scale, config_.logit_bias, ns, nullptr);
    // Scores near 1 may be the same number where cosines are not.
    std::stable_sort(tags.begin(), tags.end(), [](const Tag& a, const Tag& b) {
      return a.score != b.score ? a.score > b.score : a.cosine > b.cosine;
    });
    return tags;
  }

 private:
  std::shared_ptr<const PromptBank> bank_, picture_bank_;
  const ModelConfig& config_;
  const PolicyOptions policy_;
  TagPolicy decisions_;
  const std::string* file_ = nullptr;  // of the last frame
};

Status Classify(ClassifyOptions options, bool* bad_files) {
  // Prompts and files are read before the model: most mistakes in them do not need it.
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPrompts(options.prompts));
  CLIPTAG_ASSIGN_OR_RETURN(options.input.files, CollectInputFiles(options.input));
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  const ModelConfig& config = model.config();
  CLIPTAG_ASSIGN_OR_RETURN(const auto bank, EncodePrompts(model, std::move(spec)));
  WarnTruncated(bank->truncated, config);

  constexpr int kTopInTable = 5;
  const ClassifyFormat format = FormatFrom(options);
  PolicyOptions policy = options.policy;
  policy.top_k = options.top_k.value_or(format == ClassifyFormat::kTable ? kTopInTable : 0);
  for (const std::string& said : PromptAdvice(bank->spec, policy.scoring, config.logit_bias)) {
    PrintWarning(said);
  }
  Tagger tagger(bank, config, policy);
  ClassifyPrinter printer(format);
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) {
    return printer.Frame(frame, tagger.Tags(frame));
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
  return ExitCode(status, bad_files);
}

}  // namespace

void AddClassifyCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<ClassifyOptions>();
  CLI::App* command =
      app.add_subcommand("classify", "Tag pictures and videos with labels of your own");
  const auto check_input = AddInputOptions(*command, &options->input);
  const auto check = AddPromptOptions(*command, &options->prompts);
  AddChoice(*command, "--scoring", kScorings, &options->policy.scoring);
  command
      ->add_option("--threshold", options->policy.threshold,
                   "Score at which a tag becomes active, unless the prompts file says otherwise")
      ->check(FiniteRange(0, 1))
      ->option_text("X [0.5]");
  command
      ->add_option("--off-threshold", options->policy.off_threshold,
                   "In a video, score below which it becomes inactive again; -1 = 0.8 x threshold")
      ->check(FiniteRange(-1, 1))
      ->option_text("X [-1]");
  command
      ->add_option(
          "--top-k", options->top_k,
          "Tags per frame, best first, and active ones beside them; 0 = all; unless given 5 in "
          "the table, else all")
      ->check(CLI::Range(0, 1 << 20))
      ->option_text("N");
  CLI::Option* json = command->add_flag("--json", options->json,
                                        "Print JSON: [{\"file\", \"time\", \"tags\"}, ...]");
  CLI::Option* lines = command->add_flag("--jsonl,--json-lines", options->json_lines,
                                         "Print JSON, one object a line");
  CLI::Option* csv = command->add_flag("--csv", options->csv, "Print CSV, a row for each tag");
  json->excludes(lines)->excludes(csv)->option_text(" ");
  lines->excludes(csv)->option_text(" ");
  csv->option_text(" ");
  AddModelOptions(*command, &options->model);
  command->footer(
      "The table shows score, cosine and label; * marks active tags, in a video with hysteresis as "
      "in the element. `time` is in seconds, null for a picture. A file that cannot be read is an "
      "error on stderr and exit code 1; the others are processed.\n\n"
      "Examples:\n"
      "  cliptag classify --prompts \"cat; dog; bird\" photo.jpg\n"
      "  cliptag classify --prompts \"cat; dog\" --csv --recursive photos/\n"
      "  find . -name '*.jpg' | cliptag classify --prompts \"cat\" --jsonl --files-from -\n"
      "  cliptag classify --prompts-file tags.json --fps 2 --json street.mp4");
  command->callback([options, check, check_input, chosen] {
    check();
    check_input();
    *chosen = [options] { return RunClassify(*options); };
  });
}

}  // namespace cliptag
