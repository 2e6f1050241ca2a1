/* The stage: opens the services, compares their vectors, has them measured (service_load.c), and weighs their memory. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "loadgen/load_files.h"
#include "study/batching.h"
#include "study/compare.h"
#include "study/services_internal.h"

enum { COMPARED_TEXTS = 64, CONNECTIONS = 1024 };

bool sv_services_cancelled(const sv_services_stage *s) {
    return s->options->cancelled && *s->options->cancelled;
}

senvec_status sv_services_fail_cancelled(senvec_error *err) {
    return sv_fail(err, SENVEC_CANCELLED, 0, "interrupted; what was measured until then is kept");
}

senvec_status sv_services_no_memory(senvec_error *err) {
    return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the results");
}

void sv_services_progress(sv_services_stage *s, const char *name) {
    char text[128];
    snprintf(text, sizeof text, "over HTTP: %s", name);
    if (s->progress)
        s->progress(s->progress_context, s->done < s->total ? (double)s->done / (double)s->total : 1, text);
    s->done++;
}

senvec_status sv_services_checkpoint(const sv_services_stage *s, senvec_error *err) {
    return s->options->checkpoint ? s->options->checkpoint(s->options->checkpoint_context, err) : SENVEC_OK;
}

void sv_put_number(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, sv_load_number_json(value));
}

senvec_status sv_service_give_up(sv_served *item, sv_row_state state, const senvec_error *failure, senvec_error *err) {
    if (failure->code == SENVEC_OUT_OF_MEMORY || failure->code == SENVEC_CANCELLED) {
        *err = *failure;
        return failure->code;
    }
    item->runs = false;
    json_object_set_new(item->row, "state", json_string(sv_row_state_text(state)));
    json_object_set_new(item->row, "reason", json_string(failure->message));
    sv_service_stop(item->process);
    item->process = NULL;
    return SENVEC_OK;
}

/* The vectors of the first texts by the engine in fp32. */
static senvec_status embed_reference(sv_services_stage *s, const char *path, senvec_error *err) {
    const senvec_model_options model_options = {.precision = SENVEC_PRECISION_FP32, .cpu = s->options->cpu};
    const senvec_session_options session_options = {.threads = s->results->threads};
    senvec_model *model;
    senvec_session *session = NULL;
    senvec_model_info info;
    const sv_load_set *set = &s->one.sets[0];
    SENVEC_TRY(senvec_model_open(path, &model_options, &model, err));
    senvec_model_describe(model, &info);
    senvec_status status = SENVEC_OK;
    if (info.task != SENVEC_TASK_EMBEDDING)
        status =
            sv_fail(err, SENVEC_UNSUPPORTED, 0, "services are measured with models that embed texts, which this one doesn't");
    s->compared = set->count < COMPARED_TEXTS ? set->count : COMPARED_TEXTS;
    s->dimensions = info.dimensions;
    if (status == SENVEC_OK)
        status = senvec_session_open(model, &session_options, &session, err);
    if (status == SENVEC_OK && !(s->reference = calloc(s->compared, info.dimensions * sizeof *s->reference)))
        status = sv_services_no_memory(err);
    if (status == SENVEC_OK)
        status = senvec_embed(session, set->texts, s->compared, s->reference, info.dimensions, NULL, err);
    senvec_session_free(session);
    senvec_model_free(model);
    return status;
}

static senvec_status compare(const sv_services_stage *s, const sv_served *item, sv_http_target *target, senvec_error *err) {
    double cosines[COMPARED_TEXTS];
    float *vectors = calloc(s->compared, s->dimensions * sizeof *vectors);
    senvec_status status = vectors ? SENVEC_OK : sv_services_no_memory(err);
    for (size_t first = 0; status == SENVEC_OK && first < s->compared; first += SV_BULK_TEXTS) {
        const size_t count = s->compared - first < SV_BULK_TEXTS ? s->compared - first : SV_BULK_TEXTS;
        size_t dimensions = 0;
        float *some = NULL;
        status = sv_http_target_vectors(target, first, count, SV_SERVICE_TIMEOUT_S, &some, &dimensions, NULL, err);
        if (status == SENVEC_OK && dimensions != s->dimensions)
            status =
                sv_fail(err, SENVEC_UNSUPPORTED, 0, "its vectors have %zu numbers, the model's %zu: it serves another model",
                        dimensions, s->dimensions);
        if (status == SENVEC_OK)
            memcpy(vectors + first * dimensions, some, count * dimensions * sizeof *vectors);
        free(some);
    }
    sv_comparison found;
    if (status == SENVEC_OK)
        status = sv_compare_vectors(vectors, s->reference, s->compared, s->dimensions, cosines, &found, err);
    free(vectors);
    if (status != SENVEC_OK)
        return status;
    double sum = 0, least = INFINITY;
    for (size_t i = 0; i < s->compared; i++) {
        sum += cosines[i];
        least = fmin(least, cosines[i]);
    }
    json_object_set_new(item->row, "dimensions", json_integer((json_int_t)s->dimensions));
    json_object_set_new(item->row, "texts", json_integer((json_int_t)s->compared));
    sv_put_number(item->row, "cosine_mean", sum / (double)s->compared);
    sv_put_number(item->row, "cosine_min", least);
    sv_put_number(item->row, "neighbours", found.neighbours);
    return SENVEC_OK;
}

