#include "io/word_list.h"

#include <stdio.h>
#include <string.h>

/* The next word of *list; false at the end. Empty words are words. */
static bool next_word(const char **list, const char **word, size_t *length) {
    if (!*list)
        return false;
    *word = *list;
    *length = strcspn(*list, ",");
    *list = (*list)[*length] ? *list + *length + 1 : NULL;
    return true;
}

static bool is(const char *word, size_t length, const char *name) {
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

senvec_status sv_word_list_check(const char *option, const char *list, const char *const *known, senvec_error *err) {
    const char *word;
    size_t length;
    if (strcmp(list, "none") == 0 || strcmp(list, "all") == 0)
        return SENVEC_OK;
    while (next_word(&list, &word, &length)) {
        bool found = false;
        char names[200] = "";
        for (size_t i = 0, used = 0; known[i] && used < sizeof names; i++) {
            found = found || is(word, length, known[i]);
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? "," : "", known[i]);
        }
        if (!found)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s: unknown word \"%.*s\"; expected all, none, or some of %s",
                           option, length < 40 ? (int)length : 40, word, names);
    }
    return SENVEC_OK;
}

bool sv_word_list_has(const char *list, const char *word) {
    const char *own;
    size_t length;
    if (strcmp(list, "none") == 0 || strcmp(list, "all") == 0)
        return list[0] == 'a';
    while (next_word(&list, &own, &length))
        if (is(own, length, word))
            return true;
    return false;
}
