/* Writes the ids of texts, for tokenizer_parity.py.
 *
 * usage: tokenizer_ids DIRECTORY MAX_IDS < texts > ids
 *
 * A text is a 32-bit length and its bytes; its ids are a 32-bit count, a 32-bit word of flags (1: truncated, 2: invalid UTF-8),
 * and 32-bit ids. All in the machine's byte order. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/limits.h"
#include "text/tokenizer.h"

static int fail(const char *why) {
    fprintf(stderr, "tokenizer_ids: %s\n", why);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return fail("usage: tokenizer_ids DIRECTORY MAX_IDS < texts > ids");
    size_t max_ids = strtoul(argv[2], NULL, 10);
    if (max_ids < 2 || max_ids > 1u << 24)
        return fail("MAX_IDS must be 2 to 16777216");
    senvec_error err;
    sv_tokenizer *tokenizer;
    if (sv_tokenizer_load(argv[1], NULL, &tokenizer, &err) != SENVEC_OK)
        return fail(err.message);
    uint32_t *ids = malloc(max_ids * sizeof *ids);
    char *text = malloc(SV_MAX_LINE_BYTES);
    if (!ids || !text)
        return fail("out of memory");
    uint32_t length;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        if (length > SV_MAX_LINE_BYTES || fread(text, 1, length, stdin) != length)
            return fail("the input ends inside of a text");
        sv_tokens tokens = sv_tokenizer_encode(tokenizer, text, length, ids, max_ids);
        uint32_t head[2] = {(uint32_t)tokens.count, (uint32_t)tokens.truncated | (uint32_t)tokens.invalid_utf8 << 1};
        fwrite(head, sizeof head, 1, stdout);
        fwrite(ids, sizeof *ids, tokens.count, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return fail("the output could not be written");
    free(text);
    free(ids);
    sv_tokenizer_free(tokenizer);
    return 0;
}
