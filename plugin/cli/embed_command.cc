// cliptag embed: unit rows of pictures, videos or texts into an NPY file.
#include <algorithm>
#include <memory>
#include <vector>

#include "plugin/cli/diagnostics.h"
#include "plugin/cli/encode_files.h"
#include "plugin/cli/media_reader.h"
#include "plugin/cli/npy.h"
#include "plugin/cli/options.h"

namespace cliptag {
namespace {

struct EmbedOptions {
  ModelOptions model;
  InputOptions input;
  std::string output;
  std::vector<std::string> texts;
};

Status EmbedTexts(ClipModel& model, const std::vector<std::string>& texts, NpyWriter& writer) {
  constexpr size_t kChunk = 1024;  // texts in memory at once
  const size_t dim = static_cast<size_t>(model.config().embed_dim);
  std::vector<float> rows(std::min(kChunk, texts.size()) * dim);  // (texts, dim)
  std::vector<std::string> truncated;
  TextSession session(model, texts.size());
  for (size_t first = 0; first < texts.size(); first += kChunk) {
    const auto chunk = std::span(texts).subspan(first, std::min(kChunk, texts.size() - first));
    CLIPTAG_RETURN_IF_ERROR(session.Encode(chunk, rows.data(), &truncated));
    for (size_t i = 0; i < chunk.size(); ++i) {
      CLIPTAG_RETURN_IF_ERROR(writer.Append(std::span(rows).subspan(i * dim, dim)));
    }
  }
  WarnTruncated(truncated, model.config());
  return {};
}

Status EmbedFiles(ClipModel& model, const InputOptions& input, NpyWriter& writer) {
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) { return writer.Append(frame.embedding); };
  // A missing row would shift all the others: no file is better than a wrong one.
  handlers.bad_file = [](const std::string&, const Status& why) { return why; };
  return EncodeFiles(model, input, handlers);
}

Status Embed(const EmbedOptions& options) {
  // What can be told at once is told before a model is loaded.
  for (const std::string& file : options.input.files) {
    CLIPTAG_RETURN_IF_ERROR(CheckMediaFile(file));
  }
  CLIPTAG_ASSIGN_OR_RETURN(const auto writer, NpyWriter::Create(options.output));
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  CLIPTAG_RETURN_IF_ERROR(options.texts.empty() ? EmbedFiles(model, options.input, *writer)
                                                : EmbedTexts(model, options.texts, *writer));
  return writer->Finish();
}

}  // namespace

void AddEmbedCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App* command = app.add_subcommand(
      "embed", "Write the embeddings of pictures, videos or texts to an NPY file");
  CLI::Option* files = AddInputOptions(*command, &options->input);
  CLI::Option* texts = AddStrings(*command, "--text", &options->texts,
                                  "A text to embed instead of files; may be given again");
  texts->option_text("TEXT ...")->excludes(files);
  command
      ->add_option("--output", options->output,
                   "The file to write: float32, (rows, dim), unit rows")
      ->required()
      ->option_text("F.npy");
  AddModelOptions(*command, &options->model);
  command->footer(
      "A picture gives one row, a video one per sampled frame, in the order of the files. A file "
      "that\n"
      "cannot be read ends the command without an output.\n\n"
      "Examples:\n"
      "  cliptag embed --output photos.npy *.jpg\n"
      "  cliptag embed --output street.npy --fps 2 street.mp4\n"
      "  cliptag embed --output texts.npy --text \"a dog\" --text \"a cat\"");
  command->callback([options, files, texts, chosen] {
    if (files->count() == 0 && texts->count() == 0) {
      throw CLI::RequiredError("FILE or --text");
    }
    *chosen = [options] {
      const Status status = Embed(*options);
      return status.ok() ? 0 : Fail(status);
    };
  });
}

}  // namespace cliptag
