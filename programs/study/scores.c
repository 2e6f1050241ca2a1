#include "study/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/statistics.h"
#include "study/forms.h"
#include "study/runner_internal.h"

enum { NEIGHBOURS = 5, METRICS = 6 };

/* What is scored for each item; `main` ones decide a recommendation. */
static const struct {
    const char *task, *name;
    bool main;
} metrics[METRICS] = {{"pairs", "Spearman", true}, {"search", "nDCG@10", true},        {"search", "recall@10", false},
                      {"search", "MRR", false},    {"classes", "5-NN accuracy", true}, {"classes", "probe accuracy", true}};
enum { SPEARMAN, NDCG, RECALL, RECIPROCAL, NEAREST, PROBE };

/* The values of all items for each metric, of a row in a form; NULL where the task isn't there. */
typedef struct item_scores {
    double *values[METRICS];
    size_t counts[METRICS];
    size_t dimensions, bytes;
} item_scores;

/* The vectors of a row: [count, dimensions] for each set. */
typedef struct row_vectors {
    float *pairs, *queries, *documents, *classes;
    size_t dimensions;
} row_vectors;

static void forget(row_vectors *vectors) {
    free(vectors->pairs);
    free(vectors->queries);
    free(vectors->documents);
    free(vectors->classes);
    *vectors = (row_vectors){0};
}

/* ------------------------------------------------------------------- vectors */

static senvec_status fetch(sv_runner *runner, size_t index, const char *set, const sv_texts *texts, float **out,
                           size_t *dimensions, senvec_error *err) {
    if (!texts || !runner->workers[index])
        return SENVEC_OK;
    return sv_runner_fetch_vectors(runner, index, set, texts->count, out, dimensions, err);
}

/* Of all sets. Where the row is given up, its worker is gone. */
static senvec_status fetch_all(sv_runner *runner, const sv_labels *labels, size_t index, row_vectors *out, senvec_error *err) {
    const sv_search_task *search = labels->search;
    *out = (row_vectors){0};
    senvec_status status =
        fetch(runner, index, "pairs", labels->pairs ? &labels->pairs->texts : NULL, &out->pairs, &out->dimensions, err);
    if (status == SENVEC_OK)
        status = fetch(runner, index, "queries", search ? &search->queries.texts : NULL, &out->queries, &out->dimensions, err);
    if (status == SENVEC_OK)
        status =
            fetch(runner, index, "documents", search ? &search->documents.texts : NULL, &out->documents, &out->dimensions, err);
    if (status == SENVEC_OK)
        status = fetch(runner, index, "classes", labels->classes ? &labels->classes->texts : NULL, &out->classes,
                       &out->dimensions, err);
    if (status != SENVEC_OK)
        forget(out);
    return status;
}

/* -------------------------------------------------------------------- scores */

static senvec_status room_for(sv_arena *arena, item_scores *scores, size_t metric, size_t count, senvec_error *err) {
    void *memory;
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(double), "scores", &memory, err));
    scores->values[metric] = memory;
    scores->counts[metric] = count;
    return SENVEC_OK;
}

/* The sum in parts, so that it needn't wait for each addition. */
static float dot(const float *a, const float *b, size_t n) {
    float lanes[16] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t l = 0; l < 16; l++)
            lanes[l] += a[i + l] * b[i + l];
    for (size_t l = 0; l < 16; l++)
        sum += lanes[l];
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void score_pairs(const float *vectors, size_t dimensions, item_scores *out) {
    for (size_t i = 0; i < out->counts[SPEARMAN]; i++)
        out->values[SPEARMAN][i] = (double)dot(vectors + 2 * i * dimensions, vectors + (2 * i + 1) * dimensions, dimensions);
}

