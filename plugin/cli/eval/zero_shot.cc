#include "plugin/cli/eval/zero_shot.h"

#include <map>
#include <memory>
#include <utility>

#include "models/prompts/prompts.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/prompts.h"
#include "plugin/cli/eval/corruptions/corrupted.h"
#include "plugin/cli/media/media_reader.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

void Complain(const std::string& file, const std::string& why, std::vector<Unreadable>* list) {
  PrintError(why);
  list->push_back({file, why});
}

// Videos would need their frames converted, and nothing but stills is asked to be made worse.
EvalDataset PicturesOf(const EvalDataset& dataset, std::vector<Unreadable>* unreadable) {
  EvalDataset pictures;
  pictures.classes = dataset.classes;
  for (const LabelledFile& file : dataset.files.files) {
    if (CheckMediaFile(file.path).ok() && !IsPicture(file.path)) {
      Complain(file.path,
               "'" + file.path + "' is no picture that OpenCV knows: --corruptions takes no videos",
               unreadable);
    } else {
      pictures.files.files.push_back(file);
    }
  }
  return pictures;
}

}  // namespace

Result<EvalDataset> ReadEvalDataset(const std::string& folder, const std::string& class_names) {
  EvalDataset dataset;
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<std::string> folders, LabelFolders(folder));
  if (folders.size() < 2) {
    return InvalidArgument(
        "the dataset '" + folder + "' has " +
        (folders.empty() ? "no class" : "one class alone, '" + folders[0] + "'") +
        "; there must be two to choose from, a folder for each");
  }
  CLIPTAG_ASSIGN_OR_RETURN(dataset.classes, NameClasses(folders, class_names));
  CLIPTAG_RETURN_IF_ERROR(ReadLabelFolders(folder, &dataset.files));
  std::map<std::string, int> count_of;
  for (const LabelledFile& file : dataset.files.files) ++count_of[file.spans.front().label];
  for (const std::string& name : folders) {
    if (count_of[name] == 0) {
      return InvalidArgument("the folder '" + name + "' of the dataset '" + folder +
                             "' holds no files: put pictures into it, or remove it");
    }
  }
  return dataset;
}

Status EncodeDataset(ClipModel& model, const EvalDataset& dataset, const InputOptions& input,
                     const LabelledFrameFn& each, std::vector<Unreadable>* unreadable) {
  std::map<std::string, int> class_of;  // by folder
  for (size_t i = 0; i < dataset.classes.size(); ++i) {
    class_of[dataset.classes[i].folder] = static_cast<int>(i);
  }
  InputOptions inputs = input;
  inputs.files.clear();
  std::map<std::string, int> truth_of;  // by path
  for (const LabelledFile& file : dataset.files.files) {
    inputs.files.push_back(file.path);
    truth_of[file.path] = class_of.at(file.spans.front().label);
  }
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) { return each(frame, truth_of.at(frame.file)); };
  handlers.bad_file = [&](const std::string& file, const Status& why) {
    Complain(file, why.message(), unreadable);
    return Status();
  };
  return EncodeFiles(model, inputs, handlers);
}

Result<ZeroShotResult> EvaluateZeroShot(ClipModel& model, const EvalDataset& dataset,
                                        const EvalOptions& options,
                                        std::vector<std::string> templates,
                                        std::vector<Unreadable>* unreadable) {
  ZeroShotResult result;
  result.classes = dataset.classes;
  CLIPTAG_ASSIGN_OR_RETURN(const std::shared_ptr<const PromptBank> bank,
                           EncodePrompts(model, SpecOf(dataset.classes, std::move(templates))));
  WarnTruncated(bank->truncated, model.config());
  const size_t dim = static_cast<size_t>(bank->dim);
  result.templates = bank->spec.templates;
  result.class_rows.assign(bank->row(0), bank->row(bank->tags));
  result.clean = Accuracy(bank->tags);
  result.embeddings.dim = dim;

  const auto rank = [&](std::span<const float> embedding, int truth, float* cosine) {
    const std::vector<float> cosines = CosinesOf(*bank, embedding);
    const Ranked ranked = Rank(std::span(cosines).first(static_cast<size_t>(bank->tags)), truth);
    *cosine = cosines[static_cast<size_t>(ranked.answer)];
    return ranked;
  };
  EvalDataset pictures = options.corruptions ? PicturesOf(dataset, unreadable) : dataset;
  CorruptedPictures corrupted(model, options, pictures.files.files.size());
  if (options.corruptions) {
    result.corrupted.assign(static_cast<size_t>(corrupted.versions()), Accuracy(bank->tags));
  }
  const auto each = [&](const EncodedFrame& frame, int truth) -> Status {
    float cosine = 0;
    const Ranked ranked = rank(frame.embedding, truth, &cosine);
    result.clean.Add(truth, ranked);
    result.answers.push_back({frame.file, frame.time_s, truth, ranked.answer, ranked.rank, cosine});
    result.embeddings.rows.insert(result.embeddings.rows.end(), frame.embedding.begin(),
                                  frame.embedding.end());
    result.embeddings.labels.push_back(truth);
    if (!options.corruptions) return {};
    CLIPTAG_RETURN_IF_ERROR(corrupted.Encode(frame));
    for (int version = 0; version < corrupted.versions(); ++version) {
      result.corrupted[static_cast<size_t>(version)].Add(
          truth, rank(corrupted.embedding(version), truth, &cosine));
    }
    return {};
  };
  CLIPTAG_RETURN_IF_ERROR(EncodeDataset(model, pictures, options.input, each, unreadable));
  if (result.clean.count() == 0) {
    return DataLoss("no file of the dataset '" + options.dataset + "' could be read");
  }
  return result;
}

}  // namespace cliptag
