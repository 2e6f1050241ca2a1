#include "io/closest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { MAX_WORD = 64 };

static int keep(int c) {
    return c;
}

static size_t least_of(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edits between two words: insert, delete, replace, or swap two neighbours (optimal string alignment). Words of MAX_WORD bytes
 * or more count as far apart. */
static size_t edit_distance(const char *a, const char *b, int (*fold)(int)) {
    size_t m = strlen(a), n = strlen(b);
    if (m >= MAX_WORD || n >= MAX_WORD)
        return MAX_WORD;
    size_t d[MAX_WORD][MAX_WORD]; /* d[i][j]: from the first i bytes of a to the first j of b */
    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        for (size_t j = 1; j <= n; j++) {
            size_t replaced = d[i - 1][j - 1] + (fold((unsigned char)a[i - 1]) != fold((unsigned char)b[j - 1]));
            d[i][j] = least_of(replaced, least_of(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least_of(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[m][n];
}

const char *sv_closest(const char *word, const char *const *words) {
    const char *best = NULL;
    size_t length = strlen(word);
    size_t best_distance = length < 4 ? 2 : 3; /* the first that is too far */
    for (size_t i = 0; words[i]; i++) {
        bool begins = length >= 2 && strncmp(word, words[i], length) == 0; /* "--prec" */
        size_t distance = begins ? 1 : edit_distance(word, words[i], keep);
        if (distance < best_distance) {
            best_distance = distance;
            best = words[i];
        }
    }
    return best;
}

static const char *without_organisation(const char *name) {
    const char *slash = strchr(name, '/');
    return slash ? slash + 1 : name;
}

const char *sv_closest_model(const char *name, const char *const *names) {
    const char *best = NULL, *bare = without_organisation(name);
    size_t length = strlen(bare), best_distance = length / 4 + 2;
    for (size_t i = 0; names[i]; i++) {
        const char *candidate = without_organisation(names[i]);
        bool begins = length >= 4 && strncasecmp(bare, candidate, length) == 0;
        size_t distance = begins ? 1 : edit_distance(bare, candidate, tolower);
        if (distance < best_distance) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}
