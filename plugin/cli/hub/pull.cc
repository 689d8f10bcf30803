#include "plugin/cli/hub/pull.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "models/config/config.h"
#include "models/io/cache_directory.h"
#include "plugin/cli/hub/cache.h"
#include "plugin/cli/hub/client.h"
#include "plugin/cli/hub/file.h"
#include "plugin/cli/hub/lock.h"
#include "plugin/cli/hub/record.h"
#include "plugin/cli/hub/repository.h"
#include "plugin/cli/hub/settings.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestListing = 64 << 20;  // of a repository

Status Stopped() {
  return Cancelled("Stopped; what has arrived is kept, and the same call goes on from there.");
}

class Pull {
 public:
  Pull(const PullRequest& request, PullObserver* observer)
      : request_(request), observer_(observer) {}

  Result<PulledModel> Run();

 private:
  Status ReadListing();
  Status PrepareDirectories();
  Status TakeLock();
  Status MakeStaging() const;
  bool IsThere() const;
  Status CheckNameIsFree() const;
  PulledModel Look(const HubPlan& plan);
  Status Fetch(HubFile file, int64_t max_bytes);
  Status Download(const HubFile& file, int64_t max_bytes);
  Result<bool> FetchLocal(const HubFile& file);
  Status CheckIsClip(const HubPlan& plan);
  Result<std::vector<HubFile>> WeightFiles(const HubPlan& plan);
  Status CheckRoom(const std::vector<HubFile>& files) const;
  Status MoveIntoPlace();
  FileProgress ProgressOf(const HubFile& file);
  PulledModel Outcome(bool was_there) const;
  bool StopAsked() const { return request_.stop != nullptr && *request_.stop; }

  const PullRequest& request_;
  PullObserver* const observer_;
  HubSettings settings_;
  std::unique_ptr<HubClient> client_;
  std::string id_, revision_, name_;
  HubRepository repository_;
  std::string models_, directory_, staging_;  // the folder of all models, of this one, and beside
  std::unique_ptr<FileLock> lock_;
  std::vector<HubFile> taken_;
};

FileProgress Pull::ProgressOf(const HubFile& file) {
  return [this, file](int64_t bytes) {
    observer_->Advanced(file.name, bytes, file.size);
    return !StopAsked();
  };
}

PulledModel Pull::Outcome(bool was_there) const {
  PulledModel model{.id = id_,
                    .revision = revision_,
                    .commit = repository_.commit,
                    .name = name_,
                    .directory = directory_,
                    .was_there = was_there,
                    .files = {}};
  for (const HubFile& file : taken_) model.files.emplace_back(file.name, file.size);
  return model;
}

// From the hub; where that cannot be reached or must not be asked, what huggingface_hub has kept.
Status Pull::ReadListing() {
  if (!settings_.offline) {
    const HubRequest request{.path = "/api/models/" + UrlEncode(id_, true) + "/revision/" +
                                     UrlEncode(revision_, false) + "?blobs=true",
                             .id = id_,
                             .revision = revision_,
                             .file = {}};
    const Result<std::string> text = client_->GetText(request, kLongestListing);
    if (text.ok()) {
      CLIPTAG_ASSIGN_OR_RETURN(repository_, ParseRepository(*text, id_, revision_));
      return {};
    }
    if (!client_->unreachable()) return text.status();
    Result<HubRepository> kept = CachedRepository(settings_.cache, id_, revision_);
    if (!kept.ok()) return text.status();
    observer_->Said(text.status().message() + " Hugging Face's cache has the model.");
    repository_ = kept.Take();
    return {};
  }
  Result<HubRepository> kept = CachedRepository(settings_.cache, id_, revision_);
  if (!kept.ok()) {
    return NotFound(kept.status().message() + " HF_HUB_OFFLINE forbids to ask the hub.");
  }
  repository_ = kept.Take();
  return {};
}

