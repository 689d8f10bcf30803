#include "plugin/cli/hub/record.h"

#include <unistd.h>

#include <filesystem>

#include "kernels/base/replace_file.h"
#include "models/io/json.h"

namespace cliptag {
namespace {

std::string StringAt(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

HubRecord ReadHubRecord(const std::string& directory) {
  HubRecord record;
  const Result<Json> json = ReadJsonFile(directory + "/" + kHubRecord);
  if (!json.ok() || !json->is_object()) return record;
  const auto files = json->find("files");
  if (files == json->end() || !files->is_object()) return record;
  for (const auto& [name, size] : files->items()) {
    if (!IsPlainFileName(name) || !size.is_number_unsigned()) return record;
    record.files.push_back({.name = name, .size = size.get<int64_t>(), .hash = {}});
  }
  record.id = StringAt(*json, "id");
  record.revision = StringAt(*json, "revision");
  record.commit = StringAt(*json, "commit");
  return record;
}

Status WriteHubRecord(const std::string& directory, const HubRecord& record) {
  Json json = {{"id", record.id}, {"revision", record.revision}, {"commit", record.commit}};
  json["files"] = Json::object();
  for (const HubFile& file : record.files) json["files"][file.name] = file.size;
  const std::string path = directory + "/" + kHubRecord;
  unlink(path.c_str());  // whatever it is, a link perhaps: it is not written through
  const Status status = ReplaceFile(path, json.dump(1) + '\n');
  return status.ok() ? Status()
                     : ResourceExhausted("Cannot write " + path + ": " + status.message() + ".");
}

bool IsWhole(const std::string& directory, const HubRecord& record) {
  std::error_code error;
  for (const HubFile& file : record.files) {
    const uintmax_t size = std::filesystem::file_size(directory + "/" + file.name, error);
    if (error || size != static_cast<uintmax_t>(file.size)) return false;
  }
  return !record.files.empty();
}

}  // namespace cliptag
