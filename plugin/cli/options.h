// What the subcommands share: the options that choose a model and a backend, the files that are
// read, and how a subcommand is hung into the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/load_model.h"
#include "models/prompts/text_cache.h"
#include "plugin/cli/diagnostics.h"

namespace cliptag {

// What is to be run once the command line has been read; gives the exit code.
using Command = std::function<int()>;

void AddEmbedCommand(CLI::App& app, Command* chosen);
void AddClassifyCommand(CLI::App& app, Command* chosen);
void AddBenchCommand(CLI::App& app, Command* chosen);
void AddBankCommand(CLI::App& app, Command* chosen);
void AddEvalCommand(CLI::App& app, Command* chosen);
void AddModelsCommand(CLI::App& app, Command* chosen);

struct ModelOptions {
  std::string model = "starter";
  std::string backend = "auto";
  std::string precision = "auto";
  int threads = 0;
};

// --backend, --precision, --threads, and --model where `with_model`.
void AddModelOptions(CLI::App& app, ModelOptions* options, bool with_model = true);

struct InputOptions {
  std::vector<std::string> files;  // as given; CollectInputFiles makes files of them
  bool recursive = false;
  std::string files_from;  // "-": standard input
  double fps = 1;
  int batch = 8;
};

// --fps, --batch.
void AddSampling(CLI::App& app, InputOptions* options);
// FILE…, --recursive and --files-from as well. Call what comes back once the command line has been
// read: it throws CLI::RequiredError where there is none of them and `instead` has not been given.
std::function<void()> AddInputOptions(CLI::App& app, InputOptions* options,
                                      CLI::Option* instead = nullptr);

// A number from `least` to `most`. CLI::Range lets NaN through.
CLI::Validator FiniteRange(double least, double most);

// An option whose values are taken as they are: CLI11 reads meaning into "{}", "[a,b]" and "".
CLI::Option* AddStrings(CLI::App& app, const std::string& name, std::vector<std::string>* values,
                        const std::string& help);

// A loaded model and the backend it runs on. The model goes first.
// Loads and checks (ClipModel::SelfCheck) what the options name.
Result<LoadedModel> LoadSession(const ModelOptions& options);

// Complains once about prompts that the model could not read to their ends.
void WarnTruncated(const std::vector<std::string>& texts, const ModelConfig& config);

// Encodes texts for the tool: what the cache of texts does not know, with a progress line.
class TextSession {
 public:
  // `total`: texts that there will be, over all calls.
  TextSession(ClipModel& model, size_t total) : model_(model), cache_(model), total_(total) {}
  // As ClipModel::EncodeTexts.
  Status Encode(std::span<const std::string> texts, float* rows,
                std::vector<std::string>* truncated);

 private:
  ClipModel& model_;
  TextCache cache_;
  Progress progress_;
  const size_t total_;
  size_t done_ = 0;
};

// Everything written to standard output so far has arrived there.
Status FlushOutput();

}  // namespace cliptag
