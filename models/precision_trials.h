// What trials of a precision on a model have found, kept on disk: a model is tried at its first
// start alone.
//
// A file for each trial, NAME.precision in CacheDirectory("precision"): three lines,
//   cliptag precision 1
//   IDENTITY BILLIONTHS       of the worst cosine
//   CHECKSUM                  of the two lines above
// Nothing in a file is believed: one that is not exactly so counts as none, and the next trial
// replaces it. A file appears whole under its name, so that processes do not disturb each other.
// They are some hundred bytes each and are never removed.
//
// Thread safety: functions of files; any thread, any number of processes.
#pragma once

#include <optional>
#include <string>

#include "kernels/base/status.h"
#include "models/io/cache_directory.h"

namespace cliptag {

struct TrialFile {
  std::string path;      // empty: nothing is kept
  std::string identity;  // of everything that decides the outcome, 64 digits
};

// Where the trial of that identity on the model `name` is kept.
TrialFile FindTrialFile(const std::string& name, const std::string& identity);

// The worst cosine that was found; nothing where no trial is kept.
std::optional<double> ReadTrial(const TrialFile& file);

// Errors say what cannot be written, and why. Nothing is written, and all is well, without a path.
Status WriteTrial(const TrialFile& file, double worst_cosine);

}  // namespace cliptag
