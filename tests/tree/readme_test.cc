// The READMEs say what the plugin is: tables of properties equal the elements' own, launch lines
// parse, and values of properties are accepted. Runs against the built plugin (GST_PLUGIN_PATH),
// with a registry of its own.
#include <gst/gst.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "models/prompts/prompts.h"

namespace {

// Elements of hardware or of a desktop that a machine need not have; any other must be there.
const std::set<std::string> kMayBeMissing = {"vah264dec",    "vapostproc", "nvh264dec",
                                             "cudadownload", "gltestsrc",  "gldownload"};

struct Property {
  std::string type, default_value;
};
using Properties = std::map<std::string, Property>;

constexpr const char* kElements = "plugin/elements/README.md";  // has the tables
constexpr const char* kReadmes[] = {"README.md",        kElements,           "plugin/cli/README.md",
                                    "models/README.md", "kernels/README.md", "pipelines/README.md"};

std::string ReadReadme(const std::string& path) {
  const char* root = std::getenv("CLIPTAG_SOURCE_ROOT");
  std::ifstream file(std::string(root ? root : ".") + "/" + path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Trim(const std::string& s) {
  const size_t first = s.find_first_not_of(" `"), last = s.find_last_not_of(" `");
  return first == std::string::npos ? "" : s.substr(first, last - first + 1);
}

// Rows of the table whose header is | `element` | type | default | meaning |.
Properties TableOf(const std::string& readme, const std::string& element) {
  Properties rows;
  std::istringstream lines(readme);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("| `" + element + "` | type |")) {
      inside = true;
      std::getline(lines, line);  // | --- |
      continue;
    }
    if (!inside) continue;
    if (line.empty() || line[0] != '|') break;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) cells.push_back(Trim(cell));
    if (cells.size() >= 4) rows[cells[0]] = {cells[1], cells[2]};
  }
  return rows;
}

std::string TypeName(const GParamSpec* spec) {
  if (G_IS_PARAM_SPEC_ENUM(spec)) return "enum";
  if (G_IS_PARAM_SPEC_STRING(spec)) return "string";
  if (G_IS_PARAM_SPEC_BOOLEAN(spec)) return "boolean";
  if (G_IS_PARAM_SPEC_UINT64(spec)) return "uint64";
  if (G_IS_PARAM_SPEC_UINT(spec)) return "uint";
  if (G_IS_PARAM_SPEC_INT(spec)) return "int";
  if (G_IS_PARAM_SPEC_DOUBLE(spec) || G_IS_PARAM_SPEC_FLOAT(spec)) return "double";
  if (GST_IS_PARAM_SPEC_FRACTION(spec)) return "fraction";
  if (spec->value_type == GST_TYPE_STRUCTURE) return "structure";
  return g_type_name(spec->value_type);
}

std::string Number(double value) {
  char text[32];
  g_snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string DefaultValue(GParamSpec* spec) {
  if (!(spec->flags & G_PARAM_WRITABLE)) return "read only";
  const GValue* value = g_param_spec_get_default_value(spec);
  if (G_VALUE_HOLDS_STRING(value)) {
    const char* text = g_value_get_string(value);
    return text && *text ? text : "none";
  }
  if (G_VALUE_HOLDS_ENUM(value)) {
    const GEnumClass* values = G_PARAM_SPEC_ENUM(spec)->enum_class;
    for (guint i = 0; i < values->n_values; ++i) {
      if (values->values[i].value == g_value_get_enum(value)) return values->values[i].value_nick;
    }
    return "?";
  }
  if (G_VALUE_HOLDS_BOOLEAN(value)) return g_value_get_boolean(value) ? "true" : "false";
  if (G_VALUE_HOLDS_UINT64(value)) return std::to_string(g_value_get_uint64(value));
  if (G_VALUE_HOLDS_UINT(value)) return std::to_string(g_value_get_uint(value));
  if (G_VALUE_HOLDS_INT(value)) return std::to_string(g_value_get_int(value));
  if (G_VALUE_HOLDS_DOUBLE(value)) return Number(g_value_get_double(value));
  if (G_VALUE_HOLDS_FLOAT(value)) return Number(g_value_get_float(value));
  if (GST_VALUE_HOLDS_FRACTION(value)) {
    return std::to_string(gst_value_get_fraction_numerator(value)) + "/" +
           std::to_string(gst_value_get_fraction_denominator(value));
  }
  return "?";
}

// The element's own properties, without those of its GStreamer base classes.
Properties PropertiesOf(const std::string& name) {
  Properties found;
  std::unique_ptr<GstElement, decltype(&gst_object_unref)> element(
      gst_element_factory_make(name.c_str(), nullptr), &gst_object_unref);
  if (!element) return found;
  guint count = 0;
  GParamSpec** specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element.get()), &count);
  for (guint i = 0; i < count; ++i) {
    if (specs[i]->owner_type == G_OBJECT_TYPE(element.get())) {
      found[specs[i]->name] = {TypeName(specs[i]), DefaultValue(specs[i])};
    }
  }
  g_free(specs);
  return found;
}

class PropertyTable : public testing::TestWithParam<const char*> {};

