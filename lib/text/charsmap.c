/* Reading and searching a precompiled charsmap.
 *
 *     4 bytes   size of the trie in bytes, little-endian
 *     units     32 bits each: a double array as darts-clone writes it
 *     texts     UTF-8, each ended by NUL; a key's value is the place of its text
 *
 * A unit: bits 0 to 7 the label of the edge that leads to it (with bit 31, which marks a value, it is no label), bit 8 whether
 * a value belongs to it, bits 10 to 30 the distance to its children, times 256 if bit 9 is set. All of it is walked once when
 * it is read, so that a search needs no check but that of its range. */
#include "text/charsmap.h"

#include <string.h>

#include "common/utf8.h"

static uint32_t offset_of(uint32_t unit) {
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

static int base64_digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes into `out`, which has room for three quarters of `length`; returns the bytes, or SIZE_MAX if it isn't base64. */
static size_t decode_base64(const char *base64, size_t length, uint8_t *out) {
    size_t padding = 0, bytes = 0;
    while (padding < 2 && length > 0 && base64[length - 1] == '=') {
        length--;
        padding++;
    }
    if ((length + padding) % 4 != 0)
        return SIZE_MAX;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = base64_digit((uint8_t)base64[i]);
        if (digit < 0)
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            out[bytes++] = (uint8_t)(bits >> 16);
            out[bytes++] = (uint8_t)(bits >> 8);
            out[bytes++] = (uint8_t)bits;
        }
    }
    if (length % 4 == 3) {
        out[bytes++] = (uint8_t)(bits >> 10);
        out[bytes++] = (uint8_t)(bits >> 2);
    } else if (length % 4 == 2) {
        out[bytes++] = (uint8_t)(bits >> 4);
    }
    return bytes;
}

const uint8_t *sv_charsmap_find(const sv_charsmap *map, const uint8_t *text, size_t size, size_t *length) {
    uint32_t at = offset_of(map->units[0]);
    for (size_t i = 0; i < size && text[i]; i++) {
        at ^= text[i];
        if (at >= map->count)
            return NULL;
        uint32_t unit = map->units[at];
        if ((unit & (1u << 31 | 0xff)) != text[i])
            return NULL;
        at ^= offset_of(unit);
        if (unit >> 8 & 1) {
            if (at >= map->count)
                return NULL;
            uint32_t value = map->units[at] & 0x7fffffff;
            if (value >= map->texts_size)
                return NULL;
            const uint8_t *found = map->texts + value;
            *length = strlen((const char *)found);
            return found;
        }
    }
    return NULL;
}

/* Whether a text begins here, and not inside of a code point. */
static bool is_text(const sv_charsmap *map, uint32_t value) {
    return value < map->texts_size && !sv_utf8_is_continuation(map->texts[value]);
}

static bool is_utf8(const uint8_t *at, size_t size) {
    bool invalid = false;
    uint32_t c;
    for (const uint8_t *end = at + size; at < end;)
        at += sv_utf8_decode(at, end, &c, &invalid);
    return !invalid;
}

/* Every value that a key leads to lies among the texts. Only the shortest keys are ever found, so only they are looked at; each
 * is at most four levels deep where they are what they should be, and a unit is visited once. */
static bool values_are_inside(const sv_charsmap *map, uint8_t *seen, uint32_t *stack) {
    size_t depth = 0;
    stack[depth++] = 0;
    while (depth > 0) {
        uint32_t at = stack[--depth], base = at ^ offset_of(map->units[at]);
        for (uint32_t label = 1; label < 256; label++) {
            uint32_t child = base ^ label;
            if (child >= map->count || (map->units[child] & (1u << 31 | 0xff)) != label || seen[child])
                continue;
            seen[child] = 1;
            uint32_t unit = map->units[child], value = child ^ offset_of(unit);
            if (!(unit >> 8 & 1))
                stack[depth++] = child;
            else if (value >= map->count || !is_text(map, map->units[value] & 0x7fffffff))
                return false;
        }
    }
    return true;
}

senvec_status sv_charsmap_read(sv_charsmap *map, const char *base64, size_t length, const char *path, sv_arena *arena,
                               senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, length / 4 * 3 + 4, 1, "a charsmap", &memory, err));
    uint8_t *bytes = memory;
    size_t size = decode_base64(base64, length, bytes);
    if (size == SIZE_MAX)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: normalizer: precompiled_charsmap is not base64", path);
    size_t trie = size < 4 ? SIZE_MAX : bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
    if (size < 4 || trie > size - 4 || trie % 4 != 0 || trie == 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: normalizer: precompiled_charsmap ends inside of its table (%zu bytes)", path,
                       size);
    map->count = trie / 4;
    map->texts = bytes + 4 + trie;
    map->texts_size = size - 4 - trie;
    if (map->texts_size == 0 || map->texts[map->texts_size - 1] != 0)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: normalizer: precompiled_charsmap ends inside of its texts (%zu bytes)", path,
                       size);
    if (!is_utf8(map->texts, map->texts_size))
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: normalizer: precompiled_charsmap has texts that aren't UTF-8", path);
    void *units, *seen, *stack;
    SENVEC_TRY(sv_arena_alloc(arena, map->count, sizeof *map->units, "a charsmap", &units, err));
    for (size_t i = 0; i < map->count; i++) {
        const uint8_t *at = bytes + 4 + 4 * i;
        ((uint32_t *)units)[i] = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    }
    map->units = units;
    sv_arena temporary;
    sv_arena_init(&temporary, &arena->allocator);
    senvec_status status = sv_arena_alloc(&temporary, map->count, 1, "a charsmap", &seen, err);
    if (status == SENVEC_OK)
        status = sv_arena_alloc(&temporary, map->count + 1, sizeof(uint32_t), "a charsmap", &stack, err);
    bool inside = status == SENVEC_OK && values_are_inside(map, seen, stack);
    sv_arena_release(&temporary);
    SENVEC_TRY(status);
    if (!inside)
        return sv_fail(err, SENVEC_FORMAT, 0, "%s: normalizer: precompiled_charsmap points outside of its texts", path);
    for (unsigned c = 0; c < 128; c++) {
        uint8_t byte = (uint8_t)c;
        size_t ignored;
        map->plain[c] = c != '\r' && !sv_charsmap_find(map, &byte, 1, &ignored); /* CR LF is one cluster */
    }
    return SENVEC_OK;
}
