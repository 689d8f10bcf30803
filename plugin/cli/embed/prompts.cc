#include "plugin/cli/embed/prompts.h"

#include <utility>

#include "models/prompts/bank_file.h"
#include "models/prompts/exemplars.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/session.h"
#include "plugin/gst/pictures/picture_file.h"

namespace cliptag {

Result<PromptSpec> ReadPrompts(const PromptSource& source) {
  std::vector<std::string> unused;
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec, ReadPromptSource(source, &unused));
  for (const std::string& list : unused)
    PrintWarning("--" + list + " is not used: '" + source.prompts_file + "' has its own");
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
  CLIPTAG_RETURN_IF_ERROR(FitToModel(model.config(), model.text_identity(), &spec));
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

}  // namespace cliptag
