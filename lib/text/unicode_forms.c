/* Decomposition, ordering and composition of whole texts. */
#include "text/unicode_forms.h"

#include <utf8proc.h>

#include "common/utf8.h"
#include "text/charclass.h"

/* Puts marks[0 .. count) into the order of their combining classes; equal ones stay in order. Runs are short, but a text may be
 * one long run: merging from the bottom up, through `spare`, is never quadratic. */
static void sort_marks(uint32_t *marks, size_t count, uint32_t *spare) {
    if (count <= 8) {
        for (size_t i = 1; i < count; i++)
            for (size_t j = i; j > 0 && sv_char_combining_class(marks[j - 1]) > sv_char_combining_class(marks[j]); j--) {
                uint32_t swap = marks[j];
                marks[j] = marks[j - 1];
                marks[j - 1] = swap;
            }
        return;
    }
    size_t half = count / 2;
    sort_marks(marks, half, spare);
    sort_marks(marks + half, count - half, spare);
    memcpy(spare, marks, half * sizeof *marks);
    for (size_t left = 0, right = half, at = 0; left < half; at++) {
        bool take_left = right == count || sv_char_combining_class(spare[left]) <= sv_char_combining_class(marks[right]);
        marks[at] = take_left ? spare[left++] : marks[right++];
    }
}

size_t sv_decompose(sv_work *work, const sv_buffer *in, bool compatible) {
    size_t count = 0, run = 0; /* where the marks at the end begin */
    bool invalid = false, unordered = false;
    unsigned before = 0;
    for (const uint8_t *at = in->data, *end = at + in->size; at < end;) {
        uint32_t c, parts[SV_MAX_COMPATIBLE];
        at += sv_utf8_decode(at, end, &c, &invalid);
        size_t length = 1;
        parts[0] = c;
        if (c >= 0x80)
            length = compatible ? sv_char_decompose_compatible(c, parts) : sv_char_decompose(c, parts);
        work->points.size = count * sizeof(uint32_t);
        if (!sv_work_room(work, &work->points, (count + length) * sizeof(uint32_t)))
            return SIZE_MAX;
        uint32_t *points = (uint32_t *)(void *)work->points.data;
        for (size_t i = 0; i < length; i++) {
            unsigned class = parts[i] < 0x300 ? 0 : sv_char_combining_class(parts[i]);
            if (class == 0 && unordered) {
                work->points.size = count * sizeof(uint32_t);
                if (!sv_work_room(work, &work->points, (2 * count - run + length) * sizeof(uint32_t)))
                    return SIZE_MAX;
                points = (uint32_t *)(void *)work->points.data;
                sort_marks(points + run, count - run, points + count);
                unordered = false;
            }
            unordered |= class && class < before;
            before = class;
            points[count++] = parts[i];
            if (class == 0)
                run = count;
        }
    }
    work->points.size = count * sizeof(uint32_t);
    if (unordered) {
        if (!sv_work_room(work, &work->points, (2 * count - run) * sizeof(uint32_t)))
            return SIZE_MAX;
        uint32_t *points = (uint32_t *)(void *)work->points.data;
        sort_marks(points + run, count - run, points + count);
    }
    return count;
}

size_t sv_compose(uint32_t *points, size_t count) {
    size_t kept = 0;
    for (size_t at = 0; at < count;) {
        /* utf8proc composes what the reference knows; what it doesn't know stays as it is, and nothing composes across it. */
        size_t end = at;
        while (end < count && !sv_char_is_later(points[end]))
            end++;
        if (end > at) {
            memmove(points + kept, points + at, (end - at) * sizeof *points);
            utf8proc_ssize_t length = utf8proc_normalize_utf32((utf8proc_int32_t *)points + kept, (utf8proc_ssize_t)(end - at),
                                                               UTF8PROC_COMPOSE | UTF8PROC_STABLE);
            kept += length < 0 ? end - at : (size_t)length;
        }
        if (end < count)
            points[kept++] = points[end++];
        at = end;
    }
    return kept;
}

bool sv_write_points(sv_work *work, const uint32_t *points, size_t count, sv_buffer *out) {
    out->size = 0;
    if (!sv_work_room(work, out, count * SV_MAX_UTF8))
        return false;
    for (size_t i = 0; i < count; i++)
        out->size += sv_utf8_encode(points[i], out->data + out->size);
    return true;
}
