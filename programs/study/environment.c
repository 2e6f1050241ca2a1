#include "study/environment.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/cpu/isa.h"
#include "common/cpu/machine.h"
#include "common/file.h"
#include "common/model_files.h"
#include "common/utf8.h"
#include "hub/digest.h"

static json_t *describe_machine(const char *cpu) {
    sv_machine machine;
    sv_machine_describe(&machine);
    json_t *tiers = json_array();
    sv_isa_flags flags = 0;
    sv_isa_choose(cpu, &flags, NULL);
    for (size_t i = 0; sv_isa_at(i); i++)
        if (flags & sv_isa_at(i))
            json_array_append_new(tiers, json_string(sv_isa_name(sv_isa_at(i))));
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "cpu", machine.cpu_model,
                     "isa_tiers", tiers, "online_cpus", (json_int_t)machine.online_cpus, "physical_cores",
                     (json_int_t)machine.physical_cores, "affinity_cpus", (json_int_t)machine.affinity_cpus, "quota_cpus",
                     machine.quota_cpus, "usable_threads", (json_int_t)machine.usable_threads, "l1d_bytes",
                     (json_int_t)machine.l1d_bytes, "l2_bytes", (json_int_t)machine.l2_bytes, "l3_bytes",
                     (json_int_t)machine.l3_bytes, "memory_bytes", (json_int_t)machine.memory_bytes, "kernel", machine.kernel,
                     "hypervisor", machine.hypervisor, "governor", machine.governor);
}

static json_t *describe_senvec(void) {
    return json_pack("{s:s, s:s, s:s}", "version", senvec_version(), "compiler", __VERSION__, "build",
#ifdef NDEBUG
                     "without asserts"
#else
                     "with asserts"
#endif
    );
}

/* Adds size and SHA-256 of a file if it is one of those that decide what a vector is. */
static senvec_status add_file(json_t *list, const char *directory, const char *folder, const char *name, senvec_error *err) {
    if (!sv_model_file_decides(name))
        return SENVEC_OK;
    char below[SV_MAX_PATH], path[SV_MAX_PATH];
    sv_digest digest;
    SENVEC_TRY(sv_path_join(folder, name, below, err));
    SENVEC_TRY(sv_path_join(directory, *folder ? below : name, path, err));
    if (!sv_path_is_file(path))
        return SENVEC_OK;
    SENVEC_TRY(sv_digest_file(path, &digest, err));
    json_object_set_new(list, *folder ? below : name,
                        json_pack("{s:I, s:s}", "bytes", (json_int_t)digest.size, "sha256", digest.sha256));
    return SENVEC_OK;
}

/* The files of a folder and, with `deep`, of the modules' folders in it, which are numbered ("1_Pooling"). */
static senvec_status add_files(json_t *list, const char *directory, const char *folder, bool deep, senvec_error *err) {
    char path[SV_MAX_PATH];
    SENVEC_TRY(sv_path_join(directory, folder, path, err));
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    senvec_status status = SENVEC_OK;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (status == SENVEC_OK)
            status = deep && sv_model_is_module_folder(name) ? add_files(list, directory, name, false, err)
                                                             : add_file(list, directory, folder, name, err);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return status;
}

/* What its vectors can be compared with, whatever its files are. */
static senvec_status find_space(const char *path, char space[SENVEC_SPACE_ID_SIZE], senvec_model_info *info,
                                senvec_error *err) {
    const senvec_model_options options = {
        .precision = sv_model_form_at(path) == SV_MODEL_NATIVE ? SENVEC_PRECISION_INT8
                                                               : SENVEC_PRECISION_FP32, /* no calibration for this */
    };
    senvec_model *model;
    SENVEC_TRY(senvec_model_open(path, &options, &model, err));
    senvec_model_describe(model, info);
    senvec_status status = senvec_model_space_id(model, space, err);
    senvec_model_free(model);
    return status;
}

static senvec_status describe_model(const char *name, const char *path, json_t **out, senvec_error *err) {
    char space[SENVEC_SPACE_ID_SIZE];
    senvec_model_info info;
    json_t *list = json_object();
    *out = json_pack("{s:s, s:s, s:o}", "name", name, "directory", path, "files", list);
    if (find_space(path, space, &info, NULL) == SENVEC_OK) { /* of a broken model the rows say what is wrong */
        json_object_set_new(*out, "space_id", json_string(space));
        json_object_set_new(*out, "weights_bytes", json_integer((json_int_t)info.weights_bytes));
    }
    if (sv_model_form_at(path) == SV_MODEL_FOLDER)
        return add_files(list, path, "", true, err);
    sv_digest digest;
    SENVEC_TRY(sv_digest_file(path, &digest, err));
    const char *slash = strrchr(path, '/');
    json_object_set_new(list, slash ? slash + 1 : path,
                        json_pack("{s:I, s:s}", "bytes", (json_int_t)digest.size, "sha256", digest.sha256));
    return SENVEC_OK;
}

static json_t *describe_texts(const sv_texts *texts) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < texts->count; i++)
        bytes += texts->texts[i].length;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "source", texts->source, "in_file", (json_int_t)texts->seen, "used",
                     (json_int_t)texts->count, "distinct", (json_int_t)texts->distinct_count, "bytes", (json_int_t)bytes,
                     "with_invalid_utf8", (json_int_t)texts->invalid_utf8);
}

