// What trials of a precision on a model have found, kept in the cache (models/io/cache_file.h): a
// model is tried at its first start only. The body of a file is the worst cosine in billionths.
//
// Thread safety: functions of files; any thread, any number of processes.
#pragma once

#include <optional>
#include <string>

#include "kernels/base/status.h"
#include "models/io/cache_file.h"

namespace cliptag {

using TrialFile = CacheFile;

// Where the trial of that identity on the model `name` is kept.
TrialFile FindTrialFile(const std::string& name, const std::string& identity);

// The worst cosine that was found; nothing where no trial is kept.
std::optional<double> ReadTrial(const TrialFile& file);

// Errors say what cannot be written, and why. Nothing is written, and all is well, without a path.
Status WriteTrial(const TrialFile& file, double worst_cosine);

}  // namespace cliptag
