#include "loadgen/workload.h"

#include <string.h>

#include "common/limits.h"

enum { COMPOSED_TEXTS = 256 }; /* of each length: enough that neighbours differ */

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A word of the source, as a cursor gives them: text after text, cyclically, forever. */
typedef struct cursor {
    const senvec_text *texts;
    size_t count;
    size_t text, byte;
} cursor;

static senvec_text next_word(cursor *at) {
    for (;;) {
        const senvec_text *text = &at->texts[at->text];
        while (at->byte < text->length && is_space(text->data[at->byte]))
            at->byte++;
        size_t begin = at->byte;
        while (at->byte < text->length && !is_space(text->data[at->byte]))
            at->byte++;
        if (at->byte > begin)
            return (senvec_text){text->data + begin, at->byte - begin};
        at->text = (at->text + 1) % at->count;
        at->byte = 0;
    }
}

static bool has_word(const senvec_text *texts, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < texts[i].length; j++)
            if (!is_space(texts[i].data[j]))
                return true;
    return false;
}

/* One text of `words` words that begins with one of the source's texts. */
static senvec_status compose(sv_arena *arena, cursor from, size_t words, senvec_text *out, senvec_error *err) {
    size_t length = 0;
    cursor at = from;
    for (size_t i = 0; i < words; i++)
        length += next_word(&at).length + 1;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, length, 1, "a composed text", &memory, err));
    char *to = memory;
    at = from;
    for (size_t i = 0; i < words; i++) {
        senvec_text word = next_word(&at);
        memcpy(to, word.data, word.length);
        to += word.length;
        *to++ = ' ';
    }
    *out = (senvec_text){memory, length - 1};
    return SENVEC_OK;
}

static senvec_status fill(sv_workload *workload, const senvec_text *texts, size_t count, uint64_t seed, senvec_error *err) {
    bool composed = workload->lengths.count > 0;
    sv_random random;
    sv_random_seed(&random, seed);
    if (composed && !has_word(texts, count))
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "the texts hold no word, so none of a given length can be made of them");
    workload->set_count = composed ? workload->lengths.count : 1;
    for (size_t s = 0; s < workload->set_count; s++) {
        sv_load_set *set = &workload->sets[s];
        size_t wanted = composed ? COMPOSED_TEXTS : count;
        void *memory;
        SENVEC_TRY(sv_arena_alloc(&workload->arena, wanted, sizeof(senvec_text), "texts", &memory, err));
        set->texts = memory;
        for (; set->count < wanted; set->count++) {
            senvec_text *text = &set->texts[set->count];
            if (composed) {
                cursor from = {texts, count, (size_t)sv_random_below(&random, count), 0};
                SENVEC_TRY(compose(&workload->arena, from, workload->lengths.values[s], text, err));
            } else {
                const senvec_text *given = &texts[set->count];
                SENVEC_TRY(sv_arena_string(&workload->arena, given->data, given->length, &text->data, err));
                text->length = given->length;
            }
        }
    }
    return SENVEC_OK;
}

senvec_status sv_workload_make(sv_workload *workload, const senvec_text *texts, size_t count, const sv_mix *sizes,
                               const sv_mix *lengths, uint64_t seed, senvec_error *err) {
    *workload = (sv_workload){.sizes = *sizes};
    if (lengths)
        workload->lengths = *lengths;
    sv_arena_init(&workload->arena, NULL);
    senvec_status status = fill(workload, texts, count, seed, err);
    if (status != SENVEC_OK)
        sv_workload_release(workload);
    return status;
}

void sv_workload_release(sv_workload *workload) {
    sv_arena_release(&workload->arena);
    *workload = (sv_workload){0};
}

size_t sv_load_kinds(const sv_workload *workload) {
    return workload->set_count * workload->sizes.count;
}

void sv_load_kind(const sv_workload *workload, size_t kind, size_t *texts, size_t *words) {
    *texts = workload->sizes.values[kind % workload->sizes.count];
    *words = workload->lengths.count ? workload->lengths.values[kind / workload->sizes.count] : 0;
}

sv_load_request sv_load_draw(const sv_workload *workload, sv_random *random) {
    size_t length = workload->lengths.count ? sv_mix_draw(&workload->lengths, random) : 0;
    size_t size = sv_mix_draw(&workload->sizes, random);
    return (sv_load_request){
        .length = length,
        .kind = length * workload->sizes.count + size,
        .first = (size_t)sv_random_below(random, workload->sets[length].count),
        .count = workload->sizes.values[size],
    };
}

size_t sv_load_text_index(const sv_workload *workload, const sv_load_request *request, size_t i) {
    return (request->first + i) % workload->sets[request->length].count;
}
