// What `cliptag eval` prints: tables for people, JSON for programs.
//
// Thread safety: pure functions.
#pragma once

#include <string>

#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

std::string ToJson(const EvalOptions& options, const EvalResult& result);
std::string ToTable(const EvalOptions& options, const EvalResult& result);

// What a corruption came to, over its strengths or over all of them.
double MeanOfKind(const ZeroShotResult& result, size_t kind);
double MeanOfAll(const ZeroShotResult& result);

}  // namespace cliptag