TEST_P(PropertyTable, EqualsTheElement) {
  const Properties table = TableOf(ReadReadme(kElements), GetParam());
  const Properties element = PropertiesOf(GetParam());
  ASSERT_FALSE(element.empty()) << "no element " << GetParam() << " in "
                                << std::getenv("GST_PLUGIN_PATH");
  for (const auto& [name, property] : element) {
    const auto row = table.find(name);
    if (row == table.end()) {
      ADD_FAILURE() << kElements << " lacks | `" << name << "` | " << property.type << " | "
                    << property.default_value << " | … |";
      continue;
    }
    EXPECT_EQ(row->second.type, property.type) << name;
    EXPECT_EQ(row->second.default_value, property.default_value) << name;
  }
  for (const auto& [name, row] : table) {
    EXPECT_TRUE(element.count(name)) << kElements << " has a property that is not there: " << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Readme, PropertyTable,
                         testing::Values("cliptag", "cliptagkeyframes", "cliptagoverlay"),
                         [](const auto& info) { return std::string(info.param); });

// Every `gst-launch-1.0` line of a README without the program and its flags, up to a pipe or
// comment.
std::vector<std::string> LaunchLines(const std::string& readme) {
  std::string text = std::regex_replace(readme, std::regex(R"(\\\n\s*)"), "");
  std::vector<std::string> lines;
  const std::regex launch(R"(^gst-launch-1\.0((?: -\w)*) (.*)$)");
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, launch)) continue;
    std::string pipeline = match[2];
    lines.push_back(pipeline.substr(0, pipeline.find(" | ")));
  }
  return lines;
}

// What GStreamer has against a line; empty when it parses, but for elements that may be missing.
std::string ParseProblem(const std::string& line) {
  GError* error = nullptr;
  GstParseContext* context = gst_parse_context_new();
  GstElement* pipeline = gst_parse_launch_full(line.c_str(), context, GST_PARSE_FLAG_NONE, &error);
  std::string problem = error ? error->message : "";
  if (error && g_error_matches(error, GST_PARSE_ERROR, GST_PARSE_ERROR_NO_SUCH_ELEMENT)) {
    gchar** missing = gst_parse_context_get_missing_elements(context);
    bool all_may = missing != nullptr;
    for (gchar** name = missing; name && *name; ++name) {
      all_may = all_may && kMayBeMissing.count(*name) > 0;
    }
    if (all_may) problem.clear();
    g_strfreev(missing);
  }
  g_clear_error(&error);
  if (pipeline) gst_object_unref(pipeline);
  gst_parse_context_free(context);
  return problem;
}

TEST(LaunchLinesTest, Parse) {
  for (const char* path : kReadmes) {
    const std::vector<std::string> lines = LaunchLines(ReadReadme(path));
    for (const std::string& line : lines) EXPECT_EQ("", ParseProblem(line)) << path << ": " << line;
  }
  EXPECT_GE(LaunchLines(ReadReadme("README.md")).size(), 3u);
  EXPECT_GE(LaunchLines(ReadReadme("pipelines/README.md")).size(), 10u);
}

// `scoring=sigmoid`, in code: a value that the element accepts.
TEST(ReadmeTest, ValuesOfPropertiesAreAccepted) {
  const std::regex span("`(?:cliptag |cliptagkeyframes )?([a-z-]+)=([^\\s`]+)`");
  const Properties properties = PropertiesOf("cliptag");
  size_t count = 0;
  for (const char* path : kReadmes) {
    const std::string readme = ReadReadme(path);
    for (std::sregex_iterator it(readme.begin(), readme.end(), span), end; it != end; ++it) {
      if (!properties.count((*it)[1])) continue;  // of another element
      ++count;
      const std::string setting = (*it)[1].str() + "=" + (*it)[2].str();
      EXPECT_EQ("", ParseProblem("fakesrc ! cliptag " + setting + " ! fakesink")) << path;
    }
  }
  EXPECT_GE(count, 10u);
}

TEST(ReadmeTest, NamesTheBuiltInBackgroundAndTemplates) {
  const std::string readme = std::regex_replace(ReadReadme(kElements), std::regex("\\s+"), " ");
  std::string list;
  for (const std::string& entry : cliptag::DefaultBackground()) {
    list += (list.empty() ? "" : ", ") + entry;
  }
  EXPECT_NE(readme.find("compared with: " + list + "."), std::string::npos) << list;
  for (const std::string& entry : cliptag::DefaultTemplates()) {
    EXPECT_NE(readme.find("`" + entry + "`"), std::string::npos) << entry;
  }
}

TEST(LaunchLinesTest, ProblemsAreSeen) {
  EXPECT_NE("", ParseProblem("videotestsrc ! cliptag prompt=\"car\" ! fakesink"));
  EXPECT_NE("", ParseProblem("videotestsrc ! cliptagg ! fakesink"));
  EXPECT_NE("", ParseProblem("videotestsrc ! cliptag scoring=best ! fakesink"));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string registry = testing::TempDir() + "cliptag-readme-" + std::to_string(getpid());
  setenv("GST_REGISTRY", registry.c_str(), 1);
  gst_init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  const int status = RUN_ALL_TESTS();
  unlink(registry.c_str());
  return status;
}
