/* JSON (RFC 8259) read without a tree. A document is checked once, as a whole; after that each value is a handle that points
 * into its text, and lists and objects are walked. Reading needs memory only to find duplicate names: 8 bytes for each member
 * of the objects that are open at a time. Its time is linear in the document's bytes, whatever they say.
 *
 *     sv_json root, value;
 *     SENVEC_TRY(sv_json_read(text, length, NULL, &root, err));
 *     if (root.kind == SV_JSON_OBJECT && sv_json_integer(sv_json_member(root, "dimensions"), &dimensions)) ...
 *     sv_json_items items = sv_json_walk(sv_json_member(root, "inputs"));
 *     while (sv_json_step(&items, NULL, &value)) ...
 *
 * Handles are valid as long as the text lives and isn't changed. All functions may be called from any thread. */
#ifndef SV_COMMON_JSON_H
#define SV_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

typedef enum sv_json_kind {
    SV_JSON_NONE, /* no such value; every function accepts it */
    SV_JSON_NULL,
    SV_JSON_FALSE,
    SV_JSON_TRUE,
    SV_JSON_INTEGER, /* a number without '.' and exponent */
    SV_JSON_REAL,
    SV_JSON_STRING,
    SV_JSON_ARRAY,
    SV_JSON_OBJECT,
} sv_json_kind;

typedef struct sv_json {
    const char *text; /* of a string with its quotes, of a list with its brackets */
    size_t length;
    sv_json_kind kind;
} sv_json;

/* Checks text[0 .. length) and gives its one value. Strict: UTF-8 without a byte order mark, no comments, no trailing commas,
 * no halves of surrogate pairs, at most SV_MAX_JSON_DEPTH lists and objects in each other, no two members of the same name in
 * an object (told by a hash of 64 bits). Numbers may have any size. `allocator` NULL: the C library's. Errors: FORMAT, with the
 * offset and, in the message, line and column ("line 1, column 7: a string has no end"); OUT_OF_MEMORY. */
senvec_status sv_json_read(const char *text, size_t length, const senvec_allocator *allocator, sv_json *root,
                           senvec_error *err);

/* sv_json_read for records written by other programs, which are read whenever they can be understood: an object may have
 * several members of one name (each step gives one of them; sv_json_member and sv_json_look_up give the first), and half of a
 * surrogate pair is decoded as the byte SV_JSON_HALF_PAIR, which is never part of UTF-8. Allocates nothing. Returns NULL on
 * success; otherwise what is wrong at byte *at, as a sentence without its full stop. */
const char *sv_json_read_lenient(const char *text, size_t length, sv_json *root, size_t *at);
#define SV_JSON_HALF_PAIR 0xff

/* A walk through a list or an object. A walk through any other value has no steps. */
typedef struct sv_json_items {
    const char *at, *end; /* where the next item begins and the whole ends; NULL: no items are left */
} sv_json_items;

sv_json_items sv_json_walk(sv_json value);
/* Takes the next item. In an object, *name gets the member's name (a string); `name` may be NULL. False: no items are left. */
bool sv_json_step(sv_json_items *items, sv_json *name, sv_json *value);
/* Items of a list, members of an object. Walks through it. */
size_t sv_json_count(sv_json value);
/* Item `index` of a list, or NONE. Walks to it. */
sv_json sv_json_at(sv_json list, size_t index);

/* A member of an object, or NONE. Walks through the object. */
sv_json sv_json_member(sv_json object, const char *name);

/* An index of an object's members, for callers that look up several: the object is walked once. */
#define SV_JSON_INDEXED 32
typedef struct sv_json_index {
    struct {
        sv_json name, value;
    } members[SV_JSON_INDEXED];
    size_t count;
    sv_json_items others; /* the members after those; no known request has that many */
} sv_json_index;          /* zeroed: the index of an object without members */

void sv_json_index_members(sv_json object, sv_json_index *out);
sv_json sv_json_look_up(const sv_json_index *index, const char *name);

/* Whether the value is the string `text`, or text[0 .. length). */
bool sv_json_is(sv_json value, const char *text);
bool sv_json_equals(sv_json value, const char *text, size_t length);
/* Whether a string has escapes, so that its bytes aren't its text. */
bool sv_json_is_escaped(sv_json string);
/* Writes a string's bytes to `out`, at most string.length - 2 of them, and returns how many; they may hold NUL. `out` may be
 * string.text + 1, but then neither the string nor the document around it can be read again. */
size_t sv_json_decode(sv_json string, char *out);

/* Stands in place of the first quote of a string that is decoded in place (json_document.h): the string's bytes follow without
 * escapes, then a NUL, then spaces up to its old end. Functions here accept it like any other string; its length is the number
 * of its bytes plus two. */
#define SV_JSON_DECODED '\x01'

/* The number, if it is an INTEGER and fits. */
bool sv_json_integer(sv_json value, int64_t *out);
/* The nearest double to an INTEGER or REAL; false for infinity and for more than 1,000 characters. */
bool sv_json_number(sv_json value, double *out);

#endif
