// cliptag eval: how good a model is on labelled pictures, and which thresholds suit its tags.
#include <iostream>
#include <memory>

#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/eval/calibrate/eval_calibrate.h"
#include "plugin/cli/eval/measures/result.h"
#include "plugin/cli/eval/plot/plot.h"
#include "plugin/cli/eval/report.h"
#include "plugin/cli/eval/run.h"

namespace cliptag {
namespace {

int RunCalibrate(const CalibrateOptions& options) {
  bool bad_files = false;
  const Status status = CalibrateThresholds(options, &bad_files);
  return ExitCode(status, bad_files);
}

Status Evaluate(const EvalOptions& options, bool* bad_files) {
  CLIPTAG_ASSIGN_OR_RETURN(const EvalResult result, RunEvaluation(options));
  *bad_files = !result.unreadable.empty();
  if (options.json) {
    std::cout << ToJson(options, result) << '\n';
  } else {
    std::cout << ToTable(options, result);
  }
  CLIPTAG_RETURN_IF_ERROR(FlushOutput());
  return options.plot.empty() ? Status() : WritePlot(options.plot, result);
}

int RunEval(const EvalOptions& options) {
  bool bad_files = false;
  const Status status = Evaluate(options, &bad_files);
  return ExitCode(status, bad_files);
}

// What the command line says, for either way.
struct Options {
  EvalOptions eval;
  CalibrateOptions calibrate;
  bool calibrates = false;
  std::string prior = "none";
};

void AddCalibration(CLI::App& command, Options* options) {
  CLI::Option* calibrate =
      command
          .add_flag("--calibrate", options->calibrates,
                    "Find thresholds for the tags of --prompts-file and write --output")
          ->group("Thresholds");
  const auto add = [&](const std::string& name, auto* value, const std::string& help) {
    return command.add_option(name, *value, help)->needs(calibrate)->group("Thresholds");
  };
  add("--labels", &options->calibrate.labels,
      "A table FILE,START,END,LABEL: what videos show, and when, in seconds")
      ->option_text("F.csv");
  add("--min-precision", &options->calibrate.goal.min_precision,
      "Share of what is reported that has to be right")
      ->check(FiniteRange(0, 1))
      ->option_text("P [0.95]");
  add("--off-ratio", &options->calibrate.goal.off_ratio,
      "Off-thresholds are at most this times the threshold")
      ->check(FiniteRange(0, 1))
      ->option_text("R [0.8]");
  add("--output", &options->calibrate.output, "The new prompts file, in JSON")
      ->option_text("F.json");
}

void AddEvaluation(CLI::App& command, EvalOptions* options) {
  command
      .add_option("--class-names", options->class_names,
                  "What the folders are called: a line NAME; NAME for each, lines FOLDER: NAME, or "
                  "JSON; their own names, underscores as spaces, unless given")
      ->option_text("F");
  command.add_option("--templates-file", options->templates_file, "Templates, one a line")
      ->excludes("--templates")
      ->option_text("F");
  command
      .add_option("--captions", options->captions,
                  "Pictures with captions (CSV, TSV or JSONL): recall of each by the other")
      ->option_text("F");
  CLI::Option* corruptions = command.add_flag(
      "--corruptions", options->corruptions,
      "Try every picture with noise, blur, fog, JPEG, pixelation, brightness, low light and "
      "rotation, too, each in five strengths");
  corruptions->needs("--dataset")->option_text(" ");
  command
      .add_option("--dump-corruptions", options->dump_corruptions,
                  "Keep these pictures, in a folder per kind and strength")
      ->needs(corruptions)
      ->option_text("DIR");
  command.add_option("--seed", options->seed, "Decides what corruptions and the probe draw")
      ->option_text("N [1]");
  command.add_option("--plot", options->plot, "A figure of it all, F.png or F.svg")
      ->needs("--dataset")
      ->option_text("F");
}

void AddProbe(CLI::App& command, Options* options) {
  ProbeOptions& probe = options->eval.probe;
  CLI::Option* train =
      command
          .add_option("--train", options->eval.train,
                      "Pictures to learn a linear probe from, in the folders of --dataset")
          ->needs("--dataset")
          ->group("Linear probe")
          ->option_text("DIR");
  const auto add = [&](const std::string& name, auto* value, const std::string& help) {
    return command.add_option(name, *value, help)->needs(train)->group("Linear probe");
  };
  add("--shots", &probe.shots, "Pictures of each class that are learnt from; all, at last")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->option_text("K,K [1,2,4,8,16]");
  add("--seeds", &probe.seeds, "Draws of each number of shots")
      ->check(CLI::Range(1, 1000))
      ->option_text("N [5]");
  add("--l2", &probe.l2, "Weight of the penalty")
      ->check(FiniteRange(1e-9, 1e3))
      ->option_text("X [0.003]");
  add("--bank", &options->eval.bank, "Keep the probe on all pictures as a prompt bank")
      ->option_text("F.safetensors");
  add("--prior", &options->prior,
      "What weights are drawn to: none, zero; words, what the class names say")
      ->check(CLI::IsMember({"none", "words"}))
      ->option_text("NAME [none]");
}

// CLI11 knows options that need one another; these are what is left.
void CheckTogether(const CLI::App& command, const Options& options) {
  const auto given = [&](const char* name) { return command.count(name) > 0; };
  if (options.calibrates) {
    if (!given("--output")) throw CLI::RequiredError("--output");
    if (!given("--dataset") && !given("--labels")) {
      throw CLI::RequiredError("--dataset or --labels");
    }
    for (const char* name : {"--class-names", "--templates-file", "--captions", "--corruptions",
                             "--plot", "--train", "--seed"}) {
      if (given(name)) throw CLI::ExcludesError("--calibrate", name);
    }
    return;
  }
  for (const char* name : {"--prompts", "--prompts-file", "--background"}) {
    if (given(name)) throw CLI::RequiresError(name, "--calibrate");
  }
  if (!given("--dataset") && !given("--captions")) {
    throw CLI::RequiredError("--dataset or --captions");
  }
}

}  // namespace

void AddEvalCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "eval", "Measure a model on labelled pictures, and find thresholds for tags");
  CalibrateOptions& calibrate = options->calibrate;
  EvalOptions& eval = options->eval;
  command
      ->add_option("--dataset", eval.dataset,
                   "A folder with one folder per class, of pictures and videos")
      ->option_text("DIR");
  const auto check = AddPromptOptions(*command, &calibrate.prompts);
  AddEvaluation(*command, &eval);
  AddCalibration(*command, options.get());
  AddProbe(*command, options.get());
  AddSampling(*command, &eval.input);
  command->add_flag("--json", eval.json, "Print JSON");
  AddModelOptions(*command, &eval.model);
  command->footer(
      "Without --calibrate: accuracy of the best of all classes for every picture (a video counts\n"
      "frame by frame), by the means of their names in the templates, as `classify` has them. A\n"
      "file that cannot be read is named, counts for nothing, and makes the exit code 1.\n\n"
      "With --calibrate scores are those of `contrast`, the element's default. A frame counts as\n"
      "showing what its folder is called, or what the table says for its time, and nothing else;\n"
      "labels that no tag has (\"background\") count as showing none. Each tag gets the lowest\n"
      "threshold that is precise enough on this footage. --output may be the prompts file "
      "itself.\n\n"
      "Examples:\n"
      "  cliptag eval --dataset pictures/ --corruptions --plot figure.png\n"
      "  cliptag eval --dataset test/ --train train/ --shots 1,4,16 --json\n"
      "  cliptag eval --captions captions.csv\n"
      "  cliptag eval --calibrate --prompts-file tags.json --dataset footage/ --output tags.json");
  command->callback([=, &calibrate, &eval] {
    if (options->calibrates) check();
    CheckTogether(*command, *options);
    eval.probe.from_words = options->prior == "words";
    eval.templates = calibrate.prompts.templates;
    calibrate.model = eval.model;
    calibrate.input = eval.input;
    calibrate.dataset = eval.dataset;
    calibrate.json = eval.json;
    *chosen = [options] {
      return options->calibrates ? RunCalibrate(options->calibrate) : RunEval(options->eval);
    };
  });
}

}  // namespace cliptag
