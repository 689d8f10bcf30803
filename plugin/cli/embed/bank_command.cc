// cliptag bank: embeddings of prompts as files, made by a model or brought from elsewhere.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "models/config/find_model.h"
#include "models/prompts/bank_file.h"
#include "models/tower_identity.h"
#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/prompts.h"
#include "plugin/cli/formats/npy_reader.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

using Json = nlohmann::ordered_json;

struct ExportOptions {
  ModelOptions model;
  PromptSource prompts;
  std::string output;
};

Status Export(const ExportOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPrompts(options.prompts));
  CLIPTAG_RETURN_IF_ERROR(CheckNoPictures(spec));  // before a model is loaded
  CLIPTAG_RETURN_IF_ERROR(CheckBankOutput(options.output));
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  CLIPTAG_ASSIGN_OR_RETURN(const auto bank, EncodePrompts(model, spec));
  WarnTruncated(bank->truncated, model.config());
  spec.templates = bank->spec.templates;
  spec.bank = {options.output, model.config().name, model.text_identity()};
  for (size_t i = 0; i < spec.tags.size(); ++i) {
    const float* row = bank->row(static_cast<int>(i));
    spec.tags[i].row = std::make_shared<const std::vector<float>>(row, row + bank->dim);
  }
  return WriteBankFile(options.output, spec);
}

struct ImportOptions {
  std::string embeddings, labels, for_model, templates, output;
};

bool IsIdentity(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Status Import(const ImportOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPromptsFile(options.labels));
  CLIPTAG_ASSIGN_OR_RETURN(const NpyMatrix matrix, ReadNpyMatrix(options.embeddings));
  if (matrix.rows != static_cast<int64_t>(spec.tags.size())) {
    return InvalidArgument(options.embeddings + " has " + std::to_string(matrix.rows) +
                           " rows, but " + options.labels + " " + std::to_string(spec.tags.size()) +
                           " labels.");
  }
  if (!options.templates.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(spec.templates, SplitList(options.templates, "templates"));
  }
  spec.bank = {options.output, "", options.for_model};
  if (!IsIdentity(options.for_model)) {
    CLIPTAG_ASSIGN_OR_RETURN(const std::string path, FindModel(options.for_model));
    CLIPTAG_ASSIGN_OR_RETURN(const TextEncoderFacts facts, ReadTextIdentity(path));
    if (matrix.cols != facts.dim) {
      return InvalidArgument(options.embeddings + " has rows of " + std::to_string(matrix.cols) +
                             " numbers, but the model " + facts.model + " makes " +
                             std::to_string(facts.dim) + ".");
    }
    spec.bank.model = facts.model;
    spec.bank.identity = facts.identity;
  }
  for (size_t i = 0; i < spec.tags.size(); ++i) {
    const auto first = matrix.values.begin() + static_cast<std::ptrdiff_t>(i) * matrix.cols;
    CLIPTAG_ASSIGN_OR_RETURN(spec.tags[i].row, UnitRow({first, first + matrix.cols},
                                                       options.embeddings + ": the row of \"" +
                                                           spec.tags[i].label + "\""));
  }
  return WriteBankFile(options.output, spec);
}

int Info(const std::string& path, bool as_json) {
  const Result<PromptSpec> spec = ReadBankFile(path);
  if (!spec.ok()) return ExitCode(spec.status());
  const size_t dim = spec->tags[0].row->size();
  if (as_json) {
    Json json = {{"model", spec->bank.model},
                 {"model_identity", spec->bank.identity},
                 {"dim", dim},
                 {"templates", spec->templates},
                 {"labels", Json::array()}};
    for (const TagSpec& tag : spec->tags) json["labels"].push_back(tag.label);
    std::cout << json.dump(1, ' ', false, Json::error_handler_t::replace) << '\n';
  } else {
    const std::string& model = spec->bank.model;
    std::cout << path << "  " << spec->tags.size() << " embeddings of " << dim
              << " numbers\nfor    " << (model.empty() ? "" : model + ", ") << "identity "
              << spec->bank.identity << "\nlabels ";
    for (size_t i = 0; i < spec->tags.size(); ++i)
      std::cout << (i ? "; " : "") << spec->tags[i].label;
    std::cout << '\n';
  }
  return ExitCode(FlushOutput());
}

void AddExport(CLI::App& command, Command* chosen) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* app = command.add_subcommand("export", "Encode prompts and write the bank");
  const auto check = AddPromptOptions(*app, &options->prompts);
  app->add_option("--output", options->output, "The bank to write")
      ->required()
      ->option_text("F.safetensors");
  AddModelOptions(*app, &options->model);
  app->footer(
      "Example:\n  cliptag bank export --prompts-file street.json --output street.safetensors");
  app->callback([options, check, chosen] {
    check();
    *chosen = [options] { return ExitCode(Export(*options)); };
  });
}

void AddImport(CLI::App& command, Command* chosen) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* app = command.add_subcommand("import", "Make a bank of embeddings from elsewhere");
  app->add_option("--embeddings", options->embeddings, "A matrix, one row a label; of any length")
      ->required()
      ->option_text("F.npy");
  app->add_option("--labels", options->labels, "A prompts file: one label a line, or JSON")
      ->required()
      ->option_text("F");
  app->add_option("--for-model", options->for_model,
                  "The model that made them: a name or path, or the 64 digits that `cliptag bank "
                  "info` prints as its identity")
      ->required()
      ->option_text("NAME");
  app->add_option("--templates", options->templates,
                  "What they were put into, for background and negatives, separated by ';'")
      ->option_text("LIST");
  app->add_option("--output", options->output, "The bank to write")
      ->required()
      ->option_text("F.safetensors");
  app->footer(
      "Nothing in the numbers says which model made them: a wrong --for-model gives wrong tags.\n\n"
      "Example:\n"
      "  cliptag bank import --embeddings coco.npy --labels coco.txt --templates \"a {}\" \\\n"
      "    --for-model ./ViT-B-32.pt --output coco.safetensors");
  app->callback([options, chosen] { *chosen = [options] { return ExitCode(Import(*options)); }; });
}

}  // namespace

void AddBankCommand(CLI::App& app, Command* chosen) {
  CLI::App* command = app.add_subcommand("bank", "Keep embeddings of prompts in files");
  command->require_subcommand(1);
  command->footer(
      "A bank goes wherever a prompts file goes: --prompts-file street.safetensors, and the\n"
      "element's prompts-file. It is for the model that it was made for, and no other.");
  AddExport(*command, chosen);
  AddImport(*command, chosen);
  auto path = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  CLI::App* info = command->add_subcommand("info", "Tell what a bank holds");
  info->add_option("F", *path, "The bank")->required()->option_text(" ");
  info->add_flag("--json", *as_json, "Print JSON");
  info->footer("Example:\n  cliptag bank info street.safetensors");
  info->callback([path, as_json, chosen] { *chosen = [=] { return Info(*path, *as_json); }; });
}

}  // namespace cliptag
