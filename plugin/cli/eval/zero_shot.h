// Accuracy over the folders of a dataset, of its pictures as they are and made worse.
//
// Thread safety: one thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/cli/eval/measures/dataset.h"
#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

// The dataset as far as it is known before a model is loaded.
struct EvalDataset {
  std::vector<EvalClass> classes;
  Dataset files;  // each labelled with its class's folder
};

// Errors: no such folder, a class without files, and what NameClasses says.
Result<EvalDataset> ReadEvalDataset(const std::string& folder, const std::string& class_names);

// Embeds files of the dataset; `each` gets every frame with its class. Files that cannot be read
// are told on stderr and added to `unreadable`.
using LabelledFrameFn = std::function<Status(const EncodedFrame& frame, int truth)>;
Status EncodeDataset(ClipModel& model, const EvalDataset& dataset, const InputOptions& input,
                     const LabelledFrameFn& each, std::vector<Unreadable>* unreadable);

// Names, templates and pictures through the very path that `classify` takes.
Result<ZeroShotResult> EvaluateZeroShot(ClipModel& model, const EvalDataset& dataset,
                                        const EvalOptions& options,
                                        std::vector<std::string> templates,
                                        std::vector<Unreadable>* unreadable);

}  // namespace cliptag