/* What the study was told, for the stages that go on from it. */
static json_t *describe_settings(const sv_study_options *options) {
    json_t *given = json_array();
    for (size_t i = 0; i < options->service_count; i++)
        json_array_append_new(given, json_string(options->services[i]));
    return json_pack("{s:o, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:f, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:I, s:I, s:f}",
                     "service", given, "services", options->ready_services, "pairs", options->pairs, "queries",
                     options->queries, "documents", options->documents, "qrels", options->qrels, "classes", options->classes,
                     "tolerance", options->tolerance, "model", options->model, "peers", options->peers, "cpu", options->cpu,
                     "corpus", options->corpus, "key", options->key, "column", options->column, "texts",
                     (json_int_t)options->texts, "validation_texts", (json_int_t)options->validation_texts, "budget_s",
                     options->budget_s);
}

/* How to get these numbers again. */
static json_t *describe_command(const sv_results *results, const sv_study_options *options) {
    char command[1024];
    int used = snprintf(command, sizeof command,
                        "senvec study --seed %llu --threads %zu --peers %s --rounds %zu --calls %zu --duration %g",
                        (unsigned long long)results->seed, results->threads, options->peers, results->rounds,
                        results->latency_calls, results->duration_s);
    if (options->budget_s > 0 && used > 0 && (size_t)used < sizeof command)
        used += snprintf(command + used, sizeof command - (size_t)used, " --budget %gs", options->budget_s);
    if (options->corpus && used > 0 && (size_t)used < sizeof command)
        snprintf(command + used, sizeof command - (size_t)used, " --texts %zu --corpus %s%s%s%s%s", options->texts,
                 options->corpus, options->key ? " --key " : "", options->key ? options->key : "",
                 options->column ? " --column " : "", options->column ? options->column : "");
    sv_utf8_clean(command); /* it may have been cut inside of a character */
    return json_string(command);
}

/* study.json, from which later stages go on, holds names as they were given. */
static senvec_status check_names(const sv_study_options *options, const char *model, senvec_error *err) {
    const char *const names[] = {options->model,  model,           options->corpus,  options->key,
                                 options->column, options->pairs,  options->queries, options->documents,
                                 options->qrels,  options->classes};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char copy[SV_MAX_PATH];
        snprintf(copy, sizeof copy, "%s", names[i] ? names[i] : "");
        if (sv_utf8_clean(copy))
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                           "%s: a name that isn't UTF-8 can't be kept in study.json; give the file or folder another one",
                           copy);
    }
    return SENVEC_OK;
}

senvec_status sv_environment_describe(sv_results *results, const sv_study_options *options, const sv_texts *texts,
                                      const char *model, senvec_error *err) {
    SENVEC_TRY(check_names(options, model, err));
    json_t *description, *environment = results->environment, *runtimes = json_object();
    senvec_status status = describe_model(options->model, model, &description, err);
    if (status != SENVEC_OK) {
        json_decref(description);
        json_decref(runtimes);
        return status;
    }
    for (size_t i = 0; i < results->row_count; i++) {
        const sv_row *row = &results->rows[i];
        json_object_set(runtimes, row->name, row->worker ? row->worker : json_null());
    }
    if (json_object_set_new(environment, "machine", describe_machine(options->cpu)) != 0 ||
        json_object_set_new(environment, "senvec", describe_senvec()) != 0 ||
        json_object_set_new(environment, "model", description) != 0 ||
        json_object_set_new(environment, "texts", describe_texts(texts)) != 0 ||
        json_object_set_new(environment, "settings", describe_settings(options)) != 0 ||
        json_object_set_new(environment, "repeat", describe_command(results, options)) != 0 ||
        json_object_set_new(environment, "runtimes", runtimes) != 0)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory to describe the environment");
    return SENVEC_OK;
}

senvec_status sv_environment_check(const sv_results *results, const sv_study_options *options, const sv_texts *texts,
                                   const char *model, senvec_error *err) {
    static const char *const figures[] = {"used", "distinct", "bytes"};
    const json_t *known_model = json_object_get(results->environment, "model");
    const json_t *known_texts = json_object_get(results->environment, "texts");
    json_t *own_model = NULL, *own_texts = describe_texts(texts);
    senvec_status status = describe_model(options->model, model, &own_model, err);
    bool same_texts = true;
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        same_texts = same_texts && json_equal(json_object_get(known_texts, figures[i]), json_object_get(own_texts, figures[i]));
    if (status == SENVEC_OK && known_model &&
        !json_equal(json_object_get(known_model, "files"), json_object_get(own_model, "files")))
        status = sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s: not the model that this study was made with; give that one, or begin anew with \"senvec study bench --anew\"",
            model);
    else if (status == SENVEC_OK && known_texts && !same_texts)
        status = sv_fail(
            err, SENVEC_INVALID_ARGUMENT, 0,
            "%s: not the texts that this study was made with; give those, or begin anew with \"senvec study bench --anew\"",
            texts->source);
    json_decref(own_model);
    json_decref(own_texts);
    return status;
}
