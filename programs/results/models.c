#include "results/models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/limits.h"
#include "results/recommendation.h"
#include "results/results_files.h"

typedef struct model {
    const char *name; /* the study's folder, without those above it */
    sv_results results;
    sv_figures figures;
} model;

/* A configuration's vectors in a form, at a metric. */
typedef struct point {
    const model *model;
    size_t row;
    const json_t *score; /* NULL: without labels */
    bool frontier;       /* nothing cheaper is as good, of whatever model */
} point;

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double cost_of(const point *p) {
    return p->model->figures.rows[p->row].usd_per_1m;
}

static bool beats(const point *a, const point *b) {
    const double cost = cost_of(a) - cost_of(b), value = number_of(a->score, "value") - number_of(b->score, "value");
    return strcmp(text_of(a->score, "metric"), text_of(b->score, "metric")) == 0 && cost <= 0 && value >= 0 &&
           (cost < 0 || value > 0);
}

static void mark_frontier(point *points, size_t count) {
    for (size_t i = 0; i < count; i++) {
        points[i].frontier = points[i].score && isfinite(cost_of(&points[i]));
        for (size_t k = 0; points[i].frontier && k < count; k++)
            points[i].frontier = !(points[k].score && beats(&points[k], &points[i]));
    }
}

/* Those of every measured row: one for each of its scores, or one without labels. *out is malloc'ed. */
static senvec_status list_points(const model *models, size_t count, point **out, size_t *out_count, senvec_error *err) {
    size_t most = 0;
    *out_count = 0;
    for (size_t m = 0; m < count; m++)
        most += models[m].results.row_count + json_array_size(json_object_get(models[m].results.labels, "scores"));
    *out = calloc(most + 1, sizeof **out);
    if (!*out)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "no memory for the table of models");
    for (size_t m = 0; m < count; m++)
        for (size_t i = 0; i < models[m].results.row_count; i++) {
            const sv_row *row = &models[m].results.rows[i];
            const size_t before = *out_count;
            size_t index;
            const json_t *score;
            if (row->state != SV_ROW_MEASURED)
                continue;
            json_array_foreach(json_object_get(models[m].results.labels, "scores"), index, score) {
                if (strcmp(text_of(score, "configuration"), row->name) == 0)
                    (*out)[(*out_count)++] = (point){&models[m], i, score, false};
            }
            if (*out_count == before)
                (*out)[(*out_count)++] = (point){&models[m], i, NULL, false};
        }
    return SENVEC_OK;
}

static void put_point(FILE *file, const point *p, bool quotable) {
    static const char *const numbers[] = {"value", "low", "high"};
    const sv_row *row = &p->model->results.rows[p->row];
    const sv_row_figures *figures = &p->model->figures.rows[p->row];
    sv_csv_put_text(file, p->model->name);
    fputc(',', file);
    sv_csv_put_text(file, row->name);
    fputc(',', file);
    sv_csv_put_number(file, figures->texts_per_s.value, 2);
    fputc(',', file);
    sv_csv_put_number(file, figures->usd_per_1m, 6);
    fputc(',', file);
    sv_csv_put_number(file, row->peak_rss_bytes ? (double)row->peak_rss_bytes / (1 << 20) : NAN, 1);
    fputc(',', file);
    sv_csv_put_text(file, text_of(p->score, "form"));
    fputc(',', file);
    sv_csv_put_number(file, number_of(p->score, "bytes"), 0);
    fputc(',', file);
    sv_csv_put_text(file, text_of(p->score, "metric"));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        fputc(',', file);
        sv_csv_put_number(file, number_of(p->score, numbers[i]), 6);
    }
    fprintf(file, ",%s\n", p->score && quotable ? p->frontier ? "yes" : "no" : "");
}

static senvec_status write_table(const point *points, size_t count, bool quotable, const char *out, senvec_error *err) {
    char path[SV_MAX_PATH];
    sv_atomic_file file = {0};
    SENVEC_TRY(sv_path_join(out, "models.csv", path, err));
    SENVEC_TRY(sv_atomic_file_open(&file, path, err));
    fputs("Model,Configuration,Throughput (req/s),Cost per 1M requests ($),Peak Memory (MB),Vectors As,Bytes,Metric,Value,"
          "Difference Low,Difference High,On Frontier\n",
          file.stream);
    for (size_t i = 0; i < count; i++)
        put_point(file.stream, &points[i], quotable);
    return sv_atomic_file_commit(&file, err);
}

/* The row to show of a model: the recommended one, else the one with the most texts/s. SIZE_MAX: nothing was measured. */
static size_t shown_row(const model *m) {
    sv_recommendation advice;
    size_t best = SIZE_MAX;
    if (sv_recommend(&m->results, &m->figures, &advice) && advice.row)
        return (size_t)(advice.row - m->results.rows);
    for (size_t i = 0; i < m->results.row_count; i++)
        if (m->results.rows[i].state == SV_ROW_MEASURED &&
            (best == SIZE_MAX || m->figures.rows[i].texts_per_s.value > m->figures.rows[best].texts_per_s.value))
            best = i;
    return best;
}

static void print_model(const model *m, FILE *stream) {
    const size_t i = shown_row(m);
    size_t index;
    const json_t *score;
    if (i == SIZE_MAX) {
        fprintf(stream, "%-28.28s nothing was measured\n", m->name);
        return;
    }
    fprintf(stream, "%-28.28s %-31s %9.1f %8.3g\n", m->name, m->results.rows[i].name, m->figures.rows[i].texts_per_s.value,
            m->figures.rows[i].usd_per_1m);
    json_array_foreach(json_object_get(m->results.labels, "scores"), index, score) {
        if (strcmp(text_of(score, "configuration"), m->results.rows[i].name) == 0 &&
            strcmp(text_of(score, "form"), "float32") == 0 && json_is_true(json_object_get(score, "main")))
            fprintf(stream, "  %-26s %.4f\n", text_of(score, "metric"), number_of(score, "value"));
    }
}

senvec_status sv_models_write(const char *const *directories, size_t count, const char *out, FILE *stream, senvec_error *err) {
    model models[SV_MAX_REPORT_STUDIES] = {0};
    point *points = NULL;
    size_t read = 0, point_count = 0;
    bool quotable = true;
    senvec_status status = SENVEC_OK;
    for (; status == SENVEC_OK && read < count && read < SV_MAX_REPORT_STUDIES; read++) {
        model *m = &models[read];
        const char *slash = strrchr(directories[read], '/');
        m->name = slash ? slash + 1 : directories[read];
        status = sv_results_read(&m->results, directories[read], err);
        if (status != SENVEC_OK)
            break;
        status = sv_figures_compute(&m->results, &m->figures, err);
        quotable = quotable && (status != SENVEC_OK || m->figures.steadiness.quotable);
    }
    if (status == SENVEC_OK)
        status = list_points(models, read, &points, &point_count, err);
    if (status == SENVEC_OK) {
        mark_frontier(points, point_count);
        status = write_table(points, point_count, quotable, out, err);
    }
    if (status == SENVEC_OK) {
        fprintf(stream, "%-28s %-31s %9s %8s\n", "model", "configuration", "texts/s", "USD/1M");
        for (size_t m = 0; m < read; m++)
            print_model(&models[m], stream);
    }
    free(points);
    for (size_t m = 0; m < read; m++) {
        sv_figures_release(&models[m].figures);
        sv_results_release(&models[m].results);
    }
    return status;
}
