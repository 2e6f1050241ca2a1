/* The figures that follow from measurements: percentiles, intervals, ratios, cost. NaN stands for what wasn't measured. */
#ifndef SV_RESULTS_FIGURES_H
#define SV_RESULTS_FIGURES_H

#include "results/results.h"
#include "stats/statistics.h"

/* What the machine's own drift in the run of the rows' rounds adds to the standard error of a rate's or median's logarithm
 * (sv_drift): the machine's level in a round is the median, over the rows that were measured in all rounds, of a row's texts/s
 * in it against its mean. 0 where nothing can be said. Error: OUT_OF_MEMORY. */
senvec_status sv_results_drift(const sv_results *results, double *out, senvec_error *err);

/* Into rows[] (row_count): the indices of the rows that have blocks, those whose texts/s have the widest 95 % interval, as high
 * over low, first; *count gets their number. Error: OUT_OF_MEMORY. */
senvec_status sv_rows_by_width(const sv_results *results, size_t *rows, size_t *count, senvec_error *err);

/* Standard deviation over mean of the texts/s of a measurement's blocks; NaN below two of them. */
double sv_rate_spread(const sv_measurement *measured);

/* Whether the figures may be quoted. On a busy machine the same command gives another ratio an hour later, whatever its
 * interval says, so from SV_STEADY_LIMIT on none is given: the ratios and savings of sv_row_figures are NaN then. */
#define SV_STEADY_LIMIT 0.2
typedef struct sv_steadiness {
    double spread;          /* the median over the rows of sv_rate_spread; NaN where no row has two blocks */
    double baseline_spread; /* the baseline's; NaN the same */
    bool quotable;          /* both are at most SV_STEADY_LIMIT, or unknown */
} sv_steadiness;

/* Error: OUT_OF_MEMORY. */
senvec_status sv_results_steadiness(const sv_results *results, sv_steadiness *out, senvec_error *err);

/* The figures of a series. */
typedef struct sv_series_figures {
    sv_summary latency;                   /* ms a call */
    sv_estimate p50;                      /* NaN where latency wasn't measured in rounds */
    sv_estimate texts_per_s;              /* NaN where throughput wasn't measured */
    double texts, calls, seconds, tokens; /* of all blocks */
} sv_series_figures;

/* Of `row`: its own benchmark, or a series. A row that drifted in its benchmark by more than the machine is taken to drift like
 * that in everything: single calls in between show it less. Error: OUT_OF_MEMORY. */
senvec_status sv_measurement_figures(const sv_results *results, const sv_row *row, const sv_measurement *measured,
                                     sv_series_figures *out, senvec_error *err);

/* The figures of a row for three typical jobs; NaN if they weren't measured. */
typedef struct sv_use_cases {
    double query_ms, query_p95_ms;     /* one search query, alone */
    double listing_ms, listing_p95_ms; /* one new listing of about 80 tokens, alone */
    double reindex_hours, reindex_usd; /* a million texts like the corpus, at the row's batch size */
} sv_use_cases;

/* The figures of a row. NaN stands for what wasn't measured. */
typedef struct sv_row_figures {
    sv_summary latency; /* ms a call */
    sv_estimate p50;    /* with its interval; NaN where there were no rounds, as under load */
    sv_estimate texts_per_s;
    double tokens_per_s;
    double spread;                  /* of the blocks' texts/s: standard deviation over mean */
    sv_estimate speedup;            /* texts/s over the baseline's, paired by round; of all rounds, if none is common */
    sv_estimate speedup_same_batch; /* over the same runtime's row as the baseline, with this row's batch */
    double gmacs;                   /* linear layers, GMAC/s */
    double peak_percent;            /* of the measured peak of its precision */
    sv_summary cosine[SV_VALIDATION_SETS];
    double usd_per_1k, usd_per_1m, usd_per_1m_tokens;
    double saving; /* of the cost, against the baseline: 0.9 is 90 % less */
} sv_row_figures;

/* Error: OUT_OF_MEMORY. */
senvec_status sv_row_figures_compute(const sv_results *results, const sv_row *row, sv_row_figures *out, senvec_error *err);

/* Error: OUT_OF_MEMORY. */
senvec_status sv_row_use_cases(const sv_results *results, const sv_row *row, const sv_row_figures *figures, sv_use_cases *out,
                               senvec_error *err);

/* All of a study's, each computed once. */
typedef struct sv_figures {
    sv_arena arena;
    sv_row_figures *rows;      /* (row_count) */
    sv_use_cases *use_cases;   /* (row_count) */
    sv_series_figures *series; /* (series_count) */
    double drift;
    sv_steadiness steadiness;
} sv_figures;

/* Error: OUT_OF_MEMORY. */
senvec_status sv_figures_compute(const sv_results *results, sv_figures *out, senvec_error *err);
/* Figures none of which is known, in no time. Error: OUT_OF_MEMORY. */
senvec_status sv_figures_unknown(const sv_results *results, sv_figures *out, senvec_error *err);
/* A zeroed one is accepted. */
void sv_figures_release(sv_figures *figures);

#endif