Status Pull::PrepareDirectories() {
  const std::string cache = UserCacheDirectory();
  if (cache.empty()) {
    return NotFound("Nothing says where models are to go: set XDG_CACHE_HOME or HOME.");
  }
  models_ = cache + "/models";
  directory_ = models_ + "/" + name_;
  staging_ = models_ + "/." + name_ + ".part";
  return {};
}

Status Pull::TakeLock() {
  std::error_code error;
  fs::create_directories(models_, error);
  if (error) return InvalidArgument("Cannot make " + models_ + ": " + error.message() + ".");
  bool told = false;
  const auto waiting = [&]() -> Status {
    if (StopAsked()) return Stopped();
    if (!told) observer_->Said("Another process is pulling " + name_ + "; waiting for it.");
    told = true;
    return {};
  };
  CLIPTAG_ASSIGN_OR_RETURN(lock_, FileLock::Take(models_ + "/." + name_ + ".lock", waiting));
  return {};
}

// What lies in it and is not of this model will be removed, so it must be a directory, not a link
// to one, and ours.
Status Pull::MakeStaging() const {
  if (mkdir(staging_.c_str(), 0777) != 0 && errno != EEXIST) {
    return InvalidArgument("Cannot make " + staging_ + ": " + std::strerror(errno) + ".");
  }
  struct stat info {};
  if (lstat(staging_.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid()) {
    return InvalidArgument(staging_ +
                           " is no directory of yours, and a pull writes into it: remove it.");
  }
  return {};
}

// Whether the directory has this commit, and all that was written of it.
bool Pull::IsThere() const {
  const HubRecord record = ReadHubRecord(directory_);
  return record.id == id_ && record.commit == repository_.commit && IsWhole(directory_, record);
}

// Whether the file came from this machine: an earlier try, an earlier pull, another program's.
Result<bool> Pull::FetchLocal(const HubFile& file) {
  const FileProgress progress = ProgressOf(file);
  CLIPTAG_ASSIGN_OR_RETURN(const bool staged,
                           HasContent(staging_ + "/" + file.name, file, progress));
  if (staged) {
    observer_->Took(file.name, file.size, PullSource::kEarlier);
    return true;
  }
  const std::pair<std::string, PullSource> places[] = {
      {directory_ + "/" + file.name, PullSource::kEarlier},
      {CachedBlob(settings_.cache, id_, file.hash), PullSource::kHuggingFaceCache},
      {SnapshotFile(settings_.cache, id_, repository_.commit, file.name),
       PullSource::kHuggingFaceCache}};
  for (const auto& [path, source] : places) {
    if (path.empty()) continue;
    CLIPTAG_ASSIGN_OR_RETURN(const bool same, HasContent(path, file, progress));
    if (!same) continue;
    CLIPTAG_RETURN_IF_ERROR(TakeLocal(path, staging_, file, progress));
    observer_->Took(file.name, file.size, source);
    return true;
  }
  return false;
}

Status Pull::Download(const HubFile& file, int64_t max_bytes) {
  if (settings_.offline || client_->unreachable()) {
    return NotFound("Hugging Face's cache has no whole " + file.name + " of " + id_ +
                    ", and the hub is not asked.");
  }
  const HubRequest request{.path = std::string("/") + UrlEncode(id_, true) + "/resolve/" +
                                   repository_.commit + "/" + UrlEncode(file.name, true),
                           .id = id_,
                           .revision = revision_,
                           .file = file.name};
  for (bool again = true;; again = false) {
    CLIPTAG_ASSIGN_OR_RETURN(const auto writer,
                             FileWriter::Open(staging_, file, max_bytes, ProgressOf(file)));
    again = again && writer->Have() > 0;
    if (!writer->Full()) {
      const Status status = client_->Get(request, writer.get());
      if (status.code() == StatusCode::kDataLoss) writer->Discard();
      CLIPTAG_RETURN_IF_ERROR(status);
    }
    Status status = writer->Finish();
    if (status.ok()) {
      observer_->Took(file.name, writer->file().size, PullSource::kHub);
      taken_.push_back(writer->file());
      return {};
    }
    // What was left of an earlier try may have been the reason: once more from the start.
    if (status.code() != StatusCode::kDataLoss || !again) return status;
    observer_->Said(status.message() + " It is got once more from the start.");
  }
}

Status Pull::Fetch(HubFile file, int64_t max_bytes) {
  const bool from_cache = settings_.offline || client_->unreachable();
  const std::string kept = SnapshotFile(settings_.cache, id_, repository_.commit, file.name);
  if (from_cache && file.hash.empty() && !kept.empty()) {
    CLIPTAG_RETURN_IF_ERROR(HashLocal(kept, ProgressOf(file), &file));
  }
  CLIPTAG_ASSIGN_OR_RETURN(const bool local, FetchLocal(file));
  if (!local) return Download(file, max_bytes);
  taken_.push_back(file);
  return {};
}

// Before the weights are got: the configuration must be one that cliptag can run.
Status Pull::CheckIsClip(const HubPlan& plan) {
  const char* other = plan.layout == Layout::kOpenClip ? "config.json" : "open_clip_config.json";
  std::error_code error;
  fs::remove(fs::path(staging_) / other, error);  // of an earlier try, in another layout
  const Result<ModelConfig> config = ReadModelConfig(staging_);
  if (config.ok()) return {};
  std::string why = config.status().message();
  for (size_t at; (at = why.find(staging_ + "/")) != std::string::npos;) {
    why.erase(at, staging_.size() + 1);
  }
  return Unsupported(id_ +
                     " holds no CLIP that cliptag can run, and its weights were not got: " + why);
}

Result<std::vector<HubFile>> Pull::WeightFiles(const HubPlan& plan) {
  if (plan.index.empty()) return std::vector<HubFile>{plan.weights};
  return ReadShards(staging_ + "/" + plan.index, repository_);
}

// What is still to come has to fit. What other programs write meanwhile is found out when it
// happens.
Status Pull::CheckRoom(const std::vector<HubFile>& files) const {
  std::error_code error;
  int64_t wanted = 0;
  for (const HubFile& file : files) {
    if (!CachedBlob(settings_.cache, id_, file.hash).empty() ||
        !SnapshotFile(settings_.cache, id_, repository_.commit, file.name).empty()) {
      continue;
    }
    wanted += std::max<int64_t>(file.size, 0);
    for (const std::string& name : {file.name, PartialName(file)}) {
      const uintmax_t here = fs::file_size(fs::path(staging_) / name, error);
      if (!error) wanted -= static_cast<int64_t>(here);
    }
  }
  return cliptag::CheckRoom(models_, wanted, id_);
}

// The staging directory takes the model's name; what had it before goes.
Status Pull::MoveIntoPlace() {
  std::set<std::string> wanted = {kHubRecord};
  for (const HubFile& file : taken_) wanted.insert(file.name);
  std::error_code error;
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(staging_, error)) {
    if (wanted.count(entry.path().filename().string()) == 0) others.push_back(entry.path());
  }
  for (const fs::path& path : others) fs::remove_all(path, error);
  const auto cannot = [&] {
    return InvalidArgument("Cannot rename " + staging_ + " to " + directory_ + ": " +
                           std::strerror(errno) + ".");
  };
  if (!fs::exists(directory_, error)) {
    return rename(staging_.c_str(), directory_.c_str()) == 0 ? Status() : cannot();
  }
  // At once where the file system can, so that there is a model at any moment.
  if (renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, directory_.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(staging_, error);
    return {};
  }
  const std::string old = models_ + "/." + name_ + ".old";
  fs::remove_all(old, error);
  if (rename(directory_.c_str(), old.c_str()) != 0 ||
      rename(staging_.c_str(), directory_.c_str()) != 0) {
    return cannot();
  }
  fs::remove_all(old, error);
  return {};
}