senvec_status sv_service_target(const sv_served *item, const sv_workload *workload, bool numbers, sv_http_target **out,
                                senvec_error *err) {
    sv_http_options http = item->http;
    if (numbers && http.dialect == SV_LOAD_DIALECT_OPENAI_BASE64)
        http.dialect = SV_LOAD_DIALECT_OPENAI;
    return sv_http_target_open(&http, workload, out, err);
}

/* Starts the service where it is one to start; *cold_s is the time until its first vector. */
static senvec_status start(const sv_services_stage *s, const sv_served *item, sv_service_process **process, sv_url *url,
                           double *cold_s, senvec_error *err) {
    const uint64_t begin = sv_clock_ns();
    sv_served fresh = *item;
    sv_http_target *target = NULL;
    if (item->service->kind != SV_SERVICE_GIVEN)
        SENVEC_TRY(sv_service_start(item->service, s->places, process, url, err));
    fresh.http.url = *url;
    senvec_status status = sv_service_target(&fresh, &s->one, true, &target, err);
    if (status == SENVEC_OK)
        status = sv_http_target_probe(target, SV_SERVICE_TIMEOUT_S, err);
    *cold_s = (double)(sv_clock_ns() - begin) / (double)SV_NS_PER_S;
    sv_http_target_close(target);
    return status;
}

static senvec_status open_service(sv_services_stage *s, sv_served *item, senvec_error *err) {
    senvec_error failure;
    double cold_s;
    sv_url url = item->service->address.url;
    sv_http_target *target = NULL;
    sv_services_progress(s, item->service->name);
    senvec_status status = start(s, item, &item->process, &url, &cold_s, &failure);
    /* Neither what isn't installed nor what isn't running has failed. */
    const bool absent = status == SENVEC_NOT_FOUND || status == SENVEC_NETWORK || !item->process;
    item->http.url = url;
    if (status != SENVEC_OK)
        return sv_service_give_up(item, absent ? SV_ROW_MISSING : SV_ROW_FAILED, &failure, err);
    if (item->process && !json_object_get(item->row, "cold_start_s")) /* the first one counts, also of a study that goes on */
        sv_put_number(item->row, "cold_start_s", cold_s);
    status = sv_service_target(item, &s->one, true, &target, &failure);
    if (status == SENVEC_OK)
        status = compare(s, item, target, &failure);
    sv_http_target_close(target);
    if (status != SENVEC_OK)
        return sv_service_give_up(item, SV_ROW_FAILED, &failure, err);
    item->runs = true;
    return sv_services_checkpoint(s, err);
}

static bool has_text(const json_t *object, const char *key, const char *text) {
    const char *value = json_string_value(json_object_get(object, key));
    return value && strcmp(value, text) == 0;
}

static json_t *find_row(const sv_services_stage *s, const char *name) {
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(s->results->services, "rows"), index, row) {
        if (has_text(row, "name", name))
            return row;
    }
    return NULL;
}

/* Where the service listens, if it is the reader's; "" otherwise. */
static void url_of(const sv_service *service, char out[SV_SERVICE_URL]) {
    out[0] = '\0';
    if (service->kind == SV_SERVICE_GIVEN)
        sv_service_address_url(&service->address.url, service->address.dialect, out);
}

/* Does the study have a part of just these services, measured in the same way? */
static bool goes_on(const sv_services_stage *s, const sv_service_list *list) {
    const json_t *found = s->results->services;
    const double seconds = json_number_value(json_object_get(found, "seconds"));
    bool same = s->options->go_on && found && json_array_size(json_object_get(found, "rows")) == list->count &&
                json_integer_value(json_object_get(found, "rounds")) == (json_int_t)s->rounds &&
                fabs(seconds - s->block_s) <= 1e-6 * s->block_s;
    for (size_t i = 0; same && i < list->count; i++) {
        char url[SV_SERVICE_URL];
        const json_t *row = find_row(s, list->items[i].name);
        url_of(&list->items[i], url);
        same = row && has_text(row, "url", url);
    }
    return same;
}

