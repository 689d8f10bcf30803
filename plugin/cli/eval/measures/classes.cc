#include "plugin/cli/eval/measures/classes.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "models/io/input_file.h"
#include "models/io/trim.h"
#include "plugin/cli/formats/text_lines.h"

namespace cliptag {
namespace {

using NamesOf = std::map<std::string, std::vector<std::string>>;  // by folder

// Lines with something on them, without the blanks around it.
Result<std::vector<TextLine>> ReadLines(const std::string& path, const std::string& what) {
  CLIPTAG_ASSIGN_OR_RETURN(std::vector<TextLine> lines, ReadTextLines(path, what));
  for (TextLine& line : lines) line.text = Trim(line.text);
  std::erase_if(lines, [](const TextLine& line) { return line.text.empty(); });
  return lines;
}

Status WrongLine(const std::string& path, int number, const std::string& what) {
  return InvalidArgument(path + ":" + std::to_string(number) + ": " + what);
}

std::string CalledAfter(const std::string& folder) {
  std::string name = folder;
  std::replace(name.begin(), name.end(), '_', ' ');
  return std::string(Trim(name));
}

// The folder that a line names before a colon; the longest, for folders may hold colons.
const std::string* FolderOf(const std::string& line, const std::vector<std::string>& folders) {
  const std::string* found = nullptr;
  for (const std::string& folder : folders) {
    if (line.size() > folder.size() && line[folder.size()] == ':' && line.rfind(folder, 0) == 0 &&
        (found == nullptr || folder.size() > found->size())) {
      found = &folder;
    }
  }
  return found;
}

Status ReadNames(const std::string& text, const std::string& path, int line,
                 std::vector<std::string>* names) {
  std::string_view rest = text;
  while (true) {
    const size_t end = std::min(rest.find(';'), rest.size());
    names->emplace_back(Trim(rest.substr(0, end)));
    if (names->back().empty()) return WrongLine(path, line, "a name is empty");
    if (end == rest.size()) return {};
    rest.remove_prefix(end + 1);
  }
}

Result<NamesOf> NamesFromLines(const std::vector<TextLine>& lines, const std::string& path,
                               const std::vector<std::string>& folders) {
  NamesOf names_of;
  const bool by_folder = std::any_of(lines.begin(), lines.end(), [&](const TextLine& line) {
    return FolderOf(line.text, folders) != nullptr;
  });
  if (!by_folder && lines.size() != folders.size()) {
    return InvalidArgument("'" + path + "' has " + std::to_string(lines.size()) +
                           " lines of names and the dataset has " + std::to_string(folders.size()) +
                           " folders; a line per folder is needed, or lines FOLDER: NAME");
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    const TextLine& line = lines[i];
    const std::string* folder = by_folder ? FolderOf(line.text, folders) : &folders[i];
    if (folder == nullptr) {
      return WrongLine(path, line.number, "'" + line.text + "' begins with no folder's name");
    }
    std::vector<std::string>& names = names_of[*folder];
    if (!names.empty()) {
      return WrongLine(path, line.number, "the folder '" + *folder + "' is named a second time");
    }
    CLIPTAG_RETURN_IF_ERROR(ReadNames(by_folder ? line.text.substr(folder->size() + 1) : line.text,
                                      path, line.number, &names));
  }
  return names_of;
}

Result<NamesOf> NamesFromJson(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string file, ReadFile(path));
  NamesOf names_of;
  std::string twice;
  // The parser keeps the last of two equal keys; which of them is meant nobody can know.
  std::map<std::string, int> seen;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1 &&
        ++seen[parsed.get<std::string>()] == 2) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(file, watch);
  } catch (const nlohmann::json::exception& e) {
    return InvalidArgument("'" + path + "' is no JSON: " + e.what());
  }
  if (!twice.empty()) {
    return InvalidArgument("'" + path + "' names the folder '" + twice + "' twice");
  }
  for (const auto& [folder, value] : json.items()) {
    const nlohmann::json list = value.is_array() ? value : nlohmann::json::array({value});
    for (const nlohmann::json& name : list) {
      const std::string text(name.is_string() ? Trim(name.get_ref<const std::string&>())
                                              : std::string_view());
      if (text.empty()) {
        return InvalidArgument("'" + path + "': what folder '" + folder +
                               "' is called is no name and no list of names");
      }
      names_of[folder].push_back(text);
    }
  }
  return names_of;
}

Result<NamesOf> ReadNamesFile(const std::string& path, const std::vector<std::string>& folders) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<TextLine> lines, ReadLines(path, "names of classes"));
  if (lines.empty()) return InvalidArgument("'" + path + "' is empty; it should name the classes");
  if (lines.front().text.front() == '{') return NamesFromJson(path);
  return NamesFromLines(lines, path, folders);
}

// Two classes that are called the same cannot be told apart.
Status CheckDifferent(const std::vector<EvalClass>& classes) {
  std::map<std::vector<std::string>, const EvalClass*> known;
  for (const EvalClass& one : classes) {
    std::vector<std::string> names = one.names;
    std::sort(names.begin(), names.end());
    const auto [at, is_new] = known.emplace(std::move(names), &one);
    if (!is_new) {
      return InvalidArgument("the classes '" + at->second->folder + "' and '" + one.folder +
                             "' are both called \"" + one.label() +
                             "\" and cannot be told apart: give one another name, with "
                             "--class-names for example");
    }
  }
  return {};
}

}  // namespace

Result<std::vector<EvalClass>> NameClasses(const std::vector<std::string>& folders,
                                           const std::string& names_file) {
  NamesOf names_of;
  if (!names_file.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(names_of, ReadNamesFile(names_file, folders));
  }
  std::vector<EvalClass> classes;
  for (const std::string& folder : folders) {
    EvalClass one{folder, {CalledAfter(folder)}};
    if (!names_file.empty()) {
      const auto found = names_of.find(folder);
      if (found == names_of.end() || found->second.empty()) {
        return InvalidArgument("'" + names_file + "' has no name for the folder '" + folder + "'");
      }
      one.names = found->second;
    }
    if (one.label().empty()) {
      return InvalidArgument("the folder '" + folder +
                             "' says nothing: name it with --class-names");
    }
    classes.push_back(std::move(one));
  }
  CLIPTAG_RETURN_IF_ERROR(CheckDifferent(classes));
  return classes;
}

Result<std::vector<std::string>> ReadTemplates(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<TextLine> lines, ReadLines(path, "file of templates"));
  std::vector<std::string> templates;
  for (const TextLine& line : lines) {
    if (line.text.front() == '#') continue;
    if (line.text.find("{}") == std::string::npos) {
      return WrongLine(path, line.number,
                       "the template \"" + line.text + "\" has no {} for the name");
    }
    templates.push_back(line.text);
  }
  if (templates.empty()) {
    return InvalidArgument("'" + path + "' holds no templates; one a line is needed");
  }
  return templates;
}

PromptSpec SpecOf(const std::vector<EvalClass>& classes, std::vector<std::string> templates) {
  PromptSpec spec;
  spec.templates = std::move(templates);
  for (const EvalClass& one : classes) {
    TagSpec tag;
    tag.label = one.label();
    tag.prompts = one.names;
    spec.tags.push_back(std::move(tag));
  }
  // A bank has a background in any case; one that is encoded anyway costs nothing.
  spec.background = {spec.tags.front().prompts.front()};
  return spec;
}

}  // namespace cliptag
