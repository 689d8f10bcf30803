// What a hub says of a repository, checked before anything of it becomes a file name here, and
// which of its files make a model.
//
// Plain data and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/status.h"
#include "models/config/config.h"

namespace cliptag {

// Bytes of a file that is not weights: a tokenizer of 256,000 entries has 34 MB.
inline constexpr int64_t kLargestSmallFile = 64 << 20;

struct HubFile {
  std::string name;
  int64_t size = -1;  // -1: told when it is asked for
  // What its contents are known by, in lower-case digits: SHA-256 (64) of large files, git's SHA-1
  // (40) of small ones; empty: told when it is asked for.
  std::string hash;
};

struct HubRepository {
  std::string id;        // "ORG/NAME", or "NAME" of the hub's first days
  std::string revision;  // as it was asked for
  std::string commit;    // what that stands for now, 40 digits
  std::vector<HubFile> files;

  const HubFile* Find(std::string_view name) const;
};

struct HubPlan {
  Layout layout = Layout::kHuggingFace;
  std::vector<HubFile> small;  // what tells whether it is a CLIP, tokenizer, licence; an index
  HubFile weights;             // one file of weights, or without a name where an index has shards
  std::string index;           // its name, or empty
};

// "ID" or "ID@REVISION", or the address of the model's page at `endpoint` or at Hugging Face; the
// revision is "main" unless said. Errors say what an ID looks like.
Status ParseHubName(const std::string& text, const std::string& endpoint, std::string* id,
                    std::string* revision);

// A file name without folders, and none that the shell or `ls` would stumble over.
bool IsPlainFileName(std::string_view name);

// Of 40 or 64 hexadecimal digits.
bool IsHash(std::string_view text);

// Reads the answer to /api/models/ID/revision/REVISION?blobs=true. A file name that would lead out
// of the repository is an error. Files in folders are left out: no model needs them.
Result<HubRepository> ParseRepository(std::string_view json, const std::string& id,
                                      const std::string& revision);

// The files that make a model: in the layout whose weights are there, safetensors before pickles.
Result<HubPlan> PlanFiles(const HubRepository& repository);

// The files that an index (*.index.json on this disk) names, each one of the repository's.
Result<std::vector<HubFile>> ReadShards(const std::string& index, const HubRepository& repository);

// Whether a file that IsPlainFileName belongs beside the weights: tokenizer, preprocessing,
// licence.
bool GoesWithModel(const HubFile& file);

}  // namespace cliptag
