#include "plugin/cli/eval/captions.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "plugin/cli/diagnostics.h"
#include "plugin/cli/embed/encode_files.h"
#include "plugin/cli/formats/csv.h"
#include "plugin/cli/formats/text_lines.h"
#include "plugin/cli/media/media_reader.h"
#include "plugin/cli/session.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

enum class TableKind { kComma, kTab, kJsonLines };

Result<TableKind> KindOf(const std::string& path) {
  std::string ending = fs::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == ".csv") return TableKind::kComma;
  if (ending == ".tsv" || ending == ".txt") return TableKind::kTab;
  if (ending == ".jsonl") return TableKind::kJsonLines;
  return InvalidArgument("how captions are written in '" + path +
                         "' cannot be told: it should end in .csv, .tsv or .jsonl");
}

struct Row {
  std::string picture;
  std::vector<std::string> captions;
};

bool IsHeading(const std::vector<std::string>& fields) {
  static const std::set<std::string> kPicture = {"image", "filepath", "file"};
  static const std::set<std::string> kCaption = {"caption", "title", "text"};
  return fields.size() == 2 && kPicture.count(fields[0]) && kCaption.count(fields[1]);
}

// A Status without its place, which the caller knows.
Result<Row> RowFromFields(const std::string& line, char separator) {
  bool closed = true;
  std::vector<std::string> fields;
  if (separator == ',') {
    fields = CsvFields(line, &closed);
  } else {
    std::string_view rest = line;  // quotes mean nothing between tabs
    for (size_t end = 0; end != std::string_view::npos; rest.remove_prefix(end + 1)) {
      end = rest.find('\t');
      fields.emplace_back(rest.substr(0, end));
      if (end == std::string_view::npos) break;
    }
    for (std::string& field : fields) {
      while (!field.empty() && (field.back() == '\r' || field.back() == ' ')) field.pop_back();
    }
  }
  if (!closed) return InvalidArgument("a quote is not closed");
  if (fields.size() != 2) {
    return InvalidArgument(
        "two fields are needed, image and caption, and there are " + std::to_string(fields.size()) +
        (separator == ',' ? "; put quotes around a caption that has commas" : ""));
  }
  return Row{fields[0], {fields[1]}};
}

Result<Row> RowFromJson(const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidArgument("an object {\"image\", \"caption\"} is needed");
  Row row;
  for (const auto& [key, value] : json.items()) {
    if (key == "image" || key == "filepath" || key == "file") {
      if (!value.is_string()) return InvalidArgument("\"" + key + "\" is no string");
      row.picture = value.get<std::string>();
    } else if (key == "caption" || key == "captions" || key == "title" || key == "text") {
      for (const auto& caption : value.is_array() ? value : nlohmann::json::array({value})) {
        if (!caption.is_string()) return InvalidArgument("\"" + key + "\" holds no string");
        row.captions.push_back(caption.get<std::string>());
      }
    }
  }
  return row;
}

// Numbers things in the order in which they are first seen.
size_t IndexOf(const std::string& name, std::map<std::string, size_t>* known,
               std::vector<std::string>* list) {
  const auto [at, is_new] = known->emplace(name, list->size());
  if (is_new) list->push_back(name);
  return at->second;
}

class TableBuilder {
 public:
  Status Add(const fs::path& folder, const Row& row) {
    if (row.picture.empty()) return InvalidArgument("the image is empty");
    if (row.captions.empty()) return InvalidArgument("there is no caption");
    const size_t picture =
        IndexOf((folder / row.picture).string(), &known_pictures_, &table_.pictures);
    for (const std::string& caption : row.captions) {
      if (caption.empty()) return InvalidArgument("the caption is empty");
      const size_t text = IndexOf(caption, &known_texts_, &table_.texts);
      // The same said twice says nothing more.
      if (known_pairs_.emplace(picture, text).second) table_.pairs.push_back({picture, text});
    }
    return {};
  }
  CaptionTable Take() { return std::move(table_); }

 private:
  CaptionTable table_;
  std::map<std::string, size_t> known_pictures_, known_texts_;
  std::set<std::pair<size_t, size_t>> known_pairs_;
};

// What is left when only some pictures are: new numbers for both sides.
struct Readable {
  static constexpr size_t kGone = static_cast<size_t>(-1);
  std::vector<size_t> picture;  // by its old number
  std::vector<std::string> texts;
  std::vector<PairedEmbeddings::Pair> pairs;
};