/* Queries that the judgements name count; the item's place is theirs among those. */
static senvec_status score_search(const sv_search_task *task, const float *queries, const float *documents, size_t dimensions,
                                  item_scores *out, senvec_error *err) {
    const size_t count = task->documents.texts.count;
    float *similar = malloc(count * sizeof *similar);
    if (!similar)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory to search %zu documents", count);
    size_t item = 0;
    for (size_t q = 0; q < task->queries.texts.count; q++) {
        size_t begin = task->first[q], judged = task->first[q + 1] - begin;
        if (!judged)
            continue;
        for (size_t d = 0; d < count; d++)
            similar[d] = dot(queries + q * dimensions, documents + d * dimensions, dimensions);
        const sv_search_scores scores = sv_score_search(similar, task->documents.names, count, task->judged + begin, judged);
        out->values[NDCG][item] = scores.ndcg10;
        out->values[RECALL][item] = scores.recall10;
        out->values[RECIPROCAL][item++] = scores.reciprocal_rank;
    }
    free(similar);
    return SENVEC_OK;
}

static size_t judged_queries(const sv_search_task *task) {
    size_t count = 0;
    for (size_t q = 0; q < task->queries.texts.count; q++)
        count += task->first[q + 1] > task->first[q];
    return count;
}

static size_t test_texts(const sv_class_task *task) {
    size_t count = 0;
    for (size_t i = 0; i < task->texts.count; i++)
        count += task->for_test[i];
    return count;
}

/* The vectors are put in order in place: those to train with first. */
static senvec_status score_classes(sv_arena *arena, const sv_class_task *task, const float *vectors, size_t dimensions,
                                   item_scores *out, senvec_error *err) {
    const size_t count = task->texts.count, tests = test_texts(task);
    void *copy, *order;
    SENVEC_TRY(sv_arena_alloc(arena, count * dimensions, sizeof(float), "vectors", &copy, err));
    SENVEC_TRY(sv_arena_alloc(arena, count, sizeof(size_t), "classes", &order, err));
    float *sorted = copy;
    size_t *classes = order, train = 0, test = count - tests;
    for (size_t i = 0; i < count; i++) {
        size_t place = task->for_test[i] ? test++ : train++;
        memcpy(sorted + place * dimensions, vectors + i * dimensions, dimensions * sizeof *sorted);
        classes[place] = task->classes[i];
    }
    SENVEC_TRY(sv_score_neighbours(sorted, classes, train, sorted + train * dimensions, classes + train, tests, dimensions,
                                   task->class_count, NEIGHBOURS, out->values[NEAREST], err));
    return sv_score_probe(sorted, classes, train, sorted + train * dimensions, classes + train, tests, dimensions,
                          task->class_count, out->values[PROBE], err);
}

/* All tasks of a row in a form. */
static senvec_status score_form(sv_arena *arena, const sv_labels *labels, const row_vectors *vectors, sv_form form,
                                item_scores *out, senvec_error *err) {
    row_vectors shaped = {0};
    const size_t whole = vectors->dimensions;
    *out = (item_scores){.bytes = sv_form_bytes(form, whole)};
    senvec_status status = SENVEC_OK;
    if (labels->pairs) {
        const size_t count = labels->pairs->texts.count;
        status = sv_form_vectors(vectors->pairs, count, whole, form, &shaped.pairs, &out->dimensions, err);
        if (status == SENVEC_OK)
            status = room_for(arena, out, SPEARMAN, count / 2, err);
        if (status == SENVEC_OK)
            score_pairs(shaped.pairs, out->dimensions, out);
    }
    if (status == SENVEC_OK && labels->search) {
        const sv_search_task *task = labels->search;
        status =
            sv_form_vectors(vectors->queries, task->queries.texts.count, whole, form, &shaped.queries, &out->dimensions, err);
        if (status == SENVEC_OK)
            status = sv_form_vectors(vectors->documents, task->documents.texts.count, whole, form, &shaped.documents,
                                     &out->dimensions, err);
        for (size_t metric = NDCG; status == SENVEC_OK && metric <= RECIPROCAL; metric++)
            status = room_for(arena, out, metric, judged_queries(task), err);
        if (status == SENVEC_OK)
            status = score_search(task, shaped.queries, shaped.documents, out->dimensions, out, err);
    }
    if (status == SENVEC_OK && labels->classes) {
        const sv_class_task *task = labels->classes;
        status = sv_form_vectors(vectors->classes, task->texts.count, whole, form, &shaped.classes, &out->dimensions, err);
        for (size_t metric = NEAREST; status == SENVEC_OK && metric <= PROBE; metric++)
            status = room_for(arena, out, metric, test_texts(task), err);
        if (status == SENVEC_OK)
            status = score_classes(arena, task, shaped.classes, out->dimensions, out, err);
    }
    forget(&shaped);
    return status;
}

