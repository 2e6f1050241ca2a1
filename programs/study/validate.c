/* The stage that compares vectors: each row embeds the same texts, and its vectors are held against the reference's. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "study/compare.h"
#include "study/forms.h"
#include "study/runner_internal.h"

senvec_status sv_runner_fetch_vectors(sv_runner *runner, size_t index, const char *set, size_t count, float **out,
                                      size_t *dimensions, senvec_error *err) {
    char path[SV_MAX_PATH];
    json_int_t batch = (json_int_t)runner->results->rows[index].batch;
    json_t *reply;
    *out = NULL;
    SENVEC_TRY(sv_path_join(runner->options->scratch, "vectors.f32", path, err));
    SENVEC_TRY(sv_runner_ask(runner, index,
                             json_pack("{s:s, s:s, s:I, s:s}", "op", "embed", "set", set, "batch", batch, "path", path), &reply,
                             NULL, err));
    if (!reply)
        return SENVEC_OK;
    size_t given = (size_t)json_integer_value(json_object_get(reply, "count"));
    *dimensions = (size_t)json_integer_value(json_object_get(reply, "dimensions"));
    json_decref(reply);

    sv_file_map map = {0};
    senvec_status status = sv_file_map_open(path, &map, err);
    if (status == SENVEC_NOT_FOUND)
        status = sv_runner_implausible(runner, index, "embed", "no vectors in the file", err);
    else if (status == SENVEC_OK && (given != count || *dimensions == 0 || map.size / sizeof(float) / *dimensions != count))
        status = sv_runner_implausible(runner, index, "embed", "another number of vectors than texts", err);
    else if (status == SENVEC_OK && !(*out = malloc(map.size)))
        status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %zu vectors", count);
    else if (status == SENVEC_OK)
        memcpy(*out, map.data, map.size);
    sv_file_map_close(&map);
    unlink(path);
    return status;
}

size_t sv_runner_reference(const sv_runner *runner) {
    for (int choice = 0; choice < 3; choice++)
        for (size_t i = 0; i < runner->results->row_count; i++) {
            const sv_row *row = &runner->results->rows[i];
            bool torch = strcmp(row->runtime, "torch") == 0, fp32 = strcmp(row->precision, "fp32") == 0;
            if (runner->workers[i] && (choice == 2 || (choice == 1 && fp32) || (choice == 0 && torch)))
                return i;
        }
    return SIZE_MAX;
}

/* Copies texts[pick[0 .. count)], the texts of a validation set, into the results. */
static senvec_status keep_texts(sv_results *results, sv_validation_set set, const sv_texts *texts, const size_t *pick,
                                size_t count, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&results->arena, count, sizeof(char *), "texts", &memory, err));
    const char **kept = memory;
    for (size_t i = 0; i < count; i++) {
        const senvec_text *text = &texts->texts[pick[i]];
        SENVEC_TRY(sv_arena_string(&results->arena, text->data, text->length, &kept[i], err));
    }
    results->validation[set].texts = kept;
    results->validation[set].count = count;
    return SENVEC_OK;
}

static senvec_status compare_row(sv_results *results, size_t index, sv_validation_set set, const float *vectors,
                                 const float *reference, size_t count, size_t dimensions, senvec_error *err) {
    sv_comparison comparison;
    void *cosines;
    SENVEC_TRY(sv_arena_alloc(&results->arena, count, sizeof(double), "cosines", &cosines, err));
    SENVEC_TRY(sv_compare_vectors(vectors, reference, count, dimensions, cosines, &comparison, err));
    sv_validation made = {
        .cosines = cosines,
        .count = count,
        .pairwise_error_max = comparison.pairwise_error_max,
        .pairwise_error_mean = comparison.pairwise_error_mean,
        .neighbours = comparison.neighbours,
    };
    SENVEC_TRY(sv_recall_of_forms(vectors, count, dimensions, made.recall, err));
    results->rows[index].validation[set] = made;
    return SENVEC_OK;
}

