// cliptag: the command. Reads the command line, runs the subcommand, tells what went wrong.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/help_format.h"

namespace {

constexpr int kUsageError = 2;

// A standard stream that the caller has closed stays one that cannot be used. Its number would else
// be that of the next file that is opened, and what is printed would go there.
void KeepStandardStreams() {
  while (true) {
    const int fd = open("/dev/null", O_RDONLY);  // takes the lowest number that is free
    if (fd < 0 || fd > 2) {
      if (fd > 2) close(fd);
      return;
    }
  }
}

// The command that the words were for, as far as they were understood: cliptag bank export.
const CLI::App& DeepestCommand(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  return *command;
}

std::string NameOf(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return (parent ? NameOf(*parent) + " " : "") + command.get_name();
}

// CLI11 asks for a subcommand without telling that it does not know the one that was given.
std::string WrongWords(const CLI::App& app, const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  if (command.get_require_subcommand_min() == 0 || rest.empty()) return error.what();
  std::string known;
  for (const CLI::App* one : command.get_subcommands([](const CLI::App*) { return true; })) {
    known += (known.empty() ? "" : ", ") + one->get_name();
  }
  return NameOf(command) + " does not know '" + rest.front() + "', but " + known;
}

int Run(int argc, char** argv) {
  CLI::App app("Tags pictures and videos zero-shot with CLIP.", "cliptag");
  bool verbose = false;
  cliptag::Command chosen;
  app.set_version_flag("--version", "cliptag " CLIPTAG_VERSION);
  app.add_flag("--verbose", verbose, "Tell what is being done, and what libraries say");
  if (argc == 1) {  // a question, not a mistake
    static char help[] = "--help";
    static char* words[] = {argv[0], help, nullptr};
    argc = 2;
    argv = words;
  }
  app.require_subcommand(1);
  app.fallthrough();
  app.formatter(std::make_shared<cliptag::HelpFormatter>());
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
    if (e.get_exit_code() == 0) {  // --help, --version
      app.exit(e);
      return cliptag::ExitCode(cliptag::FlushOutput());
    }
    cliptag::InitDiagnostics(verbose);
    const CLI::App& command = DeepestCommand(app);
    cliptag::PrintError(WrongWords(app, command, e) + " (see " + NameOf(command) + " --help)");
    return kUsageError;
  }
  cliptag::InitDiagnostics(verbose);
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  KeepStandardStreams();
  try {
    return Run(argc, argv);
  } catch (const std::bad_alloc&) {
    cliptag::PrintError("not enough memory");
  } catch (const std::exception& e) {
    cliptag::PrintError(e.what());
  }
  return 1;
}
