// cliptag: the command. Reads the command line, runs the subcommand, tells what went wrong.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <new>

#include "plugin/cli/diagnostics.h"
#include "plugin/cli/options.h"

namespace {

constexpr int kUsageError = 2;

int Run(int argc, char** argv) {
  CLI::App app("Tags pictures and videos zero-shot with CLIP.", "cliptag");
  bool verbose = false;
  cliptag::Command chosen;
  app.set_version_flag("--version", "cliptag " CLIPTAG_VERSION);
  app.add_flag("--verbose", verbose, "Tell what is being done, and what libraries say");
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(32);
  app.footer(
      "`cliptag COMMAND --help` tells more. Model 'starter', the default, comes with cliptag and "
      "knows\n"
      "emoji, clip art and small centred photos, not streets.");
  cliptag::AddEmbedCommand(app, &chosen);
  cliptag::AddClassifyCommand(app, &chosen);
  cliptag::AddBenchCommand(app, &chosen);
  cliptag::AddBankCommand(app, &chosen);
  cliptag::AddEvalCommand(app, &chosen);
  cliptag::AddModelsCommand(app, &chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help, --version
    cliptag::InitDiagnostics(verbose);
    std::string command = "cliptag";
    for (const CLI::App* sub : app.get_subcommands()) command += " " + sub->get_name();
    cliptag::PrintError(std::string(e.what()) + " (see " + command + " --help)");
    return kUsageError;
  }
  cliptag::InitDiagnostics(verbose);
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Run(argc, argv);
  } catch (const std::bad_alloc&) {
    cliptag::PrintError("not enough memory");
  } catch (const std::exception& e) {
    cliptag::PrintError(e.what());
  }
  return 1;
}