static senvec_status describe(sv_services_stage *s, const sv_service_list *list, senvec_error *err) {
    static const char *const kinds[] = {"senvec", "torch", "onnx", "llama", "given"};
    if (!goes_on(s, list)) {
        json_decref(s->results->services);
        s->results->services =
            json_pack("{s:f, s:I, s:i, s:i, s:i, s:I, s:f, s:I, s:s, s:[], s:[]}", "bound_ms", SV_BATCHING_BOUND_MS, "threads",
                      (json_int_t)s->results->threads, "clients", SV_SERVICE_CLIENTS, "bulk_texts", SV_BULK_TEXTS,
                      "bulk_clients", SV_BULK_CLIENTS, "rounds", (json_int_t)s->rounds, "seconds", s->block_s, "samples",
                      (json_int_t)s->samples, "reference", "senvec fp32", "rows", "runs");
    }
    s->count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        const sv_service *service = &list->items[i];
        char url[SV_SERVICE_URL];
        const char *model = service->address.model[0] ? service->address.model : s->options->model;
        url_of(service, url);
        s->items[i] = (sv_served){.service = service,
                                  .http = {.url = service->address.url,
                                           .dialect = service->address.dialect,
                                           .model = service->kind == SV_SERVICE_SENVEC ? SV_SERVED_NAME : model,
                                           .connections = CONNECTIONS,
                                           .repeat = -1,
                                           .connect_timeout_s = 5},
                                  .row = find_row(s, service->name)};
        if (s->items[i].row)
            continue;
        s->items[i].row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", service->name, "kind", kinds[service->kind],
                                    "url", url, "dialect", sv_load_dialect_choices[service->address.dialect], "model", model,
                                    "state", sv_row_state_text(SV_ROW_PLANNED), "reason", "");
        if (json_array_append_new(json_object_get(s->results->services, "rows"), s->items[i].row) != 0)
            return sv_services_no_memory(err);
    }
    return SENVEC_OK;
}

/* What a second process of the same service takes beside the first. */
static senvec_status measure_memory(sv_services_stage *s, sv_served *item, senvec_error *err) {
    sv_service_process *second = NULL;
    sv_url url;
    double cold_s;
    sv_services_progress(s, item->service->name);
    if (!item->process || json_object_get(item->row, "pss_2_bytes"))
        return SENVEC_OK;
    json_object_set_new(item->row, "peak_rss_bytes", json_integer((json_int_t)sv_service_peak_rss(item->process)));
    json_object_set_new(item->row, "pss_bytes", json_integer((json_int_t)sv_service_pss(item->process)));
    senvec_error failure;
    senvec_status status = start(s, item, &second, &url, &cold_s, &failure);
    if (status == SENVEC_OK) {
        sv_put_number(item->row, "warm_start_s", cold_s);
        json_object_set_new(item->row, "pss_2_bytes",
                            json_integer((json_int_t)(sv_service_pss(item->process) + sv_service_pss(second))));
    }
    sv_service_stop(second);
    if (status == SENVEC_CANCELLED || status == SENVEC_OUT_OF_MEMORY) {
        *err = failure;
        return status;
    }
    return sv_services_checkpoint(s, err);
}

/* ------------------------------------------------------------------- whole */

static senvec_status measure(sv_services_stage *s, senvec_error *err) {
    for (size_t i = 0; i < s->count; i++)
        SENVEC_TRY(sv_services_cancelled(s) ? sv_services_fail_cancelled(err) : open_service(s, &s->items[i], err));
    SENVEC_TRY(sv_services_measure(s, err));
    for (size_t i = 0; i < s->count; i++)
        SENVEC_TRY(measure_memory(s, &s->items[i], err));
    return SENVEC_OK;
}

static void mark_all(sv_services_stage *s, const char *reason) {
    for (size_t i = 0; i < s->count; i++) {
        json_object_set_new(s->items[i].row, "state", json_string(sv_row_state_text(SV_ROW_MISSING)));
        json_object_set_new(s->items[i].row, "reason", json_string(reason));
    }
}

senvec_status sv_study_services(sv_results *results, const sv_study_options *options, const sv_service_list *list,
                                const sv_service_places *places, const sv_texts *texts, sv_runner_progress_fn *progress,
                                void *progress_context, senvec_error *err) {
    const sv_mix one = {1, {1}, {1}}, bulk = {1, {SV_BULK_TEXTS}, {1}};
    sv_services_stage s = {.results = results,
                           .options = options,
                           .places = places,
                           .progress = progress,
                           .progress_context = progress_context,
                           .rounds = options->quick ? 2 : SV_SERVICE_ROUNDS,
                           .steps = options->quick ? 3 : 6,
                           .block_s = fmax(0.1 * options->duration_s, 0.02),
                           .run_s = fmax(0.3 * options->duration_s, 0.02),
                           .samples = (size_t)fmin(fmax(30 * options->duration_s, 100), 300)}; /* p99 is given from 100 on */
    s.total = list->count * (3 + s.rounds * 3 + s.steps);
    SENVEC_TRY(describe(&s, list, err));
    senvec_status status = sv_workload_make(&s.one, texts->texts, texts->count, &one, NULL, options->seed, err);
    if (status == SENVEC_OK)
        status = sv_workload_make(&s.bulk, texts->texts, texts->count, &bulk, NULL, options->seed, err);
    senvec_error failure;
    senvec_status known = SENVEC_OK;
    if (status == SENVEC_OK)
        known = embed_reference(&s, places->model, &failure);
    if (status == SENVEC_OK && known == SENVEC_OUT_OF_MEMORY) {
        status = known;
        *err = failure;
    } else if (status == SENVEC_OK && known != SENVEC_OK) {
        mark_all(&s, failure.message);
    } else if (status == SENVEC_OK) {
        status = measure(&s, err);
    }
    for (size_t i = 0; i < s.count; i++)
        sv_service_stop(s.items[i].process);
    free(s.reference);
    sv_workload_release(&s.one);
    sv_workload_release(&s.bulk);
    return status;
}
