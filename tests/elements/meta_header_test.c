/* The installed header, from C: everything that it offers, on a meta made by hand. */
#include "plugin/elements/meta/gstcliptagmeta.h"

#define CHECK(condition)                                 \
  do {                                                   \
    if (!(condition)) {                                  \
      g_printerr("line %d: %s\n", __LINE__, #condition); \
      return 1;                                          \
    }                                                    \
  } while (0)

/* Of the frame without a region, of a tile with a region, of an object with its id, too. */
static void append_tag(GValue* tags, const gchar* label, GstStructure* region) {
  GValue tag = G_VALUE_INIT;
  GstStructure* s = gst_structure_new("tag", "label", G_TYPE_STRING, label, NULL);
  if (region != NULL) {
    gst_structure_set(s, "region", GST_TYPE_STRUCTURE, region, NULL);
    gst_structure_free(region);
  }
  g_value_init(&tag, GST_TYPE_STRUCTURE);
  g_value_take_boxed(&tag, s);
  gst_value_list_append_and_take_value(tags, &tag);
}

static GstStructure* make_region(gint x) {
  return gst_structure_new("region", "x", G_TYPE_INT, x, "y", G_TYPE_INT, 2, "w", G_TYPE_INT, 3,
                           "h", G_TYPE_INT, 4, NULL);
}

static GstBuffer* make_tagged(void) {
  GstBuffer* buffer = gst_buffer_new();
  GstStructure* s =
      gst_custom_meta_get_structure(gst_buffer_add_custom_meta(buffer, GST_CLIPTAG_META_NAME));
  GstStructure* object = make_region(20);
  GValue tags = G_VALUE_INIT;
  g_value_init(&tags, GST_TYPE_LIST);
  append_tag(&tags, "dog", NULL);
  append_tag(&tags, "cat", make_region(10));
  gst_structure_set(object, "id", G_TYPE_INT64, (gint64)1 << 40, NULL);
  append_tag(&tags, "bird", object);
  gst_structure_take_value(s, "tags", &tags);
  return buffer;
}

int main(int argc, char** argv) {
  static const gchar* no_tags[] = {NULL};
  GstBuffer *tagged, *plain;
  const GstStructure* s;
  gpointer state = NULL;
  gint x = 0, y = 0, w = 0, h = 0;
  gint64 id = 0;

  gst_init(&argc, &argv);
  gst_meta_register_custom(GST_CLIPTAG_META_NAME, no_tags, NULL, NULL, NULL);
  tagged = make_tagged();
  plain = gst_buffer_new();
  gst_buffer_add_protection_meta(plain, gst_structure_new_empty("other"));

  s = gst_buffer_get_cliptag_meta(tagged);
  CHECK(s != NULL);
  CHECK(gst_cliptag_structure_n_tags(s) == 3);
  CHECK(g_str_equal(gst_structure_get_string(gst_cliptag_structure_get_tag(s, 0), "label"), "dog"));
  CHECK(!gst_cliptag_tag_get_region(gst_cliptag_structure_get_tag(s, 0), &x, &y, &w, &h, &id));
  CHECK(gst_cliptag_tag_get_region(gst_cliptag_structure_get_tag(s, 1), &x, &y, &w, &h, &id));
  CHECK(x == 10 && y == 2 && w == 3 && h == 4 && id == -1);
  CHECK(gst_cliptag_tag_get_region(gst_cliptag_structure_get_tag(s, 2), &x, NULL, NULL, NULL, &id));
  CHECK(x == 20 && id == (gint64)1 << 40);
  CHECK(gst_buffer_iterate_cliptag_meta(tagged, &state) == s);
  CHECK(gst_buffer_iterate_cliptag_meta(tagged, &state) == NULL);
  CHECK(gst_buffer_get_cliptag_meta(plain) == NULL);

  gst_buffer_unref(tagged);
  gst_buffer_unref(plain);
  return 0;
}
