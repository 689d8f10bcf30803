#include "plugin/cli/eval/run.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "models/prompts/prompts.h"
#include "plugin/cli/eval/bank.h"
#include "plugin/cli/eval/captions.h"
#include "plugin/cli/eval/plot/plot.h"
#include "plugin/cli/eval/probe.h"
#include "plugin/cli/eval/zero_shot.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

// What the files say, before any model is loaded.
struct Inputs {
  std::optional<EvalDataset> dataset, train;
  std::optional<CaptionTable> captions;
  std::vector<std::string> templates;
};

// Learnt is for the classes that are asked about, no more and no fewer.
Status CheckSameFolders(const EvalDataset& dataset, const EvalDataset& train,
                        const EvalOptions& options) {
  std::map<std::string, int> where;
  for (const EvalClass& one : dataset.classes) where[one.folder] += 1;
  for (const EvalClass& one : train.classes) where[one.folder] += 2;
  for (const auto& [folder, mask] : where) {
    if (mask == 3) continue;
    return InvalidArgument("'" + (mask == 1 ? options.dataset : options.train) +
                           "' has a folder '" + folder + "' and '" +
                           (mask == 1 ? options.train : options.dataset) +
                           "' has none: the probe needs the same classes in both");
  }
  return {};
}

Result<Inputs> ReadInputs(const EvalOptions& options) {
  Inputs inputs;
  if (!options.plot.empty()) CLIPTAG_RETURN_IF_ERROR(CheckPlot(options.plot));
  if (!options.bank.empty()) CLIPTAG_RETURN_IF_ERROR(CheckBankPath(options.bank));
  if (!options.templates_file.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(inputs.templates, ReadTemplates(options.templates_file));
  } else if (!options.templates.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(inputs.templates, SplitList(options.templates, "templates"));
  }
  if (!options.dataset.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(inputs.dataset, ReadEvalDataset(options.dataset, options.class_names));
  }
  if (!options.train.empty()) {
    // Its folders are called as those of the dataset are.
    CLIPTAG_ASSIGN_OR_RETURN(inputs.train, ReadEvalDataset(options.train, ""));
    CLIPTAG_RETURN_IF_ERROR(CheckSameFolders(*inputs.dataset, *inputs.train, options));
  }
  if (!options.captions.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(inputs.captions, ReadCaptions(options.captions));
  }
  return inputs;
}

Result<ProbeResult> TryProbe(ClipModel& model, const Inputs& inputs, const EvalOptions& options,
                             EvalResult* result) {
  LabelledEmbeddings train;
  train.dim = result->zero_shot->embeddings.dim;
  const auto keep = [&](const EncodedFrame& frame, int truth) {
    train.rows.insert(train.rows.end(), frame.embedding.begin(), frame.embedding.end());
    train.labels.push_back(truth);
    return Status();
  };
  CLIPTAG_RETURN_IF_ERROR(
      EncodeDataset(model, *inputs.train, options.input, keep, &result->unreadable));
  for (size_t i = 0; i < inputs.train->classes.size(); ++i) {
    if (std::count(train.labels.begin(), train.labels.end(), static_cast<int>(i)) > 0) continue;
    return DataLoss("no file in '" + inputs.train->classes[i].folder +
                    "' of the pictures to learn from could be read");
  }
  return EvaluateProbe(train, result->zero_shot->embeddings, result->zero_shot->class_rows,
                       model.config().logit_scale, options.probe, options.seed);
}

}  // namespace

Result<EvalResult> RunEvaluation(const EvalOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(Inputs inputs, ReadInputs(options));
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  EvalResult result;
  result.model = model.config().name;
  result.model_path = model.config().path;
  result.text_identity = model.text_identity();
  result.backend = session.backend->info();
  if (inputs.dataset) {
    CLIPTAG_ASSIGN_OR_RETURN(result.zero_shot,
                             EvaluateZeroShot(model, *inputs.dataset, options,
                                              std::move(inputs.templates), &result.unreadable));
  }
  if (inputs.train) {
    CLIPTAG_ASSIGN_OR_RETURN(result.probe, TryProbe(model, inputs, options, &result));
    if (!options.bank.empty()) CLIPTAG_RETURN_IF_ERROR(WriteProbeBank(options.bank, result));
  }
  if (inputs.captions) {
    CLIPTAG_ASSIGN_OR_RETURN(result.captions, EvaluateCaptions(model, *inputs.captions,
                                                               options.input, &result.unreadable));
  }
  return result;
}

}  // namespace cliptag
