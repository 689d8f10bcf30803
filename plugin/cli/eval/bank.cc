#include "plugin/cli/eval/bank.h"

#include <memory>
#include <utility>
#include <vector>

#include "models/prompts/bank_file.h"

namespace cliptag {

Status CheckBankPath(const std::string& path) {
  if (!path.ends_with(".safetensors")) {
    return InvalidArgument("a bank's name ends in .safetensors, and '" + path + "' does not");
  }
  return CheckBankOutput(path);
}

Status WriteProbeBank(const std::string& path, const EvalResult& result) {
  const std::vector<float>& rows = result.probe->bank.rows;
  const std::vector<EvalClass>& classes = result.zero_shot->classes;
  const size_t dim = rows.size() / classes.size();
  PromptSpec spec;
  spec.bank = {path, result.model, result.text_identity};
  for (size_t i = 0; i < classes.size(); ++i) {
    const float* row = &rows[i * dim];
    TagSpec tag;
    tag.label = classes[i].label();
    tag.row = std::make_shared<const std::vector<float>>(row, row + dim);
    spec.tags.push_back(std::move(tag));
  }
  return WriteBankFile(path, spec);
}

}  // namespace cliptag
