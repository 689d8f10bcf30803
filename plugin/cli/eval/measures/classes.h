// What the folders of a dataset are called, and the sentences that their names are put into.
//
// Thread safety: plain values.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/prompts/prompts.h"

namespace cliptag {

struct EvalClass {
  std::string folder;
  std::vector<std::string> names;  // averaged into one embedding; the first stands in tables

  const std::string& label() const { return names.front(); }
};

// A class for every folder, in the order of the folders' names. Without `names_file` a folder is
// called as it is named, with underscores as spaces. Otherwise the file says so, one of
//   NAME; NAME              a line for each folder, in their order
//   FOLDER: NAME; NAME      a line for each folder, in any order
//   {"FOLDER": "NAME", "FOLDER": ["NAME", "NAME"]}
// JSON may also name folders that this dataset does not have. Errors name the file and line: a
// folder without a name, two classes with the same names.
Result<std::vector<EvalClass>> NameClasses(const std::vector<std::string>& folders,
                                           const std::string& names_file);

// One template a line; empty lines and such as begin with '#' are skipped. Errors name the line.
Result<std::vector<std::string>> ReadTemplates(const std::string& path);

// A tag for each class. Without a background of its own: nothing here scores by contrast.
PromptSpec SpecOf(const std::vector<EvalClass>& classes, std::vector<std::string> templates);

}  // namespace cliptag
