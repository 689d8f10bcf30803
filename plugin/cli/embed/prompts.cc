#include "plugin/cli/embed/prompts.h"

#include <numeric>
#include <utility>

#include "models/prompts/bank_file.h"
#include "models/prompts/exemplars.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/session.h"
#include "plugin/gst/pictures/picture_file.h"

namespace cliptag {

Result<PromptSpec> ReadPrompts(const PromptOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, options.prompts_file.empty()
                                                ? ParsePrompts(options.prompts)
                                                : ReadPromptsFile(options.prompts_file));
  if (!spec.templates.empty() && !options.templates.empty()) {
    PrintWarning("--templates is not used: '" + options.prompts_file +
                 "' has templates of its own");
  } else if (!options.templates.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(spec.templates, SplitList(options.templates, "templates"));
  }
  if (!spec.background.empty() && !options.background.empty()) {
    PrintWarning("--background is not used: '" + options.prompts_file + "' has its own");
  } else if (!options.background.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(spec.background, SplitList(options.background, "background"));
  }
  CLIPTAG_RETURN_IF_ERROR(DecodeExemplars(
      [](const std::string& path) {
        const MuteStderr mute;  // libpng and libtiff print beside returning an error
        return ReadExemplar(path);
      },
      &spec));
  return spec;
}

Result<std::shared_ptr<const PromptBank>> EncodePrompts(ClipModel& model, PromptSpec spec) {
  constexpr int kBatch = 8;
  if (spec.templates.empty()) spec.templates = model.config().templates;
  CLIPTAG_RETURN_IF_ERROR(CheckBankModel(spec, model.config().name, model.text_identity()));
  TextSession session(model, CountTexts(spec));
  return BuildPromptBank(
      std::move(spec), model.config().embed_dim,
      [&](std::span<const std::string> texts, float* rows, std::vector<std::string>* truncated) {
        return session.Encode(texts, rows, truncated);
      },
      [&](std::span<const FrameView> pictures, float* rows) -> Status {
        CLIPTAG_RETURN_IF_ERROR(model.image().Setup(kBatch));
        return model.image().Encode(pictures, model.config().preprocess, rows);
      });
}

std::vector<float> CosinesOf(const PromptBank& bank, std::span<const float> embedding) {
  std::vector<float> cosines(static_cast<size_t>(bank.row_count()));
  for (int i = 0; i < bank.row_count(); ++i) {
    cosines[i] = std::inner_product(embedding.begin(), embedding.end(), bank.row(i), 0.0f);
  }
  return cosines;
}

}  // namespace cliptag
