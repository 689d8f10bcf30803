/* The tags that the `cliptag` element attaches to buffers, for C and C++. Python reads the same
 * with Gst.Buffer.get_custom_meta("GstCliptagMeta").get_structure().
 *
 * The meta is a GstCustomMeta. Its GstStructure has these fields:
 *
 *   pts          guint64   PTS of the frame that the tags belong to, ns (GST_CLOCK_TIME_NONE: none)
 *   stream-time  guint64   the same as stream time, ns (GST_CLOCK_TIME_NONE: none)
 *   frame        guint64   number of that frame, counted from 0 at the segment's start
 *   model        string    name of the model
 *   age          guint64   time between this buffer and that frame, ns; 0 if it is this one
 *   tags         GST_TYPE_LIST of GstStructure "tag", best first
 *   embedding    GBytes of float32, unit length (only with attach-embedding=true)
 *
 * A GstStructure "tag" has
 *
 *   label        string    UTF-8
 *   score        double    0..1
 *   cosine       double    -1..1
 *   active       boolean   the score has passed the threshold
 *   region       GstStructure "region", only if the tag belongs to a tile or an object (fit=tiles,
 *                regions=objects or both); a tag without it belongs to the whole frame:
 *                x, y, w, h int   pixels of this buffer as they are stored
 *                id gint64        the object's track, -1 if it has none; a tile has no id
 *
 * Bus messages of the element carry the same: "cliptag" has all of these fields; "cliptag-event"
 * has label string, state string ("start" or "end"), pts guint64 and score double of the edge, id
 * gint64 (objects only) and, at the end, duration guint64 (running time, ns) and peak double.
 *
 * The meta's name is GstCliptagMeta and that of its functions follows it. The element's type,
 * GstClipTag, is spelled otherwise; both names are part of the interface and stay.
 *
 * Ownership: everything returned here is owned by the buffer; copy what must outlive it.
 * Thread safety: as for any other access to a GstBuffer's meta.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Since: 0.1
 */
#ifndef GST_CLIPTAG_META_H_
#define GST_CLIPTAG_META_H_

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_CLIPTAG_META_NAME "GstCliptagMeta"

/* Iterates over the tags of every cliptag element that this buffer has passed, in that order; start
 * with *state = NULL. Returns NULL after the last one. */
static inline const GstStructure* gst_buffer_iterate_cliptag_meta(GstBuffer* buffer,
                                                                  gpointer* state) {
  GstMeta* meta;
  while ((meta = gst_buffer_iterate_meta(buffer, state)) != NULL) {
    if (gst_meta_info_is_custom(meta->info) &&
        gst_custom_meta_has_name((GstCustomMeta*)meta, GST_CLIPTAG_META_NAME)) {
      return gst_custom_meta_get_structure((GstCustomMeta*)meta);
    }
  }
  return NULL;
}

/* The tags on this buffer, or NULL; with several cliptag elements, those of the first. */
static inline const GstStructure* gst_buffer_get_cliptag_meta(GstBuffer* buffer) {
  gpointer state = NULL;
  return gst_buffer_iterate_cliptag_meta(buffer, &state);
}

/* The number of tags in the structure of the meta or of a "cliptag" message. */
static inline guint gst_cliptag_structure_n_tags(const GstStructure* structure) {
  const GValue* tags = gst_structure_get_value(structure, "tags");
  return tags != NULL && GST_VALUE_HOLDS_LIST(tags) ? gst_value_list_get_size(tags) : 0;
}

/* One of the tags; index 0 is the best. */
static inline const GstStructure* gst_cliptag_structure_get_tag(const GstStructure* structure,
                                                                guint index) {
  const GValue* tags = gst_structure_get_value(structure, "tags");
  return gst_value_get_structure(gst_value_list_get_value(tags, index));
}

/* Where on the frame a tag was found, in pixels; FALSE if it belongs to the whole frame. `id` is
 * the object's track or -1. Each pointer may be NULL. */
static inline gboolean gst_cliptag_tag_get_region(const GstStructure* tag, gint* x, gint* y,
                                                  gint* w, gint* h, gint64* id) {
  const GValue* value = gst_structure_get_value(tag, "region");
  const GstStructure* region;
  if (value == NULL || !GST_VALUE_HOLDS_STRUCTURE(value)) return FALSE;
  region = gst_value_get_structure(value);
  if (x != NULL) gst_structure_get_int(region, "x", x);
  if (y != NULL) gst_structure_get_int(region, "y", y);
  if (w != NULL) gst_structure_get_int(region, "w", w);
  if (h != NULL) gst_structure_get_int(region, "h", h);
  if (id != NULL && !gst_structure_get_int64(region, "id", id)) *id = -1;
  return TRUE;
}

G_END_DECLS

#endif /* GST_CLIPTAG_META_H_ */
