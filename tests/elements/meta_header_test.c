/* The installed header, from C: everything that it offers, on a meta made by hand. */
#include "plugin/elements/meta/gstcliptagmeta.h"

#define CHECK(condition)                                 \
  do {                                                   \
    if (!(condition)) {                                  \
      g_printerr("line %d: %s\n", __LINE__, #condition); \
      return 1;                                          \
    }                                                    \
  } while (0)

static GstBuffer* make_tagged(void) {
  GstBuffer* buffer = gst_buffer_new();
  GstStructure* s =
      gst_custom_meta_get_structure(gst_buffer_add_custom_meta(buffer, GST_CLIPTAG_META_NAME));
  GValue tags = G_VALUE_INIT, tag = G_VALUE_INIT;
  g_value_init(&tags, GST_TYPE_LIST);
  g_value_init(&tag, GST_TYPE_STRUCTURE);
  g_value_take_boxed(&tag, gst_structure_new("tag", "label", G_TYPE_STRING, "dog", NULL));
  gst_value_list_append_and_take_value(&tags, &tag);
  gst_structure_take_value(s, "tags", &tags);
  return buffer;
}

int main(int argc, char** argv) {
  static const gchar* no_tags[] = {NULL};
  GstBuffer *tagged, *plain;
  const GstStructure* s;
  gpointer state = NULL;

  gst_init(&argc, &argv);
  gst_meta_register_custom(GST_CLIPTAG_META_NAME, no_tags, NULL, NULL, NULL);
  tagged = make_tagged();
  plain = gst_buffer_new();
  gst_buffer_add_protection_meta(plain, gst_structure_new_empty("other"));

  s = gst_buffer_get_cliptag_meta(tagged);
  CHECK(s != NULL);
  CHECK(gst_cliptag_structure_n_tags(s) == 1);
  CHECK(g_str_equal(gst_structure_get_string(gst_cliptag_structure_get_tag(s, 0), "label"), "dog"));
  CHECK(gst_buffer_iterate_cliptag_meta(tagged, &state) == s);
  CHECK(gst_buffer_iterate_cliptag_meta(tagged, &state) == NULL);
  CHECK(gst_buffer_get_cliptag_meta(plain) == NULL);

  gst_buffer_unref(tagged);
  gst_buffer_unref(plain);
  return 0;
}
