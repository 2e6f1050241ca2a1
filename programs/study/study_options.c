/* The options of a study: their defaults, and what a study that goes on has of them. */
#include <string.h>

#include "hub/hub.h"
#include "study/study_internal.h"

void sv_study_options_init(sv_study_options *options) {
    *options = (sv_study_options){
        .model = SV_DEFAULT_MODEL,
        .out = "results",
        .peers = "all",
        .ready_services = "none",
        .texts = 10000,
        .validation_texts = 1000,
        .rounds = 10,
        .latency_calls = 200,
        .duration_s = 10,
        .timeout_s = 300,
        .price_per_hour = 0.05,
        .tolerance = 0.01,
        .seed = 1,
    };
}

void sv_study_options_go_on(sv_study_options *options) {
    *options = (sv_study_options){.out = "results", .timeout_s = 300, .price_per_hour = -1, .tolerance = -1};
}

void sv_study_options_quick(sv_study_options *options) {
    options->quick = true;
    options->rounds = 4;
    options->latency_calls = 24;
    options->duration_s = 1;
    options->validation_texts = 40;
}

void sv_study_options_budget(sv_study_options *options) {
    options->rounds = 4;
    if (!options->quick) { /* blocks as long as those of ten rounds */
        options->latency_calls = 80;
        options->duration_s = 4;
    }
}

/* An option that decides what is compared: what the study was made with, which what is given must be. */
static senvec_status keep(const char *option, const json_t *settings, const char *key, const char **given, senvec_error *err) {
    const char *made_with = json_string_value(json_object_get(settings, key));
    if (*given && settings && strcmp(*given, made_with ? made_with : "") != 0)
        return sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s %s: this study was made with %s; go on with the same, or begin anew with \"senvec study bench --anew\"", option,
            *given, made_with ? made_with : "none given");
    *given = made_with;
    return SENVEC_OK;
}

static void take_text(const json_t *settings, const char *key, const char **given) {
    if (!*given)
        *given = json_string_value(json_object_get(settings, key));
}

static void take_count(const json_t *settings, const char *key, size_t *given) {
    if (!*given)
        *given = (size_t)json_integer_value(json_object_get(settings, key));
}

senvec_status sv_study_options_take(sv_study_options *options, sv_results *results, senvec_error *err) {
    const json_t *settings = json_object_get(results->environment, "settings"), *given = json_object_get(settings, "service");
    sv_study_options defaults;
    sv_study_options_init(&defaults);
    SENVEC_TRY(keep("--peers", settings, "peers", &options->peers, err));
    SENVEC_TRY(keep("--cpu", settings, "cpu", &options->cpu, err));
    if (options->threads && options->threads != results->threads)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                       "--threads %zu: this study was made with %zu; go on with the same, or begin anew with \"senvec study "
                       "bench --anew\"",
                       options->threads, results->threads);
    take_text(settings, "model", &options->model);
    if (!options->corpus) {
        take_text(settings, "corpus", &options->corpus);
        take_text(settings, "key", &options->key);
        take_text(settings, "column", &options->column);
    }
    take_text(settings, "services", &options->ready_services);
    for (size_t i = 0; !options->service_count && i < json_array_size(given) && i < SV_MAX_SERVICES; i++)
        options->services[i] = json_string_value(json_array_get(given, i));
    if (!options->service_count)
        options->service_count = json_array_size(given);
    take_text(settings, "pairs", &options->pairs);
    take_text(settings, "queries", &options->queries);
    take_text(settings, "documents", &options->documents);
    take_text(settings, "qrels", &options->qrels);
    take_text(settings, "classes", &options->classes);
    if (!(options->tolerance >= 0))
        options->tolerance = json_number_value(json_object_get(settings, "tolerance"));
    take_count(settings, "texts", &options->texts);
    take_count(settings, "validation_texts", &options->validation_texts);
    options->quick = options->quick || results->quick;
    if (!(options->budget_s > 0))
        options->budget_s = json_number_value(json_object_get(settings, "budget_s"));
    options->ready_services = options->ready_services ? options->ready_services : "none"; /* as older studies had it */
    options->model = options->model ? options->model : defaults.model;
    options->peers = options->peers ? options->peers : defaults.peers;
    options->texts = options->texts ? options->texts : defaults.texts;
    options->validation_texts = options->validation_texts ? options->validation_texts : defaults.validation_texts;
    options->rounds = options->rounds ? options->rounds : results->rounds;
    options->latency_calls = options->latency_calls ? options->latency_calls : results->latency_calls;
    options->duration_s = options->duration_s > 0 ? options->duration_s : results->duration_s;
    options->seed = options->seed ? options->seed : results->seed;
    if (options->price_per_hour >= 0)
        results->price_per_hour = options->price_per_hour;
    return SENVEC_OK;
}

/* An option of an interrupted study that is given anew must be what it was. */
static senvec_status same_count(const char *option, size_t given, size_t made_with, senvec_error *err) {
    return given && given != made_with
               ? sv_fail(
                     err, SENVEC_INVALID_ARGUMENT, 0,
                     "%s %zu: the interrupted study in the folder was made with %zu; go on with the same, give another folder "
                     "by -o, or begin anew with --anew",
                     option, given, made_with)
               : SENVEC_OK;
}

static const char *string_or_none(const json_t *value) {
    return json_is_string(value) ? json_string_value(value) : "";
}

senvec_status sv_study_options_check(const sv_study_options *given, const sv_results *results, senvec_error *err) {
    SENVEC_TRY(same_count("--rounds", given->rounds, results->rounds, err));
    SENVEC_TRY(same_count("--calls", given->latency_calls, results->latency_calls, err));
    SENVEC_TRY(same_count("--seed", (size_t)given->seed, (size_t)results->seed, err));
    if ((given->duration_s > 0 && given->duration_s != results->duration_s) || (given->quick && !results->quick))
        return sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s: the interrupted study in the folder was made otherwise; go on with the same, give another folder by "
            "-o, or begin anew with --anew",
            given->quick && !results->quick ? "--quick" : "--duration");
    const json_t *settings = json_object_get(results->environment, "settings");
    const json_t *services = json_object_get(settings, "service");
    if (given->budget_s > 0 && given->budget_s != json_number_value(json_object_get(settings, "budget_s")))
        return sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "--budget: the interrupted study in the folder has another one; go on with the same, give another folder "
            "by -o, or begin anew with --anew");
    bool same = given->service_count == 0 || given->service_count == json_array_size(services);
    for (size_t i = 0; same && i < given->service_count; i++)
        same = strcmp(given->services[i], string_or_none(json_array_get(services, i))) == 0;
    return same ? SENVEC_OK
                : sv_fail(
                      err, SENVEC_INVALID_ARGUMENT, 0,
                      "--service: the interrupted study in the folder asks other services; go on with the same, give another "
                      "folder by -o, or begin anew with --anew");
}
