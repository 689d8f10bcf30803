// cliptag embed: unit rows of pictures, videos or texts into an NPY file.
#include <algorithm>
#include <memory>
#include <vector>

#include "plugin/cli/command_line.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/cli/formats/npy.h"
#include "plugin/cli/formats/row_names.h"
#include "plugin/cli/media/input_files.h"
#include "plugin/cli/media/media_reader.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

struct EmbedOptions {
  ModelOptions model;
  InputOptions input;
  std::string output;
  std::vector<std::string> texts;
  std::string rows;  // where it is written which row is which
  bool keep_going = false;
};

Status EmbedTexts(ClipModel& model, const std::vector<std::string>& texts, NpyWriter& writer,
                  RowNames* names) {
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
      names->AddText(chunk[i]);
    }
  }
  WarnTruncated(truncated, model.config());
  return {};
}

Status EmbedFiles(ClipModel& model, const EmbedOptions& options, NpyWriter& writer, RowNames* names,
                  bool* bad_files) {
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) {
    names->AddFrame(frame.file, frame.time_s);
    return writer.Append(frame.embedding);
  };
  handlers.bad_file = [&](const std::string&, const Status& why) {
    // A missing row shifts all the others: unless that is said to be right, no file is better.
    if (!options.keep_going) return why;
    PrintError(why.message());
    *bad_files = true;
    return Status();
  };
  CLIPTAG_RETURN_IF_ERROR(EncodeFiles(model, options.input, handlers));
  if (writer.rows() > 0) return {};
  return NotFound("none of the files could be read: there is nothing to write");
}

Status Embed(EmbedOptions options, bool* bad_files) {
  // Errors that need no model are reported before it is loaded.
  if (options.texts.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(options.input.files, CollectInputFiles(options.input));
  }
  for (const std::string& file : options.input.files) {
    if (!options.keep_going) CLIPTAG_RETURN_IF_ERROR(CheckMediaFile(file));
  }
  if (options.rows.empty()) options.rows = RowNamesPath(options.output);
  CLIPTAG_ASSIGN_OR_RETURN(const auto writer, NpyWriter::Create(options.output));
  CLIPTAG_ASSIGN_OR_RETURN(const LoadedModel session, LoadSession(options.model));
  ClipModel& model = *session.model;
  RowNames names;
  CLIPTAG_RETURN_IF_ERROR(options.texts.empty()
                              ? EmbedFiles(model, options, *writer, &names, bad_files)
                              : EmbedTexts(model, options.texts, *writer, &names));
  CLIPTAG_RETURN_IF_ERROR(writer->Finish());
  return options.rows.empty() ? Status() : names.WriteTo(options.rows);
}

}  // namespace

void AddEmbedCommand(CLI::App& app, Command* chosen) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App* command = app.add_subcommand(
      "embed", "Write the embeddings of pictures, videos or texts to an NPY file");
  CLI::Option* texts = AddStrings(*command, "--text", &options->texts,
                                  "A text to embed instead of files; may be given again");
  texts->option_text("TEXT ...");
  const auto check_input = AddInputOptions(*command, &options->input, texts);
  command
      ->add_option("--output", options->output,
                   "The file to write: float32, (rows, dim), unit rows; - = standard output")
      ->required()
      ->option_text("F.npy");
  command
      ->add_option(
          "--rows", options->rows,
          "Where to write which row is which, as JSON lines; F.rows.jsonl beside F.npy unless "
          "given, nowhere for standard output")
      ->option_text("F.jsonl");
  command->add_flag("--keep-going", options->keep_going,
                    "Leave out files that cannot be read; the exit code is 1, all the same");
  AddModelOptions(*command, &options->model);
  command->footer(
      "A picture gives one row, a video one per sampled frame, in the order of the files; "
      "photos.rows.jsonl beside photos.npy says which is which: {\"row\", \"file\", \"time\"} or "
      "{\"row\", \"text\"}. A file that cannot be read ends the command without an output, unless "
      "--keep-going is given.\n\n"
      "Examples:\n"
      "  cliptag embed --output photos.npy *.jpg\n"
      "  cliptag embed --output street.npy --fps 2 street.mp4\n"
      "  cliptag embed --output texts.npy --text \"a dog\" --text \"a cat\"");
  command->callback([options, check_input, chosen] {
    check_input();
    *chosen = [options] {
      bool bad_files = false;
      const Status status = Embed(*options, &bad_files);
      return ExitCode(status, bad_files);
    };
  });
}

}  // namespace cliptag
