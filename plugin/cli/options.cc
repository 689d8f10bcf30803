#include "plugin/cli/options.h"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>

#include "models/config/find_model.h"
#include "plugin/cli/diagnostics.h"

namespace cliptag {

namespace {

// The beginning of a text, for a message.
std::string Shortened(const std::string& text) {
  constexpr size_t kMost = 60;  // bytes
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not within a character
  return text.substr(0, end) + "...";
}

}  // namespace

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
  app.add_option("--backend", options->backend, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->option_text("NAME [auto]");
  app.add_option("--precision", options->precision, "auto, fp32, bf16, fp16 or int8")
      ->check(CLI::IsMember({"auto", "fp32", "bf16", "fp16", "int8"}))
      ->option_text("NAME [auto]");
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

Result<LoadedModel> LoadSession(const ModelOptions& options) {
  BackendOptions backend_options;
  backend_options.threads = options.threads;
  CLIPTAG_ASSIGN_OR_RETURN(backend_options.kind, ParseBackendKind(options.backend));
  CLIPTAG_ASSIGN_OR_RETURN(backend_options.precision, ParsePrecision(options.precision));
  CLIPTAG_ASSIGN_OR_RETURN(const std::string directory, FindModel(options.model));
  return LoadModel(directory, backend_options, [](ClipModel& model) { return model.SelfCheck(); });
}

Status TextSession::Encode(std::span<const std::string> texts, float* rows,
                           std::vector<std::string>* truncated) {
  CLIPTAG_RETURN_IF_ERROR(
      cache_.Encode(model_, texts, rows, truncated, /*chunk_ms=*/0, [&](size_t done) {
        progress_.Show("text " + std::to_string(done_ + done) + " of " + std::to_string(total_));
        return Status();
      }));
  done_ += texts.size();
  return {};
}

void WarnTruncated(const std::vector<std::string>& texts, const ModelConfig& config) {
  if (texts.empty()) return;
  PrintWarning(std::to_string(texts.size()) + (texts.size() == 1 ? " text is" : " texts are") +
               " longer than the " + std::to_string(config.text.context_length) +
               " tokens of model '" + config.name + "' and cut, the first: \"" +
               Shortened(texts.front()) + "\"");
}

Status FlushOutput() {
  errno = 0;
  std::cout.flush();
  if (std::cout.good()) return {};
  return ResourceExhausted(std::string("cannot write to standard output: ") +
                           (errno ? std::strerror(errno) : "it does not take all of it"));
}

}  // namespace cliptag
