// What a pulled model's directory says of where it came from: hub.json beside its files.
//
// Thread safety: pure functions over the file system.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/hub/repository.h"

namespace cliptag {

inline constexpr char kHubRecord[] = "hub.json";

struct HubRecord {
  std::string id, revision, commit;  // no id: the model was not pulled
  std::vector<HubFile> files;        // name and size
};

HubRecord ReadHubRecord(const std::string& directory);
Status WriteHubRecord(const std::string& directory, const HubRecord& record);

// Whether every file of the record is in the directory, with its size.
bool IsWhole(const std::string& directory, const HubRecord& record);

}  // namespace cliptag
