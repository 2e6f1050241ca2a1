/* Inside of the services' stage: services.c opens them and concludes, service_load.c measures. */
#ifndef SV_STUDY_SERVICES_INTERNAL_H
#define SV_STUDY_SERVICES_INTERNAL_H

#include "loadgen/http_target.h"
#include "study/services.h"

enum { SV_SERVICE_CLIENTS = 32, SV_BULK_TEXTS = 32, SV_BULK_CLIENTS = 4, SV_SERVICE_ROUNDS = 5 };
#define SV_SERVICE_TIMEOUT_S 30.0

/* A service of the list. */
typedef struct sv_served {
    const sv_service *service;
    sv_service_process *process; /* NULL: not the study's */
    sv_http_options http;
    json_t *row;           /* in results->services */
    bool runs;             /* it can be asked */
    double idle_ms;        /* its median latency for one client */
    double passed, failed; /* rates of the curve: the highest that it held, the first that it didn't; 0: none */
} sv_served;

typedef struct sv_services_stage {
    sv_results *results;
    const sv_study_options *options;
    const sv_service_places *places;
    sv_runner_progress_fn *progress;
    void *progress_context;
    size_t done, total; /* runs, for the progress */
    size_t rounds, steps, samples;
    double block_s, run_s;
    sv_workload one, bulk;
    float *reference; /* [compared, dimensions] */
    size_t compared, dimensions;
    sv_served items[SV_MAX_SERVICES];
    size_t count;
} sv_services_stage;

bool sv_services_cancelled(const sv_services_stage *s);
senvec_status sv_services_fail_cancelled(senvec_error *err);
senvec_status sv_services_no_memory(senvec_error *err);
/* One more run begins, of the service `name`. */
void sv_services_progress(sv_services_stage *s, const char *name);
senvec_status sv_services_checkpoint(const sv_services_stage *s, senvec_error *err);
/* NaN becomes null. */
void sv_put_number(json_t *object, const char *key, double value);

/* The service is out of the study; the others go on. Errors: OUT_OF_MEMORY and CANCELLED, where that is the failure. */
senvec_status sv_service_give_up(sv_served *item, sv_row_state state, const senvec_error *failure, senvec_error *err);
/* To be asked; `numbers`: in a dialect with vectors as numbers. Errors: those of sv_http_target_open. */
senvec_status sv_service_target(const sv_served *item, const sv_workload *workload, bool numbers, sv_http_target **out,
                                senvec_error *err);

/* Runs everything that is timed and puts it, and what follows from it, into results->services. Errors: CANCELLED,
 * OUT_OF_MEMORY, SYSTEM. */
senvec_status sv_services_measure(sv_services_stage *s, senvec_error *err);

#endif
