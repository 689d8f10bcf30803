// cliptag eval --calibrate: thresholds for tags from labelled footage.
#include "plugin/cli/eval/calibrate/eval_calibrate.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <vector>

#include "models/prompts/prompts.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/cli/embed/prompts.h"
#include "plugin/cli/eval/calibrate/calibrated_prompts.h"
#include "plugin/cli/eval/measures/dataset.h"
#include "plugin/cli/session.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {
namespace {

// What was seen: for each tag its score on every frame, and whether it is to be seen there.
struct Evaluation {
  std::shared_ptr<const PromptBank> bank;
  std::vector<std::vector<Sample>> samples;  // per tag
  size_t frames = 0;
  bool bad_files = false;
};

Result<Dataset> ReadDataset(const CalibrateOptions& options) {
  Dataset dataset;
  if (!options.dataset.empty()) {
    CLIPTAG_RETURN_IF_ERROR(ReadLabelFolders(options.dataset, &dataset));
  }
  if (!options.labels.empty()) CLIPTAG_RETURN_IF_ERROR(ReadLabelTable(options.labels, &dataset));
  if (dataset.files.empty()) {
    return InvalidArgument("the table of labels '" + options.labels + "' names no file");
  }
  return dataset;
}

// Labels of the footage that no tag has, but for the usual one: most likely meant so, but a slip of
// the pen looks the same.
std::string LabelsWithoutTag(const Dataset& dataset, const PromptSpec& spec) {
  std::set<std::string> labels;
  for (const LabelledFile& file : dataset.files) {
    for (const LabelledSpan& span : file.spans) labels.insert(span.label);
  }
  for (const TagSpec& tag : spec.tags) labels.erase(tag.label);
  labels.erase("background");
  std::string list;
  for (const std::string& label : labels) list += (list.empty() ? "'" : ", '") + label + "'";
  return list;
}

Status CheckSomeTagIsShown(const Dataset& dataset, const PromptSpec& spec) {
  for (const LabelledFile& file : dataset.files) {
    for (const LabelledSpan& span : file.spans) {
      if (std::any_of(spec.tags.begin(), spec.tags.end(),
                      [&](const TagSpec& tag) { return tag.label == span.label; })) {
        return {};
      }
    }
  }
  return InvalidArgument("no folder or row of the dataset has the label of a tag, such as '" +
                         spec.tags.front().label + "'");
}

Result<Evaluation> Evaluate(const CalibrateOptions& options, const Dataset& dataset,
                            PromptSpec spec) {
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  const ModelConfig& config = model.config();
  Evaluation evaluation;
  CLIPTAG_ASSIGN_OR_RETURN(evaluation.bank, EncodePrompts(model, std::move(spec)));
  const PromptBank& bank = *evaluation.bank;
  WarnTruncated(bank.truncated, config);
  evaluation.samples.resize(static_cast<size_t>(bank.tags));

  InputOptions input = options.input;
  std::unordered_map<std::string, const LabelledFile*> labelled;
  for (const LabelledFile& file : dataset.files) {
    input.files.push_back(file.path);
    labelled[file.path] = &file;
  }
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) {
    std::vector<double> scores(static_cast<size_t>(bank.tags));
    ScoreTags(bank, CosinesOf(bank, frame.embedding), Scoring::kContrast, config.logit_scale,
              config.logit_bias, scores);
    for (int i = 0; i < bank.tags; ++i) {
      const bool shows = labelled[frame.file]->Shows(bank.spec.tags[i].label, frame.time_s);
      evaluation.samples[i].push_back({scores[i], shows});
    }
    ++evaluation.frames;
    return Status();
  };
  handlers.bad_file = [&](const std::string&, const Status& why) {
    PrintError(why.message());
    evaluation.bad_files = true;
    return Status();
  };
  CLIPTAG_RETURN_IF_ERROR(EncodeFiles(model, input, handlers));
  return evaluation;
}

std::vector<Calibration> CalibrateTags(const CalibrateOptions& options,
                                       const Evaluation& evaluation) {
  const PolicyOptions defaults;
  std::vector<Calibration> calibrations;
  for (int i = 0; i < evaluation.bank->tags; ++i) {
    const TagSpec& tag = evaluation.bank->spec.tags[i];
    const double on = tag.threshold >= 0 ? tag.threshold : defaults.threshold;
    const double off = tag.off_threshold >= 0 ? std::min(tag.off_threshold, on) : 0.8 * on;
    calibrations.push_back(Calibrate(evaluation.samples[i], options.goal, on, off));
  }
  return calibrations;
}

void PrintTable(const PromptSpec& spec, const std::vector<Calibration>& calibrations) {
  size_t width = 5;
  for (const TagSpec& tag : spec.tags) width = std::max(width, tag.label.size());
  const int w = static_cast<int>(std::min<size_t>(width, 40));
  std::printf("%-*s  positives  threshold     off  precision  recall\n", w, "label");
  for (size_t i = 0; i < calibrations.size(); ++i) {
    const Calibration& c = calibrations[i];
    std::printf("%-*s  %9d  %9.4g  %6.4g  %9.3f  %6.3f\n", w, spec.tags[i].label.c_str(),
                c.positives, c.threshold, c.off_threshold, c.precision, c.recall);
  }
  for (size_t i = 0; i < calibrations.size(); ++i) {
    if (calibrations[i].reached) continue;
    std::printf("%s: %s; its thresholds stay.\n", spec.tags[i].label.c_str(),
                calibrations[i].why_not.c_str());
  }
}

void PrintJson(const PromptSpec& spec, const std::vector<Calibration>& calibrations,
               const Evaluation& evaluation) {
  nlohmann::ordered_json json;
  json["frames"] = evaluation.frames;
  json["tags"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < calibrations.size(); ++i) {
    const Calibration& c = calibrations[i];
    json["tags"].push_back({{"label", spec.tags[i].label},
                            {"positives", c.positives},
                            {"negatives", c.negatives},
                            {"threshold", c.threshold},
                            {"off-threshold", c.off_threshold},
                            {"precision", c.precision},
                            {"recall", c.recall},
                            {"calibrated", c.reached}});
    if (!c.reached) json["tags"].back()["why-not"] = c.why_not;
  }
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

Status CalibrateThresholds(const CalibrateOptions& options, bool* bad_files) {
  // The cheap mistakes first.
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPrompts(options.prompts));
  CLIPTAG_RETURN_IF_ERROR(CheckCalibratedOutput(spec, options.output));
  CLIPTAG_ASSIGN_OR_RETURN(const Dataset dataset, ReadDataset(options));
  CLIPTAG_RETURN_IF_ERROR(CheckSomeTagIsShown(dataset, spec));
  if (const std::string labels = LabelsWithoutTag(dataset, spec); !labels.empty()) {
    PrintWarning("what is labelled " + labels +
                 " counts as showing nothing, as no tag is called so");
  }
  CLIPTAG_ASSIGN_OR_RETURN(const Evaluation evaluation,
                           Evaluate(options, dataset, std::move(spec)));
  *bad_files = evaluation.bad_files;
  if (evaluation.frames == 0) return DataLoss("no file of the dataset could be read");
  const std::vector<Calibration> calibrations = CalibrateTags(options, evaluation);
  CLIPTAG_RETURN_IF_ERROR(
      WriteCalibratedPrompts(options.prompts, evaluation.bank->spec, calibrations, options.output));
  if (options.json) {
    PrintJson(evaluation.bank->spec, calibrations, evaluation);
  } else {
    PrintTable(evaluation.bank->spec, calibrations);
  }
  return FlushOutput();
}

}  // namespace cliptag
