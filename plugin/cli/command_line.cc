#include "plugin/cli/command_line.h"

#include <memory>
#include <sstream>

namespace cliptag {

CLI::Validator FiniteRange(double least, double most) {
  return CLI::Validator(
      [least, most](const std::string& text) -> std::string {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most) return "";
        std::ostringstream why;
        why << "'" << text << "' is no number from " << least << " to " << most;
        return why.str();
      },
      "");
}

void AddModelOptions(CLI::App& app, ModelOptions* options, bool with_model) {
  if (with_model) {
    app.add_option("--model", options->model,
                   "A model's name, as `cliptag models list` shows it, or its directory")
        ->option_text("NAME [starter]");
  }
  AddChoice(app, "--backend", kBackends, &options->backend);
  AddChoice(app, "--precision", kPrecisions, &options->precision);
  app.add_option("--threads", options->threads, "Threads that compute; 0 = every core allowed")
      ->check(CLI::Range(0, 4096))
      ->option_text("N [0]");
}

CLI::Option* AddStrings(CLI::App& app, const std::string& name, std::vector<std::string>* values,
                        const std::string& help) {
  // As they were typed: what CLI11 hands to the callback has been through its rules for containers,
  // in which "{}" is an empty one.
  auto self = std::make_shared<CLI::Option*>();
  CLI::Option* option = app.add_option(
      name,
      [values, self](const CLI::results_t&) {
        *values = (*self)->results();
        return true;
      },
      help);
  *self = option;
  option->type_name("value");
  return option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
}

void AddSampling(CLI::App& app, InputOptions* options) {
  app.add_option("--fps", options->fps, "Frames taken per second of video; 0 = every frame")
      ->check(FiniteRange(0, 1000))
      ->option_text("RATE [1]");
  app.add_option("--batch", options->batch, "Frames that are encoded at once")
      ->check(CLI::Range(1, 1024))
      ->option_text("N [8]");
}

std::function<void()> AddInputOptions(CLI::App& app, InputOptions* options, CLI::Option* instead) {
  constexpr int kAnyNumber = CLI::detail::expected_max_vector_size;
  AddSampling(app, options);
  CLI::Option* files =
      AddStrings(app, "FILE", &options->files, "Pictures and videos, in any mixture")
          ->expected(0, kAnyNumber)
          ->allow_extra_args(true)
          ->option_text("...");
  CLI::Option* recursive =
      app.add_flag("-r,--recursive", options->recursive, "Take all that lies in folders")
          ->option_text(" ");
  CLI::Option* list = app.add_option("--files-from", options->files_from,
                                     "A list of files, a path a line; - = standard input")
                          ->option_text("F");
  if (instead != nullptr) {
    for (CLI::Option* one : {files, recursive, list}) instead->excludes(one);
  }
  return [files, list, instead] {
    if (files->count() + list->count() + (instead ? instead->count() : 0) > 0) return;
    throw CLI::RequiredError(instead ? "FILE, --files-from or " + instead->get_name()
                                     : "FILE or --files-from");
  };
}

std::function<void()> AddPromptOptions(CLI::App& app, PromptSource* options) {
  CLI::Option* prompts =
      app.add_option("--prompts", options->prompts, "Labels, separated by ';' or newlines")
          ->option_text("LABELS");
  CLI::Option* file =
      app.add_option("--prompts-file", options->prompts_file,
                     "One label a line, JSON with tags, templates, background, or a "
                     "bank of embeddings")
          ->option_text("F");
  prompts->excludes(file);
  app.add_option("--templates", options->templates,
                 "Sentences around each label, \"a photo of a {}.\", separated by ';'; the "
                 "model's own, else this one, unless given")
      ->option_text("LIST");
  app.add_option("--background", options->background,
                 "What scoring by contrast compares each tag with, separated by ';'")
      ->option_text("LIST");
  return [prompts, file] {
    if (prompts->count() + file->count() == 0) {
      throw CLI::RequiredError("--prompts or --prompts-file");
    }
  };
}

}  // namespace cliptag
