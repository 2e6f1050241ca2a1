/* The fields of the results: one table for each subject, from which study.json, the CSV files and the terminal are written, so
 * that a figure has one name, one unit and one meaning everywhere. */
#ifndef SV_RESULTS_FIELDS_H
#define SV_RESULTS_FIELDS_H

#include "results/figures.h"

typedef enum sv_field_kind {
    SV_FIELD_TEXT,
    SV_FIELD_COUNT,   /* a whole number */
    SV_FIELD_NUMBER,  /* NaN: an empty field, null */
    SV_FIELD_PERCENT, /* a part of one; percent in a table */
    SV_FIELD_BYTES,   /* a whole number; MB (2^20 bytes) in a table, where 0 means unknown */
} sv_field_kind;

/* The source of a field's value: a row, or a series of a row. */
typedef struct sv_field_source {
    const sv_results *results;
    const sv_row *row;
    const sv_row_figures *figures;
    const sv_use_cases *uses;
    sv_validation_set set;             /* for the fields of a validation */
    const sv_series *series;           /* NULL: none */
    const sv_series_figures *measured; /* of the series */
    char runtime[64];                  /* of a series: the row's name without its batch, "PyTorch" */
} sv_field_source;

typedef struct sv_field_value {
    double number;
    const char *text;
} sv_field_value;

typedef struct sv_field {
    const char *section; /* in study.json: "", "latency", "throughput.speedup"; NULL: the field isn't there */
    const char *key;     /* in its section */
    const char *title;   /* of its column, with the unit; NULL: no table has it */
    sv_field_kind kind;
    int decimals; /* in a table */
    sv_field_value (*get)(const sv_field_source *source);
} sv_field;

typedef struct sv_field_table {
    const sv_field *fields;
    size_t count;
} sv_field_table;

extern const sv_field_table sv_benchmark_fields;  /* of a row */
extern const sv_field_table sv_cost_fields;       /* of a row */
extern const sv_field_table sv_use_case_fields;   /* of a row */
extern const sv_field_table sv_validation_fields; /* of a row and `set`; their section is the set's */
extern const sv_field_table sv_sweep_fields;      /* of a series: the corpus at another batch size */
extern const sv_field_table sv_length_fields;     /* of a series: texts of another length */

/* Row `i`, and series `i` with its row, as sources. */
sv_field_source sv_row_source(const sv_results *results, const sv_figures *figures, size_t i);
sv_field_source sv_series_source(const sv_results *results, const sv_figures *figures, size_t i);

/* The field with that title; it must exist. */
const sv_field *sv_field_titled(const sv_field_table *table, const char *title);

/* The value as a table shows it: in percent or MB if the kind says so, NaN if it is unknown. */
double sv_field_shown(const sv_field *field, const sv_field_source *source);

/* Where study.json keeps a set's comparison, and its texts. */
const char *sv_validation_key(sv_validation_set set);       /* "validation", "validation_wide" */
const char *sv_validation_texts_key(sv_validation_set set); /* "validation_texts", "validation_texts_wide" */

#endif
