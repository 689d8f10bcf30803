// What can be said of a model without running it: parameters per tower, arithmetic, files. Plain
// data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/status.h"
#include "models/config/config.h"

namespace cliptag {

struct ModelFacts {
  int64_t image_parameters = 0;  // of the image tower, its projection included
  int64_t text_parameters = 0;   // of the text tower, its projection and token table included
  int64_t other_parameters = 0;  // scale and bias
  std::map<std::string, int64_t> parameters_by_type;    // as the files store them: "F16"
  std::vector<std::pair<std::string, uint64_t>> files;  // name, bytes; by name
};

// Counts what the weight files in `config.path` hold. Errors name the file.
Result<ModelFacts> ReadModelFacts(const ModelConfig& config);

// Of the files in a directory, not of its folders.
int64_t DirectoryBytes(const std::string& directory);

// Floating-point operations (a multiply-add is two) of the products of one picture or one text of
// full length, as the model is defined; what an encoder leaves out, because only one token of the
// last layer is looked at, still counts.
double ImageFlops(const ModelConfig& config);
double TextFlops(const ModelConfig& config);

// "504 bytes", "12.3 kB", "94.2 MB".
std::string SizeText(int64_t bytes);

}  // namespace cliptag
