/* Writes the ids of texts, or of pairs of texts, for tokenizer_parity.py and tokenizer_class_parity.py.
 *
 * usage: tokenizer_ids DIRECTORY MAX_IDS [single|pairs [auto|right|left]] < texts > ids
 *
 * A text is a 32-bit length and its bytes; its ids are a 32-bit count, a 32-bit word of flags (1: truncated, 2: invalid UTF-8),
 * and 32-bit ids. Of a pair, which is two texts, the types of the ids follow. All in the machine's byte order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "text/tokenizer.h"

static int fail(const char *why) {
    fprintf(stderr, "tokenizer_ids: %s\n", why);
    return 1;
}

/* False at the end of the input, and where it ends too early. */
static bool read_text(char *text, size_t *length) {
    uint32_t bytes;
    if (fread(&bytes, sizeof bytes, 1, stdin) != 1)
        return false;
    *length = bytes;
    return bytes <= SV_MAX_LINE_BYTES && fread(text, 1, bytes, stdin) == bytes;
}

int main(int argc, char **argv) {
    static const char *const sides[] = {
#define NAME(name, value, text) [value] = text,
        SENVEC_TRUNCATION_MAP(NAME)
#undef NAME
    };
    const bool pairs = argc > 3 && strcmp(argv[3], "pairs") == 0;
    senvec_truncation truncation = SENVEC_TRUNCATION_AUTO;
    while (argc == 5 && truncation <= SENVEC_TRUNCATION_LEFT && strcmp(argv[4], sides[truncation]) != 0)
        truncation++;
    if (argc < 3 || argc > 5 || (argc > 3 && !pairs && strcmp(argv[3], "single") != 0) || truncation > SENVEC_TRUNCATION_LEFT)
        return fail("usage: tokenizer_ids DIRECTORY MAX_IDS [single|pairs [auto|right|left]] < texts > ids");
    size_t max_ids = strtoul(argv[2], NULL, 10);
    if (max_ids < 2 || max_ids > 1u << 24)
        return fail("MAX_IDS must be 2 to 16777216");
    senvec_error err;
    sv_tokenizer *tokenizer;
    if (sv_tokenizer_load(argv[1], NULL, &tokenizer, &err) != SENVEC_OK)
        return fail(err.message);
    if (max_ids < sv_tokenizer_specials(tokenizer, pairs) || (pairs && !sv_tokenizer_takes_pairs(tokenizer)))
        return fail("MAX_IDS is below the ids of the template, or there is no template for pairs");
    uint32_t *ids = malloc(max_ids * sizeof *ids), *types = malloc(max_ids * sizeof *types);
    char *text = malloc(SV_MAX_LINE_BYTES), *other = malloc(SV_MAX_LINE_BYTES);
    if (!ids || !types || !text || !other)
        return fail("out of memory");
    for (senvec_text a = {.data = text}, b = {.data = other}; read_text(text, &a.length);) {
        sv_tokens tokens;
        if (pairs && !read_text(other, &b.length))
            return fail("the input ends inside of a pair");
        if (pairs)
            tokens = sv_tokenizer_encode_pair(tokenizer, a, b, truncation, ids, types, max_ids);
        else
            tokens = sv_tokenizer_encode(tokenizer, text, a.length, truncation, ids, max_ids);
        uint32_t head[2] = {(uint32_t)tokens.count, (uint32_t)tokens.truncated | (uint32_t)tokens.invalid_utf8 << 1};
        fwrite(head, sizeof head, 1, stdout);
        fwrite(ids, sizeof *ids, tokens.count, stdout);
        if (pairs)
            fwrite(types, sizeof *types, tokens.count, stdout);
    }
    if (!feof(stdin))
        return fail("the input ends inside of a text");
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail("the output could not be written");
    free(text);
    free(other);
    free(types);
    free(ids);
    sv_tokenizer_free(tokenizer);
    return 0;
}