/* What the workers know a set by: "corpus" is the whole one, with its repetitions. */
static const char *worker_set(sv_validation_set set) {
    return set == SV_VALIDATION_CORPUS ? "distinct" : SV_TEXTS_WIDE;
}

/* Of the whole stage, when row `row` of set `part` begins. */
static double fraction(const sv_runner *runner, size_t part, size_t row) {
    return ((double)part + (double)row / (double)runner->results->row_count) / SV_VALIDATION_SETS;
}

/* All rows against the vectors of row `base`. */
static senvec_status compare_rows(sv_runner *runner, size_t base, sv_validation_set set, size_t count, const float *reference,
                                  size_t dimensions, senvec_error *err) {
    sv_results *results = runner->results;
    for (size_t i = 0; i < results->row_count; i++) {
        float *vectors = NULL;
        size_t own_dimensions = dimensions;
        sv_runner_progress(runner, fraction(runner, set, i), "validating", results->rows[i].name);
        if (sv_runner_cancelled(runner))
            return sv_runner_fail_cancelled(err);
        senvec_status status = SENVEC_OK;
        if (runner->options->go_on && results->rows[i].validation[set].count == count)
            continue;
        if (i != base && runner->workers[i])
            status = sv_runner_fetch_vectors(runner, i, worker_set(set), count, &vectors, &own_dimensions, err);
        if (status == SENVEC_OK && vectors && own_dimensions != dimensions)
            status = sv_runner_implausible(runner, i, "embed", "vectors of another length than the reference's", err);
        else if (status == SENVEC_OK && (vectors || i == base))
            status = compare_row(results, i, set, vectors ? vectors : reference, reference, count, dimensions, err);
        free(vectors);
        SENVEC_TRY(status);
        SENVEC_TRY(sv_runner_checkpoint(runner, err));
    }
    return SENVEC_OK;
}

static senvec_status validate_set(sv_runner *runner, sv_validation_set set, const sv_texts *texts, size_t limit,
                                  senvec_error *err) {
    size_t count = texts->distinct_count < limit ? texts->distinct_count : limit, dimensions = 0, base = SIZE_MAX;
    float *reference = NULL;
    void *memory;
    SENVEC_TRY(sv_arena_alloc(&runner->results->arena, count, sizeof(size_t), "validation texts", &memory, err));
    size_t *pick = memory;
    for (size_t i = 0; i < count; i++)
        pick[i] = texts->distinct[i * texts->distinct_count / count];
    for (size_t i = 0; !runner->options->go_on && i < runner->results->row_count; i++)
        runner->results->rows[i].validation[set].count = 0;
    senvec_status status = sv_runner_teach(runner, worker_set(set), texts, pick, count, NULL, err);
    /* A reference that fails is given up, and the next best takes its place. */
    while (status == SENVEC_OK && !reference && (base = sv_runner_reference(runner)) != SIZE_MAX)
        status = sv_runner_fetch_vectors(runner, base, worker_set(set), count, &reference, &dimensions, err);
    if (status == SENVEC_OK && reference) {
        snprintf(runner->results->reference, sizeof runner->results->reference, "%s", runner->results->rows[base].name);
        status = keep_texts(runner->results, set, texts, pick, count, err);
        if (status == SENVEC_OK)
            status = compare_rows(runner, base, set, count, reference, dimensions, err);
    }
    free(reference);
    return status;
}

senvec_status sv_runner_validate(sv_runner *runner, size_t limit, senvec_error *err) {
    sv_texts wide;
    SENVEC_TRY(validate_set(runner, SV_VALIDATION_CORPUS, runner->options->texts, limit, err));
    SENVEC_TRY(sv_texts_make(&wide, SV_TEXTS_WIDE, err));
    senvec_status status = validate_set(runner, SV_VALIDATION_WIDE, &wide, limit, err);
    sv_texts_release(&wide);
    return status;
}
