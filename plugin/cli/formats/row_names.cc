#include "plugin/cli/formats/row_names.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/base/replace_file.h"

namespace cliptag {
namespace {

// A name may be any bytes; JSON's strings are UTF-8.
std::string LineOf(const nlohmann::ordered_json& entry) {
  return entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace

void RowNames::AddFrame(const std::string& file, std::optional<double> time_s) {
  const auto time = time_s ? nlohmann::ordered_json(*time_s) : nlohmann::ordered_json();
  lines_ += LineOf({{"row", rows_++}, {"file", file}, {"time", time}});
}

void RowNames::AddText(const std::string& text) {
  lines_ += LineOf({{"row", rows_++}, {"text", text}});
}

Status RowNames::WriteTo(const std::string& path) const {
  Status status = ReplaceFile(path, lines_);
  if (status.ok()) return status;
  return Status(status.code(),
                "cannot write '" + path + "', which says which row is which: " + status.message());
}

std::string RowNamesPath(const std::string& output) {
  std::error_code error;
  const auto status = std::filesystem::status(output, error);
  if (output == "-" ||
      (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))) {
    return {};
  }
  const std::filesystem::path path(output);
  const bool npy = path.extension() == ".npy";
  return (npy ? path.parent_path() / path.stem() : path).string() + ".rows.jsonl";
}

}  // namespace cliptag
