#include "plugin/cli/hub/cache.h"

#include <algorithm>
#include <filesystem>

#include "models/config/config.h"
#include "models/io/json.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;
constexpr char kPrefix[] = "models--";

fs::path FolderOf(const std::string& cache, const std::string& id) {
  std::string name = kPrefix + id;
  if (const size_t slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return fs::path(cache) / name;
}

// The commit that a revision stands for there, or an empty string.
std::string CommitOf(const fs::path& folder, const std::string& revision) {
  std::error_code error;
  if (IsHash(revision))
    return fs::is_directory(folder / "snapshots" / revision, error) ? revision : "";
  const Result<std::string> ref = ReadFile((folder / "refs" / revision).string(), 256);
  if (!ref.ok()) return "";
  std::string commit = *ref;
  while (!commit.empty() && commit.back() == '\n') commit.pop_back();
  return IsHash(commit) && fs::is_directory(folder / "snapshots" / commit, error) ? commit : "";
}

}  // namespace

std::string CachedBlob(const std::string& cache, const std::string& id, const std::string& hash) {
  if (cache.empty() || !IsHash(hash)) return "";
  std::error_code error;
  const fs::path blob = FolderOf(cache, id) / "blobs" / hash;
  return fs::is_regular_file(blob, error) ? blob.string() : "";
}

std::string SnapshotFile(const std::string& cache, const std::string& id, const std::string& commit,
                         const std::string& name) {
  if (cache.empty() || !IsHash(commit)) return "";
  std::error_code error;
  const fs::path file = FolderOf(cache, id) / "snapshots" / commit / name;
  return fs::is_regular_file(file, error) ? file.string() : "";
}

Result<HubRepository> CachedRepository(const std::string& cache, const std::string& id,
                                       const std::string& revision) {
  const fs::path folder = FolderOf(cache, id);
  HubRepository repository{
      .id = id, .revision = revision, .commit = CommitOf(folder, revision), .files = {}};
  if (cache.empty() || repository.commit.empty()) {
    return NotFound("Hugging Face's cache " + cache + " has nothing of '" + revision + "' of " +
                    id + ".");
  }
  std::error_code error;
  const fs::path snapshot = folder / "snapshots" / repository.commit;
  for (fs::directory_iterator it(snapshot, error), end; !error && it != end; it.increment(error)) {
    HubFile file{.name = it->path().filename().string(), .size = -1, .hash = {}};
    std::error_code wrong;
    // Files are links to blobs, which are called after their hashes; on file systems without links,
    // and where the environment says so, they are the files themselves.
    if (fs::is_symlink(it->path(), wrong)) {
      file.hash = fs::read_symlink(it->path(), wrong).filename().string();
      if (!IsHash(file.hash)) continue;
    }
    const uintmax_t size = fs::file_size(it->path(), wrong);  // of a regular file alone
    if (wrong || !IsPlainFileName(file.name)) continue;
    file.size = static_cast<int64_t>(size);
    repository.files.push_back(file);
  }
  return repository;
}

std::vector<CachedModel> CachedModels(const std::string& cache) {
  std::vector<CachedModel> models;
  std::error_code error;
  if (cache.empty()) return models;
  for (fs::directory_iterator it(cache, error), end; !error && it != end; it.increment(error)) {
    std::string id = it->path().filename().string();
    if (!id.starts_with(kPrefix)) continue;
    id.erase(0, sizeof(kPrefix) - 1);
    if (const size_t dashes = id.find("--"); dashes != std::string::npos)
      id = id.substr(0, dashes) + '/' + id.substr(dashes + 2);
    const std::string commit = CommitOf(it->path(), "main");
    const fs::path snapshot = it->path() / "snapshots" / commit;
    if (commit.empty() || !ReadModelConfig(snapshot.string()).ok()) continue;
    models.push_back({id, commit, snapshot.string()});
  }
  std::sort(models.begin(), models.end(),
            [](const CachedModel& a, const CachedModel& b) { return a.id < b.id; });
  return models;
}

}  // namespace cliptag
