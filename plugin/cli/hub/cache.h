// What huggingface_hub keeps of repositories on this machine: models--ORG--NAME/blobs/HASH, with
// refs/REVISION and snapshots/COMMIT/FILE beside it. Read only.
//
// Thread safety: pure functions over the file system.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/hub/repository.h"

namespace cliptag {

// The file there whose contents have this hash, or an empty string.
std::string CachedBlob(const std::string& cache, const std::string& id, const std::string& hash);

// Where a file of a commit lies there, if it does.
std::string SnapshotFile(const std::string& cache, const std::string& id, const std::string& commit,
                         const std::string& name);

// What the cache has of a repository, as the hub would tell it; kNotFound where it has nothing.
// Where the cache was written without symbolic links, its files have no hash.
Result<HubRepository> CachedRepository(const std::string& cache, const std::string& id,
                                       const std::string& revision);

struct CachedModel {
  std::string id, commit;
  std::string directory;  // the snapshot
};

// The repositories there whose `main` is configured as a CLIP, by ID.
std::vector<CachedModel> CachedModels(const std::string& cache);

}  // namespace cliptag
