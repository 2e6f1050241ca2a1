/* The table of sentencepiece's normalizers (nmt_nfkc and others), as tokenizer.json holds it: "precompiled_charsmap". */
#ifndef SV_TEXT_CHARSMAP_H
#define SV_TEXT_CHARSMAP_H

#include "common/memory.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sv_charsmap {
    const uint32_t *units; /* [count] a double array in darts-clone's form */
    size_t count;
    const uint8_t *texts; /* [texts_size] the replacements, each ended by NUL */
    size_t texts_size;
    bool plain[128]; /* the ASCII characters that alone are mapped to themselves */
} sv_charsmap;

/* Reads the table from base64. `path` is for messages. Errors: FORMAT (not base64, cut short, a value outside), OUT_OF_MEMORY.
 */
senvec_status sv_charsmap_read(sv_charsmap *map, const char *base64, size_t length, const char *path, sv_arena *arena,
                               senvec_error *err);

/* The replacement of the shortest key that `text` begins with (the reference takes the shortest key, too); *length gets the
 * key's bytes. NULL: the text begins with no key. */
const uint8_t *sv_charsmap_find(const sv_charsmap *map, const uint8_t *text, size_t size, size_t *length);

#endif
