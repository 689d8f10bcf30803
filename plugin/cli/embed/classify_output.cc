#include "plugin/cli/embed/classify_output.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "plugin/cli/diagnostics.h"
#include "plugin/cli/formats/csv.h"

namespace cliptag {
namespace {

std::string JsonOf(const EncodedFrame& frame, std::span<const Tag> tags) {
  nlohmann::ordered_json entry;
  entry["file"] = frame.file;
  entry["time"] = frame.time_s ? nlohmann::ordered_json(*frame.time_s) : nlohmann::ordered_json();
  entry["tags"] = nlohmann::ordered_json::array();
  for (const Tag& tag : tags) {
    entry["tags"].push_back({{"label", tag.label},
                             {"score", tag.score},
                             {"cosine", tag.cosine},
                             {"active", tag.active}});
  }
  // A file's name may be any bytes; JSON's strings are UTF-8.
  return entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void PrintTable(const EncodedFrame& frame, std::span<const Tag> tags) {
  char text[64];
  std::cout << frame.file;
  if (frame.time_s) {
    std::snprintf(text, sizeof(text), "  %.2f s", *frame.time_s);
    std::cout << text;
  }
  std::cout << '\n';
  for (const Tag& tag : tags) {
    std::snprintf(text, sizeof(text), "%c %6.4f  %+6.4f  ", tag.active ? '*' : ' ', tag.score,
                  tag.cosine);
    std::cout << text << tag.label << '\n';
  }
}

void PrintCsv(const EncodedFrame& frame, std::span<const Tag> tags) {
  char text[64], time[32] = "";
  if (frame.time_s) std::snprintf(time, sizeof(time), "%.9g", *frame.time_s);
  for (const Tag& tag : tags) {
    std::snprintf(text, sizeof(text), ",%.6f,%.6f,%d\n", tag.score, tag.cosine, tag.active);
    std::cout << CsvField(frame.file) << ',' << time << ',' << CsvField(tag.label) << text;
  }
}

}  // namespace

Status ClassifyPrinter::Frame(const EncodedFrame& frame, std::span<const Tag> tags) {
  switch (format_) {
    case ClassifyFormat::kTable:
      PrintTable(frame, tags);
      break;
    case ClassifyFormat::kJson:
      std::cout << (first_ ? "[\n" : ",\n") << JsonOf(frame, tags);
      break;
    case ClassifyFormat::kJsonLines:
      std::cout << JsonOf(frame, tags) << '\n';
      break;
    case ClassifyFormat::kCsv:
      if (first_) std::cout << "file,time,label,score,cosine,active\n";
      PrintCsv(frame, tags);
      break;
  }
  first_ = false;
  return FlushOutput();
}

Status ClassifyPrinter::End() {
  if (format_ == ClassifyFormat::kJson) std::cout << (first_ ? "[]\n" : "\n]\n");
  if (format_ == ClassifyFormat::kCsv && first_) {
    std::cout << "file,time,label,score,cosine,active\n";
  }
  return FlushOutput();
}

}  // namespace cliptag
