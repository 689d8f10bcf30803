// The command line by CLI11: the subcommands, and the options that they share. Only files that
// define options include this; what they fill in is in options.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cctype>
#include <functional>
#include <string>
#include <vector>

#include "models/prompts/prompts.h"
#include "plugin/cli/options.h"

namespace cliptag {

// What is to be run once the command line has been read; gives the exit code.
using Command = std::function<int()>;

void AddEmbedCommand(CLI::App& app, Command* chosen);
void AddClassifyCommand(CLI::App& app, Command* chosen);
void AddBenchCommand(CLI::App& app, Command* chosen);
void AddBankCommand(CLI::App& app, Command* chosen);
void AddEvalCommand(CLI::App& app, Command* chosen);
void AddModelsCommand(CLI::App& app, Command* chosen);
void AddPullCommand(CLI::App& models, Command* chosen);

// --backend, --precision, --threads, and --model where `with_model`.
void AddModelOptions(CLI::App& app, ModelOptions* options, bool with_model = true);

// --fps, --batch.
void AddSampling(CLI::App& app, InputOptions* options);
// FILE…, --recursive and --files-from as well. Call what comes back once the command line has been
// read: it throws CLI::RequiredError where there is none of them and `instead` has not been given.
std::function<void()> AddInputOptions(CLI::App& app, InputOptions* options,
                                      CLI::Option* instead = nullptr);

// --prompts, --prompts-file, --templates, --background. Call the result once the command line has
// been read: it throws CLI::RequiredError where there are no prompts.
std::function<void()> AddPromptOptions(CLI::App& app, PromptSource* options);

// A number from `least` to `most`. CLI::Range lets NaN through.
CLI::Validator FiniteRange(double least, double most);

// An option with a value of `table`, which its help lists.
template <typename E, size_t N>
CLI::Option* AddChoice(CLI::App& app, const std::string& option, const Choice<E> (&table)[N],
                       E* value) {
  std::vector<std::string> names;
  std::string help;
  for (const Choice<E>& row : table) {
    if (row.help == nullptr) continue;
    names.emplace_back(row.name);
    help += (help.empty() ? "" : "; ") + names.back() + ": ";
    help += static_cast<char>(std::tolower(row.help[0])) + std::string(row.help + 1);
  }
  return app
      .add_option_function<std::string>(
          option, [&table, value](const auto& name) { *value = *FindChoice(table, name); }, help)
      ->check(CLI::IsMember(names))
      ->option_text("NAME [" + std::string(NameOf(table, *value)) + "]");
}

// An option whose values are taken as they are: CLI11 reads meaning into "{}", "[a,b]" and "".
CLI::Option* AddStrings(CLI::App& app, const std::string& name, std::vector<std::string>* values,
                        const std::string& help);

}  // namespace cliptag