Readable WhatIsLeft(const CaptionTable& table, std::vector<size_t> picture) {
  Readable left;
  left.picture = std::move(picture);
  std::map<std::string, size_t> known;
  for (const auto& pair : table.pairs) {
    const size_t at = left.picture[pair.picture];
    if (at == Readable::kGone) continue;
    left.pairs.push_back({at, IndexOf(table.texts[pair.text], &known, &left.texts)});
  }
  return left;
}

Status EncodePictures(ClipModel& model, const CaptionTable& table, const InputOptions& input,
                      PairedEmbeddings* paired, std::vector<size_t>* number,
                      std::vector<Unreadable>* unreadable) {
  const auto complain = [&](const std::string& file, const std::string& why) {
    PrintError(why);
    unreadable->push_back({file, why});
  };
  InputOptions inputs = input;
  inputs.files.clear();
  for (const std::string& path : table.pictures) {
    if (CheckMediaFile(path).ok() && !IsPicture(path)) {
      complain(path, "'" + path + "' is no picture that OpenCV knows");
    } else {
      inputs.files.push_back(path);
    }
  }
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < table.pictures.size(); ++i) known[table.pictures[i]] = i;
  number->assign(table.pictures.size(), Readable::kGone);
  EncodeHandlers handlers;
  handlers.frame = [&](const EncodedFrame& frame) {
    (*number)[known.at(frame.file)] = paired->pictures.size() / paired->dim;
    paired->pictures.insert(paired->pictures.end(), frame.embedding.begin(), frame.embedding.end());
    return Status();
  };
  handlers.bad_file = [&](const std::string& file, const Status& why) {
    complain(file, why.message());
    return Status();
  };
  return EncodeFiles(model, inputs, handlers);
}

}  // namespace

Result<CaptionTable> ReadCaptions(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const TableKind kind, KindOf(path));
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<TextLine> lines, ReadTextLines(path, "captions"));
  const fs::path folder = fs::path(path).parent_path();
  TableBuilder builder;
  for (const auto& [number, line] : lines) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Result<Row> row = kind == TableKind::kJsonLines
                                ? RowFromJson(line)
                                : RowFromFields(line, kind == TableKind::kComma ? ',' : '\t');
    if (row.ok() && number == 1 && kind != TableKind::kJsonLines &&
        IsHeading({row->picture, row->captions.front()})) {
      continue;
    }
    const Status status = row.ok() ? builder.Add(folder, *row) : row.status();
    if (!status.ok()) {
      return InvalidArgument(path + ":" + std::to_string(number) + ": " + status.message());
    }
  }
  CaptionTable table = builder.Take();
  if (table.pictures.size() < 2 || table.texts.size() < 2) {
    return InvalidArgument("the captions '" + path + "' are of " +
                           std::to_string(table.pictures.size()) + " pictures and " +
                           std::to_string(table.texts.size()) +
                           " different texts; there must be two of each to choose from");
  }
  return table;
}

Result<CaptionsResult> EvaluateCaptions(ClipModel& model, const CaptionTable& table,
                                        const InputOptions& input,
                                        std::vector<Unreadable>* unreadable) {
  PairedEmbeddings paired;
  paired.dim = static_cast<size_t>(model.config().embed_dim);
  std::vector<size_t> number;
  CLIPTAG_RETURN_IF_ERROR(EncodePictures(model, table, input, &paired, &number, unreadable));
  const Readable left = WhatIsLeft(table, std::move(number));
  if (left.pairs.empty()) return DataLoss("no picture that the captions name could be read");
  paired.pairs = left.pairs;
  paired.texts.resize(left.texts.size() * paired.dim);
  std::vector<std::string> truncated;
  {
    TextSession session(model, left.texts.size());
    CLIPTAG_RETURN_IF_ERROR(session.Encode(left.texts, paired.texts.data(), &truncated));
  }
  WarnTruncated(truncated, model.config());
  CaptionsResult result;
  result.pictures = paired.pictures.size() / paired.dim;
  result.texts = left.texts.size();
  result.pairs = left.pairs.size();
  Progress progress;
  result.recall = Retrieve(paired, [&](size_t done) {
    progress.Show("caption " + std::to_string(done) + " of " + std::to_string(result.texts) +
                  " compared");
  });
  return result;
}

}  // namespace cliptag