static double mean(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum / (double)count;
}

/* One entry of "scores" for each metric. */
static senvec_status note_scores(sv_results *results, size_t index, sv_form form, const sv_labels *labels,
                                 const item_scores *scores, const item_scores *base, senvec_error *err) {
    sv_row *row = &results->rows[index];
    for (size_t metric = 0; metric < METRICS; metric++) {
        const size_t count = scores->counts[metric];
        sv_difference off = {0};
        double value;
        if (!count)
            continue;
        if (metric == SPEARMAN) {
            SENVEC_TRY(sv_spearman(scores->values[metric], labels->pairs->labels, count, &value, err));
            SENVEC_TRY(sv_bootstrap_spearman(scores->values[metric], base->values[metric], labels->pairs->labels, count,
                                             results->seed, &off, err));
            if (form == 0)
                row->sts_spearman = value;
        } else {
            value = mean(scores->values[metric], count);
            SENVEC_TRY(sv_bootstrap_means(scores->values[metric], base->values[metric], count, results->seed, &off, err));
        }
        json_t *entry = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:b}", "configuration", row->name, "form", sv_form_text(form),
                                  "dimensions", (json_int_t)scores->dimensions, "bytes", (json_int_t)scores->bytes, "task",
                                  metrics[metric].task, "metric", metrics[metric].name, "main", metrics[metric].main);
        const double figures[] = {value, off.value, off.low, off.high};
        static const char *const keys[] = {"value", "difference", "low", "high"};
        for (size_t k = 0; k < 4; k++)
            json_object_set_new(entry, keys[k], isfinite(figures[k]) ? json_real(figures[k]) : json_null());
        if (json_array_append_new(json_object_get(results->labels, "scores"), entry) != 0)
            return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the scores");
    }
    return SENVEC_OK;
}

/* Has an interrupted study scored the row? */
static bool is_scored(const sv_results *results, const char *name) {
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(results->labels, "scores"), index, entry) {
        if (strcmp(json_string_value(json_object_get(entry, "configuration")), name) == 0)
            return true;
    }
    return false;
}

static senvec_status score_row(sv_runner *runner, const sv_labels *labels, size_t index, const row_vectors *own,
                               const item_scores *base, senvec_error *err) {
    senvec_status status = SENVEC_OK;
    for (sv_form form = 0; status == SENVEC_OK && form < SV_FORMS_LABELLED; form++) {
        sv_arena arena;
        item_scores scores;
        sv_arena_init(&arena, NULL);
        status = score_form(&arena, labels, own, form, &scores, err);
        if (status == SENVEC_OK)
            status = note_scores(runner->results, index, form, labels, &scores, base, err);
        sv_arena_release(&arena);
    }
    return status;
}

/* -------------------------------------------------------------------- stage */