// What a pull would take. The shards are told by their names, for the index is not read.
PulledModel Pull::Look(const HubPlan& plan) {
  taken_ = plan.small;
  if (plan.index.empty()) taken_.push_back(plan.weights);
  const std::string stem = plan.index.substr(0, plan.index.find('.')) + "-";
  for (const HubFile& file : repository_.files) {
    const bool shard =
        !plan.index.empty() && file.name.starts_with(stem) && !file.name.ends_with(".json");
    if (shard) taken_.push_back(file);
  }
  return Outcome(IsThere());
}

// Another repository's model, or one that the user has put there, is not replaced.
Status Pull::CheckNameIsFree() const {
  std::error_code error;
  if (!fs::exists(directory_, error)) return {};
  const std::string other = ReadHubRecord(directory_).id;
  if (other == id_) return {};
  return InvalidArgument(directory_ + " is there already and " +
                         (other.empty() ? "was not pulled" : "is " + other) +
                         ": give this one another name with --name.");
}

Result<PulledModel> Pull::Run() {
  CLIPTAG_ASSIGN_OR_RETURN(settings_, ReadHubSettings());
  CLIPTAG_RETURN_IF_ERROR(ParseHubName(request_.id, settings_.endpoint, &id_, &revision_));
  name_ = request_.name.empty() ? id_.substr(id_.find('/') + 1) : request_.name;
  if (!IsPlainFileName(name_)) {
    return InvalidArgument("'" + name_ +
                           "' cannot be a model's name: it is a file name without a slash.");
  }
  if (name_ == "starter") {
    return InvalidArgument(
        "'starter' is the model that comes with cliptag: give this one another name with --name.");
  }
  if (!settings_.offline) {
    CLIPTAG_ASSIGN_OR_RETURN(
        client_, HubClient::Create(settings_, request_.stop, [this](const std::string& sentence) {
          observer_->Said(sentence);
        }));
  }
  CLIPTAG_RETURN_IF_ERROR(PrepareDirectories());
  CLIPTAG_RETURN_IF_ERROR(ReadListing());
  CLIPTAG_ASSIGN_OR_RETURN(const HubPlan plan, PlanFiles(repository_));
  if (request_.look_only) return Look(plan);
  CLIPTAG_RETURN_IF_ERROR(TakeLock());
  CLIPTAG_RETURN_IF_ERROR(CheckNameIsFree());
  if (IsThere()) return Outcome(true);
  CLIPTAG_RETURN_IF_ERROR(MakeStaging());
  for (const HubFile& file : plan.small) CLIPTAG_RETURN_IF_ERROR(Fetch(file, kLargestSmallFile));
  CLIPTAG_RETURN_IF_ERROR(CheckIsClip(plan));
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<HubFile> weights, WeightFiles(plan));
  CLIPTAG_RETURN_IF_ERROR(CheckRoom(weights));
  for (const HubFile& file : weights) CLIPTAG_RETURN_IF_ERROR(Fetch(file, INT64_MAX));
  CLIPTAG_RETURN_IF_ERROR(WriteHubRecord(staging_, {id_, revision_, repository_.commit, taken_}));
  CLIPTAG_RETURN_IF_ERROR(MoveIntoPlace());
  return Outcome(false);
}

}  // namespace

Result<PulledModel> PullModel(const PullRequest& request, PullObserver* observer) {
  try {
    Pull pull(request, observer);
    Result<PulledModel> pulled = pull.Run();
    if (pulled.status().code() == StatusCode::kCancelled) return Stopped();
    return pulled;
  } catch (const std::exception& e) {  // the file system, or no memory
    return Internal("Cannot pull " + request.id + ": " + e.what() + ".");
  }
}

}  // namespace cliptag
