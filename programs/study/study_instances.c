/* The machines that a study is priced on. */
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "results/instances.h"
#include "study/batching.h"
#include "study/study_internal.h"

#define DEFAULT_LOAD 100.0 /* single texts a second that machines are counted for */
enum { MOST_INSTANCES_BYTES = 1 << 20 };

senvec_status sv_study_choose_instances(const sv_study_options *options, sv_results *results, senvec_error *err) {
    const json_t *before = results->instances;
    const double load = json_number_value(json_object_get(before, "load_per_s"));
    const double p99 = json_number_value(json_object_get(before, "p99_ms"));
    sv_file_map file = {0};
    json_t *types = NULL;
    char *text = NULL;
    senvec_status status = SENVEC_OK;
    if (options->instances) {
        SENVEC_TRY(sv_file_map_open(options->instances, &file, err));
        bool fits = file.size < MOST_INSTANCES_BYTES;
        text = fits ? strndup(file.size > 0 ? (const char *)file.data : "", file.size) : NULL; /* an empty file isn't mapped */
        sv_file_map_close(&file);
        if (text)
            status = sv_instances_parse(text, options->instances, &types, err);
        else if (fits)
            status = sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for %s", options->instances);
        else
            status = sv_fail(err, SENVEC_TOO_LARGE, 0, "%s: too large for a table of instance types", options->instances);
        free(text);
    } else if (before) {
        types = json_incref(json_object_get(before, "types"));
    } else {
        status = sv_instances_parse(sv_instances_csv, "instances.csv", &types, err);
    }
    if (status != SENVEC_OK)
        return status;
    json_t *all = json_pack("{s:o, s:f, s:f}", "types", types, "load_per_s",
                            options->load_per_s > 0 ? options->load_per_s
                            : load > 0              ? load
                                                    : DEFAULT_LOAD,
                            "p99_ms",
                            options->p99_ms > 0 ? options->p99_ms
                            : p99 > 0           ? p99
                                                : SV_BATCHING_BOUND_MS);
    if (!all)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the instance types");
    json_decref(results->instances);
    results->instances = all;
    return SENVEC_OK;
}