static senvec_status describe(sv_results *results, const sv_labels *labels, const char *baseline, senvec_error *err) {
    json_t *tasks = json_array();
    if (labels->pairs)
        json_array_append_new(tasks,
                              json_pack("{s:s, s:I, s:[s]}", "task", "pairs", "items",
                                        (json_int_t)labels->pairs->texts.count / 2, "files", labels->pairs->texts.source));
    if (labels->search)
        json_array_append_new(tasks, json_pack("{s:s, s:I, s:I, s:[s, s]}", "task", "search", "items",
                                               (json_int_t)judged_queries(labels->search), "documents",
                                               (json_int_t)labels->search->documents.texts.count, "files",
                                               labels->search->queries.texts.source, labels->search->documents.texts.source));
    if (labels->classes)
        json_array_append_new(
            tasks, json_pack("{s:s, s:I, s:I, s:I, s:[s]}", "task", "classes", "items", (json_int_t)test_texts(labels->classes),
                             "training", (json_int_t)(labels->classes->texts.count - test_texts(labels->classes)), "classes",
                             (json_int_t)labels->classes->class_count, "files", labels->classes->texts.source));
    json_decref(results->labels);
    results->labels =
        json_pack("{s:s, s:f, s:o, s:[]}", "baseline", baseline, "tolerance", labels->tolerance, "tasks", tasks, "scores");
    if (labels->pairs)
        results->sts_pairs = labels->pairs->texts.count / 2;
    return results->labels ? SENVEC_OK : sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the scores");
}

static senvec_status teach(sv_runner *runner, const sv_labels *labels, senvec_error *err) {
    if (labels->pairs)
        SENVEC_TRY(sv_runner_teach(runner, "pairs", &labels->pairs->texts, NULL, labels->pairs->texts.count, NULL, err));
    if (labels->search) {
        const sv_texts *queries = &labels->search->queries.texts, *documents = &labels->search->documents.texts;
        SENVEC_TRY(sv_runner_teach(runner, "queries", queries, NULL, queries->count, NULL, err));
        SENVEC_TRY(sv_runner_teach(runner, "documents", documents, NULL, documents->count, NULL, err));
    }
    if (labels->classes)
        SENVEC_TRY(sv_runner_teach(runner, "classes", &labels->classes->texts, NULL, labels->classes->texts.count, NULL, err));
    return SENVEC_OK;
}

/* The rows one after the other, against the baseline's float32 vectors. */
static senvec_status score_rows(sv_runner *runner, const sv_labels *labels, const item_scores *base, senvec_error *err) {
    sv_results *results = runner->results;
    for (size_t i = 0; i < results->row_count; i++) {
        row_vectors own;
        sv_runner_progress(runner, (double)i / (double)results->row_count, "labels", results->rows[i].name);
        if (sv_runner_cancelled(runner))
            return sv_runner_fail_cancelled(err);
        if (!runner->workers[i] || is_scored(results, results->rows[i].name))
            continue;
        SENVEC_TRY(fetch_all(runner, labels, i, &own, err));
        senvec_status status = runner->workers[i] ? score_row(runner, labels, i, &own, base, err) : SENVEC_OK;
        forget(&own);
        SENVEC_TRY(status);
        SENVEC_TRY(sv_runner_checkpoint(runner, err));
    }
    return SENVEC_OK;
}

senvec_status sv_study_labels(sv_runner *runner, const sv_labels *labels, senvec_error *err) {
    sv_results *results = runner->results;
    row_vectors vectors = {0};
    size_t base = SIZE_MAX;
    SENVEC_TRY(teach(runner, labels, err));
    while ((base = sv_runner_reference(runner)) != SIZE_MAX) { /* one that fails is given up, and the next takes its place */
        forget(&vectors);
        SENVEC_TRY(fetch_all(runner, labels, base, &vectors, err));
        if (runner->workers[base])
            break;
    }
    if (base == SIZE_MAX)
        return SENVEC_OK;
    const char *name = results->rows[base].name, *known = json_string_value(json_object_get(results->labels, "baseline"));
    senvec_status status = SENVEC_OK;
    if (!runner->options->go_on || !known || strcmp(known, name) != 0)
        status = describe(results, labels, name, err);
    sv_arena arena;
    item_scores scores;
    sv_arena_init(&arena, NULL);
    if (status == SENVEC_OK)
        status = score_form(&arena, labels, &vectors, 0, &scores, err);
    forget(&vectors);
    if (status == SENVEC_OK)
        status = score_rows(runner, labels, &scores, err);
    sv_arena_release(&arena);
    return status;
}
